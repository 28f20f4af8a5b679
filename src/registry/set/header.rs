//! The head of a set file: some lines anybody can read, in a page of their own.

use std::fmt::Write as _;

use crate::registry::tags::Mark;
use crate::time::Instant;

/// The body begins here: so many bytes belong to the header, filled up with line ends.
pub const HEAD: usize = 4_096;
/// What every set file of this form begins with.
const FIRST: &str = "ringfence list, form 1";
/// No source has more characters than this.
const SOURCE: usize = 1_000;

/// What the header of a set file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The canonical id of the list.
    pub registry: String,
    /// When the keeper of the list made this copy.
    pub as_of: Instant,
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

    fn lines(&self) -> String {
        let one_line = |text: &str| -> String {
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(SOURCE)
                .collect::<String>()
                .trim()
                .to_owned()
        };
        format!(
            "{FIRST}\nregistry {}\nas_of {}\ncount {}\ndated {}\nprefixes {}\ntagged {}\nsource {}\nsample {}\nbuilt_by {}\n\
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
        if !page.starts_with(format!("{FIRST}\n").as_bytes()) {
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
        let mut lines = lines.lines().skip(1);
        let mut next = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(' ').map(str::to_owned);
        Some(Self {
            registry: next("registry")?,
            as_of: Instant::from_rfc3339(&next("as_of")?)?,
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
