//! `ringfence scrub` on a file of millions, beside the list part of it alone done with DuckDB.
//!
//! Made up, the same on every run: a national list, and a file of E.164 numbers with a name and an address each: a tenth on
//! the list, three quarters in any state of the US and not on it, an eighth abroad, some that are none. The program itself
//! scrubs it, as CSV and as Parquet, as a dry run with a data folder, so that its one entry is in the log: every rule of the
//! place of each number, its time of day, its contact. DuckDB joins the same rows with the same numbers and writes them out
//! with one column more, in any order, and no rule. The start of the program is in its time, that of Python is in nobody's.
//! What the two say of the list is compared row by row.
//!
//! `RINGFENCE_BENCH_ROWS` (default 10000000) and `RINGFENCE_BENCH_NUMBERS` (default 25000000) say how many;
//! `RINGFENCE_PYTHON` names a Python with DuckDB. The files take some 4 GB where temporary files go (`TMPDIR`).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a benchmark"
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use parquet::data_type::Int64Type;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use ringfence::law::{BUILT_IN, Body, Law};
use ringfence::place::{Jurisdiction, Location, LocationPosture, Number, Plausible, resolve};
use ringfence::registry::import::{Import, Order};
use ringfence::registry::set::{Areas, Found, Set};
use ringfence::time::Instant;
use serde_json::Value;

mod numbers;

use numbers::{Random, Text, Thousand, thousands};

const LIST: &str = "us.dnc.national";
/// A Friday noon in New York, nine o'clock in Los Angeles, and too early in Hawaii.
const AT: &str = "2026-11-20T17:00:00Z";
const AS_OF: &str = "2026-11-20T00:00:00Z";
/// What ten million rows may take, in seconds.
const BAR: f64 = 60.0;

fn told(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: a whole number")))
}

/// A Python that has DuckDB.
struct Python(OsString);

impl Python {
    fn found() -> Self {
        let python = std::env::var_os("RINGFENCE_PYTHON").unwrap_or_else(|| "python3".into());
        let ran = Command::new(&python).args(["-c", "import duckdb"]).output();
        let why = match &ran {
            Ok(ran) if ran.status.success() => return Self(python),
            Ok(ran) => String::from_utf8_lossy(&ran.stderr).lines().last().unwrap_or_default().to_owned(),
            Err(error) => error.to_string(),
        };
        panic!(
            "{} has no DuckDB ({why}): make one that has, and name it:\n  \
             python3 -m venv target/bench-venv\n  \
             target/bench-venv/bin/pip install --only-binary :all: -r benches/scrub/requirements.txt\n  \
             RINGFENCE_PYTHON=target/bench-venv/bin/python cargo bench --bench scrub",
            python.display()
        )
    }

    fn run(&self, what: &str, files: &[&Path]) -> Value {
        let ran = Command::new(&self.0)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/scrub/in_duckdb.py"))
            .arg(what)
            .args(files)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(ran.status.success(), "DuckDB failed: {what}");
        serde_json::from_slice(&ran.stdout).unwrap()
    }
}

/// The area codes of the US that lie in one state, those of one state far apart.
fn areas() -> Vec<u64> {
    let in_a_state = |area: &u64| {
        let number = Number::from_digits(10_000_000_000 + area * 10_000_000 + 2_345_678).unwrap();
        let found = resolve(number, &Location::default(), LocationPosture::Strictest).unwrap();
        let Plausible::Places(places) = found.plausible else { return false };
        found.assigned
            && places.len() == 1
            && places.iter().all(|place| place.jurisdiction.country() == Some(Jurisdiction::US))
    };
    let mut areas: Vec<u64> = (201..990).filter(in_a_state).collect();
    let mut random = Random(11);
    for at in (1..areas.len()).rev() {
        areas.swap(at, random.below(at as u64 + 1) as usize);
    }
    areas
}

/// A list of these numbers in a folder of lists: its file, and how many there are.
fn import(id: &str, text: impl std::io::Read, folder: &Path) -> (PathBuf, u64) {
    let order = Order {
        source: "made up".to_owned(),
        dates: false,
        // A small one has few area codes.
        fewer: true,
        areas: Some(Areas::ALL),
        ..Order::new(id, Instant::from_rfc3339(AS_OF).unwrap())
    };
    let mut import = Import::begin(order, folder, None).unwrap();
    import.read("made up", text, &mut |_| {}).unwrap();
    let report = import.finish().unwrap();
    (report.path, report.header.count)
}

