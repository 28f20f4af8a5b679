//! The shapes of files that are sound though odd, and what a copy says of the files that it came from.

use serde_json::Value;

use super::AS_OF;
use super::import::{Home, said, zipped};

/// As spreadsheets write in much of Europe: titles in Latin-1, for columns by name and for a line to be passed over.
#[test]
fn titles_of_another_encoding_are_titles() {
    let home = Home::new();
    home.write("excel.csv", b"Num\xe9ro;Pr\xe9nom\r\n0199000001;Ren\xe9e\r\n0199000002;\r\n");
    home.write("plain.csv", b"Num\xe9ro de t\xe9l\xe9phone\r\n0199000001\r\n0199000002\r\n");
    for more in [&["excel.csv", "--column", "numéro"][..], &["plain.csv"][..]] {
        // The name of a column is told by its small letters, those with accents as they are.
        home.import(&[&["fr.bloctel", "--as-of", AS_OF, "--areas=all"][..], more].concat());
        assert_eq!(home.numbers("fr.bloctel"), [33_199_000_001, 33_199_000_002], "{more:?}");
    }
    // No line but the first is passed over, and none that has a digit.
    home.write("bad.csv", b"0199000001\nNum\xe9ro\n");
    home.refused(&["fr.bloctel", "bad.csv", "--as-of", AS_OF, "--areas=all"], &["bad.csv:2", "not text"]);
    home.write("bad.csv", b"0199000001 Ren\xe9e\n0199000002\n");
    home.refused(&["fr.bloctel", "bad.csv", "--as-of", AS_OF, "--areas=all"], &["bad.csv:1", "not text"]);
}

#[test]
fn a_made_up_list_is_imported_as_one() {
    let home = Home::new();
    let file = home.write("made-up.txt", "202,5550143\n");
    home.import(&["us.dnc.tx", file, "--as-of", AS_OF, "--sample"]);
    assert_eq!(home.numbers("us.dnc.tx"), [12_025_550_143]);
    // What is made up takes no real changes.
    let file = home.write("changes.txt", "202,5550144,2026-11-19,A\n");
    home.refused(&["us.dnc.tx", file, "--changes", "--since", AS_OF, "--as-of", AS_OF], &["made-up"]);
}

/// Who was taken off and came back stays on the list whatever is given twice; and one line without a date does not make the
/// others worth nothing.
#[test]
fn changes_given_again_or_dated_in_part_take_nobody_off() {
    let home = Home::new();
    let full = home.write("full.txt", "307,5550143\n307,5550144\n");
    home.import(&["us.dnc.wy", full, "--as-of", "2026-11-19T00:00:00Z"]);
    let off = home.write("off.txt", "307,5550143,2026-11-19,D\n");
    let on = home.write("on.txt", "307,5550143,2026-11-20,A\n");
    home.import(&["us.dnc.wy", off, on, "--changes", "--as-of", AS_OF]);
    home.refused(&["us.dnc.wy", off, "--changes", "--as-of", AS_OF], &["none of them is new"]);
    let partly = home.write("partly.txt", "307,5550143,2026-11-20,D\n307,5550144,A\n");
    let since = ["--since", AS_OF];
    let asked = ["us.dnc.wy", partly, "--changes", "--as-of", "2026-11-21T04:00:00Z"];
    home.refused(&[&asked[..], &since[..]].concat(), &["some have none"]);
    assert_eq!(home.numbers("us.dnc.wy"), [13_075_550_143, 13_075_550_144]);
    // Nor do they beside newer ones, whatever is said of them; who was added and deleted by then does not come back by it.
    let newer =
        home.write("newer.txt", "307,5550150,2026-11-18,A\n307,5550150,2026-11-19,D\n307,5550144,2026-11-21,D\n");
    let asked = ["us.dnc.wy", off, newer, "--changes", "--since", AS_OF, "--as-of", "2026-11-21T04:00:00Z"];
    let told = home.import(&asked);
    assert_eq!(told["deletions_too_old"], 2, "{told}");
    assert_eq!(home.numbers("us.dnc.wy"), [13_075_550_143]);
    // Who is only in old ones is put in: that protects.
    let late = home.write("late.txt", "307,5550160,2026-11-19,A\n307,5550161,2026-11-22,A\n");
    home.import(&["us.dnc.wy", late, "--changes", "--as-of", "2026-11-22T04:00:00Z"]);
    assert_eq!(home.numbers("us.dnc.wy"), [13_075_550_143, 13_075_550_160, 13_075_550_161]);
}

#[test]
fn a_column_that_is_there_twice_is_not_guessed() {
    let home = Home::new();
    let file = home.write("twice.csv", "phone,Phone\n+12025550143,+12025550144\n");
    let asked = ["us.dnc.wy", file, "--column", "phone", "--as-of", AS_OF];
    home.refused(&asked, &["twice.csv:1", "two columns are called `phone`"]);
}

