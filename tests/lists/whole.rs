//! The largest there is: every number of an area code, with a date and without, and many lines in a process of their
//! own.

use std::io::Write as _;
use std::process::Stdio;

use ringfence::registry::set::{Builder, Day, Found, Header, Set, write};

use super::import::Home;
use super::{AS_OF, header};

const AREA: u64 = 12_020_000_000;
const ALL: u64 = 10_000_000;

/// Each number of an area that `is_in` says, built, mapped, and compared with what was said of it.
fn compared(is_in: impl Fn(u64) -> Option<Day>) -> Header {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant.own.set");
    let mut builder = Builder::default();
    for (number, day) in (AREA..AREA + ALL).filter_map(|number| Some((number, is_in(number)?))) {
        builder.add(number, day);
    }
    write(&path, header("tenant.own"), builder).unwrap();
    let set = Set::map(&path).unwrap();
    set.verify().unwrap();
    let mut held = set.numbers().map(Result::unwrap);
    assert!((AREA..AREA + ALL).filter_map(|number| Some((number, is_in(number)?))).all(|one| held.next() == Some(one)));
    assert_eq!(held.next(), None);
    // Every block at its ends, and a stride through the rest.
    let ends = (0..1_000).flat_map(|block| [0, 1, 999, 1_000, 9_998, 9_999].map(|low| AREA + block * 10_000 + low));
    for number in ends.chain((AREA..AREA + ALL).step_by(997)).chain([AREA - 1, AREA + ALL]) {
        let inside = (AREA..AREA + ALL).contains(&number);
        let expected = is_in(number).filter(|_| inside).map_or(Found::Out, Found::In);
        assert_eq!(set.look_up(number), expected, "{number}");
    }
    set.header().clone()
}

#[test]
fn a_set_with_all_of_an_area_code() {
    let all = compared(|_| Some(Day::NONE));
    assert_eq!((all.count, all.dated), (ALL, 0));
    // A bit a number, less what is left over of each thousand.
    assert!(all.length * 8 < ALL * 102 / 100, "{} bytes", all.length);
}

#[test]
fn a_set_with_the_last_tenth_of_an_area_code_each_with_a_date() {
    let day = |number: u64| Day(u16::try_from(1 + number % 65_535).unwrap());
    let dated = compared(|number| (number >= AREA + ALL / 10 * 9).then(|| day(number)));
    assert_eq!((dated.count, dated.dated), (ALL / 10, ALL / 10));
}

/// The most memory that a process has had, in kilobytes.
#[cfg(target_os = "linux")]
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Memory follows the numbers of a list, not the lines that say them.
#[cfg(target_os = "linux")]
#[test]
fn many_lines_take_the_memory_of_their_numbers() {
    let home = Home::new();
    let measured = |rounds: u64| {
        let mut command = home.command(&["us.dnc.national", "-", "--as-of", AS_OF, "--fewer"]);
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut input = running.stdin.take().unwrap();
        // The same quarter of a million again and again: strides that meet each once.
        let mut text = Vec::new();
        for round in 0..rounds {
            for n in 0..25_000 {
                let n = n * 77_773 % 25_000 * 10 + round % 10;
                writeln!(text, "{},{:07}", 202 + n % 4, 2_000_000 + n).unwrap();
            }
            input.write_all(&text).unwrap();
            text.clear();
        }
        drop(input);
        let mut most = 0;
        while running.try_wait().unwrap().is_none() {
            most = most.max(peak(running.id()).unwrap_or(0));
        }
        assert!(running.wait().unwrap().success());
        assert_eq!(home.numbers("us.dnc.national").len(), 250_000);
        most
    };
    let (once, again) = (measured(10), measured(40));
    println!("a quarter of a million lines {once} kB, a million {again} kB");
    assert!(once > 0 && again < once + once / 4 + 4_096, "{once} kB, and {again} kB for four times the lines");
    assert!(again < 120_000, "{again} kB");
}
