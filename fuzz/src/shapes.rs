//! A small set file with every shape of section.

use ringfence::registry::set::{Builder, Day, Header, write};
use ringfence::time::Instant;

/// Its bytes.
pub fn every_shape() -> Vec<u8> {
    let mut builder = Builder::default();
    for n in 0..1_100_u64 {
        builder.add(12_025_550_000 + n, Day::NONE);
        builder.add(13_050_000_000 + n * 7, if n % 5 == 0 { Day(9_700) } else { Day::NONE });
    }
    for n in 0..12_u16 {
        builder.add(442_079_460_000 + u64::from(n) * 3, Day(n));
        builder.add(33_199_000_000 + u64::from(n), Day::NONE);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tenant.own.set");
    write(&path, Header::new("tenant.own", Instant::from_millis(0), "a test", false), builder).expect("room");
    std::fs::read(path).expect("the file just written")
}
