//! Registers that only answer: an answer speaks for the numbers that were asked about, and for nobody else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ringfence::registry::import::{Answers, Import, Order};
use ringfence::registry::set::Set;
use ringfence::registry::{Answer, List, Registries};

use super::import::{Home, said, zipped};
use super::{AS_OF, at};

const LISTED: Answer = Answer::Listed { since: None };
const SENT: &str = "+390669812341\n+390669812342\n+390669812343\n+390669812344\n+390669812345\n";

fn ask(home: &Home, id: &str, number: u64) -> Answer {
    let registries = Registries::open(Some(&home.path("lists"))).unwrap();
    assert!(registries.faults().is_empty(), "{:?}", registries.faults());
    registries.snapshot().get(id).unwrap().look_up(number)
}

/// Of five that were sent two are on the register.
fn known(home: &Home, first: Answer) {
    let answers = [1, 2, 3, 4, 5].map(|n| ask(home, "it.rpo", 390_669_812_340 + n));
    assert_eq!(answers, [first, LISTED, Answer::NotListed, Answer::NotListed, Answer::NotListed]);
    for never_asked in [390_669_812_346, 390_669_812_340, 393_331_234_567, 39, 0] {
        assert_eq!(ask(home, "it.rpo", never_asked), Answer::NotCovered, "{never_asked}");
    }
}

#[test]
fn an_answer_is_not_the_register() {
    let home = Home::new();
    home.write("sent.csv", SENT);
    let answer = home.write("listed.txt", "0669812341;01/10/2026\n+390669812342\n");
    home.refused(
        &["it.rpo", answer, "--as-of", AS_OF],
        &["answers about the numbers it is asked", "--asked", "--cleaned", "--areas all"],
    );
    assert!(!home.path("lists/it.rpo.set").exists());
    home.refused(&["it.rpo", answer, "--as-of", AS_OF, "--asked", "sent.csv"], &["--listed", "--cleaned"]);
    let told = home.import(&["it.rpo", answer, "--as-of", AS_OF, "--asked", "sent.csv", "--listed"]);
    assert_eq!((&told["numbers"], &told["asked"], &told["with_date"]), (&2.into(), &5.into(), &1.into()));
    known(&home, Answer::Listed { since: Some(at("2026-10-01T00:00:00Z")) });
    let inspected = said(&home.inspect("lists/it.rpo.set", false));
    for word in ["2 numbers, 1 with a date", "asked     about 5 numbers; of any other it says nothing", "+3906"] {
        assert!(inspected.contains(word), "{word} in {inspected}");
    }
    let registries = Registries::open(Some(&home.path("lists"))).unwrap();
    let list = registries.snapshot();
    let list = list.get("it.rpo").unwrap();
    assert_eq!((list.count, list.asked), (2, Some(5)));
    home.refused(
        &["it.rpo", answer, "--as-of", AS_OF, "--changes", "--gap"],
        &["answers about single numbers", "--asked"],
    );

    // Sent in two files and answered in two, of which one was forgotten.
    home.write("more.csv", "+390669812346\n");
    let half = ["it.rpo", answer, "--as-of", AS_OF, "--asked", "sent.csv", "--asked", "more.csv", "--listed"];
    home.refused(&half, &["2 files were sent, and there are 1", "--fewer"]);
    known(&home, Answer::Listed { since: Some(at("2026-10-01T00:00:00Z")) });

    // The same from the list that comes back cleaned, in a zip file and by the names of columns.
    let cleaned = home.write("left.csv", "id;numero\n3;0669812343\n4;0669812344\n5;+39 06 69812345\n");
    let sent = format!("n\n{SENT}");
    let sent = home.write("sent.zip", zipped(&[("sent.csv", sent.as_str())]));
    let asked = ["it.rpo", cleaned, "--as-of", AS_OF, "--asked", sent, "--column", "numero", "--asked-column", "n"];
    let told = home.import(&[&asked[..], &["--cleaned"]].concat());
    assert_eq!((&told["numbers"], &told["with_date"]), (&2.into(), &0.into()));
    known(&home, LISTED);
    // Taken for its contrary it would allow exactly those who are on the register.
    home.refused(&[&asked[..], &["--listed"]].concat(), &["3 of the 5", "more than half", "--fewer"]);
    known(&home, LISTED);

    // Handed out whole, it is whole.
    assert_eq!(home.import(&["it.rpo", answer, "--as-of", AS_OF, "--areas", "all"])["asked"], serde_json::Value::Null);
    assert_eq!(ask(&home, "it.rpo", 393_331_234_567), Answer::NotListed);
    home.refused(&["it.rpo", answer, "--as-of", AS_OF, "--areas", "202"], &["leave --areas out"]);
}

