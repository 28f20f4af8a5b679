//! Help texts, frozen: others read them, and scripts rest on the names in them. `RINGFENCE_BLESS=1` rewrites them.

use std::fmt::Write as _;
use std::fs;

use super::Home;

const FROZEN: &str = "tests/cli/help.txt";

const COMMANDS: [&[&str]; 17] = [
    &[],
    &["serve"],
    &["check"],
    &["scrub"],
    &["law"],
    &["law", "lint"],
    &["law", "test"],
    &["law", "show"],
    &["law", "calendar"],
    &["contact"],
    &["contact", "show"],
    &["contact", "opt-out"],
    &["audit"],
    &["audit", "verify"],
    &["keys"],
    &["keys", "new"],
    &["help"],
];

#[test]
fn help_texts_are_as_they_were() {
    let home = Home::new();
    let mut text = String::new();
    for command in COMMANDS.iter().filter(|command| **command != ["help"]) {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let ran = home.run(&arguments).quietly(0);
        write!(text, "$ ringfence {}\n\n{}\n", arguments.join(" "), ran.out).unwrap();
    }
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        fs::write(FROZEN, &text).unwrap();
    }
    let frozen = fs::read_to_string(FROZEN).unwrap_or_default();
    assert!(text == frozen, "the help texts changed; if that is meant, run again with RINGFENCE_BLESS=1\n{text}");
}

#[test]
fn every_command_is_frozen() {
    let ran = Home::new().run(&["help"]).quietly(0);
    let listed = ran.out.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        assert!(COMMANDS.iter().any(|command| command.first() == Some(&name)), "{name}");
    }
}

#[test]
fn the_version_names_program_rules_and_zones() {
    let ran = Home::new().run(&["--version"]).quietly(0);
    ran.says(&[concat!("ringfence ", env!("CARGO_PKG_VERSION")), "rules", "tzdata    20"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    for arguments in [["law", "show", "US"].as_slice(), &["law", "test"], &["--version"], &["help"]] {
        let mut child =
            Home::new().command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
