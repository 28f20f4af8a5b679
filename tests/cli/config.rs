//! `config check|show`: everything wrong at once, and where each value comes from.

use super::Home;

/// Settings at fault in every way that a file, the environment and flags allow together.
const FAULTY: &str = "registry = \"lists\"
reserve_seconds = 0
streams = \"many\"
postures = [\"no_such_posture\"]
tls_cert = \"cert.pem\"
tls_key = \"cert.pem\"
access = \"who.toml\"
emergencies = \"gone.toml\"
acks = 1
[[pinned]]
name = \"cn\"
colour = \"red\"
";

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let home = Home::new();
    home.write("ringfence.toml", FAULTY);
    home.write("cert.pem", "no certificate\n");
    let variables = [("RINGFENCE_TLS_CRT", "x"), ("RINGFENCE_HTTP", "127.0.0.1:50051"), ("RINGFENCE_TRUST", "all")];
    let ran = home.run_with(&["config", "check", "--grpc=127.0.0.1:50051", "--keys=ringfence-data/k"], b"", &variables);
    let ran = ran.code(1).says(&[
        "fault  ringfence.toml:1: unknown key `registry`: did you mean `registries`?",
        "fault  ringfence.toml:2: reserve_seconds: `0` is not a number of seconds",
        "fault  ringfence.toml:3: streams: ",
        "fault  ringfence.toml:4: postures: no pack has a posture `no_such_posture`",
        "fault  ringfence.toml:5: tls_cert: cert.pem",
        "fault  ringfence.toml:7: access: who.toml: no such file",
        "fault  ringfence.toml:8: emergencies: gone.toml: cannot be read",
        "fault  ringfence.toml:12: unknown key `colour`",
        "fault  ringfence.toml:10: [[pinned]] 1, places: `` is required",
        "fault  RINGFENCE_TLS_CRT: no setting goes by this name: did you mean `tls_cert`?",
        "fault  RINGFENCE_TRUST: `all` is not one of asserted, stored",
        "fault  RINGFENCE_HTTP: 127.0.0.1:50051 is the address of grpc as well",
        "fault  --keys: ringfence-data/k",
        "note   ringfence.toml:9: acks: has no effect: the store is embedded",
        "faults: a server would not start.",
    ]);
    assert!(ran.err.is_empty(), "{}", ran.err);
    let told = home.run(&["config", "check", "--json"]).code(1).json();
    assert!(told["faults"].as_array().unwrap().len() > 8 && !told["notes"].as_array().unwrap().is_empty(), "{told}");
    home.run(&["config", "check", "--config=none.toml"]).code(1).says(&["none.toml: cannot be read", "1 fault: "]);
}

#[test]
fn what_a_pack_lacks_is_told_where_the_folder_is_named() {
    let home = Home::new();
    home.write("packs/x.toml", "[pack]\njurisdiction = \"US-QQ\"\n");
    home.run(&["config", "check", "--packs=packs"]).code(1).says(&["fault  --packs: packs/x.toml:"]);
    home.run(&["config", "check", "--grpc=off", "--http=off"]).code(1).says(&["both listeners are off"]);
    home.run(&["config", "check", "--grpc=0.0.0.0:50051"]).code(1).says(&[
        "--grpc: ",
        "no authentication",
        "set access",
    ]);
}

#[test]
fn sound_settings_are_said_to_be_and_nothing_is_made() {
    let home = Home::new();
    home.write("ringfence.toml", "region = \"US\"\npostures = [\"ca_texts_any_hour\"]\n");
    home.run(&["config", "check"]).quietly(0).says(&[
        "note",
        "ringfence-keys is not there yet",
        "The settings are sound.",
    ]);
    assert_eq!(home.names(), ["ringfence.toml"]);
}

