//! Lists as files: equal to a plain set of numbers whatever the numbers are, refused at the least damage, replaced whole
//! or not at all, and made from what their keepers hand out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "lists/areas.rs"]
mod areas;
#[path = "lists/bytes.rs"]
mod bytes;
#[path = "lists/import.rs"]
mod import;
#[path = "lists/killed.rs"]
mod killed;
#[path = "lists/numbers.rs"]
mod numbers;
#[path = "lists/odd.rs"]
mod odd;
#[path = "lists/own.rs"]
mod own;
#[path = "lists/refused.rs"]
mod refused;
#[path = "lists/whole.rs"]
mod whole;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use ringfence::registry::set::{Added, Builder, Day, Found, Header, Set, write};
use ringfence::registry::{Answer, Registries};
use ringfence::time::Instant;

const AS_OF: &str = "2026-11-20T04:00:00Z";

fn at(text: &str) -> Instant {
    Instant::from_rfc3339(text).unwrap()
}

fn header(id: &str) -> Header {
    Header::new(id, at(AS_OF), "a test", false)
}

/// The set of these numbers, in memory and in a file: both are asked.
fn sets(folder: &Path, numbers: &[(u64, Day)]) -> [Set; 2] {
    let built = || {
        let mut builder = Builder::default();
        for (number, day) in numbers {
            builder.add(*number, *day);
        }
        builder
    };
    let path = folder.join("tenant.own.set");
    write(&path, header("tenant.own"), built()).unwrap();
    let mapped = Set::map(&path).unwrap();
    mapped.verify().unwrap();
    [Set::in_memory(header("tenant.own"), built()).unwrap(), mapped]
}

/// Against a map from numbers to days: every number, its neighbours, and these strangers.
fn equal(numbers: &[(u64, Day)], strangers: &[u64]) {
    let mut oracle = BTreeMap::<u64, Day>::new();
    for (number, day) in numbers {
        oracle.entry(*number).and_modify(|known| *known = (*known).min(*day)).or_insert(*day);
    }
    let folder = tempfile::tempdir().unwrap();
    for set in sets(folder.path(), numbers) {
        let held: Vec<(u64, Day)> = set.numbers().map(Result::unwrap).collect();
        assert_eq!(held, oracle.iter().map(|(number, day)| (*number, *day)).collect::<Vec<_>>());
        assert_eq!(set.header().count, oracle.len() as u64);
        assert_eq!(set.header().dated, oracle.values().filter(|day| **day != Day::NONE).count() as u64);
        assert_eq!(set.counts().map(|(_, count)| u64::from(count)).sum::<u64>(), oracle.len() as u64);
        let near = oracle.keys().flat_map(|number| [number.saturating_sub(1), *number, number + 1]);
        for asked in near.chain(strangers.iter().copied()).chain([0, u64::MAX, 999_999_999_999_999]) {
            let expected = oracle.get(&asked).map_or(Found::Out, |day| Found::In(*day));
            assert_eq!(set.look_up(asked), expected, "{asked}");
        }
    }
}

fn undated(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, Day)> {
    numbers.into_iter().map(|number| (number, Day::NONE)).collect()
}

