//! Parts of a list: a copy speaks for the areas that were handed out, and no area is lost unseen.

use std::fs;
use std::process::Command;

use ringfence::registry::set::{Areas, Builder, Day, Header, Set, write};
use ringfence::registry::{Answer, Registries};

use super::import::{Home, said};
use super::{AS_OF, at, header};

const LISTED: Answer = Answer::Listed { since: None };
const MIAMI: u64 = 13_055_550_123;

fn ask(home: &Home, id: &str, number: u64) -> Answer {
    let registries = Registries::open(Some(&home.path("lists"))).unwrap();
    assert!(registries.faults().is_empty(), "{:?}", registries.faults());
    registries.snapshot().get(id).unwrap().look_up(number)
}

fn lines(area: u64, count: u64) -> String {
    (0..count).map(|n| format!("{area},{}\n", 5_550_000 + n)).collect()
}

#[test]
fn a_copy_of_some_areas_is_not_the_whole_list() {
    let home = Home::new();
    let [one, two] = [home.write("202.txt", lines(202, 1_000)), home.write("305.txt", lines(305, 1_000))];
    let told = home.import(&["us.dnc.national", one, "--as-of", AS_OF]);
    assert_eq!(told["areas"], "202");
    assert_eq!(ask(&home, "us.dnc.national", 12_025_550_143), LISTED);
    assert_eq!(ask(&home, "us.dnc.national", 12_025_559_999), Answer::NotListed);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotCovered);
    let mut plain = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    let arguments = ["registry", "import", "--registries", "lists", "us.dnc.national", one, "--as-of", AS_OF];
    let told = said(&plain.current_dir(home.path("")).args(arguments).output().unwrap());
    assert!(told.contains("It is a copy of 1 area codes: 202") && told.contains("--areas all"), "{told}");
    let inspected = said(&home.inspect("lists/us.dnc.national.set", false));
    assert!(inspected.contains("areas     202; of a number elsewhere it says nothing"), "{inspected}");

    // What has a number is on the list, and what was named must have one.
    let told = home.import(&["us.dnc.national", one, two, "--as-of", AS_OF, "--areas", "202"]);
    assert_eq!((&told["areas"], &told["areas_not_covered"]), (&"202".into(), &"305".into()));
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), LISTED);
    assert_eq!(ask(&home, "us.dnc.national", 13_055_559_999), Answer::NotCovered);
    home.refused(
        &["us.dnc.national", one, "--as-of", AS_OF, "--areas", "202,305"],
        &["of which it has no number: 305"],
    );
    home.import(&["us.dnc.national", one, "--as-of", AS_OF, "--areas", "202,305", "--fewer"]);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotListed);
    let told = home.import(&["us.dnc.national", one, "--as-of", AS_OF]);
    assert_eq!(told["areas_given_up"], "305");

    // The whole list is said to be so, and has the areas that it should have.
    home.refused(&["us.dnc.national", one, "--as-of", AS_OF, "--areas", "all"], &["of 1 area codes", "at least 300"]);
    home.import(&["us.dnc.national", one, "--as-of", AS_OF, "--areas", "all", "--fewer"]);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotListed);
    let every = (200..640).filter(|area| area % 10 < 9);
    let every: String = every.map(|area| lines(area, if area == 202 { 1_000 } else { 1 })).collect();
    let every = home.write("every.txt", every);
    let told = home.import(&["us.dnc.national", every, "--as-of", AS_OF]);
    assert_eq!(told["areas"], "202", "never silently all: {told}");
    home.import(&["us.dnc.national", every, "--as-of", AS_OF, "--areas", "all"]);
    assert_eq!(ask(&home, "us.dnc.national", 19_995_550_123), Answer::NotListed);

    // Lists that are handed out whole are whole, and others have no area codes.
    assert_eq!(home.import(&["us.dnc.tx", one, "--as-of", AS_OF])["areas"], "all");
    let tps = home.write("tps.txt", "+442079460000\n");
    home.refused(&["uk.tps", tps, "--as-of", AS_OF, "--areas", "202"], &["leave --areas out"]);
    home.refused(&["us.dnc.national", one, "--as-of", AS_OF, "--areas", "20"], &["area codes are written"]);
}

