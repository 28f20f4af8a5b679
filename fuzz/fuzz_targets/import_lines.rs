//! The importer of lists of one number a line, and of lists of changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence::registry::ids::OFFICIAL;
use ringfence::registry::import::{Intake, Order};
use ringfence::time::Instant;

fuzz_target!(|bytes: &[u8]| {
    let Some(([list, changes], text)) = bytes.split_first_chunk::<2>() else { return };
    let order = Order {
        id: OFFICIAL.get(usize::from(*list)).map_or("tenant.own", |list| list.id).to_owned(),
        as_of: Instant::from_millis(0),
        source: String::new(),
        sample: false,
        changes: changes & 1 == 1,
        dates: changes & 2 == 2,
        columns: None,
        most_rejected: u64::MAX,
        fewer: true,
    };
    let mut intake = Intake::new(order, None).expect("a known list");
    if intake.read("text", text, &mut |_| {}).is_ok() {
        let _ = intake.taken();
    }
});