fn numbers() -> impl Strategy<Value = Vec<(u64, Day)>> {
    // Close together, so that lists become bits; a little apart; and anywhere at all.
    let place = prop_oneof![Just(300_u64), Just(20_000), Just(3_000_000), Just(900_000_000_000_000)];
    let day = prop_oneof![8 => Just(0_u16), 1 => 1_u16..400, 1 => Just(u16::MAX)];
    (0..99_999_999_999_u64, place, proptest::bool::ANY).prop_flat_map(move |(base, span, dated)| {
        let day = if dated { day.clone().boxed() } else { Just(0).boxed() };
        proptest::collection::vec((base..base + span, day.prop_map(Day)), 0..4_000)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_set_is_what_was_put_in(numbers in numbers(), strangers in proptest::collection::vec(0..999_999_999_999_999_u64, 50)) {
        equal(&numbers, &strangers);
    }

    #[test]
    fn what_was_taken_out_is_out(numbers in numbers(), out in proptest::collection::vec(any::<prop::sample::Index>(), 0..300)) {
        let mut builder = Builder::default();
        let mut oracle = BTreeMap::<u64, Day>::new();
        for (number, day) in &numbers {
            builder.add(*number, *day);
            oracle.entry(*number).and_modify(|known| *known = (*known).min(*day)).or_insert(*day);
        }
        for index in out.iter().filter(|_| !numbers.is_empty()) {
            let number = index.get(&numbers).0;
            prop_assert_eq!(builder.remove(number), oracle.remove(&number).is_some());
        }
        let set = Set::in_memory(header("tenant.own"), builder).unwrap();
        let held: Vec<(u64, Day)> = set.numbers().map(Result::unwrap).collect();
        prop_assert_eq!(held, oracle.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn sets_of_a_hard_shape() {
    const BLOCK: u64 = 12_025_550_000;
    equal(&[], &[1, 12_025_550_143]);
    equal(&undated([12_025_550_143]), &[]);
    equal(&undated(BLOCK..BLOCK + 10_000), &[]);
    equal(&undated((BLOCK..BLOCK + 10_000).step_by(2)), &[]);
    // The first and last of blocks, thousands and prefixes.
    let edges =
        [0, 1, 999, 1_000, 9_999, 10_000, 9_999_999, 10_000_000, 12_019_999_999, 12_020_000_000, 999_999_999_999_999];
    equal(&undated(edges), &[]);
    // Around the sizes at which another form is chosen.
    for size in [1, 31, 32, 314, 315, 316, 545, 546, 547, 624, 625, 626, 627, 999, 1_000, 1_001, 1_999, 2_000] {
        equal(&undated(BLOCK..BLOCK + size), &[]);
        equal(&undated((0..size).map(|n| 12_020_000_000 + n * 9_973)), &[]);
    }
    // Thousands left out, and one number in each block of a prefix.
    equal(&undated((BLOCK..BLOCK + 1_000).chain(BLOCK + 7_000..BLOCK + 8_000)), &[]);
    equal(&undated((0..1_000).map(|block| 12_020_000_000 + block * 10_000)), &[]);
    // Crowded, with dates among those without.
    let mixed: Vec<_> = (0..3_000).map(|n| (BLOCK + n, Day(u16::try_from(n % 3).unwrap()))).collect();
    equal(&mixed, &[]);
}

#[test]
fn days_are_never_younger_than_the_entry() {
    for (entered, since) in [
        ("2026-10-01T00:00:00Z", Some("2026-10-01T00:00:00Z")),
        ("2026-10-01T23:59:59.999Z", Some("2026-10-01T00:00:00Z")),
        ("2000-01-01T12:00:00Z", None),
        ("1969-12-31T12:00:00Z", None),
        ("2179-06-06T00:00:00Z", Some("2179-06-06T00:00:00Z")),
        ("9999-01-01T00:00:00Z", Some("2179-06-06T00:00:00Z")),
    ] {
        assert_eq!(Day::of(at(entered)).begin(), since.map(at), "{entered}");
    }
}

/// A file with all forms of sections and blocks.
fn all_forms(path: &Path) -> Vec<u8> {
    let mut builder = Builder::default();
    for n in 0..1_300_u64 {
        builder.add(12_025_550_000 + n, Day::NONE);
        builder.add(12_020_000_000 + n * 7_000, if n % 5 == 0 { Day(9_700) } else { Day::NONE });
    }
    for n in 0..20 {
        builder.add(442_079_460_000 + n * 3, Day(u16::try_from(n).unwrap()));
    }
    write(path, header("tenant.own"), builder).unwrap();
    fs::read(path).unwrap()
}

fn fault_of(path: &Path) -> Option<String> {
    Set::map(path).and_then(|set| set.verify()).err().map(|fault| fault.to_string())
}

#[test]
fn a_file_that_was_changed_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant.own.set");
    let whole = all_forms(&path);
    assert_eq!(fault_of(&path), None);
    // Every byte of the header, and of the body enough of them to meet each kind of part.
    let header_ends = whole.windows(5).position(|five| five == b"seal ").unwrap() + 22;
    let places = (0..header_ends).chain((4_096..whole.len()).step_by(13)).chain([whole.len() - 1]);
    let mut changed = whole.clone();
    for place in places {
        changed[place] ^= 1 << (place % 8);
        fs::write(&path, &changed).unwrap();
        assert!(fault_of(&path).is_some(), "byte {place} was changed");
        changed[place] = whole[place];
    }
    for length in (0..whole.len()).step_by(97).chain([4_095, 4_096, whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(fault_of(&path).is_some(), "cut to {length} bytes");
    }
    fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
    assert!(fault_of(&path).unwrap().contains("bytes of numbers"));
    fs::write(&path, vec![b'7'; 20_000]).unwrap();
    assert!(fault_of(&path).unwrap().contains("does not begin as a set file does"));
    fs::write(&path, whole).unwrap();
    assert_eq!(fault_of(&path), None);
}

#[test]
fn a_folder_takes_set_files_up_and_keeps_the_old_one_while_the_new_one_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("us.dnc.national.set");
    let put = |numbers: std::ops::Range<u64>| {
        let mut builder = Builder::default();
        numbers.for_each(|number| assert_eq!(builder.add(number, Day::NONE), Added::Taken));
        write(&path, header("us.dnc.national"), builder).unwrap()
    };
    let first = put(12_025_550_000..12_025_550_200);
    let registries = Registries::open(Some(folder.path())).unwrap();
    let before = registries.snapshot();
    let ask = |number| registries.snapshot().get("us.dnc.national").map(|list| list.look_up(number));
    assert_eq!(before.get("us.dnc.national").unwrap().version, first.version());
    assert_eq!(ask(12_025_550_143), Some(Answer::Listed { since: None }));
    put(12_025_550_000..12_025_550_100);
    assert_eq!(registries.refresh().loaded, ["us.dnc.national"]);
    assert_eq!(ask(12_025_550_143), Some(Answer::NotListed));
    let held = before.get("us.dnc.national").unwrap();
    assert_eq!(held.look_up(12_025_550_143), Answer::Listed { since: None }, "whoever held the old one reads on in it");

    // Bad ones: cut, of another list, and twice.
    let good = fs::read(&path).unwrap();
    let beside = folder.path().join(".beside");
    let replace = |bytes: &[u8]| {
        fs::write(&beside, bytes).unwrap();
        fs::rename(&beside, &path).unwrap();
        registries.refresh()
    };
    assert!(replace(&good[..4_400]).refused[0].to_string().contains("us.dnc.national.set: "));
    assert_eq!(ask(12_025_550_001), Some(Answer::Listed { since: None }), "the old one stays");
    fs::write(folder.path().join("us.dnc.tx.set"), &good).unwrap();
    let refused = registries.refresh().refused;
    assert!(refused.iter().any(|fault| fault.what.contains("a copy of `us.dnc.national`")), "{refused:?}");
    fs::remove_file(folder.path().join("us.dnc.tx.set")).unwrap();
    replace(&good);
    // Written over in place, it is the very file that is asked: then there is no list rather than a wrong one.
    let mut spoilt = good.clone();
    *spoilt.last_mut().unwrap() ^= 0x40;
    fs::write(&path, &spoilt).unwrap();
    assert_eq!(registries.refresh().removed, ["us.dnc.national"]);
    assert_eq!(ask(12_025_550_001), None);
    replace(&good);
    assert_eq!(ask(12_025_550_001), Some(Answer::Listed { since: None }));
    fs::write(folder.path().join("us.dnc.national.txt"), format!("# as_of={AS_OF}\n+12025559999\n")).unwrap();
    let refused = registries.refresh().refused;
    assert!(refused.iter().any(|fault| fault.what.contains("a set file holds the same list")), "{refused:?}");
    assert_eq!(ask(12_025_559_999), Some(Answer::NotListed));
}
