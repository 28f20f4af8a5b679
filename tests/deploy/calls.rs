//! The system calls that a server makes are among those that the unit lets through, and none makes memory that is written
//! and run. Watched by strace on a server in use; systemd says what its names stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::{PROGRAM, clean, good, not_run, program, read, tool_or_note};

/// What systemd's `@` names stand for, in its own words.
fn sets(said: &str) -> BTreeMap<&str, Vec<&str>> {
    let (mut sets, mut within) = (BTreeMap::<_, Vec<_>>::new(), "");
    for line in said.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        if line.starts_with('@') {
            within = line.trim();
        } else if line.starts_with(' ') {
            sets.entry(within).or_default().push(line.trim());
        }
    }
    sets
}

fn expanded<'a>(name: &'a str, sets: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    match sets.get(name) {
        Some(members) => members.iter().flat_map(|member| expanded(member, sets)).collect(),
        None => BTreeSet::from([name]),
    }
}

#[test]
fn a_server_makes_no_system_call_that_the_unit_forbids() {
    const WHAT: &str = "the system calls of a server, against the unit's filter";
    let (Some(strace), Some(analyze)) = (tool_or_note("strace", WHAT), tool_or_note("systemd-analyze", WHAT)) else {
        return;
    };
    let said = good(clean(analyze).args(["--no-pager", "syscall-filter"]));
    let sets = sets(&said);
    let unit = read("deploy/ringfence.service");
    let mut allowed = BTreeSet::new();
    for filter in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (without, names) = filter.strip_prefix('~').map_or((false, filter), |names| (true, names));
        for call in names.split(' ').flat_map(|name| expanded(name, &sets)) {
            let _ = if without { allowed.remove(call) } else { allowed.insert(call) };
        }
    }
    assert!(allowed.len() > 200 && allowed.contains("read") && !allowed.contains("mount"), "{} calls", allowed.len());
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut server = clean(strace);
    server.current_dir(folder.path()).args(["-f", "-qq", "-o"]).arg(&trace).arg(PROGRAM);
    server.args(["serve", "--sample", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let Some(address) = told.find_map(|line| line.trim().strip_prefix("HTTP  http://").map(str::to_owned)) else {
        let _ = server.wait();
        return not_run(WHAT, "strace may not look here");
    };
    told.find(|line| line.starts_with("Ask it yourself")).unwrap();
    good(program().args(["ready", "--http", &address]));
    let text = fs::read_to_string(&trace).unwrap();
    let pid: u32 = text.split_whitespace().next().unwrap().parse().unwrap();
    good(clean("sh").args(["-c", &format!("kill -s TERM {pid}")]));
    told.for_each(drop);
    assert!(server.wait().unwrap().success(), "told to stop, it ends well");
    let text = fs::read_to_string(&trace).unwrap();
    let calls = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest.trim_start());
    let mut made = BTreeSet::new();
    for call in calls {
        let name: String =
            call.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
        if call[name.len()..].starts_with('(') {
            assert!(!(call.contains("PROT_WRITE") && call.contains("PROT_EXEC")), "MemoryDenyWriteExecute: {call}");
            made.insert(name);
        }
    }
    let forbidden: Vec<_> = made.iter().filter(|call| !allowed.contains(call.as_str())).collect();
    assert!(made.len() > 30 && forbidden.is_empty(), "of {} calls the unit forbids {forbidden:?}", made.len());
}
