//! The reader of set files: what is refused is refused in words; what passes can be asked, and what is whole walked through.

use ringfence::registry::set::Set;

use super::{house, shapes};

pub fn run(bytes: &[u8]) {
    let set = match Set::read(bytes.to_vec()) {
        Ok(set) => set,
        Err(fault) => return house::said(&fault.to_string()),
    };
    // What is not whole is asked all the same: answers may be wrong, but must come.
    for number in [12_025_550_143, 13_050_000_007, 442_079_460_003, 33_199_000_001, 0, u64::MAX] {
        let _ = set.look_up(number);
    }
    if set.verify().is_ok() {
        let mut count = 0;
        for number in set.numbers() {
            assert!(number.is_ok(), "what is whole can be walked through");
            count += 1;
        }
        assert_eq!(count, set.header().count, "as many as the header says");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![shapes::every_shape()]
}
