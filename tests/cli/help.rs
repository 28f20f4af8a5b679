//! Help texts, frozen: others read them, and scripts rest on the names in them. `RINGFENCE_BLESS=1` rewrites them.

use std::fmt::Write as _;
use std::fs;

use super::Home;

const FROZEN: &str = "tests/cli/help.txt";

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["check"],
    &["scrub"],
    &["law"],
    &["law", "lint"],
    &["law", "test"],
    &["law", "show"],
    &["law", "diff"],
    &["law", "calendar"],
    &["contact"],
    &["contact", "show"],
    &["contact", "opt-out"],
    &["contact", "copy"],
    &["contact", "export"],
    &["contact", "erase"],
    &["contact", "hold"],
    &["contact", "release"],
    &["contact", "import"],
    &["control"],
    &["control", "freeze"],
    &["control", "unfreeze"],
    &["control", "list"],
    &["control", "emergency"],
    &["control", "emergency", "declare"],
    &["control", "emergency", "end"],
    &["control", "emergency", "list"],
    &["processor"],
    &["processor", "add"],
    &["processor", "list"],
    &["processor", "remove"],
    &["processor", "resume"],
    &["processor", "status"],
    &["audit"],
    &["audit", "verify"],
    &["audit", "list"],
    &["audit", "export"],
    &["audit", "replay"],
    &["audit", "bundle"],
    &["audit", "head"],
    &["audit", "evidence"],
    &["audit", "prove-absence"],
    &["audit", "check-proof"],
    &["keys"],
    &["keys", "new"],
    &["keys", "rotate"],
    &["keys", "list"],
    &["doctor"],
    &["registry"],
    &["registry", "import"],
    &["registry", "inspect"],
    &["registry", "list"],
    &["registry", "put"],
    &["registry", "add"],
    &["registry", "remove"],
    &["registry", "look-up"],
    &["request"],
    &["request", "open"],
    &["request", "list"],
    &["request", "show"],
    &["request", "resolve"],
    &["policy"],
    &["policy", "publish"],
    &["policy", "list"],
    &["policy", "show"],
    &["policy", "overtaken"],
    &["policy", "transfer"],
    &["retention"],
    &["retention", "sweep"],
    &["retention", "hold"],
    &["retention", "release"],
    &["retention", "holds"],
    &["incident"],
    &["incident", "open"],
    &["incident", "add"],
    &["incident", "show"],
    &["incident", "notices"],
    &["incident", "told"],
    &["incident", "close"],
    &["tenant"],
    &["tenant", "off-board"],
    &["ready"],
    &["access"],
    &["access", "new"],
    &["access", "list"],
    &["access", "revoke"],
    &["config"],
    &["config", "check"],
    &["config", "show"],
    &["help"],
    &["reassigned"],
    &["reassigned", "query"],
    &["reassigned", "import"],
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

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    use std::process::Stdio;
    let home = Home::new();
    home.write("in.csv", "phone\n+4930231250\n");
    let question = ["--channel=call", "--purpose=survey", "--seller=acme"];
    for arguments in [["law", "show"].as_slice(), &["--version"], &["scrub", "in.csv", "--output=-"]] {
        let options = if arguments[0] == "scrub" { question.as_slice() } else { &[] };
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = home.command();
        let output = command.args(arguments).args(options).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains("standard output") && error.contains("No space"), "{error}");
    }
}
