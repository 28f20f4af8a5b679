//! What is read again while the real program serves, and cannot be: nothing is lost by it, and it is tried again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::credentials::{Folder, HOUSE_RULES, Server, ask, check, until};
use super::redis;

/// A notice, which the house rules allow three times a day at any hour.
const NOTICE: &str = r#"{"number":"+13055550123","channel":"CHANNEL_CALL","purpose":"PURPOSE_INFORMATIONAL","seller":"acme",
    "technology":"TECHNOLOGY_MANUAL","recipient":"RECIPIENT_CONSUMER","lineType":"LINE_TYPE_LANDLINE"}"#;

fn notice(server: &Server, key: &str) -> String {
    let (code, body) = ask(server.http, "POST", "/v1/check", Some(key), NOTICE);
    assert_eq!(code, 200, "{body}");
    body["decision"]["verdict"].as_str().unwrap().to_owned()
}

/// How many of a kind are refused, by the metric.
fn refused(server: &Server, operator: &str, what: &str) -> String {
    metric(server, operator, &format!("ringfence_reload_refused{{what=\"{what}\"}}"))
}

fn metric(server: &Server, operator: &str, name: &str) -> String {
    let metrics = ask(server.http, "GET", "/metrics", Some(operator), "").1;
    let line = format!("{name} ");
    let found = metrics.as_str().unwrap().lines().find_map(|text| text.strip_prefix(&line)).map(str::to_owned);
    found.unwrap_or_else(|| panic!("no {line}"))
}

