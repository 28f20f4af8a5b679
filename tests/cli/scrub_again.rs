//! `scrub` begun again as other work, pages that are published with their output or not at all, servers that are busy, and
//! memory that does not grow.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::answering::tenants;
use super::scrub::QUESTION;
use super::scrub_files::{killed, leads};
use super::server::serve_with;
use super::{ALLOWED, Home, with};

/// A run that was killed, to be put back as it was left.
struct Left(Vec<(String, Vec<u8>)>);

impl Left {
    fn by(home: &Home, arguments: &[&str], variables: &[(&str, &str)], output: &str) -> Self {
        killed(home, arguments, variables, &format!(".{output}.resume"));
        let names = [format!(".{output}.resume"), format!(".{output}.part")];
        Self(names.map(|name| (name.clone(), fs::read(home.path(&name)).unwrap())).to_vec())
    }

    fn put_back(&self, home: &Home) {
        for (name, bytes) in &self.0 {
            home.write(name, bytes);
        }
    }
}

const ROWS: usize = 80_000;

#[test]
fn a_scrub_is_gone_on_with_for_the_same_tenant_keys_and_settings_alone() {
    let home = Home::new();
    tenants(&home);
    // Nobody is admitted here: rules alone.
    home.write("ringfence.toml", "");
    home.write("leads.csv", leads(ROWS));
    let scrub = with(&["scrub", "leads.csv", "--output=out.csv", "--force"], &QUESTION);
    let of = |more: &[&'static str]| with(&scrub, more);
    let left = Left::by(&home, &of(&["--tenant=acme"]), &[], "out.csv");
    let goes_on = |more: &[&'static str], variables: &[(&str, &str)]| {
        left.put_back(&home);
        home.run_with(&of(more), b"", variables).code(0).json()["resumed"].as_bool().unwrap()
    };
    let declared = "[[emergency]]\nid = \"eo-60\"\njurisdiction = \"US-NY\"\ntitle = \"Snow\"\nsource = \"Order 60\"\nfrom = 2026-11-18\n";
    home.write("declared.toml", declared);
    assert!(!goes_on(&["--tenant=beta"], &[]), "another tenant");
    assert!(!goes_on(&["--tenant=acme"], &[("RINGFENCE_VERIFIED_ONLY", "true")]), "another setting");
    assert!(!goes_on(&["--tenant=acme", "--emergencies=declared.toml"], &[]), "a state of emergency");
    assert!(goes_on(&["--tenant=acme"], &[]), "the same");
}

#[test]
fn a_scrub_by_a_server_is_gone_on_with_by_the_same_key_alone() {
    let home = Home::new();
    let server = serve_with(&home, &[]);
    home.write("in.csv", leads(ROWS));
    let scrub =
        with(&["scrub", "in.csv", "--output=out.csv", "--force", "--json", "--server", &server.url], &ALLOWED[2..]);
    let one = [("RINGFENCE_API_KEY", "one")];
    let left = Left::by(&home, &scrub, &one, "out.csv");
    let resumed = |variables: &[(&str, &str)]| home.run_with(&scrub, b"", variables).code(0).json()["resumed"].clone();
    assert_eq!(resumed(&[("RINGFENCE_API_KEY", "two")]), false);
    left.put_back(&home);
    assert_eq!(resumed(&one), true);
}

#[test]
fn a_page_is_there_with_its_output_or_not_at_all() {
    let home = Home::new();
    home.write("in.csv", leads(50));
    fs::create_dir(home.path("folder")).unwrap();
    let scrub = with(&["scrub", "in.csv", "--output=out.csv"], &QUESTION);
    let before = home.names();
    for (page, words) in [
        ("--report=gone/page.html", ["gone", "file"]),
        ("--report=folder", ["folder", "--report"]),
        ("--report=out.csv", ["out.csv", "--report"]),
        ("--report=./out.csv", ["out.csv", "--report"]),
        ("--report=in.csv", ["in.csv", "--report"]),
    ] {
        home.run(&with(&scrub, &[page])).refused(&words);
        assert_eq!(home.names(), before, "{page}: nothing is left, and the run never began");
    }
    // The name of the output is taken while the rows are read: neither is there.
    let mut command = home.command();
    let arguments = with(&["scrub", "-", "--output=out.csv", "--report=page.html"], &QUESTION);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than is read to find the columns: what follows is waited for with all files begun.
    stdin.write_all(format!("phone\n{}", "+4930231250\n".repeat(8_000)).as_bytes()).unwrap();
    while !home.path(".page.html.part").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the page was begun");
        std::thread::yield_now();
    }
    home.write("out.csv", "precious");
    drop(stdin);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(home.read("out.csv"), "precious");
    assert_eq!(home.names(), ["folder", "in.csv", "out.csv"]);
    home.run(&with(&scrub, &["--report=page.html", "--force"])).code(0);
    assert_eq!(home.names(), ["folder", "in.csv", "out.csv", "page.html"]);
}

