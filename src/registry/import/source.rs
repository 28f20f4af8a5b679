//! Files as they are handed out: plain, gzipped or zipped, or from standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

/// No line of a list has more bytes.
const LONGEST: u64 = 4_096;
const BUFFER: usize = 1 << 20;

/// The lines of a text.
pub struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Of this text.
    pub fn new(text: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER, text), line: Vec::new(), number: 0 }
    }

    /// The next line without its end, and its number from 1; the line is `None` where it is too long or is no UTF-8.
    ///
    /// # Errors
    /// The text cannot be read further.
    #[allow(clippy::should_implement_trait, reason = "the line is lent, which no iterator can")]
    pub fn next(&mut self) -> io::Result<Option<(u64, Option<&str>)>> {
        self.line.clear();
        if (&mut self.reader).take(LONGEST + 1).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.len() as u64 > LONGEST {
            self.reader.skip_until(b'\n')?;
            return Ok(Some((self.number, None)));
        }
        let text = std::str::from_utf8(&self.line).ok();
        // Windows editors put a byte order mark before the first line.
        let text = text.map(|text| if self.number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text });
        Ok(Some((self.number, text)))
    }
}

impl<R> Lines<R> {
    /// Whether the last line, be it text or not, is a whole one without any digit.
    pub fn has_no_digit(&self) -> bool {
        self.line.len() as u64 <= LONGEST && !self.line.iter().any(u8::is_ascii_digit)
    }
}

/// Whether a member of an archive is no list, by its name: the files that systems and editors put beside what is packed.
#[must_use]
pub fn is_beside(member: &str) -> bool {
    let name = member.rsplit(['/', '\\']).next().unwrap_or_default();
    member.starts_with("__MACOSX/") || name.starts_with('.')
}

/// What a file holds.
pub enum Opened {
    /// One text.
    Text(Box<dyn Read>),
    /// An archive, and how many members it has.
    Zip(zip::ZipArchive<BufReader<Counted<File>>>),
}

/// Opens a file of any kind, `-` for standard input. What was read of it, compressed as it is, is counted in `bytes`.
///
/// # Errors
/// It cannot be read, or is an archive that cannot be understood, in words.
pub fn open(path: &Path, bytes: &Arc<AtomicU64>) -> io::Result<Opened> {
    if path.as_os_str() == "-" {
        let mut reader = BufReader::with_capacity(BUFFER, Counted { inner: io::stdin(), bytes: Arc::clone(bytes) });
        return match kind(reader.fill_buf()?) {
            Kind::Plain => Ok(Opened::Text(Box::new(reader))),
            Kind::Gzip => Ok(Opened::Text(Box::new(MultiGzDecoder::new(reader)))),
            Kind::Zip => {
                // The list of its members stands at the end of a zip file.
                let mut spooled = tempfile::tempfile()?;
                io::copy(&mut reader, &mut spooled)?;
                spooled.rewind()?;
                zipped(spooled, bytes)
            }
        };
    }
    let mut file = File::open(path)?;
    let mut head = [0; 4];
    let read = file.read(&mut head)?;
    file.rewind()?;
    match kind(head.get(..read).unwrap_or_default()) {
        Kind::Zip => zipped(file, bytes),
        kind => {
            let reader = BufReader::with_capacity(BUFFER, Counted { inner: file, bytes: Arc::clone(bytes) });
            Ok(Opened::Text(if kind == Kind::Gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) }))
        }
    }
}

fn zipped(file: File, bytes: &Arc<AtomicU64>) -> io::Result<Opened> {
    let reader = BufReader::with_capacity(BUFFER, Counted { inner: file, bytes: Arc::clone(bytes) });
    zip::ZipArchive::new(reader).map(Opened::Zip).map_err(io::Error::other)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zip,
}

/// By the bytes it begins with: names lie.
fn kind(head: &[u8]) -> Kind {
    match head {
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Zip,
        _ => Kind::Plain,
    }
}

/// Counts what is read.
pub struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
