//! The body of a set file behind a header that vouches for it, as a careless or ill-meaning writer could make it: answers may
//! be wrong, but must come, and numbers ascend. The first four bytes are the header's counts.

use ringfence::registry::set::{Header, Set};
use ringfence::time::Instant;

use super::shapes;

/// The bytes of a header's page.
const PAGE: usize = 4_096;

pub fn run(bytes: &[u8]) {
    let Some(([prefixes, counts @ ..], body)) = bytes.split_first_chunk::<4>() else { return };
    let mut header = Header::new("tenant.own", Instant::from_millis(0), "", false);
    header.prefixes = usize::from(*prefixes);
    header.count = counts.iter().fold(0, |count, byte| count << 8 | u64::from(*byte));
    header.length = body.len() as u64;
    let Ok(set) = Set::read([&header.page(), body].concat()) else { return };
    for (prefix, _) in set.counts().collect::<Vec<_>>() {
        for rest in [0, 999, 1_000, 9_999, 10_000, 5_550_143, 9_999_999] {
            let _ = set.look_up(u64::from(prefix) * 10_000_000 + rest);
        }
    }
    let mut last = None;
    for number in set.numbers() {
        let Ok((number, _)) = number else { break };
        assert!(last.is_none_or(|last| last < number), "numbers ascend or the set is refused");
        last = Some(number);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = shapes::every_shape();
    let header = Header::read(&whole).expect("a header");
    let prefixes = u8::try_from(header.prefixes).expect("few prefixes");
    let [.., high, middle, low] = header.count.to_be_bytes();
    vec![[&[prefixes, high, middle, low], whole.get(PAGE..).expect("a body")].concat()]
}