/// The other lists that the law of the states asks for: whoever calls there has them, else nothing there is callable.
fn lists_of_states() -> BTreeSet<String> {
    let law = Law::read(BUILT_IN.iter().copied()).unwrap();
    let rules = law.packs().iter().flat_map(|pack| &pack.rules);
    let lists = rules.filter_map(|rule| match &rule.body {
        Body::Registry { list, .. } if list.starts_with("us.") && &**list != LIST => Some(list.to_string()),
        _ => None,
    });
    lists.collect()
}

/// The numbers as DuckDB reads them fastest.
fn write_list(thousands: &[Thousand], file: &Path) {
    let schema = Arc::new(parse_message_type("message list { REQUIRED INT64 number; }").unwrap());
    let mut writer = SerializedFileWriter::new(File::create(file).unwrap(), schema, Arc::default()).unwrap();
    for part in thousands.chunks(2_000) {
        let numbers: Vec<i64> =
            part.iter().flat_map(|thousand| thousand.numbers()).map(|number| number as i64).collect();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Writes the rows, and says how many of them are on the list.
fn write_rows(thousands: &[Thousand], list: &Set, areas: &[u64], rows: u64, file: &Path) -> u64 {
    let mut random = Random(13);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file).unwrap());
    let mut listed = 0;
    writeln!(out, "id,phone,name,email").unwrap();
    for id in 0..rows {
        let number = match random.below(100) {
            0..10 => {
                let numbers: Vec<u64> = loop {
                    let thousand = thousands[random.below(thousands.len() as u64) as usize];
                    let numbers: Vec<u64> = thousand.numbers().collect();
                    if !numbers.is_empty() {
                        break numbers;
                    }
                };
                listed += 1;
                format!("+{}", numbers[random.below(numbers.len() as u64) as usize])
            }
            10..85 => loop {
                let area = areas[random.below(areas.len() as u64) as usize];
                let number = (1_000 + area) * 10_000_000 + 2_000_000 + random.below(8_000_000);
                if matches!(list.look_up(number), Found::Out) {
                    break format!("+{number}");
                }
            },
            85..89 => format!("+4930{:08}", 20_000_000 + random.below(70_000_000)),
            89..92 => format!("+336{:08}", 10_000_000 + random.below(90_000_000)),
            92..95 => format!("+447{:09}", 400_000_000 + random.below(500_000_000)),
            95..98 => format!("+1416{:07}", 2_000_000 + random.below(8_000_000)),
            _ => ["", "n/a", "+1305", "call reception", "+1 555"][random.below(5) as usize].to_owned(),
        };
        writeln!(out, "{id},{number},Lead {id},lead{id}@example.com").unwrap();
    }
    out.flush().unwrap();
    listed
}

/// What a run took.
struct Took {
    seconds: f64,
    /// Of all its threads.
    cpu: f64,
    /// The most memory it had, in megabytes, and the most in the first half of the time.
    peak: u64,
    half: u64,
}

impl Took {
    fn of(found: &Value) -> Self {
        let number = |name: &str| found[name].as_f64().unwrap();
        let peak = number("peak") as u64;
        Self { seconds: number("seconds"), cpu: number("cpu"), peak, half: peak }
    }

    fn line(&self, what: &str, rows: u64, beside: Option<&Self>) {
        let (rate, each) = (rows as f64 / self.seconds, self.cpu * 1e6 / rows as f64);
        let half = if self.half == self.peak { String::new() } else { format!(" ({} after half)", self.half) };
        let ratio = beside.map_or(String::new(), |other| {
            format!(
                "   {:.1} x the time of DuckDB, {:.2} x the memory",
                self.seconds / other.seconds,
                self.peak as f64 / other.peak as f64
            )
        });
        println!(
            "{what:<36} {rate:>8.0}/s   {:>6.1} s   cpu {each:>5.1} us   peak {:>5} MB{half}{ratio}",
            self.seconds, self.peak
        );
    }
}

