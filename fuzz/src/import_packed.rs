//! Files that are zipped, gzipped, or neither: whatever they unpack to, up to a million bytes of each.

use std::io::{Cursor, Read, Write as _};

use ringfence::registry::import::{Opened, open};

use super::house;

pub fn run(bytes: &[u8]) {
    let path = house::file("packed", bytes);
    let most = |text: &mut dyn Read| {
        let _ = std::io::copy(&mut text.take(1 << 20), &mut std::io::sink());
    };
    match open(&path, &Default::default()) {
        Ok(Opened::Text(mut text)) => most(&mut text),
        Ok(Opened::Zip(mut archive)) => {
            for at in 0..archive.len().min(20) {
                if let Ok(mut member) = archive.by_index(at) {
                    most(&mut member);
                }
            }
        }
        Err(fault) => house::said_of(&path, &fault.to_string()),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let text = "202,5550143\n202,5550144\n".repeat(20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).expect("memory");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, method) in [("202.txt", zip::CompressionMethod::Deflated), ("305.txt", zip::CompressionMethod::Stored)] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).expect("memory");
        zip.write_all(text.as_bytes()).expect("memory");
    }
    vec![gzip.finish().expect("memory"), zip.finish().expect("memory").into_inner(), text.into_bytes()]
}
