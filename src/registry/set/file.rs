//! Set files on disk: written whole or not at all, mapped, and checked before they count.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use memmap2::Mmap;

use super::body::{Found, Table, look_up_tag, numbers, tags};
use super::builder::Builder;
use super::header::{HEAD, Header};
use super::layout::{Day, RECORD};

/// A set of numbers, in a file or in memory.
pub struct Set {
    header: Header,
    table: Table,
    bytes: Bytes,
}

enum Bytes {
    Map(Mmap),
    /// A header page and a body, as in a file.
    Memory(Vec<u8>),
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }

    #[inline]
    fn body(&self) -> &[u8] {
        self.all().get(HEAD..).unwrap_or_default()
    }
}

/// Why a file is not used.
#[derive(Debug)]
pub enum SetFault {
    /// It could not be read or written; trying again may go better.
    Io(io::Error),
    /// It is no whole set file: what is wrong with it.
    Refused(String),
}

impl From<io::Error> for SetFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for SetFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for SetFault {}

impl Set {
    /// Maps a file and reads its header and its table of prefixes. What its sections hold is believed until
    /// [`Self::verify`] has read them: call that before any answer counts.
    ///
    /// # Errors
    /// The file cannot be read, or is not a whole set file.
    #[allow(unsafe_code, reason = "a map: see the argument beside it")]
    pub fn map(path: &Path) -> Result<Self, SetFault> {
        let file = File::open(path)?;
        // An empty file cannot be mapped on every system.
        if file.metadata()?.len() < u64::try_from(HEAD).unwrap_or(u64::MAX) {
            return Err(SetFault::Refused("it is shorter than the header of a set file".to_owned()));
        }
        // SAFETY: The map is read only, and its bytes are only ever read as integers, any of which is valid, through
        // checked slices: a file changed in place gives other answers, which is no breach of memory safety in practice,
        // and the mapped file is never written by us, since `write` makes a new one and renames it. One that somebody
        // else cuts in place ends the process (SIGBUS) when a missing page is asked: then nobody is allowed anything.
        let map = unsafe { Mmap::map(&file)? };
        Self::of(Bytes::Map(map))
    }

    /// Takes the bytes of a set file that is in memory, as [`Self::map`] does those of one on disk.
    ///
    /// # Errors
    /// They are no whole set file.
    pub fn read(bytes: Vec<u8>) -> Result<Self, SetFault> {
        Self::of(Bytes::Memory(bytes))
    }

    fn of(bytes: Bytes) -> Result<Self, SetFault> {
        let refused = SetFault::Refused;
        let header = Header::read(bytes.all()).map_err(refused)?;
        let length = u64::try_from(bytes.body().len()).unwrap_or(u64::MAX);
        if header.length != length {
            let what = format!("its header promises {} bytes of numbers, there are {length}", header.length);
            return Err(SetFault::Refused(what));
        }
        if header.listed.is_some_and(|listed| listed > header.count || header.tagged.is_some()) {
            return Err(SetFault::Refused("its header has more numbers on the list than there are".to_owned()));
        }
        if header.tagged.is_some() {
            let each = if header.dated > 0 { 10 } else { 8 };
            if header.prefixes != 0 || header.count.checked_mul(each) != Some(length) || header.dated > header.count {
                return Err(SetFault::Refused("its header and its tags do not fit".to_owned()));
            }
            return Ok(Self { header, table: Table::default(), bytes });
        }
        let table = Table::read(bytes.body(), header.prefixes).map_err(refused)?;
        let count: u64 = table.sections().iter().map(|section| u64::from(section.record.count)).sum();
        if count != header.count {
            let what = format!("its header promises {} numbers, its prefixes have {count}", header.count);
            return Err(SetFault::Refused(what));
        }
        Ok(Self { header, table, bytes })
    }

    /// Reads every byte once and compares with the digest in the header.
    ///
    /// # Errors
    /// A byte is not as it was written.
    pub fn verify(&self) -> Result<(), SetFault> {
        let (table, sections) = self.bytes.body().split_at_checked(self.header.prefixes * RECORD).unwrap_or_default();
        let mut digest = Context::new(&SHA256);
        digest.update(sections);
        digest.update(table);
        if super::hex(digest.finish().as_ref()) == self.header.body {
            return Ok(());
        }
        Err(SetFault::Refused("its numbers are not as they were written: the digest in its header differs".to_owned()))
    }

    /// A set in memory, of what a builder gathered. `header` gives the names; counts and digests are filled in.
    ///
    /// # Errors
    /// The set is too large for this machine.
    pub fn in_memory(header: Header, builder: Builder) -> Result<Self, SetFault> {
        let mut bytes = io::Cursor::new(Vec::new());
        let header = write_to(&mut bytes, header, builder)?;
        bytes.seek(SeekFrom::Start(0))?;
        bytes.write_all(&header.page())?;
        Self::of(Bytes::Memory(bytes.into_inner()))
    }

    /// What the header says, counts and digests as they are.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether a number is in the set: the digits of its E.164 form.
    #[inline]
    #[must_use]
    pub fn look_up(&self, e164_digits: u64) -> Found {
        self.table.look_up(self.bytes.body(), e164_digits)
    }