/// Where some changes have no date, their order says what came last.
#[test]
fn a_deletion_without_a_date_does_not_outlast_the_addition_behind_it() {
    let home = Home::new();
    home.import(&["us.dnc.wy", home.write("full.txt", "307,5550143\n307,5550144\n"), "--as-of", AS_OF]);
    let file = home.write("some.txt", "307,5550143,D\n307,5550143,2026-11-01,A\n307,5550144,2026-11-01,D\n");
    let told = home.import(&["us.dnc.wy", file, "--changes", "--gap", "--as-of", "2026-11-21T04:00:00Z"]);
    assert_eq!(told["deletions_too_old"], 1, "{told}");
    assert_eq!(home.numbers("us.dnc.wy"), [13_075_550_143, 13_075_550_144]);
}

/// Of a keeper who dates each change, changes without a date are not known to be new, whoever says so.
#[test]
fn changes_without_dates_make_no_daily_list_fresh() {
    let home = Home::new();
    home.import(&["us.dnc.national", home.write("full.txt", "202,5550143\n"), "--areas", "202", "--as-of", AS_OF]);
    let undated = home.write("undated.txt", "202,5550144,A\n");
    let asked = ["us.dnc.national", undated, "--changes", "--since", AS_OF, "--as-of", "2026-11-21T04:00:00Z"];
    home.refused(&asked, &["none of the changes has a date", "--gap"]);
    home.import(&[&asked[..], &["--gap"]].concat());
    assert_eq!(home.numbers("us.dnc.national"), [12_025_550_143, 12_025_550_144]);
}

#[test]
fn what_systems_pack_beside_a_list_is_no_list_and_is_told() {
    let home = Home::new();
    let text = "202,5550143\n305,5550100\n";
    let members =
        [("__MACOSX/._202.txt", "\0\u{5}"), (".DS_Store", "\0\0\0\u{1}Bud1"), ("a\\.x", "?"), ("./a.b/202.txt", text)];
    let file = home.write("all.zip", zipped(&members));
    let ran = home.command(&["us.dnc.tx", file, "--as-of", AS_OF]).output().unwrap();
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(home.numbers("us.dnc.tx"), [12_025_550_143, 13_055_550_100]);
    assert!(said(&ran).contains("note: all.zip/.DS_Store is no list, and was left out"), "{}", said(&ran));
    // What else is in it must be a list.
    let file = home.write("all.zip", zipped(&[("202.txt", text), ("README.txt", "Fields: see page 7\n")]));
    home.refused(&["us.dnc.tx", file, "--as-of", AS_OF], &["all.zip/README.txt:1"]);
}

/// What Windows packs beyond two gigabytes. A short text is the same in both forms of it.
#[test]
fn archives_of_the_larger_window_are_read() {
    let home = Home::new();
    let mut bytes = zipped(&[("tx.txt", "202,5550143\n305,5550100\n")]);
    for (head, at) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let place = bytes.windows(4).position(|four| four == head).unwrap();
        assert_eq!(bytes[place + at], 8);
        bytes[place + at] = 9;
    }
    home.import(&["us.dnc.tx", home.write("tx.zip", bytes), "--as-of", AS_OF]);
    assert_eq!(home.numbers("us.dnc.tx"), [12_025_550_143, 13_055_550_100]);
}

#[test]
fn a_copy_says_from_which_full_copy_it_came() {
    let home = Home::new();
    let source = || {
        let told: Value = serde_json::from_slice(&home.inspect("lists/us.dnc.wy.set", true).stdout).unwrap();
        told["source"].as_str().unwrap().to_owned()
    };
    let changes = |name: &str| home.write(name, format!("307,5550100,A\n307,{:07},A\n", 5_550_101 + name.len()));
    home.import(&["us.dnc.wy", home.write("full.txt", "307,5550143\n"), "--as-of", AS_OF]);
    assert_eq!(source(), "full.txt");
    for name in ["monday.txt", "tuesday.txt"] {
        home.import(&["us.dnc.wy", changes(name), "--changes", "--as-of", AS_OF, "--since", AS_OF]);
        assert_eq!(source(), format!("full.txt, changed by {name}"));
    }
    // However long the names are, both have room.
    let long = "é".repeat(1_000);
    home.import(&["us.dnc.wy", "full.txt", "--as-of", AS_OF, "--source", &long, "--fewer"]);
    home.import(&["us.dnc.wy", "monday.txt", "--changes", "--as-of", AS_OF, "--since", AS_OF]);
    assert_eq!(source(), format!("{}, changed by monday.txt", "é".repeat(250)));
}