#[test]
fn what_does_not_fit_an_answer_is_refused() {
    let home = Home::new();
    home.write("sent.txt", SENT);
    let base = |answer: &'static str| ["it.rpo", answer, "--as-of", AS_OF, "--asked", "sent.txt"];
    let strange = home.write("strange.txt", "0669812341\n0669999999\n");
    let all = home.write("all.txt", SENT);
    let none = home.write("none.txt", "");
    let cut = home.write("cut.txt", "0669812341\nhello\n");
    for (answer, more, words) in [
        (strange, &["--listed"][..], &["about 1 numbers that were not asked about"][..]),
        (strange, &["--cleaned", "--fewer"], &["not asked about"]),
        (none, &["--listed"], &["none of the 5 numbers", "--fewer"]),
        (all, &["--cleaned"], &["none of the 5 numbers", "the file that was sent"]),
        (none, &["--cleaned"], &["5 of the 5", "more than half"]),
        (cut, &["--listed"], &["cut.txt:2", "not understood"]),
        (cut, &["--listed", "--most-rejected", "1"], &["cannot be used with"]),
        (all, &["--listed", "--cleaned"], &["cannot be used with"]),
        (all, &["--listed", "--changes"], &["cannot be used with"]),
        (all, &["--listed", "--areas", "all"], &["cannot be used with"]),
    ] {
        home.refused(&[&base(answer)[..], more].concat(), words);
    }
    home.refused(&["it.rpo", all, "--as-of", AS_OF, "--asked", none, "--listed"], &["speak for nobody"]);
    home.refused(&["tenant.own", all, "--as-of", AS_OF, "--asked", all, "--listed"], &["leave --asked out"]);
    let line = ["us.line.wireless_blocks", all, "--as-of", AS_OF, "--asked", all, "--listed"];
    home.refused(&line, &["leave --asked out"]);
    assert!(!home.path("lists/it.rpo.set").exists());
    // What is left out of a cleaned list is not allowed by that.
    home.import(&[&base(cut)[..], &["--cleaned", "--most-rejected", "1", "--fewer"]].concat());
    assert_eq!(
        (ask(&home, "it.rpo", 390_669_812_341), ask(&home, "it.rpo", 390_669_812_342)),
        (Answer::NotListed, LISTED)
    );
    home.import(&[&base(none)[..], &["--listed", "--fewer"]].concat());
    assert_eq!(ask(&home, "it.rpo", 390_669_812_342), Answer::NotListed);
    // One that is not known to be asked alone may be asked as well.
    let uk = home.write("uk.txt", "+442079460000\n+442079460001\n");
    let on = home.write("on.txt", "02079460001\n");
    home.import(&["uk.tps", on, "--as-of", AS_OF, "--asked", uk, "--listed"]);
    assert_eq!(ask(&home, "uk.tps", 442_079_460_000), Answer::NotListed);
    assert_eq!(ask(&home, "uk.tps", 442_079_460_002), Answer::NotCovered);
}

