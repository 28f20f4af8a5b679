//! The script that packs what is released.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{clean, good, not_run, root, tool_or_note};

fn pack(program: &Path, out: &Path) {
    let mut script = clean(root().join("deploy/release.sh"));
    script.envs(["HOME", "CARGO_HOME", "RUSTUP_HOME"].iter().filter_map(|k| Some((k, std::env::var_os(k)?))));
    good(script.arg("--binary").arg(program).arg("--out").arg(out));
}

#[test]
fn a_release_is_the_same_twice_and_its_checksums_hold() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ringfence");
    fs::write(&program, "#!/bin/sh\necho a program\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    pack(&program, &first);
    // Of another time, and in a folder of another order.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    pack(&program, &second);
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(second.join("SHA256SUMS")).unwrap(), "the same bytes");
    good(clean("sha256sum").current_dir(&first).args(["--check", "--strict", "SHA256SUMS"]));
    let name = sums.split_whitespace().nth(1).unwrap();
    assert!(name.starts_with(concat!("ringfence-", env!("CARGO_PKG_VERSION"), "-")), "{name}");
    let listed = good(clean("tar").arg("--list").arg("--verbose").arg("--gzip").arg("--file").arg(first.join(name)));
    for file in ["ringfence", "LICENSE", "NOTICE", "ringfence.service", "README.md", "deploy/operations.md"] {
        assert!(listed.lines().any(|line| line.ends_with(&format!("/{file}"))), "{file} is not packed:\n{listed}");
    }
    assert!(listed.lines().all(|line| line.contains(" 0/0 ")), "it names no user of this machine:\n{listed}");
    not_run("deploy/release.sh without --binary", "it builds anew for ten minutes; what it packs was checked");
}

#[test]
fn the_scripts_are_sound() {
    let Some(shellcheck) = tool_or_note("shellcheck", "the scripts, by shellcheck") else { return };
    for script in ["deploy/release.sh", "tests/run"] {
        good(clean(&shellcheck).arg(root().join(script)));
    }
}
