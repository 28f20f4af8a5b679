//! The head of a set file: some lines anybody can read, in a page of their own.

use std::fmt::Write as _;

use super::areas::Areas;
use crate::registry::tags::Mark;
use crate::time::Instant;

/// The body begins here: so many bytes belong to the header, filled up with line ends.
pub const HEAD: usize = 4_096;
/// What every set file of this form begins with.
const FIRST: &str = "ringfence list, form 2";
/// What those of answers begin with: an older version would take whoever was asked about for listed.
const ANSWERS: &str = "ringfence list, form 3";
/// What those without coverage began with.
const OLD: &str = "ringfence list, form 1";
/// No source has more bytes than this: with every area code there is, the page has room.
const SOURCE: usize = 1_000;

/// What the header of a set file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The canonical id of the list.
    pub registry: String,
    /// When the keeper of the list made this copy.
    pub as_of: Instant,
    /// When he made the last full copy, where lists of changes were applied to it since; `None`: not known.
    pub full_as_of: Option<Instant>,
    /// The areas it speaks for; `None` of a file of a form that did not say.
    pub areas: Option<Areas>,
    /// Of answers about numbers that a register was asked about: how many of them are on it. The others stand in the file as
    /// [`Day::CLEAR`](super::Day::CLEAR); of any other number nothing is known. `None`: each number of the file is on the list.
    pub listed: Option<u64>,
    /// How many numbers there are.
    pub count: u64,
    /// How many of them have a date of entry.
    pub dated: u64,
    /// How many prefixes they have.
    pub prefixes: usize,
    /// Where it holds tags in place of numbers: the mark of the keys and the tenant they were made for.
    pub tagged: Option<Mark>,
    /// Where the copy came from, in words; may be empty.
    pub source: String,
    /// Whether the numbers are made up.
    pub sample: bool,
    /// The program that wrote the file, and its version.
    pub built_by: String,
    /// Bytes of the body.
    pub length: u64,
    /// SHA-256 of the body, in hex.
    pub body: String,
}

impl Header {
    /// The names of a list that is still to be written; counts and digests are filled in by whoever writes it.
    #[must_use]
    pub fn new(registry: &str, as_of: Instant, source: &str, sample: bool) -> Self {
        Self {
            registry: registry.to_owned(),
            as_of,
            full_as_of: Some(as_of),
            areas: Some(Areas::ALL),
            listed: None,
            count: 0,
            dated: 0,
            prefixes: 0,
            tagged: None,
            source: source.to_owned(),
            sample,
            built_by: concat!("ringfence ", env!("CARGO_PKG_VERSION")).to_owned(),
            length: 0,
            body: String::new(),
        }
    }

    /// The header as it stands in a file, [`HEAD`] bytes.
    #[must_use]
    pub fn page(&self) -> Vec<u8> {
        let mut text = self.lines();
        let seal = seal(&text);
        // Writing to a string does not fail.
        let _ = writeln!(text, "seal {seal}");
        let mut page = text.into_bytes();
        page.resize(HEAD, b'\n');
        page
    }

    /// What tells this copy from any other: 16 hex digits over all that the header says, the digest of the body included.
    #[must_use]
    pub fn version(&self) -> String {
        seal(&self.lines())
    }

    /// How many numbers are on the list.
    #[must_use]
    pub fn on_list(&self) -> u64 {
        self.listed.unwrap_or(self.count)
    }

    /// How many of those have a date of entry.
    #[must_use]
    pub fn with_date(&self) -> u64 {
        self.dated.saturating_sub(self.count.saturating_sub(self.on_list()))
    }

    fn lines(&self) -> String {
        let one_line = |text: &str| -> String {
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let text = text.get(..ends.take_while(|end| *end <= SOURCE).last().unwrap_or(0)).unwrap_or_default();
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
        };
        let first = match (self.listed, &self.areas) {
            (Some(_), _) => ANSWERS,
            (None, Some(_)) => FIRST,
            (None, None) => OLD,
        };
        let full = self.full_as_of.map_or_else(|| "unknown".to_owned(), |full| full.to_string());
        let listed = self.listed.map_or_else(String::new, |listed| format!("listed {listed}\n"));
        let coverage =
            self.areas.as_ref().map(|areas| format!("full_as_of {full}\nareas {areas}\n{listed}")).unwrap_or_default();
        format!(
            "{first}\nregistry {}\nas_of {}\n{coverage}count {}\ndated {}\nprefixes {}\ntagged {}\nsource {}\nsample {}\nbuilt_by {}\n\
             length {}\nbody {}\n",
            self.registry,
            self.as_of,
            self.count,
            self.dated,
            self.prefixes,
            self.tagged.map_or_else(|| "no".to_owned(), |mark| mark.to_string()),
            one_line(&self.source),
            self.sample,
            one_line(&self.built_by),
            self.length,
            self.body,
        )
    }

    /// Reads the first [`HEAD`] bytes of a file. The text says what is wrong with them.
    ///
    /// # Errors
    /// The file is of another kind or form, or a byte of its header is not as it was written.
    pub fn read(page: &[u8]) -> Result<Self, String> {
        if !page.starts_with(b"ringfence list, form ") {
            return Err("it does not begin as a set file does".to_owned());
        }
        if ![FIRST, ANSWERS, OLD].iter().any(|first| page.starts_with(format!("{first}\n").as_bytes())) {
            return Err("its form is not one that this version reads".to_owned());
        }
        let page = page.get(..HEAD).ok_or("it ends within its header")?;
        let text = std::str::from_utf8(page).map_err(|_| "its header is not text")?;
        let (lines, rest) =
            text.rfind("seal ").and_then(|at| text.split_at_checked(at)).ok_or("its header has no seal")?;
        let sealed = rest.trim_end_matches('\n');
        if sealed != format!("seal {}", seal(lines)) {
            return Err("its header is not as it was written".to_owned());
        }
        let header = Self::of(lines).ok_or("its header cannot be read")?;
        // What reads otherwise than it would be written was written by something else.
        if header.lines() == lines { Ok(header) } else { Err("its header is of another writer".to_owned()) }
    }

    fn of(lines: &str) -> Option<Self> {
        let mut lines = lines.lines();
        let first = lines.next()?;
        let (covers, answers) = (first != OLD, first == ANSWERS);
        let mut next = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ').map(str::to_owned);
        Some(Self {
            registry: next("registry")?,
            as_of: Instant::from_rfc3339(&next("as_of")?)?,
            full_as_of: match covers.then(|| next("full_as_of")) {
                None => None,
                Some(said) => match said?.as_str() {
                    "unknown" => None,
                    full => Some(Instant::from_rfc3339(full)?),
                },
            },
            areas: match covers.then(|| next("areas")) {
                None => None,
                Some(said) => Some(Areas::read(&said?).ok()?),
            },
            listed: if answers { Some(next("listed")?.parse().ok()?) } else { None },
            count: next("count")?.parse().ok()?,
            dated: next("dated")?.parse().ok()?,
            prefixes: next("prefixes")?.parse().ok()?,
            tagged: match next("tagged")?.as_str() {
                "no" => None,
                mark => Some(Mark::read(mark)?),
            },
            source: next("source")?,
            sample: next("sample")?.parse().ok()?,
            built_by: next("built_by")?,
            length: next("length")?.parse().ok()?,
            body: next("body")?,
        })
    }
}

fn seal(lines: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, lines.as_bytes());
    super::hex(digest.as_ref().get(..8).unwrap_or_default())
}
