//! `contact import`: rows whole or refused, nothing twice, through kills of either end.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::server::{Server, serve_at, serve_with};
use super::{Home, segments, with};

const LOCAL: [&str; 2] = ["contact", "import"];

fn with_folder() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    home
}

/// Numbers that differ: no two rows are about one contact.
fn number(row: usize) -> String {
    format!("+1305555{row:04}")
}

fn stops(rows: usize) -> String {
    let mut text = "kind,number,everything\n".to_owned();
    (0..rows).for_each(|row| text.push_str(&format!("opt_out,{},true\n", number(row))));
    text
}

fn counts(summary: &Value) -> [u64; 4] {
    ["rows", "accepted", "repeated", "rejected"].map(|count| summary[count].as_u64().unwrap())
}

fn opt_outs(home: &Home, number: &str, at: &[&str]) -> usize {
    let shown = home.run(&with(&["contact", "show", number, "--json"], at)).quietly(0).json();
    shown["optOuts"].as_array().map_or(0, Vec::len)
}

const MIXED: &str = "kind,number,seller,grade,given_at,channels,everything,source,method\n\
    consent,+12025550143,acme,express_written,2026-01-02T03:04:05Z,call;text,,,web_form\n\
    opt_out,+4930231250,acme,,,,,text_reply,\n\
    opt_out,abc,acme,,,,,,\n\
    opt_out,+4930231250,,,,,,,\n\
    consent,+12025550143,acme,mighty,2026-01-02T03:04:05Z,,,,\n\
    consent,+12025550143,acme,express,01/02/2026,,,,\n\
    consent,+12025550143,acme,express,2999-01-02T03:04:05Z,,,,\n\
    consent,+12025550143,acme,express,2026-01-02T03:04:05Z,,true,,\n\
    stop,+12025550143,acme,,,,,,\n\
    consent,+12025550143,acme,express,2026-01-02T03:04:05Z,,,,pre_ticked_box\n\
    opt_out,+4930231250,acme,,,,,,,too,long\n";

#[test]
fn a_day_alone_is_read_as_strictly_as_it_can_be() {
    let home = with_folder();
    home.write(
        "days.csv",
        "kind,number,seller,grade,given_at,at,everything,source,method\n\
         consent,+12025550143,acme,express_written,2026-01-02,,,,web_form\n\
         opt_out,+12025550143,other,,,2026-01-02,,phone,\n\
         opt_out,+12025550143,third,,,2999-01-02,,phone,\n",
    );
    let summary = home.run(&with(&LOCAL, &["days.csv", "--json"])).code(1).json();
    assert_eq!(counts(&summary), [3, 2, 0, 1], "{summary}");
    let shown = home.run(&["contact", "show", "+12025550143", "--json"]).quietly(0).json();
    assert_eq!(shown["consents"][0]["consent"]["givenAt"], "2026-01-01T10:00:00Z", "{shown}");
    assert_eq!(shown["optOuts"][0]["optOut"]["at"], "2026-01-03T11:59:59Z", "{shown}");
}

