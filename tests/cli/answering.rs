//! A command that answers from the data folder answers as the server of that folder would: by its settings, wherever they are
//! written, and by the packs of the tenant.

use std::fs;

use serde_json::Value;

use super::server::serve_with;
use super::{Home, with};

/// A call to China, which a server elsewhere may not judge; one to a customer in Switzerland, allowed by a reading that is
/// disputed; one to Germany on a consent that the question brings along.
const QUESTIONS: [(&str, &str, &str); 3] = [
    ("+861012345778", "--purpose=informational", "{}"),
    (
        "+41212345924",
        "--purpose=marketing",
        r#"{"relationship":{"lastPurchaseAt":"2026-09-01T00:00:00Z","offerRelated":true}}"#,
    ),
    (
        "+4930231250",
        "--purpose=marketing",
        r#"{"consents":[{"grade":"CONSENT_GRADE_EXPRESS_WRITTEN","givenAt":"2026-10-01T00:00:00Z","sellers":["acme"]}]}"#,
    ),
];

const ASKED: [&str; 6] = [
    "--channel=call",
    "--technology=manual",
    "--recipient=consumer",
    "--line-type=landline",
    "--seller=acme",
    "--at=2026-11-18T10:00:00Z",
];

/// The answers to all questions, without what differs each time.
fn answers(home: &Home, more: &[&str], variables: &[(&str, &str)]) -> Vec<Value> {
    let answer = |(number, purpose, evidence): &(&str, &str, &str)| {
        home.write("evidence.json", *evidence);
        let check = with(&with(&["check", *number, *purpose, "--evidence=evidence.json", "--json"], &ASKED), more);
        let mut answer = home.run_with(&check, b"", variables).json();
        answer.as_object_mut().unwrap().remove("decisionId");
        answer
    };
    QUESTIONS.iter().map(answer).collect()
}

/// The output of a scrub of the same numbers.
fn scrubbed(home: &Home, more: &[&str], variables: &[(&str, &str)]) -> String {
    home.write("in.csv", "phone\n+861012345778\n+41212345924\n+4930231250\n+4930231251\n");
    let scrub = ["scrub", "in.csv", "--output=out.csv", "--force", "--purpose=informational"];
    home.run_with(&with(&with(&scrub, &ASKED), more), b"", variables).code(0);
    home.read("out.csv")
}

#[test]
fn settings_hold_for_an_answer_from_the_folder_as_they_do_for_that_of_the_server() {
    let home = Home::new();
    home.write("plain.toml", "data = \"kept\"\nkeys = \"own-keys\"\n");
    drop(serve_with(&home, &["--config=plain.toml"]));
    let plain = answers(&home, &["--config=plain.toml"], &[]);
    for setting in ["region = \"US\"", "verified_only = true", "trust = \"stored\""] {
        home.write("house.toml", format!("data = \"kept\"\nkeys = \"own-keys\"\n{setting}\n"));
        let config = ["--config=house.toml"];
        let server = serve_with(&home, &config);
        let at = ["--server", server.url.as_str()];
        let (asked, file) = (answers(&home, &at, &[]), scrubbed(&home, &at, &[]));
        drop(server);
        assert_ne!(asked, plain, "{setting}: it matters to one of the questions");
        assert_eq!(answers(&home, &config, &[]), asked, "{setting}");
        assert_eq!(scrubbed(&home, &config, &[]), file, "{setting}");
        // Named by the environment, with the folder named or not.
        let named = [("RINGFENCE_CONFIG", "house.toml")];
        assert_eq!(answers(&home, &[], &named), asked, "{setting}");
        assert_eq!(answers(&home, &["--data=kept"], &named), asked, "{setting}");
    }
    // One setting by the environment alone.
    let variables = [("RINGFENCE_CONFIG", "plain.toml"), ("RINGFENCE_REGION", "US")];
    assert_eq!(answers(&home, &[], &variables)[0]["verdict"], "VERDICT_DENY");
    assert_ne!(answers(&home, &[], &variables)[0], plain[0]);
}

