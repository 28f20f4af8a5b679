//! Walking the chain over a folder, without any key: is everything there, in order, unaltered? If not: what is the first
//! bad entry?

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::archive::{Archive, Footer, unpack};
use super::frame::{self, BadHeader, Frame, HEADER_LEN, Header, NoFrame};
use super::report::{Bad, Expect, Fault, Report};
use super::segment::{Forms, Listing};
use super::{Entry, Head, LogError, segment};
use crate::store::{Digest, Held, WriterId};

/// Walks the log in this folder. Segments that are in the archive alone are not read.
///
/// # Errors
/// When the folder or a file cannot be read. A bad log is no error but a [`Report`].
pub fn verify(folder: &Path, expect: &Expect) -> Result<Report, LogError> {
    verify_with(folder, expect, None)
}

/// Walks the log in this folder and its copies in this archive. Waits for the archive: for threads that may.
///
/// # Errors
/// As [`verify`]; and when the archive cannot be reached.
pub fn verify_with(folder: &Path, expect: &Expect, archive: Option<&Archive>) -> Result<Report, LogError> {
    let listing = segment::list(folder)?;
    let mut walk = Walk {
        report: Report::default(),
        link: [0; 32],
        anchor: None,
        expected: expect.digests.iter().copied().collect(),
        live: Held::is_taken(folder),
    };
    let outcome = match listing.strangers.first() {
        Some(stranger) => Err(bad(stranger, 0, 1, Fault::Foreign).into()),
        None => walk_all(&mut walk, folder, &listing, expect, archive),
    };
    match outcome {
        Err(Stop::Bad(bad)) => walk.report.bad = Some(bad),
        Err(Stop::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    let mut report = walk.report;
    report.elsewhere =
        expect.anchors.iter().map(|anchor| anchor.writer).filter(|writer| report.writer != Some(*writer)).collect();
    if report.writer.is_none()
        && report.bad.is_none()
        && let Some(anchor) = expect.anchors.iter().find(|anchor| anchor.head.seq > 0)
    {
        let fault = Fault::Cut { anchored: anchor.head.seq };
        report.bad = Some(Bad { segment: name(&segment::path(folder, 1)), offset: 0, seq: 1, fault });
    }
    // What was not read may hold any of them.
    if report.unread == 0 {
        report.missing = expect.digests.iter().copied().filter(|digest| walk.expected.contains(digest)).collect();
    }
    Ok(report)
}

/// Whose log is in this folder; `None` if none is, or its first segment cannot be read.
///
/// # Errors
/// When the folder cannot be read.
pub fn writer_of(folder: &Path) -> Result<Option<WriterId>, LogError> {
    let listing = segment::list(folder)?;
    let header = listing.segments.iter().find_map(|(number, forms)| match forms {
        Forms { plain: true, .. } => segment::read_header(&segment::path(folder, *number)).ok(),
        Forms { packed: true, .. } => Some(segment::read_footer(&segment::packed_path(folder, *number)).ok()?.header),
        _ => Some(segment::read_footer(&segment::away_path(folder, *number)).ok()?.header),
    });
    Ok(header.map(|header| header.writer))
}

/// Why a walk ends before the log does.
enum Stop {
    Bad(Bad),
    Error(LogError),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Error(error)
    }
}

struct Walk {
    report: Report,
    /// The hash that comes next must name.
    link: Digest,
    anchor: Option<Head>,
    /// Expected digests not met yet.
    expected: HashSet<Digest>,
    /// A service is writing to the log at this moment.
    live: bool,
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn bad(path: &Path, offset: u64, seq: u64, fault: Fault) -> Bad {
    Bad { segment: name(path), offset, seq, fault }
}

/// What there is of a segment.
enum Got {
    Plain(PathBuf, Vec<u8>),
    Packed(PathBuf, Vec<u8>),
    /// In the archive, which is not to be read.
    Away(PathBuf),
}

/// Reads a segment in the form that is there. A running service may be changing it: then once more.
fn get(folder: &Path, number: u64, archive: Option<&Archive>) -> Result<Got, Stop> {
    let mut again = true;
    loop {
        let (plain, packed) = (segment::path(folder, number), segment::packed_path(folder, number));
        let away = segment::away_path(folder, number);
        let read = |path: PathBuf| segment::read(&path).map(|bytes| (path, bytes));
        let got = if plain.exists() {
            read(plain).map(|(path, bytes)| Got::Plain(path, bytes))
        } else if packed.exists() {
            read(packed).map(|(path, bytes)| Got::Packed(path, bytes))
        } else if let (true, Some(archive)) = (away.exists(), archive) {
            let object = archive.get_waiting(&segment::packed_name(number))?;
            return object.map(|bytes| Got::Packed(away.clone(), bytes)).ok_or_else(|| {
                let footer = segment::read_footer(&away);
                bad(&away, 0, footer.map_or(0, |footer| footer.header.first_seq), Fault::NotArchived).into()
            });
        } else if away.exists() {
            return Ok(Got::Away(away));
        } else {
            read(plain).map(|(path, bytes)| Got::Plain(path, bytes))
        };
        match got {
            Err(_) if again => again = false,
            got => return Ok(got?),
        }
    }
}

fn walk_all(
    walk: &mut Walk,
    folder: &Path,
    listing: &Listing,
    expect: &Expect,
    archive: Option<&Archive>,
) -> Result<(), Stop> {
    let newest = listing.segments.keys().next_back().copied().unwrap_or_default();
    for (number, expected) in listing.segments.keys().zip(1..) {
        if *number != expected {
            let path = segment::path(folder, expected);
            return Err(bad(&path, 0, walk.report.head.seq + 1, Fault::SegmentMissing).into());
        }
        let place = Place { number: *number, newest: *number == newest, expect };
        match get(folder, *number, archive)? {
            Got::Plain(path, bytes) => {
                walk.whole(&path, &bytes, &place)?;
                walk.copy_beside(folder, *number, &bytes)?;
            }
            Got::Packed(path, bytes) => walk.packed(&path, &bytes, &place)?,
            Got::Away(path) => walk.away(&path, &place)?,
        }
        if let Some(archive) = archive {
            walk.copy_in(archive, folder, *number)?;
        }
    }
    let seq = walk.report.head.seq;
    if let Some((newest, Forms { plain: false, .. })) = listing.segments.iter().next_back() {
        // A segment is compressed only once the next one is there.
        let path = segment::path(folder, newest + 1);
        return Err(bad(&path, 0, seq + 1, Fault::SegmentMissing).into());
    }
    if let (Some(anchor), Some(newest)) = (walk.anchor, listing.segments.keys().next_back())
        && anchor.seq > seq
    {
        let path = segment::path(folder, *newest);
        let offset = path.metadata().map_or(0, |about| about.len());
        return Err(bad(&path, offset, seq + 1, Fault::Cut { anchored: anchor.seq }).into());
    }
    Ok(())
}

/// Which segment is walked.
struct Place<'e> {
    number: u64,
    newest: bool,
    expect: &'e Expect,
}

impl Walk {
    fn whole(&mut self, path: &Path, bytes: &[u8], place: &Place<'_>) -> Result<(), Stop> {
        self.header(path, bytes, place.number, place.newest, place.expect)?;
        self.frames(path, bytes, place.newest)?;
        self.report.segments += 1;
        Ok(())
    }

    /// Walks what a compressed segment gives, then says what is wrong with the file itself.
    fn packed(&mut self, path: &Path, bytes: &[u8], place: &Place<'_>) -> Result<(), Stop> {
        let unpacked = unpack(bytes);
        if !unpacked.plain.is_empty() {
            self.header(path, &unpacked.plain, place.number, false, place.expect)?;
            self.frames(path, &unpacked.plain, false)?;
        }
        match unpacked.fault {
            Some((offset, why)) => Err(bad(path, offset, self.report.head.seq + 1, Fault::Packing(why)).into()),
            None => {
                self.report.segments += 1;
                self.report.packed += 1;
                Ok(())
            }
        }
    }

    /// Goes over a segment that is not read: what stays of it here says what it should begin and end with.
    fn away(&mut self, path: &Path, place: &Place<'_>) -> Result<(), Stop> {
        let bytes = segment::read(path)?;
        let seq = self.report.head.seq + 1;
        let Some(footer) = Footer::decode(&bytes) else {
            return Err(bad(path, 0, seq, Fault::Packing("what stays here of a segment in the archive")).into());
        };
        let (header, _) = footer.header.encode();
        self.header(path, &header, place.number, false, place.expect)?;
        if footer.head.seq < self.report.head.seq {
            return Err(bad(path, 0, seq, Fault::Repeated { found: footer.head.seq }).into());
        }
        if self.anchor.is_some_and(|anchor| anchor.seq == footer.head.seq && anchor.hash != footer.head.hash) {
            return Err(bad(path, 0, footer.head.seq, Fault::NotTheAnchored).into());
        }
        self.report.head = footer.head;
        self.report.unread += 1;
        Ok(())
    }

    /// A compressed copy beside the segment, as a crash leaves one, must be its copy.
    fn copy_beside(&mut self, folder: &Path, number: u64, plain: &[u8]) -> Result<(), Stop> {
        let path = segment::packed_path(folder, number);
        // A running service may take away either meanwhile.
        let Ok(bytes) = segment::read(&path) else { return Ok(()) };
        let unpacked = unpack(&bytes);
        if unpacked.fault.is_none() && unpacked.plain == plain {
            return Ok(());
        }
        let (offset, why) = unpacked.fault.unwrap_or((0, "it does not give back the segment beside it"));
        Err(bad(&path, offset, self.report.head.seq + 1, Fault::Packing(why)).into())
    }

    /// The copy in the archive of a segment that is here must be its copy, if it is there.
    fn copy_in(&mut self, archive: &Archive, folder: &Path, number: u64) -> Result<(), Stop> {
        let path = segment::packed_path(folder, number);
        let Ok(here) = segment::read(&path) else {
            self.report.archived += u64::from(segment::away_path(folder, number).exists());
            return Ok(());
        };
        match archive.get_waiting(&segment::packed_name(number))? {
            Some(there) if there != here => Err(bad(&path, 0, self.report.head.seq + 1, Fault::ArchivedOther).into()),
            there => {
                self.report.archived += u64::from(there.is_some());
                Ok(())
            }
        }
    }
}

impl Walk {
    fn header(&mut self, path: &Path, bytes: &[u8], number: u64, newest: bool, expect: &Expect) -> Result<(), Stop> {
        let seq = self.report.head.seq + 1;
        let here = |fault| Stop::from(bad(path, 0, seq, fault));
        let (header, hash) = match Header::decode(bytes) {
            Ok(decoded) => decoded,
            Err(_) if newest && bytes.len() < HEADER_LEN => return Err(here(Fault::Torn)),
            Err(BadHeader::Foreign) => return Err(here(Fault::Foreign)),
            Err(BadHeader::Newer(format)) => return Err(here(Fault::Newer(format))),
            Err(BadHeader::Damaged) => return Err(here(Fault::HeaderChanged)),
        };
        let writer = *self.report.writer.get_or_insert(header.writer);
        if number == 1 {
            self.anchor = expect.anchors.iter().find(|anchor| anchor.writer == writer).map(|anchor| anchor.head);
        }
        if header.number != number || header.writer != writer {
            return Err(here(Fault::SegmentMoved { number: header.number, writer: header.writer }));
        }
        if header.first_seq != seq || header.before != self.report.head.hash {
            return Err(here(if header.first_seq > seq {
                Fault::Removed { found: header.first_seq }
            } else if header.first_seq < seq {
                Fault::Repeated { found: header.first_seq }
            } else {
                Fault::Replaced
            }));
        }
        self.link = hash;
        Ok(())
    }

    fn frames(&mut self, path: &Path, bytes: &[u8], newest: bool) -> Result<(), Stop> {
        let mut offset = HEADER_LEN;
        loop {
            let rest = bytes.get(offset..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let seq = self.report.head.seq + 1;
            let here = |fault| Stop::from(bad(path, offset as u64, seq, fault));
            match frame::at(rest) {
                Ok(frame) => {
                    self.frame(&frame, seq).map_err(here)?;
                    offset += frame.length;
                }
                // Nothing later can stand behind an unfinished write.
                Err(NoFrame::Short) if newest && self.live => {
                    self.report.unfinished = rest.len() as u64;
                    return Ok(());
                }
                Err(NoFrame::Short) if newest && frame::proof_of_safety(rest, seq).is_none() => {
                    return Err(here(Fault::Torn));
                }
                Err(_) => return Err(here(Fault::Changed)),
            }
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, seq: u64) -> Result<(), Fault> {
        if frame.seq > seq {
            return Err(Fault::Removed { found: frame.seq });
        }
        if frame.seq < seq {
            return Err(Fault::Repeated { found: frame.seq });
        }
        if frame.before != self.link {
            return Err(Fault::Replaced);
        }
        if Entry::decode(frame.content).is_none() {
            return Err(Fault::Unreadable);
        }
        if self.anchor.is_some_and(|anchor| anchor.seq == seq && anchor.hash != frame.hash) {
            return Err(Fault::NotTheAnchored);
        }
        self.link = frame.hash;
        self.expected.remove(&frame.digest);
        self.report.head = Head { seq, hash: frame.hash };
        Ok(())
    }
}