#[test]
fn rules_of_a_tenant_hold_while_their_folder_cannot_be_seen() {
    let folder = Folder::new();
    let (acme, operator) = (folder.admit("a", "acme", "check"), folder.admit("ops", "acme", "operate"));
    let (root, away) = (folder.path("packs-of"), folder.path("away"));
    let settings = [("tenant_packs", "packs-of")];
    // Without the folder, or with an empty one, no tenant's rules would hold: no server starts so.
    let start = ["serve", "--grpc", "127.0.0.1:0", "--http", "off", "--access", "ringfence-access.toml"];
    let refusal = || {
        let output = folder.program().args(start).env("RINGFENCE_TENANT_PACKS", "packs-of").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refusal().contains("tenant_packs: packs-of: cannot be seen"), "{}", refusal());
    fs::create_dir(&root).unwrap();
    assert!(refusal().contains("is its volume mounted"), "{}", refusal());
    fs::create_dir(root.join("acme")).unwrap();
    fs::create_dir(root.join("acmee")).unwrap();
    fs::write(root.join("acme/house.toml"), HOUSE_RULES).unwrap();

    let server = folder.serve(&settings);
    let used: Vec<_> = (0..4).map(|_| notice(&server, &acme)).collect();
    assert_eq!(used, ["VERDICT_ALLOW", "VERDICT_ALLOW", "VERDICT_ALLOW", "VERDICT_DENY"]);
    until("a folder of nobody is told", || folder.said().contains("acmee"));
    assert_eq!(refused(&server, &operator, "tenant_packs"), "0");
    // The volume goes; an empty mount point is left; something else is in its place.
    let steps: [(&str, &dyn Fn()); 3] = [
        ("cannot be seen", &|| fs::rename(&root, &away).unwrap()),
        ("is its volume mounted", &|| fs::create_dir(&root).unwrap()),
        ("is no folder", &|| fs::write(root.join("acme"), "").unwrap()),
    ];
    for (told, step) in steps {
        step();
        until(told, || folder.said().contains(told));
        assert_eq!(
            (notice(&server, &acme).as_str(), refused(&server, &operator, "tenant_packs").as_str()),
            ("VERDICT_DENY", "1")
        );
    }
    assert!(!folder.said().contains("has no packs of its own"), "{}", folder.said());
    fs::remove_dir_all(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    until("it is well again", || refused(&server, &operator, "tenant_packs") == "0");
    assert_eq!(notice(&server, &acme), "VERDICT_DENY");
    fs::remove_dir_all(root.join("acme")).unwrap();
    until("it was taken away", || folder.said().contains("has no packs of its own"));
    assert_eq!(notice(&server, &acme), "VERDICT_ALLOW");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_of_callers_that_was_refused_is_tried_until_it_is_taken() {
    let folder = Folder::new();
    let (dialer, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "operate"));
    let server = folder.serve(&[]);
    let path = folder.path("ringfence-access.toml");
    let revoked =
        fs::read_to_string(&path).unwrap() + "\n[[revoked]]\nname = \"dialer\"\nat = \"2026-11-22T00:00:00Z\"\n";
    let before = fs::read_to_string(&path).unwrap();
    mode(&path, 0o664);
    fs::write(&path, revoked).unwrap();
    until("it is refused", || folder.said().contains("chmod 600"));
    assert_eq!(check(server.http, Some(&dialer)).0, 200, "the old one stays in force");
    assert_eq!(refused(&server, &operator, "access"), "1");
    // Neither length nor time of the text tells of this.
    mode(&path, 0o600);
    until("the revocation counts", || check(server.http, Some(&dialer)).0 == 401);
    until("nothing is refused", || refused(&server, &operator, "access") == "0");
    assert_eq!(folder.said().matches("those who may ask is refused").count(), 1, "told once: {}", folder.said());
    // Cut, or put back from a copy: who was revoked is not let in again.
    fs::write(&path, before).unwrap();
    until("it is told", || folder.said().contains("lost revocations"));
    assert_eq!(check(server.http, Some(&dialer)).0, 401);
    assert_eq!(refused(&server, &operator, "access"), "0", "everybody else is as the file says");
}

#[test]
fn a_revocation_counts_though_a_tenant_of_the_same_file_cannot_be_opened() {
    let folder = Folder::new();
    let (dialer, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "check,operate"));
    let beta = folder.path("packs-of/beta");
    fs::create_dir_all(&beta).unwrap();
    fs::write(beta.join("house.toml"), "[pack]\n").unwrap();
    let server = folder.serve(&[("tenant_packs", "packs-of")]);
    let new = folder.admit("b", "beta", "check");
    folder.run(&["access", "revoke", "dialer"]);
    until("the revocation counts", || check(server.http, Some(&dialer)).0 == 401);
    let (code, body) = check(server.http, Some(&new));
    assert!(code == 401 && body.to_string().contains("TENANT_SHUT"), "{body}");
    assert_eq!(check(server.http, Some(&operator)).0, 200, "everybody else is known");
    until("that is counted", || refused(&server, &operator, "access") == "1");
    fs::write(beta.join("house.toml"), HOUSE_RULES).unwrap();
    until("the tenant is open", || check(server.http, Some(&new)).0 == 200);
    until("nothing is refused", || refused(&server, &operator, "access") == "0");
    let law: Value = ask(server.http, "GET", "/v1/law/packs", Some(&new), "").1;
    assert!(law.to_string().contains("House rules"), "with its own rules");
}

#[test]
fn settings_that_were_changed_are_told_by_name_until_they_are_as_in_force() {
    let folder = Folder::new();
    let operator = folder.admit("ops", "acme", "operate");
    let path = folder.path("ringfence.toml");
    let put = |text: &str| {
        fs::write(folder.path("new.toml"), text).unwrap();
        fs::rename(folder.path("new.toml"), &path).unwrap();
    };
    let good = "privacy_officer = \"Officer One\"\nreserve_seconds = 120\n";
    put(good);
    let server = folder.serve(&[("idle_seconds", "120")]);
    let changed = || metric(&server, &operator, "ringfence_settings_changed");
    let states = || (changed(), refused(&server, &operator, "settings"));
    let are = |changed: &str, refused: &str| (changed.to_owned(), refused.to_owned());
    // What the environment says wins over the file: it is in force, and stays so.
    put(&format!("idle_seconds = 60\n# a remark\n{good}"));
    put("privacy_officer = \"Officer Two\"\nstreams = 8\nidle_seconds = 60\n");
    until("it is told", || folder.said().contains("a restart puts that in force"));
    let said = folder.said();
    let line = said.lines().find(|line| line.contains("a restart puts that in force")).unwrap();
    for named in ["ringfence.toml:1: privacy_officer", "ringfence.toml:2: streams", "the default of reserve_seconds"] {
        assert!(line.contains(named), "{named}: {line}");
    }
    assert!(!line.contains("idle_seconds") && !said.contains("Officer"), "{said}");
    assert_eq!(states(), are("1", "0"));
    put(good);
    until("it is as in force", || states() == are("0", "0"));
    // What would keep a server from starting, in the words of the start; also of a file that is named.
    put(&format!("{good}stream = 8\n"));
    until("it is refused", || states() == are("1", "1"));
    assert!(
        folder.said().contains("ringfence.toml:3: unknown key `stream`: did you mean `streams`?"),
        "{}",
        folder.said()
    );
    put(&format!("{good}packs = \"nowhere\"\n"));
    until("the folder is told", || folder.said().contains("nowhere"));
    assert_eq!(states(), are("1", "1"));
    fs::remove_file(&path).unwrap();
    until("the file is gone", || states() == are("1", "0"));
    put(good);
    until("it is as in force", || states() == are("0", "0"));
    assert_eq!(folder.said().matches("no server would start").count(), 2, "told once each: {}", folder.said());
}

