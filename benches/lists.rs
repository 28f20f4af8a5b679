//! A national registry: built from text, mapped, and asked, beside other ways to hold the same numbers.
//!
//! The numbers are made up as real ones lie: 380 area codes, 30 to 95 of 100 exchanges in use, thousands uneven, a fifth of
//! them empty and none more than nine tenths full. Printed are the build (time, peak memory), bits a number, the time to
//! map and to verify, and the time of one look-up: of a number that is in, of its neighbour, and of any ten digits; then a
//! sorted array and a roaring bitmap of the same numbers, and a Redis set of the first ten million.
//!
//! `RINGFENCE_BENCH_NUMBERS` says how many (default 250000000: some six minutes, and 5 GB for the sorted array and the
//! bitmap; the registry itself takes a tenth of that). Fewer of them lie in fewer area codes, as close.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant as Clock};

use ringfence::registry::import::{Import, Order};
use ringfence::registry::set::{Found, Set};
use ringfence::time::Instant;
use roaring::RoaringTreemap;

mod numbers;
#[path = "../tests/support/redis.rs"]
mod redis;

use numbers::{Random, Text, Thousand, thousands};

const PROBES: usize = 1_000_000;
const REDIS: u64 = 10_000_000;

/// The most memory this process ever had, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

struct Probes {
    hits: Vec<u64>,
    near: Vec<u64>,
    any: Vec<u64>,
}

fn probes(thousands: &[Thousand], count: u64) -> Probes {
    let mut random = Random(3);
    let every = (count / PROBES as u64).max(1);
    let mut hits: Vec<u64> =
        thousands.iter().flat_map(|thousand| thousand.numbers()).filter(|_| random.below(every) == 0).collect();
    for at in (1..hits.len()).rev() {
        hits.swap(at, random.below(at as u64 + 1) as usize);
    }
    let near = hits.iter().map(|number| number + 1).collect();
    let any = hits.iter().map(|_| 12_000_000_000 + random.below(8_000_000_000)).collect();
    Probes { hits, near, any }
}

/// Nanoseconds of one look-up, best of three: hit, neighbour, any.
fn asked(name: &str, probes: &Probes, size: &str, is_in: impl Fn(u64) -> bool) {
    let best = |numbers: &[u64]| {
        let run = || {
            let begun = Clock::now();
            let found = numbers.iter().filter(|number| is_in(**number)).count();
            black_box(found);
            begun.elapsed().as_nanos() as f64 / numbers.len() as f64
        };
        (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
    };
    assert!(probes.hits.iter().all(|number| is_in(*number)), "{name} is not the same set");
    let [hit, near, any] = [best(&probes.hits), best(&probes.near), best(&probes.any)];
    println!("{name:<16} {size:<22} hit {hit:7.1} ns   neighbour {near:7.1} ns   any {any:7.1} ns");
}

fn main() {
    let wanted: u64 =
        std::env::var("RINGFENCE_BENCH_NUMBERS").map_or(250_000_000, |text| text.parse().expect("a whole number"));
    let areas: Vec<u64> = (0..380).map(|area| 201 + area * 2).collect();
    let thousands = thousands(wanted, &areas);
    let begun = Clock::now();
    let mut text = Text::of(&thousands);
    let bytes = io::copy(&mut text, &mut io::sink()).unwrap();
    let made = begun.elapsed();
    println!("text: {} MB, made up in {made:.1?}, which the build below has in it", bytes >> 20);

    let folder = tempfile::tempdir().unwrap();
    let order = Order {
        source: "made up".to_owned(),
        sample: true,
        dates: false,
        ..Order::new("us.dnc.national", Instant::from_millis(1_763_611_200_000))
    };
    let begun = Clock::now();
    let mut import = Import::begin(order, folder.path(), None).unwrap();
    import.read("made up", Text::of(&thousands), &mut |_| {}).unwrap();
    let read = begun.elapsed();
    let report = import.finish().unwrap();
    let (count, size) = (report.header.count, std::fs::metadata(&report.path).unwrap().len());
    println!("build: {count} numbers in {:.1?} ({read:.1?} to read), peak memory {} MB", begun.elapsed(), peak());
    println!("file: {} MB, {:.2} bits a number", size >> 20, size as f64 * 8.0 / count as f64);

    let begun = Clock::now();
    let set = Set::map(&report.path).unwrap();
    let mapped = begun.elapsed();
    set.verify().unwrap();
    println!("mapped in {mapped:.2?}, every byte verified in {:.1?} more", begun.elapsed() - mapped);

    let probes = probes(&thousands, count);
    asked("set file", &probes, &format!("{:.2} bytes a number", size as f64 / count as f64), |number| {
        matches!(set.look_up(number), Found::In(_))
    });
    let sorted: Vec<u64> = thousands.iter().flat_map(|thousand| thousand.numbers()).collect();
    asked("sorted array", &probes, "8.00 bytes a number", |number| sorted.binary_search(&number).is_ok());
    let roaring = RoaringTreemap::from_sorted_iter(sorted.iter().copied()).unwrap();
    let bytes = format!("{:.2} bytes a number", roaring.serialized_size() as f64 / count as f64);
    asked("roaring bitmap", &probes, &bytes, |number| roaring.contains(number));
    in_redis(&sorted);
}

/// A Redis set of some of the numbers: its memory, and how long an answer takes, alone and a thousand at a time.
fn in_redis(sorted: &[u64]) {
    let server = redis::Server::start(&["--save", "", "--appendonly", "no", "--maxmemory", "0"]);
    let address = server.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
    let stream = TcpStream::connect(address).expect("the server answers");
    stream.set_nodelay(true).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |commands: &[Vec<String>]| -> Duration {
        let mut text = String::new();
        for command in commands {
            text += &format!("*{}\r\n", command.len());
            command.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
        }
        let begun = Clock::now();
        (&stream).write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        for _ in commands {
            line.clear();
            replies.read_line(&mut line).unwrap();
            assert!(line.starts_with(':'), "{line}");
        }
        begun.elapsed()
    };
    let used = || {
        let about = server.ask(&["INFO", "memory"]);
        let line = about.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap_or("0").trim().to_owned();
        line.parse::<f64>().unwrap()
    };
    let numbers = &sorted[..sorted.len().min(REDIS as usize)];
    let before = used();
    let begun = Clock::now();
    for chunk in numbers.chunks(1_000) {
        let words = ["SADD".to_owned(), "list".to_owned()].into_iter().chain(chunk.iter().map(u64::to_string));
        ask(&[words.collect()]);
    }
    let (filled, memory) = (begun.elapsed(), used() - before);
    let is_member = |number: u64| vec!["SISMEMBER".to_owned(), "list".to_owned(), number.to_string()];
    let mut random = Random(5);
    let mut some = |count: usize| -> Vec<Vec<String>> {
        (0..count).map(|_| is_member(numbers[random.below(numbers.len() as u64) as usize])).collect()
    };
    let alone: Duration = some(20_000).iter().map(|one| ask(std::slice::from_ref(one))).sum();
    let together: Duration = some(200_000).chunks(1_000).map(ask).sum();
    println!(
        "{:<16} {:<22} one at a time {:.0} ns, a thousand at a time {:.0} ns each (of {} numbers, filled in {filled:.1?})",
        "Redis set",
        format!("{:.2} bytes a number", memory / numbers.len() as f64),
        alone.as_nanos() as f64 / 20_000.0,
        together.as_nanos() as f64 / 200_000.0,
        numbers.len(),
    );
}
