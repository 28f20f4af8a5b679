//! Lists as plain text.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringfence::registry::List;

fuzz_target!(|bytes: &[u8]| {
    let text = [b"# as_of=2026-11-20T04:00:00Z\n", bytes].concat();
    for id in ["us.dnc.national", "uk.tps", "tenant.own"] {
        if let Err(fault) = List::read(id, Path::new("x"), text.as_slice()) {
            assert!(!fault.what.is_empty() && !fault.remedy.is_empty());
        }
    }
});
