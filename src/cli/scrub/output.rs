//! The file that is written: beside its place first, and put there whole. What an earlier run left beside it is gone on
//! with, where it was made from the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::is_standard;
use crate::cli::Error;
use crate::cli::replace::is_same;
use crate::store::{Digest, write_whole};

const BUFFER: usize = 1 << 20;

/// A file on its way, or standard output. Dropped before it is published, what lies beside its place is removed, unless an
/// earlier state of it is to be gone on with.
pub(super) struct Output {
    sink: Sink,
    digest: Context,
    written: u64,
    name: String,
}

enum Sink {
    Standard,
    File { writer: BufWriter<File>, beside: Beside, place: PathBuf },
}

/// What lies beside the place of a file while it is made.
struct Beside {
    /// What is written to.
    part: PathBuf,
    /// What is put in place; the same but for Parquet.
    whole: PathBuf,
    /// How far it came.
    resume: PathBuf,
    /// Whether that is to be gone on with.
    keep: bool,
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.whole != self.part {
            let _ = fs::remove_file(&self.whole);
        }
        if !self.keep {
            // Gone already where it was put in its place.
            let _ = fs::remove_file(&self.part);
            let _ = fs::remove_file(&self.resume);
        }
    }
}

/// Whether anybody still reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
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
            return Ok(Self { sink: Sink::Standard, digest, written: 0, name });
        }
        if is_same(place, input) {
            return Err(Error::said(format!("{name}: the output is the input: name another file with --output")));
        }
        // What a link points to is replaced, and not the link.
        let place = fs::canonicalize(place).or_else(|_| std::path::absolute(place));
        let place = &place.map_err(|error| Error::io("naming the file", &name, &error))?;
        match fs::metadata(place) {
            Ok(about) if !about.is_file() => {
                return Err(Error::said(format!("{name}: a folder or device: name a file with --output")));
            }
            Ok(_) if !force => return Err(exists(&name)),
            _ => {}
        }
        let file_name = place.file_name().ok_or_else(|| Error::said(format!("{name}: not the name of a file")))?;
        let file_name = file_name.to_string_lossy();
        let part = place.with_file_name(format!(".{file_name}.part"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part);
        let file = file.map_err(|error| Error::at(&part, "making the file", &error))?;
        if file.try_lock().is_err() {
            return Err(Error::said(format!("{name}: another scrub is writing it: wait for it, or name another file")));
        }
        let resume = place.with_file_name(format!(".{file_name}.resume"));
        let beside = Beside { whole: part.clone(), part, keep: resume.exists(), resume };
        let writer = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { sink: Sink::File { writer, beside, place: place.to_owned() }, digest, written: 0, name })
    }

    /// How far an earlier run came, in its own words.
    pub(super) fn left_behind(&self) -> Option<String> {
        match &self.sink {
            Sink::Standard => None,
            Sink::File { beside, .. } => fs::read_to_string(&beside.resume).ok(),
        }
    }

    /// Begins with so many bytes of what an earlier run wrote; `false`: none did, or not so many, and it begins anew.
    pub(super) fn begin(&mut self, earlier: Option<u64>) -> Result<bool, Error> {
        let done = self.begin_with(earlier);
        let begun = done.map_err(|error| self.failed("beginning", &error))?;
        if !begun {
            self.digest = Context::new(&SHA256);
        }
        self.written = earlier.filter(|_| begun).unwrap_or(0);
        Ok(begun)
    }

    fn begin_with(&mut self, earlier: Option<u64>) -> io::Result<bool> {
        let Sink::File { writer, beside, .. } = &mut self.sink else { return Ok(false) };
        let file = writer.get_mut();
        let length = file.metadata()?.len();
        let earlier = earlier.filter(|bytes| *bytes <= length);
        let (enough, bytes) = (earlier.is_some(), earlier.unwrap_or(0));
        if !enough {
            beside.keep = false;
            let _ = fs::remove_file(&beside.resume);
        }
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut Read::by_ref(file).take(bytes), &mut Hashing(&mut self.digest))?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(enough)
    }

    /// Writes some rows.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<Reading, Error> {
        self.digest.update(bytes);
        self.written += bytes.len() as u64;
        let written = match &mut self.sink {
            Sink::Standard => io::stdout().lock().write_all(bytes),
            Sink::File { writer, .. } => writer.write_all(bytes),
        };
        match written {
            Ok(()) => Ok(Reading::On),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reading::Ended),
            Err(error) => Err(self.failed("writing", &error)),
        }
    }

    /// Bytes written, those of an earlier run among them.
    pub(super) const fn written(&self) -> u64 {
        self.written
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

    /// Whether a later run can go on where this one stops.
    pub(super) const fn can_resume(&self) -> bool {
        matches!(self.sink, Sink::File { .. })
    }

    /// Makes what was written safe, and says beside it how far it came. A later run goes on there.
    pub(super) fn mark(&mut self, state: &str) -> Result<(), Error> {
        self.sync()?;
        if let Sink::File { beside, .. } = &mut self.sink {
            write_whole(&beside.resume, state)?;
            beside.keep = true;
        }
        Ok(())
    }

    /// Makes the file that is put in place from what was written.
    pub(super) fn assemble(&mut self, make: impl FnOnce(&Path, &Path) -> Result<(), Error>) -> Result<(), Error> {
        let Sink::File { beside, .. } = &mut self.sink else { return Ok(()) };
        let mut whole = beside.part.as_os_str().to_owned();
        whole.push(".whole");
        beside.whole = PathBuf::from(whole);
        make(&beside.part, &beside.whole)
    }

    /// SHA-256 of what is handed out.
    pub(super) fn digest(&self) -> Result<Digest, Error> {
        if let Sink::File { beside, .. } = &self.sink
            && beside.whole != beside.part
        {
            return digest_of(&beside.whole);
        }
        let mut out = [0; 32];
        out.copy_from_slice(self.digest.clone().finish().as_ref());
        Ok(out)
    }

    /// Where it goes, as it was named.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Puts the file in its place.
    pub(super) fn publish(self, force: bool) -> Result<(), Error> {
        let name = self.name;
        let Sink::File { writer, mut beside, place } = self.sink else { return Ok(()) };
        drop(writer);
        // A link refuses a name that is taken, whoever took it meanwhile; not every file system has links.
        let placed = match fs::hard_link(&beside.whole, &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !force => return Err(exists(&name)),
            Err(_) => fs::rename(&beside.whole, &place),
            linked => linked,
        };
        placed.map_err(|error| Error::at(&place, "putting the file in its place", &error))?;
        beside.keep = false;
        Ok(())
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Error {
        let hint = if error.kind() == ErrorKind::StorageFull { "; make room and start again" } else { "" };
        Error::said(format!("{}: {doing} failed: {error}{hint}", self.name))
    }
}

/// Hashes what is written to it.
struct Hashing<'a>(&'a mut Context);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// SHA-256 of a file.
pub(super) fn digest_of(path: &Path) -> Result<Digest, Error> {
    let mut digest = Context::new(&SHA256);
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut Hashing(&mut digest)));
    copied.map_err(|error| Error::at(path, "reading", &error))?;
    let mut out = [0; 32];
    out.copy_from_slice(digest.finish().as_ref());
    Ok(out)
}

/// Why a name that is taken is refused.
pub(super) fn exists(name: &str) -> Error {
    Error::said(format!("{name}: is there already: name another file, or replace it with --force"))
}
