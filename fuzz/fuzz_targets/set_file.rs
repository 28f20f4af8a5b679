//! The reader of set files: what is refused is refused in words, what passes can be walked through.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence::registry::set::Set;

fuzz_target!(|bytes: &[u8]| {
    let Ok(set) = Set::read(bytes.to_vec()) else { return };
    if set.verify().is_ok() {
        assert!(set.numbers().all(|number| number.is_ok()));
    }
});