/// Processor seconds and most memory in megabytes of a process, so far; `None` where it has ended.
fn used(id: u32) -> Option<(f64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak = line.split_whitespace().next()?.parse::<u64>().ok()? / 1_024;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // After the name, which may hold anything; the 14th and 15th field of all, in hundredths of a second.
    let mut ticks = stat.rsplit(')').next()?.split_whitespace().skip(11).map(|field| field.parse::<f64>().ok());
    Some(((ticks.next()?? + ticks.next()??) / 100.0, peak))
}

/// Scrubs a file, and prints what the program says of it.
fn scrub(home: &Path, rows: &Path, output: &Path) -> Took {
    let said = home.join("said.txt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGFENCE_")) {
        command.env_remove(name);
    }
    command.arg("--keys").arg(home.join("keys")).arg("scrub").arg(rows).arg("--output").arg(output);
    command.arg("--data").arg(home.join("data")).arg("--registries").arg(home.join("lists"));
    command.args(["--channel=call", "--technology=manual", "--purpose=marketing", "--seller=acme", "--at", AT]);
    command.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
    let begun = Clock::now();
    let mut child = command.spawn().unwrap();
    let mut seen = vec![(0.0, 0.0, 0)];
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if let Some((cpu, peak)) = used(child.id()) {
            seen.push((begun.elapsed().as_secs_f64(), cpu, peak));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let seconds = begun.elapsed().as_secs_f64();
    let said = std::fs::read_to_string(said).unwrap();
    assert!(status.success(), "ringfence scrub failed: {said}");
    println!("\n{said}");
    let (_, cpu, peak) = seen[seen.len() - 1];
    let half = seen.iter().take_while(|(at, ..)| *at < seconds / 2.0).map(|(.., peak)| *peak).max().unwrap_or(0);
    Took { seconds, cpu, peak, half }
}

fn main() {
    let python = Python::found();
    let (rows, wanted) = (told("RINGFENCE_BENCH_ROWS", 10_000_000), told("RINGFENCE_BENCH_NUMBERS", 25_000_000));
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    for folder in ["data", "lists"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    let areas = areas();
    let thousands = thousands(wanted, &areas);
    let begun = Clock::now();
    let (file, count) = import(LIST, Text::of(&thousands), &at("lists"));
    println!("{LIST}: {count} numbers, imported in {:.1?}", begun.elapsed());
    for id in lists_of_states() {
        // One number that no row has.
        import(&id, &b"201,5550100\n"[..], &at("lists"));
    }
    write_list(&thousands, &at("list.parquet"));
    let listed = write_rows(&thousands, &Set::map(&file).unwrap(), &areas, rows, &at("rows.csv"));
    python.run("copy", &[&at("rows.csv"), &at("rows.parquet")]);
    println!("{rows} rows, {listed} of them on the list, which has numbers in {} area codes", areas.len());

    let mut all = Vec::new();
    for (form, name) in [("CSV", "csv"), ("Parquet", "parquet")] {
        let (source, ours, theirs) =
            (at("rows").with_extension(name), at("ours").with_extension(name), at("theirs").with_extension(name));
        let took = scrub(home.path(), &source, &ours);
        let found = python.run("join", &[&source, &at("list.parquet"), &theirs]);
        let beside = Took::of(&found);
        assert_eq!(
            (found["rows"].as_u64(), found["listed"].as_u64()),
            (Some(rows), Some(listed)),
            "DuckDB found others"
        );
        let compared = python.run("compare", &[&ours, &theirs]);
        assert_eq!(
            (compared["listed"].as_u64(), compared["differing"].as_u64()),
            (Some(listed), Some(0)),
            "scrub found others"
        );
        for file in [ours, theirs] {
            std::fs::remove_file(file).unwrap();
        }
        took.line(&format!("scrub, {form}"), rows, Some(&beside));
        beside.line(&format!("DuckDB {}, {form}, the list alone", found["duckdb"].as_str().unwrap()), rows, None);
        all.push((form, took, beside));
    }
    println!();
    for (form, took, beside) in all {
        let ten_million = took.seconds * 1e7 / rows as f64;
        println!(
            "ten million rows of {form:<8} {ten_million:>6.1} s   bar {BAR:.0} s   {:.2} x the list part in DuckDB",
            took.seconds / beside.seconds
        );
    }
}
