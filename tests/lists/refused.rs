//! What an import refuses unless it is told otherwise, and what it tells of the lines that it left out.

use std::fs;

use super::AS_OF;
use super::import::{Home, said};

/// A list of changes that was skipped would leave people out for ever, and the list would look fresh.
#[test]
fn changes_begin_where_the_copy_in_force_ends() {
    let home = Home::new();
    let full = home.write("full.txt", "202,5550143\n");
    let whole = |day: &'static str| home.import(&["us.dnc.national", full, "--as-of", day, "--areas", "202"]);
    whole("2026-10-20T04:00:00Z");
    let others = days("2026-10", 22..26);
    let lists = |day: &str| home.write("changes.txt", format!("202,5550199,2026-10-{day},A\n{others}"));
    let asked = ["us.dnc.national", "changes.txt", "--changes", "--as-of", "2026-10-26T04:00:00Z"];
    // By day: whatever hour it was made at, it is after the copy.
    lists("21");
    home.refused(&asked, &["as of 2026-10-20T04:00:00Z", "first of the changes is of 2026-10-21", "--since"]);
    lists("21T03:59:00Z");
    home.import(&asked);
    // With an hour: a day may pass in which nobody comes or goes.
    whole("2026-10-27T04:00:00Z");
    home.write("late.txt", "202,5550199,2026-10-28T04:00:01Z,A\n");
    let late = ["us.dnc.national", "late.txt", "--changes", "--as-of", "2026-10-29T04:00:00Z"];
    home.refused(&late, &["some between may be missing"]);
    for word in [["--since", "2026-10-27T04:00:01Z"], ["--since", "2026-10-28T00:00:00Z"]] {
        home.refused(&[&late[..], &word].concat(), &["some between are missing", "--gap"]);
    }
    let told = home.import(&[&late[..], &["--since", "2026-10-27T04:00:00Z"]].concat());
    assert_eq!((&told["full_as_of"], &told["as_of"]), (&"2026-10-27T04:00:00Z".into(), &"2026-10-29T04:00:00Z".into()));
    let text = said(&home.inspect("lists/us.dnc.national.set", false));
    assert!(text.contains("full copy 2026-10-27T04:00:00Z"), "{text}");
    // Without dates nothing says so, nor does a file without changes.
    for text in ["202,5550111,A\n", "202,5550111,A\n202,5550112,2026-10-29,A\n", "# none\n"] {
        home.write("none.txt", text);
        let none = ["us.dnc.national", "none.txt", "--changes", "--as-of", "2026-10-30T04:00:00Z"];
        home.refused(&none, &["do not all have dates", "--since"]);
        home.import(&[&none[..], &["--gap"]].concat());
        whole("2026-10-30T04:00:00Z");
    }
    assert_eq!(home.numbers("us.dnc.national"), [12_025_550_143]);
}

/// A change on each of these days.
fn days(month: &str, days: std::ops::Range<u32>) -> String {
    days.map(|day| format!("202,{:07},{month}-{day:02},A\n", 5_550_200 + day)).collect()
}

/// Nor may those be missing that lie between the last change and the new copy: old changes make nothing fresh.
#[test]
fn changes_reach_up_to_the_new_copy() {
    let home = Home::new();
    let full = home.write("full.txt", "202,5550143\n");
    let began = "2026-11-01T04:00:00Z";
    home.import(&["us.dnc.national", full, "--as-of", began, "--areas", "202"]);
    home.write("october.txt", days("2026-10", 1..8));
    home.write("november.txt", days("2026-11", 1..4));
    home.write("cut.txt", days("2026-11", 1..3));
    home.write("rest.txt", days("2026-11", 4..6));
    home.write("none.txt", "# none\n");
    home.write("later.txt", days("2026-11", 1..8));
    let asked = |id: &'static str, files: &[&'static str], as_of: &'static str, more: &[&'static str]| {
        [&[id, "--changes", "--as-of", as_of][..], files, more].concat()
    };
    let (soon, late) = ("2026-11-06T04:00:00Z", "2026-11-21T04:00:00Z");
    let since = ["--since", began];
    for (files, as_of, words) in [
        (&["october.txt"][..], late, "the last of the changes is of 2026-10-07T00:00:00Z: none of them is new"),
        (&["november.txt"][..], late, "those from then until 2026-11-21T04:00:00Z may be missing"),
        (&["november.txt"][..], "2026-11-06T04:00:00Z", "may be missing"),
        (&["cut.txt", "rest.txt"][..], soon, "no change is of the day 2026-11-03"),
    ] {
        // Nobody's word counts where every day has some.
        for more in [&[] as &[&str], &since] {
            home.refused(&asked("us.dnc.national", files, as_of, more), &[words, "--gap"]);
        }
    }
    home.refused(&asked("us.dnc.national", &["rest.txt"], soon, &since), &["no change is of the day 2026-11-02"]);
    home.refused(&asked("us.dnc.national", &["none.txt"], soon, &since), &["no change", "--gap"]);
    // A day ahead of UTC there may be.
    for more in [&[] as &[&str], &["--gap"]] {
        home.refused(
            &asked("us.dnc.national", &["later.txt"], "2026-11-05T23:00:00Z", more),
            &["--as-of", "2026-11-07"],
        );
    }
    let told = home.import(&asked("us.dnc.national", &["november.txt"], "2026-11-06T00:00:00Z", &[]));
    assert_eq!(told["last_change"], "2026-11-03T00:00:00Z");
    home.import(&asked("us.dnc.national", &["later.txt"], "2026-11-06T04:00:00Z", &[]));
    home.import(&asked("us.dnc.national", &["october.txt"], late, &["--gap"]));

    // A small list may see no change for days.
    home.import(&["us.dnc.wy", full, "--as-of", began]);
    home.refused(&asked("us.dnc.wy", &["october.txt"], late, &[]), &["none of them is new", "--since"]);
    home.refused(&asked("us.dnc.wy", &["cut.txt", "rest.txt"], late, &[]), &["may be missing", "--since"]);
    home.import(&asked("us.dnc.wy", &["cut.txt", "rest.txt"], soon, &[]));
    home.import(&asked("us.dnc.wy", &["none.txt"], late, &["--since", soon]));
}

