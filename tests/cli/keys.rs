//! `ringfence keys rotate` and `keys list`, as people read them. What they do to a store stands in `tests/rotate.rs`.

use super::redis::Server;
use super::server::serve_with;
use super::{ALLOWED, Home, with, with_data};

#[test]
fn a_rotation_says_what_became_of_keys_and_records() {
    let home = with_data();
    home.run(&["keys", "list"]).quietly(0).says(&["key", "state", "since", "mark", "1    seal   20"]);
    let before = home.read("ringfence-keys");
    let ran = home.run(&["keys", "rotate"]).quietly(0);
    ran.says(&["Key 2 seals.", "1 records and keys of days were sealed anew.", "Key 1 was dropped", "Backups"]);
    let listed = home.run(&["keys", "list", "--data=ringfence-data"]).quietly(0);
    listed.says(&["2    seal", "seals with it"]);
    let after = home.read("ringfence-keys");
    let secrets = |text: &str| -> Vec<String> {
        text.split_whitespace().filter(|word| word.len() == 64).map(str::to_owned).collect()
    };
    let (before, after) = (secrets(&before), secrets(&after));
    assert!(before[0] == after[0] && before[1] != after[1] && after.len() == 2, "the hash key stays");
    home.run(&with(&["contact", "show", "+12025550143"], &[])).quietly(0);
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND"]);
    assert_eq!(home.names(), ["ringfence-data", "ringfence-keys"], "nothing is left beside the file");
    // A copy of the old file no longer belongs to the data.
    home.write("old", std::fs::read_to_string(home.path("ringfence-keys")).unwrap().replace(&after[1], &before[1]));
    std::fs::set_permissions(home.path("old"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    home.run(&["contact", "show", "+12025550143", "--keys=old"]).refused(&["not the keys"]);
}

#[test]
fn a_server_that_holds_the_data_does_it_and_the_command_waits() {
    let home = with_data();
    let server = serve_with(&home, &[]);
    let listed = home.run(&["keys", "list", "--data=ringfence-data"]).code(0);
    assert!(listed.err.contains("a running server holds it"), "{}", listed.err);
    home.run(&["keys", "rotate"]).quietly(0).says(&["Key 2 seals.", "sealed anew", "Key 1 was dropped"]);
    let at = ["--server", server.url.as_str()];
    home.run(&with(&["contact", "show", "+12025550143"], &at)).quietly(0);
    home.run(&with(&ALLOWED, &at)).quietly(0);
    drop(server);
    home.run(&with(&ALLOWED, &[])).quietly(0);
}

#[test]
fn whom_a_rotation_waits_for_is_named() {
    let redis = Server::start(&[]);
    let url = redis.url();
    let (one, two) = (Home::new(), Home::new());
    let at = ["--store", url.as_str()];
    one.run(&with(&["contact", "opt-out", "+12025550143", "--everything"], &at)).quietly(0);
    std::fs::copy(one.path("ringfence-keys"), two.path("ringfence-keys")).unwrap();
    let server = serve_with(&two, &at);
    let ran = one.run(&with(&["keys", "rotate", "--patience=1"], &at)).quietly(1);
    ran.says(&["Key 1 seals.", "waiting for the process of log ", "knows 1 of this file", "Copy the keys file"]);
    // Killed, it does not take back what it said: only who knows that it is gone can tell.
    drop(server);
    let ran = one.run(&with(&["keys", "rotate", "--patience=1"], &at)).quietly(1);
    let log = ran.out.split("of log ").nth(1).unwrap()[..8].to_owned();
    one.run(&with(&["keys", "rotate", "--gone", &log], &at)).quietly(0).says(&["Key 2 seals.", "Key 1 was dropped"]);
    two.run(&with(&ALLOWED, &at)).refused(&["ringfence-keys: has no key 2", "keys rotate"]);
    std::fs::copy(one.path("ringfence-keys"), two.path("ringfence-keys")).unwrap();
    two.run(&with(&["contact", "show", "+12025550143"], &at)).quietly(0);
    let listed = one.run(&with(&["keys", "list"], &at)).quietly(0);
    assert!(!listed.out.contains("process"), "commands take back what they said: {}", listed.out);
}
