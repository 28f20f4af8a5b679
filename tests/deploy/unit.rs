//! The unit of systemd, and its command line under the same restrictions as far as this machine makes them; and that of
//! the image.

use std::collections::BTreeMap;
use std::fs;

use super::sandbox::Sandbox;
use super::{PROGRAM, clean, good, image, is_taken, is_understood, not_run, read, tool_or_note};

const UNIT: &str = "deploy/ringfence.service";
/// The exposure that `systemd-analyze security` may find at most, in tenths: 0 is nothing at all, 100 is everything.
const EXPOSURE: &str = "15";

/// The settings of the unit; one that stands several times has several values.
fn settings() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in
        read(UNIT).lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
    {
        found.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    found
}

fn variables() -> BTreeMap<String, String> {
    let settings = settings();
    let pairs = settings.get("Environment").into_iter().flatten().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn the_unit_starts_what_there_is() {
    let settings = settings();
    let line: Vec<_> = settings["ExecStart"][0].split(' ').collect();
    assert_eq!(line[0], "/usr/bin/ringfence");
    is_understood(UNIT, &line[1..]);
    is_taken(UNIT, &variables());
    // Everything that is written lies in a folder that systemd makes for it, and keys and data in different ones.
    let folders: Vec<_> = settings["StateDirectory"][0].split(' ').map(|name| format!("/var/lib/{name}")).collect();
    let after = |flag: &str| line[line.iter().position(|word| *word == flag).unwrap() + 1];
    let of =
        |path: &str| folders.iter().rev().find(|folder| path.starts_with(&format!("{folder}/")) || path == **folder);
    assert!(of(after("--data")).is_some() && of(after("--keys")).is_some());
    assert_ne!(of(after("--data")), of(after("--keys")));
    let seconds: u64 = settings["TimeoutStopSec"][0].parse().unwrap();
    assert!(seconds > 30, "it drains for 30 s before it closes its log");
}

#[test]
fn systemd_reads_the_unit_and_finds_it_confined() {
    let Some(analyze) = tool_or_note("systemd-analyze", "the unit as systemd reads it") else { return };
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("ringfence.service");
    // It looks whether the program is there.
    fs::write(&unit, read(UNIT).replace("/usr/bin/ringfence", PROGRAM)).unwrap();
    let said = good(clean(&analyze).args(["verify", "--man=no"]).arg(&unit));
    assert_eq!(said, "", "systemd-analyze verify has something to say");
    let mut security = clean(&analyze);
    good(security.args(["security", "--no-pager", "--offline=true", "--threshold", EXPOSURE]).arg(&unit));
}

#[test]
fn the_units_command_line_serves_under_its_restrictions() {
    let Some(mut sandbox) = Sandbox::new("the unit's command line, confined") else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ringfence.toml"), "region = \"US\"\n").unwrap();
    sandbox.show(&folder.path().join("ringfence.toml"), "/etc/ringfence/ringfence.toml");
    let settings = settings();
    for name in settings["StateDirectory"][0].split(' ') {
        fs::create_dir(folder.path().join(name)).unwrap();
        sandbox.bind(&folder.path().join(name), &format!("/var/lib/{name}"));
    }
    sandbox.start_in(&settings["WorkingDirectory"][0]);
    for (name, value) in variables() {
        sandbox.set(&name, &value);
    }
    let line: Vec<_> = settings["ExecStart"][0].split(' ').collect();
    sandbox.serves(&line, &["/usr/bin/ringfence", "ready", "--config", "/etc/ringfence/ringfence.toml"]);
    assert!(folder.path().join("ringfence/store.id").exists() && folder.path().join("ringfence-keys/keys").exists());
    not_run("the unit's SystemCallFilter, MemoryDenyWriteExecute and limits", "they want a running systemd");
}

/// As `docker run --read-only --cap-drop=ALL` would, with the libraries of this machine in place of the image's.
#[test]
fn the_images_command_serves_on_a_read_only_root() {
    let Some(mut sandbox) = Sandbox::new("the image's command on a read-only root") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (n, volume) in image::volumes().iter().enumerate() {
        let own = folder.path().join(n.to_string());
        fs::create_dir(&own).unwrap();
        sandbox.bind(&own, volume);
    }
    for (name, value) in image::variables() {
        sandbox.set(&name, &value);
    }
    sandbox.start_in("/etc/ringfence");
    let (serve, health) = image::commands();
    let [serve, health] = [&serve, &health].map(|line| line.iter().map(String::as_str).collect::<Vec<_>>());
    sandbox.serves(&serve, &health);
}
