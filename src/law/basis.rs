//! All that a decision is made by, apart from its own facts, in a form that can be kept and read again: packs, zone data,
//! numbering tables and the words of inbound texts, each named by its SHA-256, and a page that names them all.
//!
//! Promises: from the kept objects another build on another machine has the very same law, or finds out that it has not.
//! Guarded by `tests/replay.rs`.

use std::fmt::Write as _;
use std::sync::OnceLock;

use aws_lc_rs::digest::{Context, SHA256, digest};

use super::{BUILT_IN, Law, Pack, hex, words};
use crate::place::{Jurisdiction, numbering_version, tables};
use crate::time::{tzdata_version, zone_files};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The first line of the page.
const HEAD: &str = "ringfence basis 1";

/// What a law rests on, by name: the page that an archive keeps, and that names everything else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The name that decisions carry.
    pub rules_version: String,
    /// Version and digest of the zone data.
    pub zones: (String, Hash),
    /// Version and digest of the numbering tables.
    pub numbering: (String, Hash),
    /// Digest of the words of inbound texts. No decision reads them; an inbound text is understood by them.
    pub words: Hash,
    /// Digests of the packs' texts, in their order; those built in, which change only with the program, go together.
    pub packs: Vec<Hash>,
}

/// What a law rests on, whole: for an archive to keep.
#[derive(Debug)]
pub struct Basis {
    /// Every object with its digest, the page last: it must not stand before what it names.
    pub objects: Vec<(Hash, Vec<u8>)>,
}

/// Takes bytes, part by part.
type Sink<'s> = &'s mut dyn FnMut(&[u8]);

impl Basis {
    /// Of a law that was read in this process.
    #[must_use]
    pub fn of(law: &Law) -> Self {
        let named = Named::of(&law.packs, &law.version, words());
        let files = |write: &dyn Fn(Sink<'_>)| {
            let mut bytes = Vec::new();
            write(&mut |part| bytes.extend_from_slice(part));
            bytes
        };
        let mut objects: Vec<(Hash, Vec<u8>)> = chunks(&law.packs)
            .into_iter()
            .zip(&named.packs)
            .map(|(chunk, digest)| (*digest, files(&|out| write_packs(chunk, out))))
            .collect();
        objects.push((named.zones.1, files(&write_zones)));
        objects.push((named.numbering.1, files(&write_tables)));
        objects.push((named.words, words::LANGUAGES.1.as_bytes().to_vec()));
        objects.push((named.digest(), named.page().into_bytes()));
        Self { objects }
    }
}

impl Named {
    pub(super) fn of(packs: &[Pack], rules_version: &str, words: Hash) -> Self {
        Self {
            rules_version: rules_version.to_owned(),
            zones: (tzdata_version().to_owned(), zones()),
            numbering: (numbering_version().to_owned(), numbering()),
            words,
            packs: chunks(packs).into_iter().map(|chunk| hashed(&|out| write_packs(chunk, out))).collect(),
        }
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = format!("{HEAD}\nrules {}\n", self.rules_version);
        // Writing to a string cannot fail.
        let _ = writeln!(page, "zones {} {}", self.zones.0, hex(&self.zones.1));
        let _ = writeln!(page, "numbering {} {}", self.numbering.0, hex(&self.numbering.1));
        let _ = writeln!(page, "words {}", hex(&self.words));
        for digest in &self.packs {
            let _ = writeln!(page, "packs {}", hex(digest));
        }
        page
    }

    /// Names the page itself.
    #[must_use]
    pub fn digest(&self) -> Hash {
        sha256(self.page().as_bytes())
    }

    /// Reads a page; `None` for anything else.
    #[must_use]
    pub fn read(page: &str) -> Option<Self> {
        let mut lines = page.lines();
        let mut line = |word: &str| lines.next()?.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned);
        if line("ringfence")? != HEAD.strip_prefix("ringfence ")? {
            return None;
        }
        let versioned = |text: String| {
            let (version, digest) = text.rsplit_once(' ')?;
            Some((version.to_owned(), unhex(digest)?))
        };
        let rules_version = line("rules")?;
        let (zones, numbering) = (versioned(line("zones")?)?, versioned(line("numbering")?)?);
        let words = unhex(&line("words")?)?;
        let packs = lines.map(|line| unhex(line.strip_prefix("packs ")?)).collect::<Option<_>>()?;
        Some(Self { rules_version, zones, numbering, words, packs })
    }

    /// Whether the zone data in use are those of this law.
    #[must_use]
    pub fn has_zones(&self) -> bool {
        self.zones.1 == zones()
    }

    /// Whether the numbering tables in use are those of this law.
    #[must_use]
    pub fn has_tables(&self) -> bool {
        self.numbering.1 == numbering()
    }
}