#[test]
fn rows_are_recorded_or_refused_with_line_and_reason() {
    let home = with_folder();
    home.write("mixed.csv", MIXED);
    let import = with(&LOCAL, &["mixed.csv", "--json", "--rejected=bad.csv"]);
    let summary = home.run(&import).code(1).json();
    assert_eq!(counts(&summary), [11, 2, 0, 9], "{summary}");
    let refused: Vec<_> = summary["rejections"].as_array().unwrap().iter().collect();
    let told: Vec<_> =
        refused.iter().map(|why| (why["line"].as_u64().unwrap(), why["field"].as_str().unwrap())).collect();
    let expected = [
        (4, "number"),
        (5, "scope"),
        (6, "grade"),
        (7, "given_at"),
        (8, "consent.given_at"),
        (9, "everything"),
        (10, "kind"),
        (11, "method"),
        (12, ""),
    ];
    assert_eq!(told.len(), expected.len());
    for ((line, field), (wanted_line, wanted)) in told.iter().zip(expected) {
        assert_eq!(*line, wanted_line);
        assert!(field.ends_with(wanted), "{line}: {field} is not {wanted}");
    }
    assert!(refused.iter().all(|why| !why["message"].as_str().unwrap().is_empty()));
    let bad = home.read("bad.csv");
    assert_eq!(bad.lines().count(), 10);
    assert!(bad.lines().next().unwrap().ends_with("method,ringfence_line,ringfence_field,ringfence_reason"));
    assert!(bad.lines().nth(1).unwrap().starts_with("opt_out,abc,acme,,,,,,,4,number,"));
    let shown = home.run(&["contact", "show", "+12025550143", "--json"]).quietly(0).json();
    assert_eq!(shown["consents"][0]["consent"]["grade"], "CONSENT_GRADE_EXPRESS_WRITTEN");
    assert_eq!(shown["consents"].as_array().unwrap().len(), 1);
    // Again: nothing twice, and the file of refused rows is not overwritten unasked.
    home.run(&import).refused(&["bad.csv", "--force"]);
    assert_eq!(counts(&home.run(&with(&LOCAL, &["mixed.csv", "--json"])).code(1).json()), [11, 0, 2, 9]);
    let text = home.run(&with(&LOCAL, &["mixed.csv"])).code(1).says(&["2 recorded before, 9 refused"]);
    assert!(text.err.contains("line 4: number") && !text.err.contains("5550143"), "{}", text.err);
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND"]);
}

