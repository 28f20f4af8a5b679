//! What an import refuses unless it is told otherwise, and what it tells of the lines that it left out.

use std::fs;

use super::AS_OF;
use super::import::{Home, said};

/// A list of changes that was skipped would leave people out for ever, and the list would look fresh.
#[test]
fn changes_begin_where_the_copy_in_force_ends() {
    let home = Home::new();
    let full = home.write("full.txt", "202,5550143\n");
    home.import(&["us.dnc.national", full, "--as-of", "2026-10-20T04:00:00Z"]);
    let lists =
        |day: &str| home.write("changes.txt", format!("202,5550199,2026-10-{day},A\n202,5550144,2026-10-25,A\n"));
    let asked = ["us.dnc.national", "changes.txt", "--changes", "--as-of", "2026-10-26T04:00:00Z"];
    // By day: whatever hour it was made at, it is after the copy.
    lists("21");
    home.refused(&asked, &["as of 2026-10-20T04:00:00Z", "first of the changes is of 2026-10-21", "--since"]);
    lists("21T03:59:00Z");
    home.import(&asked);
    // With an hour: a day may pass in which nobody comes or goes.
    home.import(&["us.dnc.national", full, "--as-of", "2026-10-27T04:00:00Z"]);
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
        home.import(&["us.dnc.national", full, "--as-of", "2026-10-30T04:00:00Z"]);
    }
    assert_eq!(home.numbers("us.dnc.national"), [12_025_550_143]);
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
    home.refused(&asked, &["rejected.csv", "is there already"]);
    // They stand there too where so many are too many, and by the columns of a table.
    fs::remove_file(&path).unwrap();
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