/// With and without the country code `3906981234` is a mobile or a fixed line of Italy: neither was surely asked about.
#[test]
fn a_number_that_could_be_two_is_not_cleared() {
    let home = Home::new();
    let doubtful = format!("{SENT}3906981234\n");
    let sent = home.write("sent.txt", &doubtful);
    let left = home.write("left.txt", doubtful.split_once('\n').unwrap().1);
    let told = home.import(&["it.rpo", left, "--as-of", AS_OF, "--asked", sent, "--cleaned"]);
    assert_eq!((&told["ambiguous"], &told["asked"], &told["numbers"]), (&1.into(), &5.into(), &1.into()));
    assert_eq!(ask(&home, "it.rpo", 390_669_812_345), Answer::NotListed);
    for either in [393_906_981_234, 3_906_981_234] {
        assert_eq!(ask(&home, "it.rpo", either), Answer::NotCovered, "{told}");
    }
    let listed = home.write("listed.txt", "0669812341\n3906981234\n");
    home.import(&["it.rpo", listed, "--as-of", AS_OF, "--asked", sent, "--listed", "--fewer"]);
    for number in [390_669_812_341, 393_906_981_234, 3_906_981_234] {
        assert_eq!(ask(&home, "it.rpo", number), LISTED, "{number}");
    }
}

#[test]
fn a_text_of_a_register_that_is_asked_speaks_for_those_on_it() {
    let read = |keys: &str| {
        let text = format!("# as_of={AS_OF}{keys}\n+390669812341\n");
        List::read("it.rpo", "x.txt".as_ref(), text.as_bytes()).unwrap()
    };
    for (keys, stranger) in
        [("", Answer::NotCovered), (" areas=all", Answer::NotListed), (" sample=true", Answer::NotListed)]
    {
        assert_eq!((read(keys).look_up(390_669_812_341), read(keys).look_up(390_669_812_342)), (LISTED, stranger));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_what_was_asked_and_said(
        asked in proptest::collection::btree_map(0_u64..40_000, proptest::option::weighted(0.3, 0_i8..20), 1..3_000),
        strangers in proptest::collection::vec(0_u64..50_000, 50),
        cleaned in any::<bool>(),
    ) {
        const FIRST: u64 = 390_669_800_000;
        let folder = tempfile::tempdir().unwrap();
        let answers = Some(if cleaned { Answers::Cleaned } else { Answers::Listed });
        let order = Order { answers, fewer: true, ..Order::new("it.rpo", at(AS_OF)) };
        let mut import = Import::begin(order, folder.path(), None).unwrap();
        let sent: String = asked.keys().map(|number| format!("+{}\n", FIRST + number)).collect();
        let said = asked.iter().rev().filter(|(_, day)| day.is_some() != cleaned);
        let said: String = said
            .map(|(number, day)| match day {
                Some(day @ 1..) => format!("+{},2026-10-{day:02}\n", FIRST + number),
                _ => format!("+{}\n", FIRST + number),
            })
            .collect();
        import.read_asked("sent", sent.as_bytes(), &mut |_| {}).unwrap();
        import.read("said", said.as_bytes(), &mut |_| {}).unwrap();
        let report = import.finish().unwrap();
        let set = Set::map(&report.path).unwrap();
        let on: BTreeSet<_> = asked.iter().filter(|(_, day)| day.is_some()).map(|(number, _)| *number).collect();
        prop_assert_eq!((set.header().count, set.header().listed), (asked.len() as u64, Some(on.len() as u64)));
        let dated = on.iter().filter(|number| !cleaned && asked[*number] > Some(0)).count();
        prop_assert_eq!(set.header().with_date(), dated as u64);
        let list = List::map("it.rpo", &report.path, None).unwrap();
        let oracle: BTreeMap<u64, Answer> = asked
            .iter()
            .map(|(number, day)| {
                let since = day.filter(|day| *day > 0 && !cleaned).map(|day| at(&format!("2026-10-{day:02}T00:00:00Z")));
                (*number, if day.is_some() { Answer::Listed { since } } else { Answer::NotListed })
            })
            .collect();
        for number in asked.keys().copied().chain(strangers) {
            let expected = oracle.get(&number).copied().unwrap_or(Answer::NotCovered);
            prop_assert_eq!(list.look_up(FIRST + number), expected, "{}", number);
        }
    }
}