/// A made-up list with some real changes would pass for the keeper's.
#[test]
fn a_made_up_list_and_a_real_one_do_not_mix() {
    let home = Home::new();
    let sample = format!("# as_of={AS_OF} sample=true\n+12025550143\n");
    fs::write(home.path("lists/us.dnc.national.txt"), sample).unwrap();
    let changes = home.write("changes.txt", "202,5550144,A\n");
    let asked = ["us.dnc.national", changes, "--changes", "--as-of", AS_OF, "--since", AS_OF];
    home.refused(&asked, &["is a made-up list", "import the full list"]);
    home.refused(&[&asked[..], &["--gap"]].concat(), &["is a made-up list"]);
    home.import(&["us.dnc.national", home.write("full.txt", "202,5550143\n"), "--as-of", AS_OF, "--areas", "202"]);
    home.import(&asked);
}

/// Tags of other keys in the place of good ones would be of no use to the server, which then denies everybody.
#[test]
fn an_own_list_keeps_its_keys_and_its_numbers() {
    let home = Home::new();
    let lines = |count: u32| (0..count).map(|n| format!("+1202555{n:04}\n")).collect::<String>();
    let file = home.write("own.txt", lines(90));
    let asked = ["tenant.litigators", file, "--as-of", AS_OF];
    let with = |more: &[&'static str]| [&asked[..], more].concat();
    let ran = home.command(&asked).output().unwrap();
    assert!(ran.status.success() && said(&ran).contains("note: made keys"), "{}", said(&ran));
    let good = home.numbers("tenant.litigators");
    // In another folder than usual: keys are not made, not even for another list.
    home.refused(
        &with(&["--keys", "elsewhere"]),
        &["there are no keys", "tenant.litigators.set", "--keys", "--new-keys"],
    );
    home.refused(&["tenant.deceased", file, "--as-of", AS_OF, "--keys", "elsewhere"], &["there are no keys"]);
    assert!(!home.path("elsewhere").exists());
    home.import(&["tenant.deceased", file, "--as-of", AS_OF, "--keys", "elsewhere", "--new-keys"]);
    home.refused(&with(&["--keys", "elsewhere"]), &["made under other keys", "--new-keys"]);
    home.refused(&with(&["--keys", "elsewhere", "--fewer"]), &["made under other keys"]);
    assert_eq!(home.numbers("tenant.litigators"), good);
    // A file that was cut on its way: own lists are small.
    home.write("own.txt", lines(44));
    home.refused(&asked, &["would shrink from 90 numbers to 44", "--fewer"]);
    assert_eq!(home.numbers("tenant.litigators"), good);
    home.write("own.txt", lines(45));
    home.import(&asked);
    home.write("own.txt", lines(1));
    home.import(&with(&["--fewer"]));
    home.import(&with(&["--keys", "elsewhere", "--new-keys"]));
    // An official list of a thousand numbers is great enough, one of less is not.
    let texan = |count: u32| {
        home.write("tx.txt", lines(count));
        ["us.dnc.tx", "tx.txt", "--as-of", AS_OF]
    };
    home.import(&texan(999));
    home.import(&texan(1));
    home.import(&texan(1_000));
    home.refused(&texan(499), &["would shrink from 1000 numbers to 499"]);
}

/// Each is somebody who is not protected.
#[test]
fn every_line_that_was_rejected_stands_in_a_file_for_its_owner_alone() {
    let home = Home::new();
    let lines: String = (0..1_500).map(|n| format!("202,555{n:04}\n202,155{n:04},x\n")).collect();
    let file = home.write("bad.txt", &lines);
    let asked = ["us.dnc.national", file, "--as-of", AS_OF, "--most-rejected", "1500", "--rejected", "rejected.csv"];
    let told = home.import(&asked);
    assert_eq!((&told["numbers"], &told["rejected"]), (&1_500.into(), &1_500.into()));
    assert_eq!(told["rejected_lines"].as_array().unwrap().len(), 1_000);
    let path = home.path("rejected.csv");
    let written = fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = written.lines().collect();
    assert_eq!((rows.len(), rows[0]), (1_501, "file,line,why,text"));
    assert!(rows[1].starts_with("bad.txt,2,") && rows[1].ends_with("\"202,1550000,x\""), "{}", rows[1]);
    assert!(rows[1_500].starts_with("bad.txt,3000,") && rows[1_500].contains("202,1551499,x"), "{}", rows[1_500]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Somebody may have begun to mend them.
    home.refused(&asked, &["rejected.csv: is there already: name another file, or replace it with --force"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), written);
    home.write("bad.txt", "202,5550143\n202,155\n");
    let forced = [&asked[..], &["--force", "--fewer"]].concat();
    home.import(&forced);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    // One that fails before it reads a line leaves them; one that rejects none leaves none that would be taken for its own.
    home.refused(
        &["us.dnc.tx", "missing.txt", "--as-of", AS_OF, "--rejected", "rejected.csv", "--force"],
        &["missing"],
    );
    assert!(path.exists() && !home.path("rejected.csv.part").exists());
    home.import(&[
        "us.dnc.tx",
        home.write("good.txt", "202,5550143\n"),
        "--as-of",
        AS_OF,
        "--rejected",
        "rejected.csv",
        "--force",
    ]);
    assert!(!path.exists());
    // They stand there too where so many are too many, and by the columns of a table.
    let csv = home.write("bad.csv", "phone;name\n2025550143;Ann\n155;\"B;o\"\n");
    home.refused(
        &["us.dnc.tx", csv, "--as-of", AS_OF, "--column", "phone", "--rejected", "rejected.csv"],
        &["bad.csv:3"],
    );
    assert!(fs::read_to_string(&path).unwrap().lines().last().unwrap().ends_with(",155;B;o"));
    // Where nothing is rejected there is no file.
    home.import(&["us.dnc.tx", home.write("good.txt", "202,5550143\n"), "--as-of", AS_OF, "--rejected", "none.csv"]);
    assert!(!home.path("none.csv").exists());
}

/// What is read, and the list that is made of it.
#[test]
fn rejected_lines_are_written_over_no_file_of_the_import() {
    let home = Home::new();
    let full = "202,5550143\n202,155\n";
    for name in ["full.txt", "full.txt.part", "sent.txt"] {
        home.write(name, full);
    }
    let import = |files: &[&'static str], rejected: &'static str| {
        let asked = ["us.dnc.tx", "--as-of", AS_OF, "--most-rejected", "9", "--force", "--rejected", rejected];
        home.refused(&[&asked[..], files].concat(), &["written over it", "--rejected"]);
    };
    import(&["sent.txt", "full.txt"], "full.txt");
    import(&["full.txt.part"], "full.txt");
    for list in ["lists/us.dnc.tx.set", "./lists/us.dnc.tx.txt"] {
        import(&["full.txt"], list);
        assert!(!home.path(list).exists());
    }
    let answers =
        ["it.rpo", "none.txt", "--as-of", AS_OF, "--asked", "sent.txt", "--cleaned", "--rejected", "sent.txt"];
    home.refused(&[&answers[..], &["--force"]].concat(), &["sent.txt", "written over it"]);
    for name in ["full.txt", "full.txt.part", "sent.txt"] {
        assert_eq!(fs::read_to_string(home.path(name)).unwrap(), full);
    }
}

#[test]
fn own_lists_take_national_numbers_where_a_country_is_named() {
    let home = Home::new();
    let file = home.write("crm.csv", "phone,since\n(202) 555-0143,11/20/2026\n+442079460000,\n3055550100,2026-01-02\n");
    let asked = ["tenant.litigators", file, "--as-of", AS_OF, "--column", "phone", "--date-column", "since"];
    home.refused(&asked, &["crm.csv:2", "--default-region"]);
    let told = home.import(&[&asked[..], &["--default-region", "us"]].concat());
    assert_eq!((&told["numbers"], &told["with_date"], &told["rejected"]), (&3.into(), &2.into(), &0.into()));
    home.refused(&[&asked[..], &["--default-region", "XX"]].concat(), &["`XX` is no country"]);
    let plain = home.write("plain.txt", "202,5550143\n");
    home.refused(
        &["us.dnc.national", plain, "--as-of", AS_OF, "--default-region", "US"],
        &["leave --default-region out"],
    );
}
