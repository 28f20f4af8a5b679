//! Bytes that nobody meant: no file and no text, however mangled, makes a reader fail otherwise than in words, or pass what
//! is not whole. The same entry points are fuzzed by `fuzz/`; here a seeded run of each is part of every test run.

use std::fs;
use std::path::Path;

use ringfence::registry::List;
use ringfence::registry::import::{Columns, Intake, Order};
use ringfence::registry::set::{Builder, Day, Found, Header, Set};

use super::{AS_OF, at, header};

/// xorshift: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % end.max(1)
    }

    /// Flips, cuts, repeats, or puts in what files have at their joints.
    fn mangle(&mut self, bytes: &mut Vec<u8>) {
        const JOINTS: [&[u8]; 12] = [
            b"\n",
            b"\r\n",
            b",",
            b";",
            b"\"",
            b"\0",
            b"+",
            b"\xff\xfe",
            b"A",
            b"2026-01-01",
            b"99999999999999999999",
            b"\xef\xbb\xbf",
        ];
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                3 => {
                    let end = (at + self.below(8)).min(bytes.len());
                    bytes.drain(at..end);
                }
                _ => {
                    let joint = JOINTS[self.below(JOINTS.len())];
                    bytes.splice(at..at, joint.iter().copied());
                }
            }
        }
    }
}

/// A small set with every shape of section.
fn every_shape() -> Vec<u8> {
    let mut builder = Builder::default();
    for n in 0..1_100_u64 {
        builder.add(12_025_550_000 + n, Day::NONE);
        builder.add(13_050_000_000 + n * 7, if n % 5 == 0 { Day(9_700) } else { Day::NONE });
    }
    for n in 0..12 {
        builder.add(442_079_460_000 + n * 3, Day(u16::try_from(n).unwrap()));
        builder.add(33_199_000_000 + n, Day::NONE);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant.own.set");
    ringfence::registry::set::write(&path, header("tenant.own"), builder).unwrap();
    fs::read(path).unwrap()
}

/// Whether bytes pass for a whole set file. What does not is asked all the same: answers may be wrong, but must come.
fn passes(bytes: Vec<u8>) -> bool {
    let Ok(set) = Set::read(bytes) else { return false };
    let whole = set.verify().is_ok();
    for number in [12_025_550_143, 13_050_000_007, 442_079_460_003, 33_199_000_001, 0, u64::MAX] {
        let _ = set.look_up(number);
    }
    assert!(!whole || set.numbers().all(|number| number.is_ok()), "what is whole can be walked through");
    whole
}

#[test]
fn no_byte_of_a_set_file_can_be_another() {
    let whole = every_shape();
    assert!(passes(whole.clone()));
    let used = whole.windows(5).position(|five| five == b"seal ").unwrap() + 21;
    let mut changed = whole.clone();
    for place in 0..whole.len() {
        changed[place] ^= 1 << (place % 8);
        assert!(!passes(changed.clone()), "byte {place} of {used} header bytes and {} others", whole.len() - used);
        changed[place] = whole[place];
    }
    for length in (0..whole.len()).step_by(61).chain([4_095, 4_096, whole.len() - 1]) {
        assert!(!passes(whole[..length].to_vec()), "cut to {length} bytes");
    }
    assert!(!passes([&whole[..], b"\0"].concat()));
}

/// A mangled body under a header that vouches for it: what a careless or ill-meaning writer could make.
#[test]
fn a_body_that_makes_no_sense_is_no_more_than_refused() {
    let mut random = Random(7);
    let whole = every_shape();
    for _ in 0..3_000 {
        let mut body = whole[4_096..].to_vec();
        random.mangle(&mut body);
        let mut header = Header::read(&whole).unwrap();
        header.length = body.len() as u64;
        let bytes = [header.page(), body].concat();
        let Ok(set) = Set::read(bytes) else { continue };
        for (prefix, _) in set.counts().collect::<Vec<_>>() {
            for _ in 0..20 {
                let number = u64::from(prefix) * 10_000_000 + random.next() % 10_000_000;
                let _: Found = set.look_up(number);
            }
        }
        let mut last = None;
        for number in set.numbers() {
            let Ok((number, _)) = number else { break };
            assert!(last.is_none_or(|last| last < number), "numbers ascend or the set is refused");
            last = Some(number);
        }
    }
}

fn order(id: &str, changes: bool, column: bool) -> Order {
    let columns = column.then(|| Columns { number: "phone".to_owned(), date: Some("since".to_owned()) });
    Order { changes, columns, most_rejected: 50, fewer: true, ..Order::new(id, at(AS_OF)) }
}

/// What an importer makes of a text: how many numbers, or words.
fn taken(id: &str, changes: bool, column: bool, text: &[u8]) -> Option<u64> {
    let mut intake = Intake::new(order(id, changes, column), None).unwrap();
    match intake.read("text", text, &mut |_| {}) {
        Ok(()) => {
            let taken = intake.taken();
            let count = Set::in_memory(header(id), taken.builder).unwrap().header().count;
            assert!(count <= 2 * taken.read, "no more numbers than lines");
            Some(count)
        }
        Err(fault) => {
            assert!(!fault.what.is_empty() && !fault.remedy.is_empty());
            None
        }
    }
}

#[test]
fn no_text_makes_an_importer_fail_otherwise_than_in_words() {
    let seeds: [(&str, bool, bool, &str); 8] = [
        ("us.dnc.national", false, false, "202,5550143\n202,5550144\n\n4155550100\n"),
        ("us.dnc.national", true, false, "202,5550143,2026-11-20 10:00:00,D\n202,5550144,20261120,A\n"),
        ("ca.dncl", false, false, "416,5550143\r\n6045550100\r\n"),
        ("uk.tps", false, false, "02079460000\n+442079460001\n020 7946 0002\n"),
        ("be.dncm", false, false, "0470123456;01/10/2026\n+3222345678;2026-10-02\n"),
        ("it.rpo", false, true, "id;phone;since\n1;\"+39 06 6981 2345\";15/10/2026\n2;0669812346;\n"),
        ("tenant.own", false, true, "phone,since\n+12025550143,2026-01-01\n\"+442079460000\",\n"),
        ("tenant.own", false, false, "+12025550143\n# a remark\n+442079460000\t2026-01-01\n"),
    ];
    let mut random = Random(11);
    let mut understood = 0;
    for (id, changes, column, seed) in seeds {
        assert!(taken(id, changes, column, seed.as_bytes()).is_some_and(|count| count > 0 || changes), "{id}: {seed}");
        for _ in 0..400 {
            let mut text = seed.as_bytes().to_vec();
            random.mangle(&mut text);
            understood += u32::from(taken(id, changes, column, &text).is_some());
            let _ =
                List::read(id, Path::new("x"), [format!("# as_of={AS_OF}\n").as_bytes(), &text].concat().as_slice());
        }
    }
    assert!(understood > 100, "the texts are not all alike: {understood}");
}