#[test]
fn changes_leave_the_areas_as_they_are() {
    let home = Home::new();
    home.import(&["us.dnc.national", home.write("202.txt", lines(202, 3)), "--as-of", AS_OF, "--areas", "202"]);
    let changes = home.write("changes.txt", "202,5550000,D\n305,5550100,A\n");
    let asked = ["us.dnc.national", changes, "--changes", "--since", AS_OF, "--as-of", AS_OF];
    home.refused(&[&asked[..], &["--areas", "all"]].concat(), &["cannot be used with"]);
    let told = home.import(&asked);
    assert_eq!((&told["areas"], &told["areas_not_covered"]), (&"202".into(), &"305".into()));
    assert_eq!(ask(&home, "us.dnc.national", 13_055_550_100), LISTED);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotCovered);
}

#[test]
fn an_area_that_is_lost_is_seen() {
    let home = Home::new();
    let text = |miami: u64, other: u64| lines(202, 9_000) + &lines(305, miami) + &lines(415, other);
    let all = ["us.dnc.national", "all.txt", "--as-of", AS_OF];
    home.write("all.txt", text(2_000, 900));
    home.import(&all);
    // Fewer than half of a great area; of a small one what there is.
    for (miami, other, lost) in [(999, 900, true), (0, 900, true), (1_000, 1, false)] {
        home.write("all.txt", text(miami, other));
        if lost {
            home.refused(&all, &["would lose most", &format!("+1305 from 2000 to {miami}"), "--fewer"]);
        } else {
            home.import(&all);
        }
    }
    // One that is covered and has nobody any more is one that was not given.
    let whole = [&all[..], &["--areas", "202,305,415"]].concat();
    home.import(&whole);
    home.write("all.txt", text(1_000, 0));
    home.refused(&whole, &["no number: 415"]);
    let told = home.import(&all);
    assert_eq!((&told["areas"], &told["areas_given_up"]), (&"202,305".into(), &"415".into()));
    home.write("all.txt", text(0, 0));
    let told = home.import(&[&all[..], &["--fewer"]].concat());
    assert_eq!((&told["areas"], &told["removed"]), (&"202".into(), &1_000.into()));
    // So where a list of changes empties it.
    home.write("all.txt", text(20, 0));
    home.import(&[&all[..], &["--areas", "202,305"]].concat());
    home.write("gone.txt", (0..20).map(|n| format!("305,{},D\n", 5_550_000 + n)).collect::<String>());
    let gone = ["us.dnc.national", "gone.txt", "--as-of", AS_OF, "--changes", "--since", AS_OF];
    home.refused(&gone, &["+1305 from 20 to 0"]);
}

/// A line that somebody added, or one with a wrong digit, is no list of all who live there.
#[test]
fn a_few_numbers_of_an_area_do_not_speak_for_it() {
    let home = Home::new();
    let national = |file: &'static str| ["us.dnc.national", file, "--as-of", AS_OF];
    let edited = home.write("202.txt", lines(202, 2_000) + "305,5550100\n");
    let told = home.import(&national(edited));
    assert_eq!((&told["areas"], &told["areas_not_covered"]), (&"202".into(), &"305".into()));
    assert_eq!(ask(&home, "us.dnc.national", 13_055_550_100), LISTED);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotCovered);
    // So of a thousand beside very many, which a file that was cut at the end of a line may have.
    let cut = home.write("cut.txt", lines(202, 101_000) + &lines(305, 1_005) + &lines(415, 101_000));
    let told = home.import(&national(cut));
    assert_eq!((&told["areas"], &told["areas_not_covered"]), (&"202,415".into(), &"305".into()));
    let told = home.import(&[&national(cut)[..], &["--areas", "202,305,415"]].concat());
    assert_eq!((&told["areas"], &told["areas_not_covered"]), (&"202,305,415".into(), &"none".into()));
    // A copy that would speak for nobody takes no other's place, unless somebody says what it is.
    let few = home.write("few.txt", lines(202, 999));
    let canadian = ["ca.dncl", few, "--as-of", AS_OF];
    home.refused(&canadian, &["would speak for no area code", "fewer than 1000 (202)", "--areas"]);
    assert_eq!(home.import(&[&canadian[..], &["--areas", "202"]].concat())["areas"], "202");
}