/// Other keys find nobody: a proof under them would be of somebody else.
#[test]
fn commands_that_need_keys_take_those_that_the_settings_name() {
    const NUMBER: &str = "+12025550143";
    let home = Home::new();
    home.write("ringfence.toml", "data = \"kept\"\nkeys = \"own-keys\"\n");
    std::fs::create_dir(home.path("kept")).unwrap();
    home.run(&["contact", "opt-out", NUMBER, "--everything"]).quietly(0);
    home.run(&["audit", "head", "--append=heads"]).quietly(0);
    // Sound ones, of nothing that is here.
    home.run(&["keys", "new", "--keys=ringfence-keys"]).quietly(0);
    home.write("numbers.txt", "+12025550143\n");
    std::fs::create_dir(home.path("lists")).unwrap();
    let [import, inspect] = [
        &["registry", "import", "tenant.own", "numbers.txt", "--registries=lists", "--as-of=2026-11-20T00:00:00Z"][..],
        &["registry", "inspect", "lists/tenant.own.set"],
    ];
    let prove = ["audit", "prove-absence", NUMBER, "--after=2020-01-01T00:00:00Z", "--heads=heads"];
    let all = |more: &[&str], n: u8| {
        let place = |flag: &str| format!("--{flag}={flag}-{n}");
        let [out, to, keys] = ["out", "to", "to-keys"].map(place);
        home.run(&with(&["audit", "replay"], more)).quietly(0);
        home.run(&with(&["audit", "evidence", NUMBER, "--heads=heads", &out], more)).code(0);
        home.run(&with(&with(&prove, &[&format!("{out}.proof")]), more)).code(0).says(&["names this number"]);
        home.run(&with(&["audit", "bundle", &format!("{to}-bundle"), &keys], more)).quietly(0);
        home.run(&with(import, more)).code(0);
        home.run(&with(inspect, more)).code(0).says(&["the tenant default, under own-keys"]);
        home.run(&with(&["contact", "copy", "--from=kept", &to], more)).quietly(0).says(&["Complete"]);
        let shown = home.run(&["contact", "show", NUMBER, &format!("--data=to-{n}"), "--keys=own-keys"]).quietly(0);
        shown.says(&["opt-out"]);
    };
    all(&[], 1);
    std::fs::rename(home.path("ringfence.toml"), home.path("house.toml")).unwrap();
    all(&["--config=house.toml"], 2);
    // What is named wins, and settings at fault name nothing.
    std::fs::rename(home.path("house.toml"), home.path("ringfence.toml")).unwrap();
    let proof = with(&prove, &["--out=3.proof"]);
    home.run(&with(&proof, &["--keys=ringfence-keys"])).refused(&["written under another hash key"]);
    home.run(&with(inspect, &["--keys=ringfence-keys"])).code(1).says(&["OTHER KEYS than ringfence-keys"]);
    home.write("ringfence.toml", "kyes = \"own-keys\"\n");
    home.run(&with(&proof, &["--data=kept"])).refused(&["kyes", "--keys"]);
    home.run(import).refused(&["kyes", "--keys"]);
    home.run(&["contact", "copy", "--from=kept", "--to=to-3"]).refused(&["kyes", "--keys"]);
    home.run(inspect).code(0).says(&["made for  not known", "kyes"]);
    assert!(!home.path("3.proof").exists() && !home.path("to-3").exists());
}

/// As `config show` has it, a part of this name is hidden.
#[test]
fn a_file_may_have_a_name_that_looks_like_a_password() {
    let home = Home::new();
    home.write("ringfence.toml", "keys = \"of:us@here\"\naccess = \"who:may@ask.toml\"\n");
    home.run(&["keys", "new"]).quietly(0).says(&["of:us@here"]);
    home.run(&["access", "new", "dialer", "--role=check", "--tenant=acme"]).code(0);
    assert!(home.path("of:us@here").exists() && home.path("who:may@ask.toml").exists(), "{:?}", home.names());
}