/// The name that decisions carry: half of a digest over the packs in whatever order, the words and the tables; and the
/// version of the zone data in the clear.
pub(super) fn version_of(mut texts: Vec<(Jurisdiction, bool, &str)>, words: &Hash) -> String {
    texts.sort_unstable();
    let mut hash = Context::new(&SHA256);
    for (jurisdiction, policy, text) in texts {
        hash.update(format!("{jurisdiction} {policy} {}\n", text.len()).as_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(words);
    hash.update(&numbering());
    let digest = hash.finish();
    format!("{}+tzdata{}", hex(digest.as_ref().get(..8).unwrap_or_default()), tzdata_version())
}

/// The packs as they are kept: those built in together, which saves a hundred files and as many waits for the disk.
fn chunks(packs: &[Pack]) -> Vec<&[Pack]> {
    let built_in = |pack: &Pack| BUILT_IN.iter().any(|(file, text)| *file == &*pack.file && *text == &*pack.text);
    packs.chunk_by(|one, next| built_in(one) && built_in(next)).collect()
}

/// Files one after another: a line with name and length, the bytes, a line end.
fn write_file(name: &str, bytes: &[u8], out: &mut dyn FnMut(&[u8])) {
    out(format!("{name} {}\n", bytes.len()).as_bytes());
    out(bytes);
    out(b"\n");
}

fn write_packs(packs: &[Pack], out: &mut dyn FnMut(&[u8])) {
    for pack in packs {
        // Only the file's own name: where it lay is no part of the law.
        let name = pack.file.rsplit(['/', '\\']).next().unwrap_or_default();
        write_file(name, pack.text.as_bytes(), out);
    }
}

fn write_zones(out: &mut dyn FnMut(&[u8])) {
    zone_files().into_iter().for_each(|(name, data)| write_file(name, data, out));
}

fn write_tables(out: &mut dyn FnMut(&[u8])) {
    tables().into_iter().for_each(|(name, text)| write_file(name, text.as_bytes(), out));
}

/// Reads what holds files one after another; `None` where it does not.
#[must_use]
pub fn read_files(mut bytes: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    let mut files = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 1..)?);
        let (name, length) = line.rsplit_once(' ')?;
        let (file, rest) = rest.split_at_checked(length.parse().ok()?)?;
        bytes = rest.strip_prefix(b"\n")?;
        files.push((name, file));
    }
    Some(files)
}

fn zones() -> Hash {
    static DIGEST: OnceLock<Hash> = OnceLock::new();
    *DIGEST.get_or_init(|| hashed(&write_zones))
}

fn numbering() -> Hash {
    static DIGEST: OnceLock<Hash> = OnceLock::new();
    *DIGEST.get_or_init(|| hashed(&write_tables))
}

/// Digest of the words of inbound texts.
pub(super) fn words() -> Hash {
    static DIGEST: OnceLock<Hash> = OnceLock::new();
    *DIGEST.get_or_init(|| sha256(words::LANGUAGES.1.as_bytes()))
}

pub(super) fn sha256(bytes: &[u8]) -> Hash {
    whole(digest(&SHA256, bytes).as_ref())
}

fn hashed(write: &dyn Fn(Sink<'_>)) -> Hash {
    let mut context = Context::new(&SHA256);
    write(&mut |part| context.update(part));
    whole(context.finish().as_ref())
}

/// A SHA-256 has 32 bytes.
fn whole(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap_or_default()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_back_and_names_what_is_kept() {
        let law = Law::read(BUILT_IN.iter().copied()).unwrap();
        let basis = Basis::of(&law);
        for (digest, bytes) in &basis.objects {
            assert_eq!(*digest, sha256(bytes));
        }
        let (digest, page) = basis.objects.last().unwrap();
        assert_eq!(digest, law.basis());
        let named = Named::read(std::str::from_utf8(page).unwrap()).unwrap();
        assert_eq!(named.page().as_bytes(), page);
        assert_eq!((named.packs.len(), named.rules_version.as_str()), (1, law.version()));
        assert!(named.has_zones() && named.has_tables());
        assert_eq!(Named::read("ringfence basis 2\n"), None);
    }

    #[test]
    fn kept_packs_read_back_as_the_same_law() {
        let own = include_str!("../../tests/cli/policy.toml");
        let law = Law::read(BUILT_IN.iter().copied().chain([("/etc/own/policy.toml", own)])).unwrap();
        let basis = Basis::of(&law);
        let texts: Vec<(&str, &str)> = basis
            .objects
            .iter()
            .filter(|(digest, _)| Named::of(&law.packs, &law.version, words()).packs.contains(digest))
            .flat_map(|(_, bytes)| read_files(bytes).unwrap())
            .map(|(name, text)| (name, std::str::from_utf8(text).unwrap()))
            .collect();
        assert_eq!(texts.last().unwrap().0, "policy.toml");
        let again = Law::read_with(texts, words()).unwrap();
        assert_eq!((again.basis(), again.version()), (law.basis(), law.version()));
    }

    #[test]
    fn the_order_of_packs_and_the_words_are_part_of_the_name() {
        let texts = || BUILT_IN.iter().copied();
        let law = Law::read(texts()).unwrap();
        let turned = Law::read(texts().rev()).unwrap();
        assert_eq!(law.version(), turned.version());
        assert_ne!(law.basis(), turned.basis());
        let other_words = Law::read_with(texts(), [7; 32]).unwrap();
        assert_ne!((law.version(), law.basis()), (other_words.version(), other_words.basis()));
    }
}
