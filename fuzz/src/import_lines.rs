//! The importer of lists of one number a line, and of lists of changes: refused in words, or no more numbers than lines. The
//! first byte picks the list, the second says whether the lines are changes and bear dates.

use ringfence::registry::ids::OFFICIAL;
use ringfence::registry::import::{Columns, Intake, Order};
use ringfence::registry::set::{Header, Set};
use ringfence::time::Instant;

use super::house;

pub fn run(bytes: &[u8]) {
    let Some(([list, form], text)) = bytes.split_first_chunk::<2>() else { return };
    let id = OFFICIAL.get(usize::from(*list)).map_or("tenant.own", |list| list.id);
    taken(order(id, form & 1 == 1, form & 2 == 2, None), text);
}

pub fn order(id: &str, changes: bool, dates: bool, columns: Option<Columns>) -> Order {
    Order { changes, dates, columns, most_rejected: 50, fewer: true, ..Order::new(id, Instant::from_millis(0)) }
}

/// Reads a text as ordered.
pub fn taken(order: Order, text: &[u8]) {
    let header = Header::new(&order.id, order.as_of, "", false);
    let mut intake = Intake::new(order, None).expect("a known list");
    match intake.read("text", text, &mut |_| {}) {
        Ok(()) => {
            let taken = intake.taken();
            let set = Set::in_memory(header, taken.builder).expect("a sound set");
            assert!(set.header().count <= 2 * taken.read, "no more numbers than lines");
            assert!(set.numbers().all(|number| number.is_ok()));
        }
        Err(fault) => {
            house::said(&fault.what);
            house::said(&fault.remedy);
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [(&str, u8, &str); 7] = [
        ("us.dnc.national", 2, "202,5550143\n202,5550144\n\n4155550100\n"),
        ("us.dnc.national", 3, "202,5550143,2026-11-20 10:00:00,D\n202,5550144,20261120,A\n"),
        ("ca.dncl", 2, "416,5550143\r\n6045550100\r\n"),
        ("uk.tps", 2, "02079460000\n+442079460001\n020 7946 0002\n"),
        ("be.dncm", 2, "0470123456;01/10/2026\n+3222345678;2026-10-02\n"),
        ("tenant.own", 2, "+12025550143\n# a remark\n+442079460000\t2026-01-01\n"),
        ("tenant.own", 0, "+12025550143\n\"+442079460000\",\n"),
    ];
    let seed = |(id, form, text): (&str, u8, &str)| {
        let list = OFFICIAL.iter().position(|list| list.id == id).unwrap_or(255);
        [&[u8::try_from(list).expect("few lists"), form], text.as_bytes()].concat()
    };
    texts.into_iter().map(seed).collect()
}
