//! The importer of lists of one number a line, and of lists of changes: refused in words, or all that the lines say and
//! nothing else. The first byte picks the list, the second says whether the lines are changes and bear dates.

use ringfence::registry::ids::OFFICIAL;
use ringfence::registry::import::{Columns, Line, Order, Reading};
use ringfence::time::Instant;

use super::import_oracle::{delimiter, taken};

pub fn run(bytes: &[u8]) {
    let Some(([list, form], text)) = bytes.split_first_chunk::<2>() else { return };
    let id = OFFICIAL.get(usize::from(*list)).map_or("tenant.own", |list| list.id);
    taken(order(id, form & 1 == 1, form & 2 == 2, None), text, understood);
}

pub fn order(id: &str, changes: bool, dates: bool, columns: Option<Columns>) -> Order {
    Order {
        changes,
        dates,
        columns,
        most_rejected: 50,
        fewer: true,
        ..Order::new(id, Instant::from_millis(1_800_000_000_000))
    }
}

/// What each line says, empty ones, remarks and a header apart; `None` of one that is not understood.
pub fn understood(reading: Reading, text: &[u8]) -> Vec<Option<Line>> {
    let mut header = true;
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    let read = lines.filter_map(|(at, line)| {
        let Some(line) = std::str::from_utf8(line).ok().filter(|line| line.len() <= 4_096) else {
            // A header in another encoding has no digit either.
            let is_header = std::mem::take(&mut header) && line.len() <= 4_096 && !line.iter().any(u8::is_ascii_digit);
            return (!is_header).then_some(None);
        };
        let line = if at == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line }.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        if std::mem::take(&mut header) && !line.contains(char::is_numeric) {
            return None;
        }
        Some(reading.line(line.split(delimiter(line))).ok())
    });
    read.collect()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [(&str, u8, &str); 8] = [
        ("us.dnc.national", 2, "202,5550143\n202,5550144\n\n4155550100\n"),
        ("us.dnc.national", 3, "202,5550143,2026-11-20 10:00:00,D\n202,5550144,20261120,A\n202,5550143,20261119,A\n"),
        ("ca.dncl", 2, "416,5550143\r\n6045550100\r\n"),
        ("uk.tps", 2, "02079460000\n+442079460001\n020 7946 0002\n"),
        ("be.dncm", 2, "0470123456;01/10/2026\n+3222345678;2026-10-02\n0470123456;2024-01-10\n"),
        ("hk.dnc.text", 2, "85223456;01/10/2026\n22345678;2026-10-02\n"),
        ("tenant.own", 2, "+12025550143\n# a remark\n+442079460000\t2026-01-01\n"),
        ("tenant.own", 0, "+12025550143\n\"+442079460000\",\n"),
    ];
    let seed = |(id, form, text): (&str, u8, &str)| {
        let list = OFFICIAL.iter().position(|list| list.id == id).unwrap_or(255);
        [&[u8::try_from(list).expect("few lists"), form], text.as_bytes()].concat()
    };
    texts.into_iter().map(seed).collect()
}