    /// Whether a tag is in the set.
    #[must_use]
    pub fn look_up_tag(&self, tag: u64) -> Found {
        let count = usize::try_from(self.header.count).unwrap_or(usize::MAX);
        if self.header.tagged.is_some() { look_up_tag(self.bytes.body(), count, tag) } else { Found::Broken }
    }

    /// Every number, ascending, with its day of entry; of a set of tags, the tags.
    ///
    /// # Errors
    /// `Refused` once, as the last item, where a section makes no sense, which [`Self::verify`] rules out for files of
    /// our own.
    pub fn numbers(&self) -> impl Iterator<Item = Result<(u64, Day), SetFault>> + '_ {
        let broken = || SetFault::Refused("a section of it makes no sense".to_owned());
        let body = self.bytes.body();
        let count = if self.header.tagged.is_some() { usize::try_from(self.header.count).unwrap_or(0) } else { 0 };
        let all = tags(body, count).chain(numbers(&self.table, body));
        all.map(move |number| number.ok_or_else(broken))
    }

    /// How many numbers have each prefix (all but the last seven digits), ascending.
    pub fn counts(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.table.sections().iter().map(|section| (section.record.prefix, section.record.count))
    }
}

/// Writes a set file beside `path`, syncs it, and renames it over `path`: whoever reads meanwhile, and whatever happens,
/// there is the old file or the whole new one. `header` gives the names; counts and digests are filled in.
///
/// # Errors
/// The folder cannot be written; what was begun is removed, where that is possible.
pub fn write(path: &Path, header: Header, builder: Builder) -> Result<Header, SetFault> {
    Draft::write(path, header, builder)?.publish()
}

/// A set file that is whole and on disk, but not yet under its name. Dropped, it is removed.
pub struct Draft {
    path: PathBuf,
    unfinished: PathBuf,
    header: Header,
}

impl Draft {
    /// Writes it. `path` is what it will be called.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(path: &Path, header: Header, builder: Builder) -> Result<Self, SetFault> {
        // Hidden, so that no reader of the folder takes it for a list; of a name that no other writer, on whatever
        // machine, has too.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!("{}{}.part", unfinished(&name), uuid::Uuid::new_v4()));
        let mut draft = Self { path: path.to_owned(), unfinished, header };
        draft.header = write_beside(&draft.unfinished, draft.header.clone(), builder)?;
        Ok(draft)
    }

    /// What its header says.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads it back, every byte.
    ///
    /// # Errors
    /// The disk did not keep what was written.
    pub fn read_back(&self) -> Result<Set, SetFault> {
        let set = Set::map(&self.unfinished)?;
        set.verify()?;
        Ok(set)
    }

    /// Gives it its name, in one step, in place of what had it.
    ///
    /// # Errors
    /// The folder cannot be written; then what had the name keeps it.
    pub fn publish(self) -> Result<Header, SetFault> {
        fs::rename(&self.unfinished, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(self.header.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone after it was given its name.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// How the names begin under which a file of this name is written.
fn unfinished(name: &str) -> String {
    format!(".{name}.")
}

/// Removes what killed writers of this file left. Call it only where nobody else writes it.
///
/// # Errors
/// The folder cannot be read, or a file in it not removed.
pub fn tidy(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let begins = unfinished(&path.file_name().unwrap_or_default().to_string_lossy());
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&begins) && name.ends_with(".part") {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}

fn write_beside(unfinished: &Path, header: Header, builder: Builder) -> Result<Header, SetFault> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(unfinished)?);
    let header = write_to(&mut file, header, builder)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header.page())?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(header)
}

/// Writes room for the header, then the body. The table of prefixes comes first and is known last: its room is left, and
/// filled when all sections are written.
fn write_to(file: &mut (impl io::Write + Seek), mut header: Header, builder: Builder) -> Result<Header, SetFault> {
    let too_large = || SetFault::Refused("the set is too large for a file".to_owned());
    if header.tagged.is_some() {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&vec![0; HEAD])?;
        let (bytes, count, dated) = builder.finish_tags();
        file.write_all(&bytes)?;
        (header.count, header.dated, header.prefixes) = (count, dated, 0);
        header.length = u64::try_from(bytes.len()).map_err(|_| too_large())?;
        header.body = super::hex(aws_lc_rs::digest::digest(&SHA256, &bytes).as_ref());
        return Ok(header);
    }
    let parts = builder.finish();
    let room = parts.prefixes.checked_mul(RECORD).ok_or_else(too_large)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&vec![0; HEAD + room])?;
    let mut at = u64::try_from(room).map_err(|_| too_large())?;
    let mut records = Vec::with_capacity(room);
    let mut digest = Context::new(&SHA256);
    (header.count, header.dated, header.prefixes) = (0, 0, parts.prefixes);
    for mut section in parts.sections {
        section.record.at = at;
        records.extend(section.record.bytes());
        header.count += u64::from(section.record.count);
        header.dated += section.dated;
        at += u64::try_from(section.bytes.len()).map_err(|_| too_large())?;
        digest.update(&section.bytes);
        file.write_all(&section.bytes)?;
    }
    if records.len() != room {
        return Err(SetFault::Refused("prefixes were lost on the way: a fault of this program".to_owned()));
    }
    file.seek(SeekFrom::Start(u64::try_from(HEAD).map_err(|_| too_large())?))?;
    file.write_all(&records)?;
    header.length = at;
    digest.update(&records);
    header.body = super::hex(digest.finish().as_ref());
    Ok(header)
}