#[test]
fn json_lines_say_everything_that_the_contract_does() {
    let home = with_folder();
    let lines = [
        r#"{"optOut":{"number":"+12025550143","scope":{"sellers":["acme"],"purposes":["PURPOSE_MARKETING"]}}}"#,
        "",
        r#"{"consent":{"number":"030 231250","consent":{"grade":"CONSENT_GRADE_EXPRESS","givenAt":"2026-01-02T03:04:05Z"}}}"#,
        r#"{"facts":{"number":"+12025550143","facts":{"residence":"US-NY"},"updateMask":"residence"}}"#,
        r#"{"facts":{"number":"+12025550143","facts":{"residance":"US-NY"},"updateMask":"residence"}}"#,
        "{\"optOut\":",
        r#"{"row":"7","optOut":{"number":"+12025550143","scope":{"everything":true}}}"#,
        r#"{"number":"+12025550143"}"#,
        "{}",
    ];
    home.write("crm.jsonl", lines.join("\n"));
    let import = with(&LOCAL, &["crm.jsonl", "--default-region=DE", "--rejected=bad.jsonl", "--json"]);
    let summary = home.run(&import).code(1).json();
    assert_eq!(counts(&summary), [8, 3, 0, 5], "{summary}");
    let lines: Vec<_> =
        summary["rejections"].as_array().unwrap().iter().map(|why| why["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9]);
    let bad = home.read("bad.jsonl");
    let first: Value = serde_json::from_str(bad.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["row"]["facts"]["number"]), (&5.into(), &"+12025550143".into()));
    assert_eq!(opt_outs(&home, "+12025550143", &[]), 1);
    // What one row says is not filled up: a seller for all would have to reach consents that name none.
    home.run(&with(&LOCAL, &["crm.jsonl", "--seller=acme"])).refused(&["crm.jsonl", "--default-region"]);
}

#[test]
fn a_plain_list_of_stops_needs_no_more_than_options() {
    let home = with_folder();
    home.write("stops.csv", "Phone;Name\nunknown;Ann\n030 231250;Bo\n+4930231250;Cy\n");
    let more = ["stops.csv", "--kind=opt-out", "--everything", "--default-region=DE", "--json"];
    home.run(&with(&LOCAL, &more)).refused(&["stops.csv", "Name", "--ignore-column"]);
    let import = with(&with(&LOCAL, &more), &["--ignore-column=name"]);
    let summary = home.run(&import).code(1).json();
    assert_eq!(counts(&summary), [3, 2, 0, 1], "{summary}");
    assert_eq!(opt_outs(&home, "+4930231250", &[]), 2);
    // With other options these are other rows.
    let other = with(&import, &["--purpose=survey"]);
    assert_eq!(counts(&home.run(&other).code(1).json()), [3, 2, 0, 1]);
}

#[test]
fn what_cannot_be_imported_is_refused_before_anything_is_recorded() {
    let home = with_folder();
    let refused = |file: &str, more: &[&str], words: &[&str]| {
        drop(home.run(&with(&with(&LOCAL, &[file]), more)).refused(words));
    };
    refused("gone.csv", &[], &["gone.csv"]);
    home.write("unknown", "number\n");
    refused("unknown", &[], &["unknown", "--format"]);
    home.write("empty.csv", "");
    refused("empty.csv", &[], &["empty.csv", "empty"]);
    home.write("none.csv", "kind,seller\nopt_out,acme\n");
    refused("none.csv", &[], &["none.csv", "--number-column"]);
    home.write("twice.csv", "number,phone\n1,2\n");
    refused("twice.csv", &[], &["twice.csv", "phone"]);
    home.write("bare.csv", "+12025550143\n+12025550143\n");
    refused("bare.csv", &["--kind=opt-out", "--everything"], &["bare.csv", "+•••", "--ignore-column"]);
    home.write("in.csv", "number\n+12025550143\n");
    refused("in.csv", &["--ignore-column=x"], &["no column `x`"]);
    refused("in.csv", &["--import-id", &"x".repeat(101)], &["--import-id", "100"]);
    home.write("quote.csv", format!("number,wording\n+12025550143,\"{}", "x".repeat(3 << 20)));
    refused("quote.csv", &["--kind=opt-out"], &["quote.csv:2", "quote"]);
    fs::remove_dir_all(home.path("ringfence-data")).unwrap();
    refused("in.csv", &[], &["ringfence-data", "--data"]);
}

/// A quote that is never closed makes one row of several: none of them is lost in silence.
#[test]
fn an_open_quote_swallows_no_opt_out_in_silence() {
    let home = with_folder();
    for (at, text) in [
        // The rest of the file; up to the next quote, and as many fields as others; in a column that is ignored.
        "kind,number,wording\nopt_out,+12025550143,\"STOP\nopt_out,+12025550144,STOP\n",
        "kind,number,wording\nopt_out,+12025550143,\"STOP\nopt_out,+12025550144,STOP\nopt_out,+12025550145,\"STOP\"\n",
        "wording,number\n\"STOP,+12025550143\n\"STOP\",+12025550144\n",
        "number,note,wording\n+12025550143,\"Bob,STOP\n+12025550144,Al\",STOP\n",
        "number,note\n+12025550143,\"Bob\n(202) 555-0144,Al\"\n",
        "kind,number,wording\nopt_out,+12025550143,\"STOP\ropt_out,FLOWERS,STOP\ropt_out,WREATHS,\"\n",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("open-{at}.csv");
        home.write(&name, text);
        let import = [
            "contact",
            "import",
            name.as_str(),
            "--kind=opt-out",
            "--everything",
            "--json",
            "--rejected=bad.csv",
            "--force",
        ];
        let ignored: &[&str] = if text.contains("note") { &["--ignore-column=note"] } else { &[] };
        let summary = home.run(&with(&import, ignored)).code(1).json();
        assert_eq!(counts(&summary), [1, 0, 0, 1], "{text}: {summary}");
        let why = &summary["rejections"][0];
        assert!(why["line"] == 2 && why["message"].as_str().unwrap().contains("quote"), "{why}");
        // All of what it swallowed is in the file of refused rows, and is refused again as long as nobody mends it.
        assert!(home.read("bad.csv").contains("STOP") || text.contains("note"), "{}", home.read("bad.csv"));
        let again = ["contact", "import", "bad.csv", "--kind=opt-out", "--everything", "--json"];
        assert_eq!(counts(&home.run(&with(&again, ignored)).code(1).json()), [1, 0, 0, 1], "{text}");
    }
    home.write("title.csv", "number,\"wording\n+12025550143,STOP\n+12025550144,\"\"\n");
    home.run(&with(&LOCAL, &["title.csv", "--kind=opt-out"])).refused(&["title.csv:1", "quote"]);
    // A row that lacks fields may lack what tightens it.
    home.write("short.csv", "number,grade,given_at,withdrawn_at\n+12025550143,express,2026-01-02T03:04:05Z\n");
    let summary =
        home.run(&with(&LOCAL, &["short.csv", "--kind=consent", "--json", "--rejected=short-bad.csv"])).code(1).json();
    assert_eq!(counts(&summary), [1, 0, 0, 1], "{summary}");
    home.run(&with(&LOCAL, &["short-bad.csv", "--kind=consent"])).code(1).says(&["1 refused"]);
    // A wording may have lines.
    let wording = "I agree, until I say otherwise,\nto be called by acme.\n\nSee \"\"terms\"\", section 7 (2026).";
    home.write(
        "lines.csv",
        format!("number,grade,given_at,wording\n+12025550143,express,2026-01-02T03:04:05Z,\"{wording}\"\n"),
    );
    assert_eq!(
        counts(&home.run(&with(&LOCAL, &["lines.csv", "--kind=consent", "--json"])).code(0).json()),
        [1, 1, 0, 0]
    );
}

/// What was refused is mended in the file that it was written to, and that file is imported.
#[test]
fn a_file_of_refused_rows_is_imported_once_it_is_mended() {
    let home = with_folder();
    let import = |file: &str, rejected: &str, code: i32| {
        let rejected = format!("--rejected={rejected}");
        counts(&home.run(&with(&LOCAL, &[file, "--json", &rejected])).code(code).json())
    };
    home.write("mixed.csv", MIXED);
    assert_eq!(import("mixed.csv", "bad.csv", 1), [11, 2, 0, 9]);
    // As it is, it is refused again, and written as it was but for its lines.
    assert_eq!(import("bad.csv", "bad2.csv", 1), [9, 0, 0, 9]);
    let (bad, bad2) = (home.read("bad.csv"), home.read("bad2.csv"));
    assert_eq!(bad.lines().next(), bad2.lines().next());
    assert!(bad2.lines().nth(1).unwrap().starts_with("opt_out,abc,acme,,,,,,,2,number,"), "{bad2}");
    assert!(bad2.lines().last().unwrap().ends_with(",too,long"), "{bad2}");
    let mended = bad2.replace(",abc,", ",+12025550143,").replace(",mighty,", ",express,").replace(",too,long", "");
    home.write("mended.csv", mended);
    assert_eq!(import("mended.csv", "bad3.csv", 1), [9, 3, 0, 6]);
    assert_eq!((opt_outs(&home, "+12025550143", &[]), opt_outs(&home, "+4930231250", &[])), (1, 2));

    let lines = [
        r#"{"optOut":{"number":"+12025550150","scope":{}}}"#,
        r#"{"optOut":{"number":"+12025550151","scope":{"everything":true},"#,
        r#"{"optOut":{"number":"+12025550152","scope":{"everything":false,"everything":true}}}"#,
        r#"{"row":"7","optOut":{"number":"+12025550153","scope":{"everything":true}}}"#,
        r#"{"row":{"optOut":{"number":"+12025550154","scope":{"everything":true}}},"tenant":"beta"}"#,
    ];
    home.write("crm.jsonl", lines.join("\n"));
    assert_eq!(import("crm.jsonl", "bad.jsonl", 1), [5, 0, 0, 5]);
    assert_eq!(import("bad.jsonl", "bad2.jsonl", 1), [5, 0, 0, 5], "nobody mended it");
    let bad2 = home.read("bad2.jsonl");
    let row = |at: usize| serde_json::from_str::<Value>(bad2.lines().nth(at).unwrap()).unwrap()["row"].clone();
    assert_eq!(row(0)["optOut"]["number"], "+12025550150", "wrapped once, however often it is refused");
    assert_eq!(
        (row(1), row(2)),
        (lines[1].into(), lines[2].into()),
        "what reads as none, or otherwise, stays as it stood"
    );
    let mended = bad2
        .replacen(r#""scope":{}"#, r#""scope":{"everything":true}"#, 1)
        .replacen(r#"{\"everything\":true},""#, r#"{\"everything\":true}}}""#, 1)
        .replacen(r#"{\"everything\":false,\"everything\":true}"#, r#"{\"everything\":true}"#, 1)
        .replacen(r#""row":"7","#, "", 1)
        .replacen(r#","row":"7""#, "", 1);
    home.write("mended.jsonl", mended);
    assert_eq!(import("mended.jsonl", "bad3.jsonl", 1), [5, 4, 0, 1]);
    for number in ["+12025550150", "+12025550151", "+12025550152", "+12025550153"] {
        assert_eq!(opt_outs(&home, number, &[]), 1, "{number}");
    }
}

/// Whatever ended an import, the very same command goes on.
#[test]
fn an_import_that_was_cut_writes_its_refused_rows_anew() {
    let home = with_folder();
    home.write("mixed.csv", MIXED);
    let import = ["mixed.csv", "--json", "--rejected=bad.csv"];
    let there = |name: &str| home.path(name).exists();
    // One that failed leaves nothing, and one that was killed what it had begun.
    home.run(&with(&["contact", "import", "--server=http://127.0.0.1:1"], &import)).code(2);
    assert!(!there("bad.csv") && !there("bad.csv.part"));
    home.write("bad.csv.part", "what was written by then, and is longer than nothing");
    assert_eq!(counts(&home.run(&with(&LOCAL, &import)).code(1).json()), [11, 2, 0, 9]);
    assert!(home.read("bad.csv").starts_with("kind,") && !there("bad.csv.part"), "{}", home.read("bad.csv"));
    // What is read is not written over, nor beside it.
    home.write("again.csv.part", stops(3));
    for rejected in ["again.csv", "again.csv.part"] {
        let rejected = format!("--rejected={rejected}");
        home.run(&with(&LOCAL, &["again.csv.part", "--format=csv", &rejected, "--force"]))
            .refused(&["again.csv.part", "--rejected"]);
    }
    assert_eq!(home.read("again.csv.part"), stops(3));
    // Somebody may have begun to mend it.
    home.run(&with(&LOCAL, &import)).refused(&["bad.csv", "is there already", "--force"]);
    let again = home.run(&with(&LOCAL, &with(&import, &["--force"]))).code(1).json();
    assert_eq!(counts(&again), [11, 0, 2, 9]);
    // One that refuses nothing keeps nobody from running it every night.
    home.write("stops.csv", stops(3));
    for counted in [[3, 3, 0, 0], [3, 0, 3, 0]] {
        assert_eq!(
            counts(&home.run(&with(&LOCAL, &["stops.csv", "--json", "--rejected=none.csv"])).code(0).json()),
            counted
        );
    }
}

/// A rename would put a file in the place of `/dev/null`.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_written_to_or_refused_and_never_replaced() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::FileTypeExt as _;
    let home = with_folder();
    home.write("mixed.csv", MIXED);
    mknodat(CWD, home.path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let reads = std::thread::spawn({
        let pipe = home.path("pipe");
        move || std::fs::read_to_string(pipe).unwrap()
    });
    home.run(&with(&LOCAL, &["mixed.csv", "--json", "--rejected=pipe"])).code(1);
    assert_eq!(reads.join().unwrap().lines().count(), 10, "a title and nine rows");
    for command in [
        &["access", "new", "crm", "--tenant=acme", "--access=pipe", "--role=check"][..],
        &["audit", "export", "--format=ndjson", "--output=pipe", "--force"],
    ] {
        home.run(command).refused(&["pipe: a folder or device"]);
    }
    assert!(std::fs::symlink_metadata(home.path("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let home = with_folder();
    let text = stops(20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    home.write("stops.csv.gz", gzip.finish().unwrap());
    home.write("stops.csv.zst", zstd::bulk::compress(text.as_bytes(), 1).unwrap());
    for file in ["stops.csv.gz", "stops.csv.zst"] {
        assert_eq!(counts(&home.run(&with(&LOCAL, &[file, "--json"])).code(0).json()), [20, 20, 0, 0]);
    }
    home.write("stops.csv.gz", &fs::read(home.path("stops.csv.gz")).unwrap()[..60]);
    home.run(&with(&LOCAL, &["stops.csv.gz"])).refused(&["stops.csv.gz"]);
}

/// Kills it at once, whatever it is doing.
fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_import_that_is_killed_goes_on_and_records_nothing_twice() {
    let home = with_folder();
    home.run(&["contact", "opt-out", "+4930231250", "--everything"]).quietly(0);
    const ROWS: usize = 5_000;
    home.write("stops.csv", stops(ROWS));
    let log =
        || segments(&home.path("ringfence-data")).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    let before = log();
    let mut import = home.command();
    let mut child =
        import.args(with(&LOCAL, &["stops.csv"])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while log() < before + 200_000 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    kill(&mut child);
    let summary = home.run(&with(&LOCAL, &["stops.csv", "--json"])).code(0).json();
    let [rows, accepted, repeated, rejected] = counts(&summary);
    assert_eq!((rows, accepted + repeated, rejected), (ROWS as u64, ROWS as u64, 0));
    assert!(repeated > 0 && accepted > 0, "it was killed in the middle: {summary}");
    for row in [0, 1, 100, 1_000, ROWS - 1] {
        assert_eq!(opt_outs(&home, &number(row), &[]), 1, "row {row}");
    }
    assert_eq!(counts(&home.run(&with(&LOCAL, &["stops.csv", "--json"])).code(0).json()), [rows, 0, rows, 0]);
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND", "compared"]);
}

#[test]
fn a_server_takes_an_import_and_is_waited_for_when_it_was_killed() {
    let home = Home::new();
    let server = serve_with(&home, &[]);
    let import = |server: &Server, file: &str| home.run(&with(&LOCAL, &[file, "--json", "--server", &server.url]));
    home.write("mixed.csv", MIXED);
    let summary = import(&server, "mixed.csv").code(1).json();
    assert_eq!(counts(&summary), [11, 2, 0, 9], "{summary}");
    assert_eq!(summary["receipts"].as_array().unwrap().len(), 1);

    const ROWS: usize = 5_000;
    home.write("stops.csv", stops(ROWS));
    let arguments = with(&LOCAL, &["stops.csv", "--server", &server.url]);
    let mut child = home.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log =
        || segments(&home.path("ringfence-data")).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    let before = log();
    while log() < before + 200_000 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let address = server.url.trim_start_matches("http://").to_owned();
    drop(server);
    let server = serve_at(&home, &address, &[]);
    assert_eq!(child.wait().unwrap().code(), Some(0), "it goes on by itself once the server is back");
    let summary = import(&server, "stops.csv").code(0).json();
    let [rows, accepted, repeated, rejected] = counts(&summary);
    assert_eq!((rows, accepted + repeated, rejected), (ROWS as u64, ROWS as u64, 0));
    for row in [0, 100, 1_999, 2_000, ROWS - 1] {
        assert_eq!(opt_outs(&home, &number(row), &["--server", &server.url]), 1, "row {row}");
    }
}
