//! Files that are zipped, gzipped, or neither.
#![no_main]

use std::io::{Read as _, Write as _};

use libfuzzer_sys::fuzz_target;
use ringfence::registry::import::{Opened, open};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("room");
    let most = |text: &mut dyn std::io::Read| {
        let _ = std::io::copy(&mut text.take(1 << 20), &mut std::io::sink());
    };
    match open(file.path(), &Default::default()) {
        Ok(Opened::Text(mut text)) => most(&mut text),
        Ok(Opened::Zip(mut archive)) => {
            for at in 0..archive.len().min(20) {
                if let Ok(mut member) = archive.by_index(at) {
                    most(&mut member);
                }
            }
        }
        Err(_) => {}
    }
});
