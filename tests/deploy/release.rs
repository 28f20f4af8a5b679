//! The script that packs what is released.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{clean, good, links, not_run, read, root, tool_or_note};

fn script(root: &Path) -> std::process::Command {
    let mut script = clean(root.join("deploy/release.sh"));
    script.envs(["HOME", "CARGO_HOME", "RUSTUP_HOME"].iter().filter_map(|k| Some((k, std::env::var_os(k)?))));
    script
}

fn pack(program: &Path, out: &Path) {
    let mut script = script(root());
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
    for file in ["ringfence", "LICENSE", "NOTICE", "README.md", "deploy/operations.md", "deploy/verify/absence.py"] {
        assert!(listed.lines().any(|line| line.ends_with(&format!("/{file}"))), "{file} is not packed:\n{listed}");
    }
    assert!(listed.lines().all(|line| line.contains(" 0/0 ")), "it names no user of this machine:\n{listed}");
    good(clean("tar").current_dir(folder.path()).args(["--extract", "--gzip", "--file"]).arg(first.join(name)));
    is_whole(&folder.path().join(name.trim_end_matches(".tar.gz")));
    not_run("deploy/release.sh without --binary", "it builds anew for ten minutes; what it packs was checked");
}

/// Whoever unpacks it finds what the documents link to, what the unit's own instructions copy, and a chart without links.
fn is_whole(unpacked: &Path) {
    let (dead, good) = links::dead(unpacked);
    assert!(dead.is_empty() && good > 60, "{good} links; these lead out of the archive:\n{}", dead.join("\n"));
    let unit = read("deploy/ringfence.service");
    let commands = unit.lines().filter_map(|line| line.strip_prefix("#   ")).flat_map(|line| line.split(" && "));
    let (mut copied, mut folder) = (Vec::new(), "");
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        match words.as_slice() {
            ["install", "-m", _, from, _] => assert!(unpacked.join(from).is_file(), "{command}"),
            ["cp", "-R", from @ .., to] => (copied, folder) = (from.to_vec(), *to),
            _ => {}
        }
    }
    assert!(copied.iter().all(|from| unpacked.join(from).exists()) && copied.len() > 3, "{copied:?}");
    let told = unit.lines().find_map(|line| line.strip_prefix("Documentation=file:")).unwrap();
    let told = told.strip_prefix(folder).expect("the documentation is where the documents were copied to");
    assert!(unpacked.join(told).is_file() && copied.contains(&told.split('/').next().unwrap()), "{told}");
    for file in ["alerts.yaml", "dashboard.json"] {
        let path = unpacked.join("deploy/helm/ringfence/files").join(file);
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{file} is a link, which not everybody unpacks");
    }
}

/// As of a tree that nobody has published yet: with somebody to report to, or without.
#[test]
fn nothing_is_released_before_it_was_looked_over() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(tree.join("deploy")).unwrap();
    for file in ["Cargo.toml", "deploy/release.sh", "deploy/deny.toml"] {
        fs::copy(root().join(file), tree.join(file)).unwrap();
    }
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let refused = |contact: &str, cargo: &str| {
        fs::write(tree.join("deploy/security.md"), format!("# Security\n\n{contact}\n")).unwrap();
        fs::write(tools.join("cargo"), format!("#!/bin/sh\n{cargo}\n")).unwrap();
        fs::set_permissions(tools.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let ran = script(&tree).env("PATH", path).arg("--out").arg(folder.path().join("out")).output().unwrap();
        assert!(!ran.status.success() && !folder.path().join("out").exists());
        String::from_utf8(ran.stderr).unwrap()
    };
    let contact = read("deploy/security.md").lines().find(|line| line.starts_with("Contact:")).unwrap().to_owned();
    for nobody in ["", "Contact:", "Contact: (nobody yet)"] {
        let said = refused(nobody, "exit 0");
        assert!(said.contains("deploy/security.md names nobody"), "{nobody}: {said}");
    }
    // As it stands: whoever publishes fills it in.
    assert!(contact.contains('@') || contact.contains("://") || refused(&contact, "exit 0").contains("names nobody"));
    let somebody = "Contact: security@example.org";
    assert!(refused(somebody, "exit 101").contains("no cargo-deny"));
    let said = refused(somebody, "[ \"$2\" = --version ]");
    assert!(said.contains("cargo deny check --config deploy/deny.toml: see above"), "{said}");
}

#[test]
fn the_scripts_are_sound() {
    let Some(shellcheck) = tool_or_note("shellcheck", "the scripts, by shellcheck") else { return };
    for script in ["deploy/release.sh", "tests/run"] {
        good(clean(&shellcheck).arg(root().join(script)));
    }
}
