//! Compressed files: gzip and zstd, known by their names when written, by their first bytes when read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// zstd's own default.
const LEVEL: i32 = 3;

/// How a file is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, one member or several.
    Gzip,
    /// zstd, one frame or several.
    Zstd,
}

impl Packing {
    /// What a name says: `.gz`, `.zst`.
    #[must_use]
    pub fn of_name(path: &Path) -> Self {
        match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// What the first bytes say.
    #[must_use]
    pub fn of_bytes(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// Reads what was compressed so.
    ///
    /// # Errors
    /// The system gives no memory for it.
    pub fn reader(self, source: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Plain => Box::new(source),
            Self::Gzip => Box::new(MultiGzDecoder::new(source)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(source)?),
        })
    }

    /// Compresses one piece by itself. Pieces one after the other are one file.
    ///
    /// # Errors
    /// The system gives no memory for it.
    pub fn piece(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(bytes),
            _ if bytes.is_empty() => Ok(bytes),
            Self::Gzip => {
                let mut out = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
                out.write_all(&bytes)?;
                out.finish()
            }
            Self::Zstd => zstd::bulk::compress(&bytes, LEVEL),
        }
    }
}

/// What is read, whatever it was compressed with; and the bytes read of it as they lie, for a progress bar.
pub type Unpacked = (Box<dyn Read + Send>, Arc<AtomicU64>);

/// Opens a file.
///
/// # Errors
/// It cannot be opened or read.
pub fn open(path: &Path) -> io::Result<Unpacked> {
    unpacked(File::open(path)?)
}

/// Reads from a source.
///
/// # Errors
/// It cannot be read.
pub fn unpacked(source: impl Read + Send + 'static) -> io::Result<Unpacked> {
    let mut source = source;
    let mut head = Vec::new();
    Read::by_ref(&mut source).take(4).read_to_end(&mut head)?;
    let packing = Packing::of_bytes(&head);
    let read = Arc::new(AtomicU64::new(0));
    let source = Counted { inner: io::Cursor::new(head).chain(source), read: Arc::clone(&read) };
    Ok((packing.reader(io::BufReader::with_capacity(256 << 10, source))?, read))
}

/// Counts what passes.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_back_as_one() {
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let pieces = ["one\n", "", "two\n", "three\n"];
            let packed: Vec<u8> =
                pieces.into_iter().flat_map(|piece| packing.piece(piece.as_bytes().to_vec()).unwrap()).collect();
            assert_eq!(Packing::of_bytes(&packed), packing);
            let mut text = String::new();
            packing.reader(io::Cursor::new(packed)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, pieces.concat());
        }
    }

    #[test]
    fn names_say_how() {
        let of = |name: &str| Packing::of_name(Path::new(name));
        assert_eq!([of("a.csv"), of("a.csv.GZ"), of("a.csv.zst")], [Packing::Plain, Packing::Gzip, Packing::Zstd]);
    }
}
