//! `audit list`, `audit export` and `audit verify`, by the data folder and by a server.

use std::fs;

use serde_json::Value;

use super::server::{Server, serve_with};
use super::{ALLOWED, Home, with};

/// A server with one reservation, one dry run and one denied dry run in its log: it answers at once what the program takes
/// a second to open its packs for.
fn with_decisions() -> (Home, Server) {
    let home = Home::new();
    let server = serve_with(&home, &[]);
    let check = |question: &[&str]| home.run(&with(question, &["--server", &server.url]));
    check(&with(&ALLOWED, &["--reserve", "--campaign", "spring"])).quietly(0);
    check(&with(&ALLOWED, &["--campaign", "autumn"])).quietly(0);
    check(&["check", "+12025550143", "--channel=text", "--purpose=marketing", "--seller", "other"]).code(1);
    (home, server)
}

#[test]
fn decisions_are_listed_by_what_they_were_about() {
    let (home, server) = with_decisions();
    let listed = |filters: &[&str]| {
        let ran = home.run(&with(&["audit", "list", "--json", "--server", &server.url], filters));
        assert_eq!(ran.err, "");
        let records = ran.json().as_array().unwrap().clone();
        assert_eq!(ran.code, Some(i32::from(records.is_empty())));
        records
    };
    let of = |filters: &[&str]| {
        let found = listed(&with(&["--dry-runs"], filters));
        let campaigns = found.iter().map(|one| one["request"]["campaign"].as_str().unwrap_or("-").to_owned());
        campaigns.collect::<Vec<_>>()
    };
    assert_eq!(of(&[]), ["-", "autumn", "spring"]);
    assert_eq!(of(&["--oldest-first", "--limit=2"]), ["spring", "autumn"]);
    assert_eq!(of(&["--number=+4930231250", "--campaign=autumn", "--jurisdiction=DE"]), ["autumn"]);
    assert_eq!(of(&["--seller=other", "--verdict=deny", "--family=consent", "--channel=text"]), ["-"]);
    assert_eq!(of(&["--kind=reservation", "--purpose=informational", "--from=2020-01-01T00:00:00Z"]), ["spring"]);
    assert_eq!(of(&["--until=2020-01-01T00:00:00Z"]), [""; 0]);
    assert_eq!(listed(&[]).len(), 1, "dry runs only where they are asked for");
    home.run(&["audit", "list", "--server", &server.url, "--number=911"]).refused(&["the number"]);
    home.run(&["audit", "list", "--family=nonsense"]).refused(&["QUIET_HOURS"]);
    // The same by the folder.
    drop(server);
    let kept = home.run(&["audit", "list", "--json", "--dry-runs", "--limit=2"]).quietly(0).json();
    assert_eq!((&kept[0]["request"]["seller"], &kept[1]["request"]["campaign"]), (&"other".into(), &"autumn".into()));
}

#[test]
fn a_list_shows_no_whole_number() {
    let (home, server) = with_decisions();
    let list = |more: &[&str]| home.run(&with(&["audit", "list", "--dry-runs", "--server", &server.url], more));
    let table = list(&[]).quietly(0);
    assert!(table.out.contains("+1202555••43") && table.out.contains("ALLOW") && table.out.contains("DENY"));
    for out in [table.out, list(&["--json"]).quietly(0).out] {
        assert!(!out.contains("2025550143") && !out.contains("30231250"), "{out}");
    }
    list(&["--seller=nobody"]).quietly(1).says(&["No decision fits"]);
}

#[test]
fn an_export_is_whole_or_not_there() {
    let (home, server) = with_decisions();
    let at = ["--server", server.url.as_str()];
    let export = |more: &[&str]| home.run(&with(&with(&["audit", "export", "--dry-runs"], &at), more));
    export(&["--format=ndjson", "--output=a.ndjson"]).quietly(0).says(&["3 decisions written to a.ndjson"]);
    let lines: Vec<Value> = home.read("a.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["campaign"], &lines[2]["seller"]), (&"spring".into(), &"other".into()));
    assert_eq!(lines[2]["number"], "+1202555••43");
    export(&["--format=parquet", "--output=a.parquet", "--json"]).quietly(0);
    let bytes = fs::read(home.path("a.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert!(!bytes.windows(8).any(|part| part == b"30231250"));
    export(&["--format=parquet", "--output=a.parquet"]).refused(&["a.parquet", "--force"]);
    export(&["--format=parquet", "--output=a.parquet", "--force", "--seller=nobody"]).quietly(0).says(&["0 decisions"]);
    export(&["--format=ndjson", "--output=gone/a"]).refused(&["gone/"]);
    export(&["--format=ndjson", "--output=."]).refused(&["."]);
    let hidden: Vec<_> = home.names().into_iter().filter(|name| name.ends_with(".part")).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

/// The whole way, by the program alone: entries enough to close a segment, which goes to the archive and leaves the disk,
/// and is found, listed and verified from there.
#[test]
fn a_server_archives_what_it_closes_and_reads_it_back() {
    let home = Home::new();
    home.write("ringfence.toml", "audit_archive = \"kept\"\naudit_keep_days = 0\naudit_segment_mib = 1\n");
    let server = serve_with(&home, &[]);
    let at = ["--server", server.url.as_str()];
    home.run(&with(&with(&ALLOWED, &["--reserve", "--campaign", "spring"]), &at)).quietly(0);
    let wording = "no ".repeat(5_000);
    for n in 0..75 {
        let number = format!("+493023126{n:02}");
        let opt_out = ["contact", "opt-out", &number, "--everything", "--wording", &wording];
        home.run(&with(&opt_out, &at)).quietly(0);
    }
    let away = home.path("ringfence-data/audit/0000000001.away");
    let packed = home.path("ringfence-data/audit/0000000001.log.zst");
    while !away.exists() || packed.exists() {
        std::thread::yield_now();
    }
    for filter in [["--campaign", "spring"], ["--number", "+4930231250"], ["--verdict", "allow"]] {
        let found = home.run(&with(&with(&["audit", "list", "--json"], &filter), &at)).quietly(0).json();
        assert_eq!(found[0]["request"]["campaign"], "spring", "{found}");
    }
    drop(server);
    let unread = home.run(&["audit", "verify"]).quietly(0);
    unread.says(&["SOUND", "76 entries", "NOT read", "--archive"]);
    let verify = ["audit", "verify", "--archive", "kept"];
    home.run(&verify).quietly(0).says(&["SOUND", "76 entries", "read in the archive"]);
    let ran = home.run(&with(&verify, &["--json"])).quietly(0).json();
    assert_eq!((&ran["archived"], &ran["unread"]), (&1.into(), &0.into()));
    home.run(&["audit", "verify", "--archive", "gs://nowhere"]).refused(&["--archive", "s3://bucket/prefix"]);
    home.run(&["audit", "list", "--campaign=spring"]).refused(&["audit_archive"]);
    home.run(&["audit", "list", "--campaign=spring", "--archive=kept"]).quietly(0).says(&["+493023••50"]);
    let writer = fs::read_dir(home.path("kept")).unwrap().next().unwrap().unwrap().path();
    let object = fs::read_dir(writer).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&object).unwrap();
    bytes[500_000] ^= 1;
    fs::write(&object, bytes).unwrap();
    home.run(&verify).quietly(1).says(&["NOT SOUND", "0000000001.away"]);
}