#[test]
fn the_authorities_of_processors_are_read_again_and_a_refusal_is_counted() {
    let folder = Folder::new();
    let operator = folder.admit("ops", "acme", "operate");
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/tls/authority.pem");
    let path = folder.path("processors.pem");
    fs::copy(&authority, &path).unwrap();
    let server = folder.serve(&[("webhook_ca", "processors.pem")]);
    let expires = || metric(&server, &operator, "ringfence_certificate_expires_timestamp_seconds{file=\"webhook_ca\"}");
    until("its end is told", || {
        ask(server.http, "GET", "/metrics", Some(&operator), "").1.to_string().contains("webhook_ca\\\"} 49")
    });
    assert_eq!(expires(), "4948907487");
    fs::write(&path, "nothing\n").unwrap();
    until("it is refused", || refused(&server, &operator, "webhook_ca") == "1");
    assert!(folder.said().contains("processors.pem: holds no certificate in PEM"), "{}", folder.said());
    fs::copy(&authority, &path).unwrap();
    until("it is taken", || refused(&server, &operator, "webhook_ca") == "0");
    assert!(folder.said().contains("read again what=\"webhook_ca\""), "{}", folder.said());
}

#[test]
fn certificates_towards_the_store_are_read_again_and_a_refusal_is_counted() {
    let folder = Folder::new();
    let (dialer, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "operate"));
    let of = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/tls").join(name);
    let [authority, certificate, key] =
        ["authority.pem", "server.pem", "server.key"].map(|name| of(name).display().to_string());
    let port = redis::free_port().to_string();
    let tls = ["--tls-port", &port, "--tls-ca-cert-file", &authority, "--tls-cert-file", &certificate];
    let _redis = redis::Server::start(&[&tls[..], &["--tls-key-file", &key]].concat());
    for (from, name) in [("authority.pem", "ca.pem"), ("client.pem", "our.pem"), ("client.key", "our.key")] {
        fs::copy(of(from), folder.path(name)).unwrap();
    }
    let url = format!("rediss://localhost:{port}");
    let files = [("store_ca", "ca.pem"), ("store_cert", "our.pem"), ("store_key", "our.key")];
    let server = folder.serve(&[&[("store", url.as_str())], &files[..]].concat());
    assert_eq!((check(server.http, Some(&dialer)).0, refused(&server, &operator, "store_tls").as_str()), (200, "0"));
    fs::copy(of("server.key"), folder.path("our.key")).unwrap();
    until("it is refused", || refused(&server, &operator, "store_tls") == "1");
    assert!(folder.said().contains("our.pem, our.key: do not go together"), "{}", folder.said());
    assert_eq!(check(server.http, Some(&dialer)).0, 200);
    fs::copy(of("server.pem"), folder.path("our.pem")).unwrap();
    until("it is taken", || refused(&server, &operator, "store_tls") == "0");
    assert!(folder.said().contains("read again what=\"store_tls\""), "{}", folder.said());
    assert_eq!(check(server.http, Some(&dialer)).0, 200);
}
