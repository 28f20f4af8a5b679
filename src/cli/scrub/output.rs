//! The CSV file that is written: beside its place first, and put there whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::is_standard;
use crate::cli::Error;
use crate::store::Digest;

const BUFFER: usize = 1 << 20;

/// A file on its way, or standard output. Dropped before it is published, the file is removed.
pub(super) struct Output {
    sink: Sink,
    digest: Context,
    name: String,
}

enum Sink {
    Standard,
    File { writer: BufWriter<File>, unfinished: Unfinished, place: PathBuf },
}

/// A file that is removed unless it is put in its place.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already where it was put in its place.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether anybody still reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// Yes.
    On,
    /// The reader of standard output went away.
    Ended,
}

impl Output {
    /// Begins a file beside its place.
    pub(super) fn create(place: &Path, input: &Path, force: bool) -> Result<Self, Error> {
        let name = if is_standard(place) { "standard output".to_owned() } else { place.display().to_string() };
        let digest = Context::new(&SHA256);
        if is_standard(place) {
            return Ok(Self { sink: Sink::Standard, digest, name });
        }
        if is_same(place, input) {
            return Err(Error::said(format!("{name}: the output is the input: name another file with --output")));
        }
        // What a link points to is replaced, and not the link.
        let place = &fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        match fs::metadata(place) {
            Ok(about) if !about.is_file() => {
                return Err(Error::said(format!("{name}: a folder or device: name a file with --output")));
            }
            Ok(_) if !force => return Err(exists(&name)),
            _ => {}
        }
        let file_name = place.file_name().ok_or_else(|| Error::said(format!("{name}: not the name of a file")))?;
        let hidden = format!(".{}.{}.part", file_name.to_string_lossy(), std::process::id());
        let beside = place.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&beside);
        let file = file.map_err(|error| Error::at(&beside, "making the file", &error))?;
        let writer = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { sink: Sink::File { writer, unfinished: Unfinished(beside), place: place.to_owned() }, digest, name })
    }

    /// Writes some rows.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<Read, Error> {
        self.digest.update(bytes);
        let written = match &mut self.sink {
            Sink::Standard => io::stdout().lock().write_all(bytes),
            Sink::File { writer, .. } => writer.write_all(bytes),
        };
        match written {
            Ok(()) => Ok(Read::On),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Read::Ended),
            Err(error) => Err(self.failed("writing", &error)),
        }
    }

    /// Makes what was written safe.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        let synced = match &mut self.sink {
            Sink::Standard => match io::stdout().lock().flush() {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                flushed => flushed,
            },
            Sink::File { writer, .. } => writer.flush().and_then(|()| writer.get_ref().sync_all()),
        };
        synced.map_err(|error| self.failed("writing", &error))
    }

    /// SHA-256 of what was written.
    pub(super) fn digest(&self) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(self.digest.clone().finish().as_ref());
        out
    }

    /// Puts the file in its place, and says where that is.
    pub(super) fn publish(self, force: bool) -> Result<String, Error> {
        let name = self.name;
        let Sink::File { writer, unfinished, place } = self.sink else { return Ok(name) };
        drop(writer);
        // A link refuses a name that is taken, whoever took it meanwhile; not every file system has links.
        let placed = match fs::hard_link(&unfinished.0, &place) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !force => return Err(exists(&name)),
            Err(_) => fs::rename(&unfinished.0, &place),
        };
        placed.map(|()| name).map_err(|error| Error::at(&place, "putting the file in its place", &error))
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Error {
        let hint = if error.kind() == ErrorKind::StorageFull { "; make room and start again" } else { "" };
        Error::said(format!("{}: {doing} failed: {error}{hint}", self.name))
    }
}

fn exists(name: &str) -> Error {
    Error::said(format!("{name}: is there already: name another file, or replace it with --force"))
}

fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
            return (one.dev(), one.ino()) == (other.dev(), other.ino());
        }
    }
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}