/// The page of a file of the form before is read; what it does not say is read so that it allows nothing.
#[test]
fn a_file_that_does_not_say_its_areas_speaks_for_what_it_has() {
    let home = Home::new();
    for (id, elsewhere) in [("us.dnc.national", Answer::NotCovered), ("us.dnc.tx", Answer::NotListed)] {
        let mut builder = Builder::default();
        builder.add(12_025_550_143, Day::NONE);
        let path = home.path(&format!("lists/{id}.set"));
        write(&path, Header { areas: None, full_as_of: None, ..header(id) }, builder).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(b"ringfence list, form 1\n"));
        assert_eq!(ask(&home, id, 12_025_550_143), LISTED);
        assert_eq!(ask(&home, id, 12_025_550_144), Answer::NotListed);
        assert_eq!(ask(&home, id, MIAMI), elsewhere);
    }
    let changes = home.write("changes.txt", "202,5550144,A\n");
    let told = home.import(&["us.dnc.national", changes, "--changes", "--since", AS_OF, "--as-of", AS_OF]);
    assert_eq!((&told["areas"], &told["full_as_of"]), (&"202".into(), &serde_json::Value::Null));
    let inspected = said(&home.inspect("lists/us.dnc.national.set", false));
    assert!(inspected.contains("full copy not known of when"), "{inspected}");
}

#[test]
fn every_header_has_room_in_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("us.dnc.national.set");
    // As many spans as there can be, and a source of letters of four bytes each.
    let areas = Some(Areas::of((200..1_000).filter(|code| code % 3 > 0)));
    let longest = Header::new("us.dnc.national", at(AS_OF), &"\u{1F4DE}".repeat(3_000), false);
    write(&path, Header { areas, ..longest }, Builder::default()).unwrap();
    let set = Set::map(&path).unwrap();
    set.verify().unwrap();
    assert_eq!(set.header().source.len(), 1_000);
}

#[test]
fn a_list_kept_as_text_says_its_areas_in_its_header() {
    let home = Home::new();
    let text = |header: &str| {
        fs::write(home.path("lists/us.dnc.national.txt"), format!("# as_of={AS_OF}{header}\n2025550143\n"))
    };
    text(" areas=202, 305").unwrap();
    assert_eq!(ask(&home, "us.dnc.national", 12_025_550_143), LISTED);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotListed);
    assert_eq!(ask(&home, "us.dnc.national", 14_155_550_123), Answer::NotCovered);
    // The whole list is said to be so. A file of the keeper's under a header of one's own has no more than it has.
    text(" areas=all").unwrap();
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotListed);
    text("").unwrap();
    assert_eq!(ask(&home, "us.dnc.national", 12_025_550_199), Answer::NotListed);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotCovered);
    text(&format!("\n{}305,5550100", lines(202, 200))).unwrap();
    assert_eq!(ask(&home, "us.dnc.national", 13_055_550_100), LISTED);
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotCovered, "one number beside two hundred");
    // Made-up lists say of themselves that they are no reason to call, and others are handed out whole.
    text(" sample=true").unwrap();
    assert_eq!(ask(&home, "us.dnc.national", MIAMI), Answer::NotListed);
    fs::write(home.path("lists/us.dnc.tx.txt"), format!("# as_of={AS_OF}\n5125550143\n")).unwrap();
    assert_eq!(ask(&home, "us.dnc.tx", MIAMI), Answer::NotListed);
    let refused = |id: &str, header: &str| {
        let text = format!("# as_of={AS_OF} {header}\n");
        ringfence::registry::List::read(id, std::path::Path::new("x"), text.as_bytes()).unwrap_err().to_string()
    };
    assert!(refused("us.dnc.national", "areas=20").contains("area codes are written"));
    assert!(refused("uk.tps", "areas=202").contains("not kept by North American area codes"));
    assert!(refused("tenant.own", "areas=202").contains("not kept by North American area codes"));
}
