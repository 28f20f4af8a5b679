//! The importer of CSV files by the names of their columns.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence::registry::import::{Columns, Intake, Order};
use ringfence::time::Instant;

fuzz_target!(|rows: &[u8]| {
    let order = Order {
        columns: Some(Columns { number: "n".to_owned(), date: Some("d".to_owned()) }),
        most_rejected: u64::MAX,
        fewer: true,
        ..Order::new("it.rpo", Instant::from_millis(0))
    };
    let mut intake = Intake::new(order, None).expect("a known list");
    let text = [b"n,d,other\n", rows].concat();
    if intake.read("text", text.as_slice(), &mut |_| {}).is_ok() {
        let _ = intake.taken();
    }
});
