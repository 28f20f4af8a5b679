//! No byte of a set file can be another. Mangled ones of every reader are the matter of `tests/fuzzed.rs`.

use ringfence::registry::set::Set;

#[path = "../../fuzz/src/shapes.rs"]
mod shapes;

use shapes::every_shape;

/// Whether bytes pass for a whole set file. What does not is asked all the same: answers may be wrong, but must come.
fn passes(bytes: Vec<u8>) -> bool {
    let Ok(set) = Set::read(bytes) else { return false };
    for number in [12_025_550_143, 13_050_000_007, 442_079_460_003, 33_199_000_001, 0, u64::MAX] {
        let _ = set.look_up(number);
    }
    set.verify().is_ok()
}

#[test]
fn no_byte_of_a_set_file_can_be_another() {
    let whole = every_shape();
    assert!(passes(whole.clone()));
    let used = whole.windows(5).position(|five| five == b"seal ").unwrap() + 21;
    let mut changed = whole.clone();
    for place in 0..whole.len() {
        changed[place] ^= 1 << (place % 8);
        assert!(!passes(changed.clone()), "byte {place} of {used} header bytes and {} others", whole.len() - used);
        changed[place] = whole[place];
    }
    for length in (0..whole.len()).step_by(61).chain([4_095, 4_096, whole.len() - 1]) {
        assert!(!passes(whole[..length].to_vec()), "cut to {length} bytes");
    }
    assert!(!passes([&whole[..], b"\0"].concat()));
}
