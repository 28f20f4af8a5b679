//! The importer of lists of one number a line, and of lists of changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence::registry::ids::OFFICIAL;
use ringfence::registry::import::{Intake, Order};
use ringfence::time::Instant;

fuzz_target!(|bytes: &[u8]| {
    let Some(([list, changes], text)) = bytes.split_first_chunk::<2>() else { return };
    let order = Order {
        changes: changes & 1 == 1,
        dates: changes & 2 == 2,
        most_rejected: u64::MAX,
        fewer: true,
        ..Order::new(OFFICIAL.get(usize::from(*list)).map_or("tenant.own", |list| list.id), Instant::from_millis(0))
    };
    let mut intake = Intake::new(order, None).expect("a known list");
    if intake.read("text", text, &mut |_| {}).is_ok() {
        let _ = intake.taken();
    }
});