#[test]
fn every_value_is_shown_with_where_it_was_written_and_no_secret() {
    let home = Home::new();
    home.write("ringfence.toml", "data = \"d\"\n\nhttp = \"off\"\nregion = \"US\"\n[[pinned]]\nname = \"cn\"\nplaces = [\"CN\"]\ndata = \"cn\"\n");
    let variables = [("RINGFENCE_REGION", "DE"), ("RINGFENCE_STORE_PASSWORD", "hush"), ("RINGFENCE_KEYS", "k")];
    let shown = home.run_with(&["config", "show", "--grpc=127.0.0.1:1", "--json"], b"", &variables).quietly(0).json();
    let of = |key: &str| {
        let found = shown["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap().clone();
        (
            found["value"].as_str().unwrap().to_owned(),
            found["origin"].as_str().unwrap().to_owned(),
            found["written"].clone(),
        )
    };
    let is = |key: &str, value: &str, origin: &str, written: &str| {
        assert_eq!(of(key), (value.to_owned(), origin.to_owned(), written.into()), "{key}");
    };
    is("data", "d", "file", "ringfence.toml:1");
    is("http", "off", "file", "ringfence.toml:3");
    is("region", "DE", "environment", "RINGFENCE_REGION");
    is("keys", "k", "environment", "RINGFENCE_KEYS");
    is("grpc", "127.0.0.1:1", "flag", "--grpc");
    is("pinned[1].places", "CN", "file", "ringfence.toml:7");
    assert_eq!(of("trust"), ("asserted".to_owned(), "default".to_owned(), serde_json::Value::Null));
    assert_eq!(shown["variables"]["RINGFENCE_STORE_PASSWORD"], "(hidden)");
    let text = home.run_with(&["config", "show", "--changed"], b"", &variables).quietly(0);
    text.says(&["data ", "ringfence.toml:1  d", "(hidden)"]);
    let faulty = home.run(&["config", "show", "--store=redis://me:hush@a", "--changed"]).code(1);
    assert!(
        faulty.out.contains("redis://(hidden)@a") && faulty.err.contains("--store"),
        "{}{}",
        faulty.out,
        faulty.err
    );
    assert!(!format!("{}{}", faulty.out, faulty.err).contains("hush"));
}

#[test]
fn certificates_are_looked_at_by_check_and_doctor() {
    let home = Home::new();
    let pem = |name: &str| format!("{}/tests/store/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = format!("tls_cert = \"{}\"\ntls_key = \"{}\"\n", pem("server.pem"), pem("server.key"));
    home.write("ringfence.toml", &text);
    home.run(&["config", "check"]).quietly(0).says(&["The settings are sound."]);
    home.run(&["doctor"]).code(1).says(&["server.pem", "good until 2126-10-29"]);
    home.run_with(&["config", "check"], b"", &[("RINGFENCE_TLS_KEY", &pem("client.key"))])
        .code(1)
        .says(&["do not go together"]);
    // Lists of what was revoked, one of which has run out.
    let own = |name: &str| format!("{}/tests/access/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let (authority, lists) = (own("authority.pem"), format!("{}, {}", own("dialer.crl"), own("expired.crl")));
    home.write("access.toml", "");
    let more = format!("{text}access = \"access.toml\"\ntls_client_ca = \"{authority}\"\n");
    home.write("ringfence.toml", more);
    let variables = [("RINGFENCE_TLS_CLIENT_CRL", lists.as_str())];
    home.run_with(&["config", "check"], b"", &variables)
        .code(1)
        .says(&["expired.crl: a revocation list ran out 2026-11-08"]);
    home.run_with(&["doctor"], b"", &variables).code(1).says(&[
        "dialer.crl",
        "good until 2126-10-29",
        "expired.crl",
        "expired 2026-11-08",
    ]);
}

/// Whoever is on it is contacted by nobody, though no pack names it.
#[test]
fn a_list_of_ones_own_that_no_rule_names_is_not_called_useless() {
    let home = Home::new();
    std::fs::create_dir(home.path("lists")).unwrap();
    for id in ["tenant.own", "us.line.wireless_blocks"] {
        home.write(&format!("lists/{id}.txt"), "# as_of=2026-11-18T06:00:00Z\n+12025550000\n");
    }
    home.write("ringfence.toml", "registries = \"lists\"\n");
    let said = home.run(&["doctor"]).code(1);
    said.says(&["never too old for ringfence.own_list", "no rule asks for it"]);
}

#[test]
fn a_variable_of_a_command_is_no_misspelt_setting() {
    let variables =
        [("RINGFENCE_PROCESSOR_SECRET", "hush"), ("RINGFENCE_API_KEY", "hush"), ("RINGFENCE_TENANT", "acme")];
    let ran = Home::new().run_with(&["config", "show", "--changed"], b"", &variables).quietly(0);
    assert!(!ran.out.contains("hush"), "{}", ran.out);
    ran.says(&["RINGFENCE_PROCESSOR_SECRET", "RINGFENCE_API_KEY", "(hidden)", "RINGFENCE_TENANT", "acme"]);
}