/// The most memory that a command had, in bytes; it must succeed.
#[cfg(target_os = "linux")]
fn memory(home: &Home, arguments: &[&str]) -> u64 {
    let mut child: Child = home.command().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.map_or(most, |line| line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::yield_now();
    };
    assert!(ended.success());
    most
}

/// A table of one row group: numbers, none of which is one, so that what is written of each row is long.
fn one_group(home: &Home, name: &str, rows: usize) {
    let schema = Arc::new(parse_message_type("message leads { REQUIRED BYTE_ARRAY phone (STRING); }").unwrap());
    let file = File::create(home.path(name)).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let phones = vec![ByteArray::from("abc"); rows];
    column.typed::<ByteArrayType>().write_batch(&phones, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_a_row_group_nor_with_wide_rows() {
    const ROOM: u64 = 24 << 20;
    let home = Home::new();
    one_group(&home, "small.parquet", 30_000);
    one_group(&home, "large.parquet", 150_000);
    let of = |input: &str, output: &str| {
        let output = format!("--output={output}");
        memory(&home, &with(&["scrub", input, &output, "--force", "--number-column=phone"], &QUESTION))
    };
    let [small, large] = ["small.parquet", "large.parquet"].map(|input| of(input, "out.parquet"));
    assert!(large < small + ROOM, "one row group: {small} bytes, five times the rows: {large}");
    let note = "x".repeat(48 << 10);
    for (name, rows) in [("small.csv", 1_000), ("large.csv", 4_000)] {
        let mut file = std::io::BufWriter::new(File::create(home.path(name)).unwrap());
        writeln!(file, "phone,note").unwrap();
        (0..rows).for_each(|_| writeln!(file, "abc,{note}").unwrap());
    }
    let [small, large] = ["small.csv", "large.csv"].map(|input| of(input, "out.csv"));
    assert!(large < small + 2 * ROOM, "wide rows: {small} bytes, four times as many: {large}");
}

#[test]
fn a_server_that_takes_so_many_rows_a_second_is_waited_for() {
    let home = Home::new();
    tenants(&home);
    let key = home.run(&["access", "new", "night", "--tenant=acme", "--role=check"]).code(0).out;
    home.write("ringfence.toml", "access = \"ringfence-access.toml\"\ntenant_rate = 1000\n");
    let server = serve_with(&home, &[]);
    home.write("in.csv", leads(2_500));
    let scrub = with(&["scrub", "in.csv", "--output=out.csv", "--json", "--server", &server.url], &ALLOWED[2..]);
    let summary = home.run_with(&scrub, b"", &[("RINGFENCE_API_KEY", key.trim())]).code(0).json();
    assert_eq!(summary["rows"], 2_500);
    for (id, line) in home.read("out.csv").lines().skip(1).enumerate() {
        assert!(line.starts_with(&format!("{id},")), "{line}");
        assert_eq!(line.contains(",DENY,NUMBER,"), id % 10 == 3, "{line}");
    }
}