#[test]
fn faulty_settings_answer_nothing() {
    let home = Home::new();
    home.write("ringfence.toml", "verified_onyl = true\ndata = \"gone\"\n");
    let check = with(&["check", "+4930231250", "--purpose=informational"], &ASKED);
    home.run(&check).refused(&["ringfence.toml:1", "verified_onyl", "verified_only"]);
    home.write("ringfence.toml", "data = \"gone\"\n");
    home.run(&check).refused(&["gone: no such folder"]);
    home.run(&["contact", "opt-out", "+4930231250", "--everything"]).refused(&["gone: no such folder"]);
    home.write("in.csv", "phone\n+4930231250\n");
    let scrub = with(&["scrub", "in.csv", "--output=out.csv", "--purpose=informational"], &ASKED);
    home.run(&scrub).refused(&["gone: no such folder"]);
    // What is at fault with a listener is not for a command to refuse that does not listen.
    home.write("ringfence.toml", "grpc = \"0.0.0.0:50051\"\n");
    home.run(&check).quietly(0);
    home.run(&with(&check, &["--config=ringfence.toml", "--server=http://127.0.0.1:1"]))
        .refused(&["--server", "--config"]);
}

const HOUSE: &str = r#"
[pack]
jurisdiction = "ZZ"
title = "House rules of acme"
policy = true
zone = "UTC"
example = "+4930231250"

[[rule]]
id = "policy.no_information"
kind = "ban"
applies = { purpose = "informational" }
citation = "House rule 1"
confidence = "policy"
summary = "Nobody is called to be informed."
[[rule.case]]
says = "deny"
why = "it is information"
at = "2026-11-18T10:00:00Z"
[[rule.case]]
says = "allow"
why = "it is a survey"
at = "2026-11-18T10:00:00Z"
purpose = "survey"
"#;

/// Two tenants with data, of whom `acme` has rules of its own; their keys.
pub fn tenants(home: &Home) -> [String; 2] {
    home.write("own/acme/house.toml", HOUSE);
    home.write("ringfence.toml", "access = \"ringfence-access.toml\"\ntenant_packs = \"own\"\n");
    let keys = ["acme", "beta"].map(|tenant| {
        let named = format!("--tenant={tenant}");
        home.run(&["access", "new", tenant, &named, "--role=check,write-consent"]).code(0).out.trim().to_owned()
    });
    let server = serve_with(home, &[]);
    for (key, number) in keys.iter().zip(["+4930231252", "+4930231253"]) {
        let opt_out = ["contact", "opt-out", number, "--everything", "--server", &server.url];
        home.run_with(&opt_out, b"", &[("RINGFENCE_API_KEY", key)]).code(0);
    }
    assert!(server.stopped());
    keys
}

#[test]
fn the_packs_of_a_tenant_hold_for_an_answer_from_the_folder() {
    let home = Home::new();
    let keys = tenants(&home);
    let server = serve_with(&home, &[]);
    let at = ["--server", server.url.as_str()];
    let of_server = keys.each_ref().map(|key| {
        let variables = [("RINGFENCE_API_KEY", key.as_str())];
        (answers(&home, &at, &variables), scrubbed(&home, &at, &variables))
    });
    drop(server);
    assert_ne!(of_server[0].1, of_server[1].1, "one of them has a rule of its own");
    for (tenant, (asked, file)) in ["--tenant=acme", "--tenant=beta"].into_iter().zip(of_server) {
        assert_eq!(answers(&home, &[tenant], &[]), asked, "{tenant}");
        assert_eq!(scrubbed(&home, &[tenant], &[]), file, "{tenant}");
    }
    fs::write(home.path("own/acme/house.toml"), "[pack]\n").unwrap();
    let check = with(&["check", "+4930231250", "--purpose=survey", "--tenant=acme"], &ASKED);
    home.run(&check).refused(&["own/acme/house.toml"]);
}
