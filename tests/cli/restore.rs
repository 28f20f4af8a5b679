//! A copy that is put back, by the words of the document: nobody is answered from it before it is frozen.

use std::process::Command;

use super::server::{Server, serve_with};
use super::{ALLOWED, Home, with};

/// The commands of `deploy/operations.md` that stand before the start of an instance.
fn commands() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/operations.md")).unwrap();
    let (_, section) = text.split_once("\n## Restore\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let (before, after) = section.split_once("```sh\n").unwrap();
    let (fenced, after) = after.split_once("```").unwrap();
    assert!(
        before.contains("Before any instance starts") && after.contains("Start one instance"),
        "the order of steps"
    );
    let lines = fenced.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.strip_prefix("ringfence ").unwrap().split(' ').map(str::to_owned).collect()).collect()
}

fn serve(home: &Home) -> Server {
    serve_with(home, &["--access=ringfence-access.toml"])
}

/// Lets somebody of a tenant ask, and gives the key.
fn admitted(home: &Home, tenant: &str) -> String {
    let roles = "--role=check,write-consent,read-contacts,control";
    let made = home.run(&["access", "new", &format!("of-{tenant}"), "--tenant", tenant, roles, "--json"]).quietly(0);
    made.json()["key"].as_str().unwrap().to_owned()
}

fn copied(home: &Home, from: &str, to: &str) {
    let status = Command::new("cp").arg("-a").arg(home.path(from)).arg(home.path(to)).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_copy_is_frozen_for_every_tenant_before_it_is_answered_from() {
    let home = Home::new();
    let acme = admitted(&home, "acme");
    let ask = |server: &Server, key: &str, words: &[&str], code: i32| {
        let words = with(words, &["--server", &server.url]);
        home.run_with(&words, b"", &[("RINGFENCE_API_KEY", key)]).code(code)
    };
    let opt_out = ["contact", "opt-out", "+4930231250", "--everything"];
    let server = serve(&home);
    ask(&server, &acme, &["contact", "opt-out", "+12025550143", "--everything"], 0);
    ask(&server, &acme, &ALLOWED, 0);
    assert!(server.stopped());
    copied(&home, "ringfence-data", "copy");
    // What the copy lacks: opt-outs of one tenant, and all there is of another.
    let beta = admitted(&home, "beta");
    let server = serve(&home);
    for key in [&acme, &beta] {
        ask(&server, key, &opt_out, 0);
        ask(&server, key, &ALLOWED, 1);
    }
    assert!(server.stopped());
    std::fs::rename(home.path("ringfence-data"), home.path("lost")).unwrap();
    copied(&home, "copy", "ringfence-data");
    let commands = commands();
    for words in &commands {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let ran = home.run(&words).code(0);
        if words[0] == "control" {
            ran.says(&["Frozen for acme: everything", "Frozen for beta: everything", "by NAME: restore"]);
        }
    }
    assert_eq!(commands.len(), 3);
    let server = serve(&home);
    for key in [&acme, &beta] {
        ask(&server, key, &ALLOWED, 1).says(&["POLICY", "ringfence.freeze", "by NAME:"]);
        // What came after the copy is recorded again, and the freeze of this tenant is lifted.
        ask(&server, key, &opt_out, 0);
        let frozen = ask(&server, key, &["control", "list", "--json"], 0).json();
        let id = frozen["freezes"][0]["freezeId"].as_str().unwrap().to_owned();
        ask(&server, key, &["control", "unfreeze", &id, "--who=ann", "--why=done"], 0);
        let denied = ask(&server, key, &ALLOWED, 1);
        assert!(!denied.out.contains("ringfence.freeze"), "{}", denied.out);
    }
}

#[test]
fn a_freeze_for_many_tenants_wants_their_file_and_no_server() {
    let home = Home::new();
    std::fs::create_dir(home.path("ringfence-data")).unwrap();
    let freeze = ["control", "freeze", "--everything", "--who=ann", "--why=restore"];
    home.run(&with(&freeze, &["--tenants-of=gone.toml"])).refused(&["gone.toml"]);
    admitted(&home, "acme");
    let of = "--tenants-of=ringfence-access.toml";
    home.run(&with(&freeze, &[of, "--server=http://127.0.0.1:1"])).refused(&["--server and --tenants-of"]);
    home.run(&with(&freeze, &[of, "--tenant=acme"])).refused(&["--tenant and --tenants-of"]);
    let frozen = home.run(&with(&freeze, &[of, "--json", "--request-id=r-1"])).quietly(0).json();
    assert_eq!(frozen["requestId"], "r-1");
    assert_eq!(frozen["tenants"]["acme"]["freeze"]["target"]["everything"], true);
    let again = home.run(&with(&freeze, &[of, "--json", "--request-id=r-1"])).quietly(0).json();
    assert_eq!(again, frozen, "asked again, nothing is recorded twice");
    home.run(&["control", "list", "--tenant=acme"]).quietly(0).says(&["everything"]);
    home.run(&["control", "list"]).quietly(0).says(&["Nothing is frozen"]);
}
