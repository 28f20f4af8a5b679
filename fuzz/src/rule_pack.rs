//! A pack of rules as TOML: refused with file, line and reason, or read the same every time, linted, and its cases run. A
//! policy never allows what the packs beside it deny.

use std::sync::OnceLock;

use ringfence::decision::{Postures, Switches};
use ringfence::engine::cases;
use ringfence::law::{self, BUILT_IN, Law, Pack};
use ringfence::proto::v1;

use super::http_call;

/// Beside these a policy is read: few, so that a run is short.
const BESIDE: [&str; 3] = ["us.toml", "us-fl.toml", "gb.toml"];

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let pack = Pack::read("x.toml", text);
    let policy = pack.as_ref().is_ok_and(Pack::is_policy);
    let beside = BUILT_IN.iter().copied().filter(|(file, _)| policy && BESIDE.contains(file));
    match Law::read(beside.chain([("x.toml", text)])) {
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(fault.line >= 1 && !fault.file.is_empty(), "{fault}");
                assert!(!fault.message.is_empty());
            }
        }
        Ok(law) => {
            let pack = pack.expect("a set of sound packs");
            assert_eq!(pack.text(), text);
            for remark in law::lint(&law) {
                assert!(remark.line >= 1 && !remark.message.is_empty(), "{remark:?}");
            }
            for outcome in cases::of_pack(&law, &pack) {
                assert!(outcome.failure.is_none_or(|why| !why.is_empty()));
            }
            if policy {
                tightens(&law);
            }
        }
    }
}

/// What the packs deny, a policy beside them does not allow.
fn tightens(with: &Law) {
    static DENIED: OnceLock<Vec<v1::CheckRequest>> = OnceLock::new();
    let denied = DENIED.get_or_init(|| {
        let packs = BUILT_IN.iter().copied().filter(|(file, _)| BESIDE.contains(file));
        let without = Law::read(packs).expect("sound packs");
        let requests = http_call::accepted().into_iter().map(|json| serde_json::from_value(json).expect("a check"));
        requests.filter(|request| !allows(&without, request)).take(12).collect()
    });
    assert!(!denied.is_empty());
    for request in denied {
        assert!(!allows(with, request), "a policy opened what was closed: {request:?}");
    }
}

fn allows(law: &Law, request: &v1::CheckRequest) -> bool {
    cases::decide(law, request, &Postures::default(), Switches::NONE).is_ok_and(|decision| decision.allows())
}

/// The policy of the tests and the shortest packs.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut packs: Vec<_> = BUILT_IN.iter().map(|(_, text)| *text).collect();
    packs.sort_by_key(|text| text.len());
    packs.truncate(6);
    packs.push(include_str!("../../tests/cli/policy.toml"));
    packs.into_iter().map(|text| text.as_bytes().to_vec()).collect()
}
