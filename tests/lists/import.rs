//! Lists from what their keepers hand out, by the command.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ringfence::registry::set::{Found, Set};
use ringfence::time::Instant;
use serde_json::Value;
use tempfile::TempDir;

use super::{AS_OF, at};

/// A folder with lists and files to import.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("lists")).unwrap();
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &'static str {
        fs::write(self.path(name), bytes).unwrap();
        name.to_owned().leak()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command
            .current_dir(self.0.path())
            .args(["registry", "import", "--registries", "lists", "--json"])
            .args(arguments);
        command
    }

    pub fn import(&self, arguments: &[&str]) -> Value {
        let ran = self.command(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", said(&ran));
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    pub fn refused(&self, arguments: &[&str], words: &[&str]) {
        let ran = self.command(arguments).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
        assert!(words.iter().all(|word| said(&ran).contains(word)), "{words:?} in {}", said(&ran));
        assert!(!said(&ran).contains("5550143"), "a number in {}", said(&ran));
    }

    pub fn inspect(&self, file: &str, json: bool) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.current_dir(self.0.path()).args(["registry", "inspect", file]).args(json.then_some("--json"));
        command.output().unwrap()
    }

    pub fn numbers(&self, id: &str) -> Vec<u64> {
        let set = Set::map(&self.path(&format!("lists/{id}.set"))).unwrap();
        set.numbers().map(|number| number.unwrap().0).collect()
    }
}

pub fn said(ran: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

pub fn gzipped(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

pub fn zipped(members: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_full_list_in_every_wrapping_is_the_same_list() {
    let texts = ["202,5550143\n202,5550144\r\n", "415,5550100\n\n305,5550100"];
    let expected = [12_025_550_143, 12_025_550_144, 13_055_550_100, 14_155_550_100];
    let (home, areas) = (Home::new(), "202,305,415");
    let [a, b] = [home.write("202.txt", texts[0]), home.write("rest.txt", texts[1])];
    let one = home.write("all.zip", zipped(&[("202.txt", texts[0]), ("rest/415.txt", texts[1])]));
    let [c, d] = [home.write("a.txt.gz", gzipped(texts[0])), home.write("b.gz", gzipped(texts[1]))];
    // Two gzip streams in one file are one text.
    let joined = home.write("joined.gz", [gzipped(texts[0]), gzipped(texts[1])].concat());
    for files in [vec![a, b], vec![one], vec![c, d], vec![joined], vec![a, d]] {
        let told = home.import(&[&["us.dnc.national", "--as-of", AS_OF, "--areas", areas][..], &files].concat());
        assert_eq!((&told["numbers"], &told["lines_read"], &told["rejected"]), (&4.into(), &4.into(), &0.into()));
        assert_eq!(home.numbers("us.dnc.national"), expected, "{files:?}");
    }
    for bytes in [zipped(&[("a", texts[0]), ("b", texts[1])]), gzipped(&texts.concat()), texts.concat().into_bytes()] {
        let mut running = home.command(&["us.dnc.national", "-", "--as-of", AS_OF, "--areas", areas]);
        let mut running = running.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(&bytes).unwrap();
        assert!(running.wait_with_output().unwrap().status.success());
        assert_eq!(home.numbers("us.dnc.national"), expected);
    }
}

#[test]
fn a_list_of_changes_changes_the_copy_in_force() {
    let home = Home::new();
    let full = home.write("full.txt", "202,5550143\n202,5550144\n202,5550145\n");
    let changes = home.write("changes.txt", "202,5550144,2026-11-20 10:00:00,D\n202,5550199,2026-11-20 09:00:00,A\n202,5550143,2026-11-20 12:00:00,A\n202,5550143,2026-11-20 11:00:00,D\n202,5550111,2026-11-20 11:00:00,D\n");
    home.refused(
        &["us.dnc.national", changes, "--changes", "--as-of", AS_OF],
        &["nothing to change", "full list first"],
    );
    home.refused(&["us.dnc.national", changes, "--as-of", AS_OF], &["changes.txt:1", "a full list was expected"]);
    let first = home.import(&["us.dnc.national", full, "--as-of", AS_OF, "--areas", "202"]);
    home.refused(&["us.dnc.national", full, "--changes", "--as-of", AS_OF], &["full.txt:1", "neither A nor D"]);
    assert_eq!((&first["full_as_of"], &first["areas"]), (&first["as_of"], &"202".into()));
    let told = home.import(&["us.dnc.national", changes, "--changes", "--as-of", "2026-11-21T04:00:00Z"]);
    assert_eq!(home.numbers("us.dnc.national"), [12_025_550_143, 12_025_550_145, 12_025_550_199]);
    assert_eq!((&told["added"], &told["removed"], &told["deleted_but_absent"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(told["before"]["version"], first["version"]);
    assert_eq!((&first["first_change"], &first["last_change"]), (&Value::Null, &Value::Null));
    assert_eq!((&told["first_change"], &told["last_change"]), (&"2026-11-20T00:00:00Z".into(), &told["first_change"]));
    home.refused(&["us.dnc.national", full, "--as-of", AS_OF], &["younger than", "remove this file first"]);
}

#[test]
fn columns_by_name_dates_and_lines_that_are_not_understood() {
    let home = Home::new();
    let csv = home.write("rpo.csv", "\u{feff}id;Numero;\"Data\"\n1;\"+39 06 6981 2345\";15/10/2026\n2;0669812346;\n");
    let asked = ["it.rpo", csv, "--as-of", AS_OF, "--column", "numero", "--date-column", "data"];
    let told = home.import(&asked);
    assert_eq!((&told["numbers"], &told["with_date"]), (&2.into(), &1.into()));
    let set = Set::map(&home.path("lists/it.rpo.set")).unwrap();
    let Found::In(day) = set.look_up(390_669_812_345) else { panic!("not in") };
    assert_eq!(day.begin(), Some(at("2026-10-15T00:00:00Z")));
    home.refused(&["it.rpo", csv, "--as-of", AS_OF, "--column", "number"], &["no column is called `number`"]);

    let bad = home.write("bad.txt", "number\n202,5550143\n202,555014\nhello,2025550143x\n202,5550144\n");
    home.refused(
        &["us.dnc.national", bad, "--as-of", AS_OF],
        &["bad.txt:3", "2 lines were not understood", "so too bad.txt:4", "--most-rejected"],
    );
    assert!(!home.path("lists/us.dnc.national.set").exists());
    let told = home.import(&["us.dnc.national", bad, "--as-of", AS_OF, "--most-rejected", "2", "--areas", "202"]);
    assert_eq!((&told["numbers"], &told["rejected"]), (&2.into(), &2.into()));
    assert_eq!((&told["rejected_lines"][0]["line"], &told["rejected_lines"][1]["line"]), (&3.into(), &4.into()));
    for (name, text, why) in [
        ("empty.txt", "", "would become empty"),
        ("xml.txt", "<list><ph val=\"2025550143\"/></list>", "is XML"),
        ("uk.txt", "+442079460000\n", "does not belong"),
        ("long.txt", &"2".repeat(9_000), "more than 4,096 bytes"),
    ] {
        home.refused(&["us.dnc.national", home.write(name, text), "--as-of", AS_OF], &[why]);
    }
    home.write("not.gz", [0x1f, 0x8b, 8, 0, 1, 2, 3]);
    home.refused(&["us.dnc.national", "not.gz", "--as-of", AS_OF], &["not.gz"]);
    home.refused(&["us.dnc.national", "absent.txt", "--as-of", AS_OF], &["absent.txt"]);
    home.refused(&["us.dnc.natoinal", bad, "--as-of", AS_OF], &["did you mean `us.dnc.national`"]);
    home.refused(&["us.dnc.national", bad, "--as-of", "2999-01-01T00:00:00Z"], &["lies in the future"]);
}

/// A quote that is never closed makes one row of many: a list that lacks those would look complete.
#[test]
fn an_open_quote_swallows_no_row_in_silence() {
    let home = Home::new();
    let asked = |file: &'static str| ["us.dnc.national", file, "--as-of", AS_OF, "--column", "phone", "--areas", "202"];
    for (name, text, words) in [
        (
            "middle.csv",
            "phone,name\n2025550143,Ann\n2025550144,\"Bob\n2025550145,Cy\n2025550146,\"Di\"\n",
            "middle.csv:3",
        ),
        ("last.csv", "phone,name\n2025550143,Ann\n2025550144,\"Bob\n2025550145,Cy\n", "last.csv:3"),
        (
            "in_the_number.csv",
            "name,phone\nAnn,2025550143\n\"Bob,2025550144\nCy,2025550145\n\"Di\",2025550146\n",
            "in_the_number.csv:3",
        ),
        ("titles.csv", "phone,\"name\n2025550143,Ann\n2025550144,\"\"\n", "titles.csv:1"),
        ("bare.csv", "phone,name\n2025550143,\"Ann\r2025550144,Bob\"\n", "bare.csv:2"),
    ] {
        home.refused(&asked(home.write(name, text)), &[words, "quote"]);
    }
    // Nor is a row taken for another that has fewer fields, or more.
    for text in ["phone,name\n2025550143\n", "phone,name\n2025550143,Ann,2025550144\n"] {
        home.refused(&asked(home.write("odd.csv", text)), &["odd.csv:2", "another number of fields"]);
    }
    assert!(!home.path("lists/us.dnc.national.set").exists());
    let good = home.write("good.csv", "phone,name\n2025550143,\"Ann, \"\"A\"\"\"\n\n2025550144,\n");
    assert_eq!(home.import(&asked(good))["numbers"], 2);
    // A field of several lines that holds no number is one.
    let address = "phone,address\n2025550143,\"12 Main Street\nSpringfield IL 62701\"\n2025550144,x\n";
    assert_eq!(home.import(&asked(home.write("address.csv", address)))["numbers"], 2);
    for (text, line) in [
        ("phone,address\n2025550143,\"12 Main Street\n2025550144,x\n2025550145,\"\n", "cells.csv:2"),
        ("phone,address\n2025550144,x\n\"2025550143\n\",x\n", "cells.csv:3"),
    ] {
        home.refused(&asked(home.write("cells.csv", text)), &[line, "quote"]);
    }
}

#[test]
fn inspecting_a_list_shows_its_header_its_areas_and_its_age() {
    let home = Home::new();
    home.import(&[
        "us.dnc.national",
        home.write("full.txt", "202,5550143\n202,5550144\n415,5550100\n"),
        "--as-of",
        "2026-01-01T00:00:00Z",
        "--areas",
        "202,415",
    ]);
    let ran = home.inspect("lists/us.dnc.national.set", true);
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told["by_area"], serde_json::json!({ "1202": 2, "1415": 1 }));
    assert!(told["rules"].as_array().unwrap().iter().any(|rule| rule["stale"] == true), "{told}");
    let text = said(&home.inspect("lists/us.dnc.national.set", false));
    for word in ["us.dnc.national: 3 numbers", "TOO OLD", "full.txt", "+1202"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let plain = home.write("tenant.own.txt", format!("# as_of={AS_OF}\n+12025550143\n"));
    assert!(said(&home.inspect(plain, false)).contains("tenant.own: 1 numbers"));
}

/// Each list as its keeper hands it out.
#[test]
fn what_each_keeper_hands_out() {
    let home = Home::new();
    let cases: &[(&str, &str, &[u64])] = &[
        ("us.dnc.national", "202,5550143\n415,5550100\n", &[12_025_550_143, 14_155_550_100]),
        ("us.dnc.national", "2025550143\n4155550100\n", &[12_025_550_143, 14_155_550_100]),
        ("us.dnc.tx", "Phone,Zip,Name\n5125550143,73301,\n", &[]),
        ("ca.dncl", "416,5550143\n6045550100\n", &[14_165_550_143, 16_045_550_100]),
        (
            "uk.tps",
            "02079460000\n441514960000\n+442079460001\n020 7946 0002\n",
            &[441_514_960_000, 442_079_460_000, 442_079_460_001, 442_079_460_002],
        ),
        ("uk.ctps", "CTPS list\n\n02079460000\n", &[442_079_460_000]),
        ("be.dncm", "0470123456;01/10/2026\n+3222345678;2026-10-02\n", &[3_222_345_678, 32_470_123_456]),
        ("it.rpo", "0669812345\n3331234567\n", &[390_669_812_345, 393_331_234_567]),
        ("es.robinson", "612345678\n", &[34_612_345_678]),
        ("au.dncr", "0412345678\n61298765432\n", &[61_298_765_432, 61_412_345_678]),
        ("sg.dnc.voice", "81234567\n", &[6_581_234_567]),
        ("in.dnd", "9876543210\n", &[919_876_543_210]),
    ];
    for (id, text, expected) in cases {
        let file = home.write("given.txt", text);
        if expected.is_empty() {
            home.refused(&[id, file, "--as-of", AS_OF], &["given.txt:2", "--column"]);
            home.import(&[id, file, "--as-of", AS_OF, "--column", "phone"]);
            continue;
        }
        home.import(&[id, file, "--as-of", AS_OF, "--fewer"]);
        assert_eq!(home.numbers(id), *expected, "{id}: {text}");
    }
    let text = said(&home.inspect("lists/be.dncm.set", false));
    assert!(text.contains("2 with a date of entry"), "{text}");
}

#[test]
fn a_number_that_could_be_two_is_both() {
    let home = Home::new();
    // With and without the country code these are two people of Singapore, one of Hong Kong or another.
    let file = home.write("both.txt", "85223456\n");
    let told = home.import(&["hk.dnc.text", file, "--as-of", AS_OF]);
    assert_eq!(told["numbers"], Value::from(told["ambiguous"].as_u64().unwrap() + 1));
    assert!(home.numbers("hk.dnc.text").contains(&85_285_223_456));
}

#[test]
fn a_copy_that_lost_half_of_a_great_list_is_refused() {
    let home = Home::new();
    let lines = |count: u64| -> String { (0..count).map(|n| format!("202,{}\n", 5_000_000 + n)).collect() };
    home.import(&["us.dnc.national", home.write("all.txt", lines(120_000)), "--as-of", AS_OF]);
    let half = home.write("half.txt", lines(59_000));
    home.refused(
        &["us.dnc.national", half, "--as-of", AS_OF],
        &["would shrink from 120000 numbers to 59000", "--fewer"],
    );
    assert_eq!(home.numbers("us.dnc.national").len(), 120_000);
    let told = home.import(&["us.dnc.national", half, "--as-of", AS_OF, "--fewer"]);
    assert_eq!((&told["numbers"], &told["removed"]), (&59_000.into(), &61_000.into()));
    let gone = home.write("gone.txt", lines(59_000).lines().map(|line| format!("{line},D\n")).collect::<String>());
    let changes = ["us.dnc.national", gone, "--as-of", AS_OF, "--changes", "--since", AS_OF];
    home.refused(&changes, &["would become empty", "--fewer"]);
    home.import(&[&changes[..], &["--fewer"]].concat());
    assert!(home.numbers("us.dnc.national").is_empty());
}

#[test]
fn changes_apply_to_a_list_kept_as_text_too() {
    let home = Home::new();
    fs::write(home.path("lists/us.dnc.tx.txt"), format!("# as_of={AS_OF}\n+15125550143\n+15125550144\n")).unwrap();
    let changes = home.write("changes.txt", "512,5550144,D\n512,5550145,A\n");
    let told = home.import(&["us.dnc.tx", changes, "--changes", "--as-of", AS_OF, "--since", AS_OF]);
    assert_eq!(home.numbers("us.dnc.tx"), [15_125_550_143, 15_125_550_145]);
    assert!(told["superseded"].as_str().unwrap().ends_with("us.dnc.tx.txt"), "{told}");
}

/// What comes and goes on one day: the number stays.
#[test]
fn of_changes_of_one_instant_the_strictest_counts() {
    let home = Home::new();
    home.import(&["us.dnc.national", home.write("full.txt", "202,5550143\n"), "--as-of", AS_OF, "--areas", "202"]);
    let changes = home.write("changes.txt", "202,5550143,2026-11-20,A\n202,5550143,2026-11-20,D\n");
    home.import(&["us.dnc.national", changes, "--changes", "--as-of", AS_OF]);
    assert_eq!(home.numbers("us.dnc.national"), [12_025_550_143]);
}

#[test]
fn a_list_of_the_tenants_own_holds_no_number() {
    let home = Home::new();
    let file = home.write("own.txt", "+12025550143\n+442079460000,2026-01-02\n");
    let told = home.import(&["tenant.litigators", file, "--as-of", AS_OF]);
    assert_eq!((&told["numbers"], &told["with_date"]), (&2.into(), &1.into()));
    assert!(home.path("ringfence-keys").exists());
    assert_eq!(home.import(&["tenant.litigators", file, "--as-of", AS_OF])["added"], 0, "under the same keys");
    let bytes = fs::read(home.path("lists/tenant.litigators.set")).unwrap();
    assert!(!bytes.windows(8).any(|eight| eight == 12_025_550_143_u64.to_le_bytes()));
    let text = said(&home.inspect("lists/tenant.litigators.set", false));
    assert!(text.contains("2 numbers") && text.contains("keyed tags") && !text.contains("+1202"), "{text}");
}

#[test]
fn the_doctor_looks_at_the_age_of_lists() {
    let home = Home::new();
    let file = home.write("own.txt", "202,5550143\n");
    home.import(&["us.dnc.national", file, "--as-of", "2026-01-01T00:00:00Z", "--areas", "202"]);
    home.write("lists/uk.tps.txt", "no list");
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    let ran = doctor.current_dir(home.0.path()).arg("doctor").env("RINGFENCE_REGISTRIES", "lists").output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    for word in ["us.dnc.national", "too old since 2026-02-01", "which denies", "uk.tps.txt", "no `as_of`"] {
        assert!(said(&ran).contains(word), "{word} in {}", said(&ran));
    }
}

#[test]
fn a_decision_names_the_copy_it_rests_on() {
    let home = Home::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let as_of = Instant::from_millis(i64::try_from(now.as_millis()).unwrap() - 3_600_000).to_string();
    let full = home.write("full.txt", "305,5550123\n");
    let told = home.import(&["us.dnc.national", full, "--as-of", &as_of, "--areas", "305"]);
    let question = ["check", "+13055550123", "--channel=call", "--purpose=marketing", "--technology=manual"];
    let facts = ["--recipient=consumer", "--line-type=landline", "--seller=acme", "--json", "--registries=lists"];
    let mut check = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    let ran = check.current_dir(home.0.path()).args(question).args(facts).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", said(&ran));
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let copies = answer["registryCopies"].as_array().unwrap();
    let named = copies.iter().find(|copy| copy["registry"] == "us.dnc.national").unwrap();
    assert_eq!((&named["version"], &named["listed"]), (&told["version"], &true.into()), "{named}");
}
