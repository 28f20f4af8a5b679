//! The text of a keys file: what stands in it, read and written.
//!
//! A file has one `hash` key, exactly one `seal` key, any number of `open` keys of lower and `next` keys of higher
//! numbers. So the numbers alone say which key came after which, and two files that were changed apart show it.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::store::SealError;
use crate::store::seal::random;
use crate::time::Instant;

pub(super) type Secret = Zeroizing<[u8; 32]>;

const FORMAT: &str = "ringfence-keys 1";

const INTRODUCTION: &str = "\
# The keys of a Ringfence store. KEEP THIS FILE SECRET, AND KEEP A COPY OF IT APART FROM THE STORE.
#
# Without it nothing in the store or the audit log can be read again, and no opt-out found. With it and a copy of the
# store, every number in it can be found by trying. Keep it out of the data folder and out of the data's backups.
#
# `hash` finds records; it can never be changed within a store. The other keys seal them, and are changed with
# `ringfence keys rotate`, which writes this file anew (comments of your own are not kept):
#   next N   known here, and not used yet: so that every host can open what one of them will seal
#   seal N   the one key that seals
#   open N   sealed once; still needed for what it sealed, in the store and in backups of it
# Each line: the key's number, 256 random bits in hexadecimal, and since when the key has stood so.
";

/// What a sealing key is used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KeyState {
    /// It sealed once, and opens what it sealed.
    Open,
    /// It seals.
    Seal,
    /// It is known, so that it can open what others seal with it, and does not seal yet.
    Next,
}

impl KeyState {
    /// Its word in the file and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Seal => "seal",
            Self::Next => "next",
        }
    }
}

/// A sealing key as written.
pub(super) struct WrittenKey {
    pub id: u32,
    pub state: KeyState,
    pub raw: Secret,
    /// Since when it has been in this state; files of earlier releases do not say.
    pub since: Option<Instant>,
}

/// All keys of a file.
pub(super) struct Written {
    pub hash: Secret,
    /// Numbers rise.
    pub seals: Vec<WrittenKey>,
}

type Fault = (usize, &'static str);

impl Written {
    /// New keys for a new store.
    pub fn random(now: Option<Instant>) -> Result<Self, SealError> {
        let (hash, raw) = (Zeroizing::new(random()?), Zeroizing::new(random()?));
        Ok(Self { hash, seals: vec![WrittenKey { id: 1, state: KeyState::Seal, raw, since: now }] })
    }

    /// Reads a file; the error names the line, counted from 1, and never what stands in it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut hash = None;
        let mut seals: Vec<WrittenKey> = Vec::new();
        let mut began = false;
        let mut last = 0;
        for (index, line) in text.lines().enumerate() {
            let at = |why| (index + 1, why);
            last = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !began {
                began = line == FORMAT;
                if !began {
                    return Err(at("expected `ringfence-keys 1`: not a keys file, or one of a later release"));
                }
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (kind, rest): (_, Vec<_>) = (words.next().unwrap_or_default(), words.collect());
            match (kind, rest.as_slice()) {
                ("hash", [_]) if hash.is_some() => return Err(at("a second `hash` key: a store has exactly one")),
                ("hash", [key]) => {
                    hash = Some(unhex(key).ok_or(at("expected 64 hexadecimal digits after `hash`"))?);
                }
                ("open" | "seal" | "next", [id, key, since @ ..]) => {
                    let key = sealing(kind, id, key, since).map_err(at)?;
                    follows(&seals, &key).map_err(at)?;
                    seals.push(key);
                }
                _ => return Err(at("expected `hash KEY`, or `open`, `seal` or `next` with NUMBER KEY INSTANT")),
            }
        }
        let hash = hash.ok_or((last + 1, "no `hash` key"))?;
        if !seals.iter().any(|key| key.state == KeyState::Seal) {
            return Err((last + 1, "no `seal` key: exactly one must seal"));
        }
        Ok(Self { hash, seals })
    }

    /// The file.
    pub fn text(&self) -> Zeroizing<String> {
        // Room for all of it at once: growing would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(INTRODUCTION.len() + 128 * (self.seals.len() + 2)));
        // Writing to a string cannot fail.
        let _ = write!(text, "{INTRODUCTION}{FORMAT}\nhash ");
        push_hex(&mut text, &self.hash);
        for key in &self.seals {
            let _ = write!(text, "\n{} {} ", key.state.word(), key.id);
            push_hex(&mut text, &key.raw);
            if let Some(since) = key.since.and_then(Instant::to_rfc3339) {
                let _ = write!(text, " {since}");
            }
        }
        text.push('\n');
        text
    }

    /// The number of the key that seals.
    pub fn sealing(&self) -> u32 {
        self.seals.iter().find(|key| key.state == KeyState::Seal).map_or(0, |key| key.id)
    }

    /// Adds a key to come, whose number is above all here and above `floor`.
    pub fn add(&mut self, floor: u32, now: Instant) -> Result<u32, SealError> {
        let newest = self.seals.iter().map(|key| key.id).fold(floor, u32::max);
        let id = newest.checked_add(1).ok_or(SealError::Cryptography)?;
        let raw = Zeroizing::new(random()?);
        self.seals.push(WrittenKey { id, state: KeyState::Next, raw, since: Some(now) });
        Ok(id)
    }

    /// Lets this key seal, and all of lower numbers only open. Whether anything changed.
    pub fn seal_with(&mut self, id: u32, now: Instant) -> bool {
        if id == self.sealing() || !self.seals.iter().any(|key| key.id == id) {
            return false;
        }
        for key in &mut self.seals {
            let state = match key.id.cmp(&id) {
                std::cmp::Ordering::Less => KeyState::Open,
                std::cmp::Ordering::Equal => KeyState::Seal,
                std::cmp::Ordering::Greater => KeyState::Next,
            };
            if state != key.state {
                (key.state, key.since) = (state, Some(now));
            }
        }
        true
    }

    /// Drops the keys that only open and are not needed: their numbers.
    pub fn drop_all_but(&mut self, needed: &[u32]) -> Vec<u32> {
        let goes = |key: &WrittenKey| key.state == KeyState::Open && !needed.contains(&key.id);
        let gone = self.seals.iter().filter(|key| goes(key)).map(|key| key.id).collect();
        self.seals.retain(|key| !goes(key));
        gone
    }
}

fn sealing(kind: &str, id: &str, key: &str, since: &[&str]) -> Result<WrittenKey, &'static str> {
    let id = id.parse().ok().filter(|id| *id > 0).ok_or("expected a number above 0 after `open`, `seal` or `next`")?;
    let raw = unhex(key).ok_or("expected 64 hexadecimal digits after the key's number")?;
    let state = match kind {
        "open" => KeyState::Open,
        "seal" => KeyState::Seal,
        _ => KeyState::Next,
    };
    let since = match since {
        [] => None,
        [one] => Some(Instant::from_rfc3339(one).ok_or("expected an instant such as 2026-11-22T03:00:00Z at the end")?),
        _ => return Err("more than number, key and instant: one key stands on one line"),
    };
    Ok(WrittenKey { id, state, raw, since })
}

/// Whether a key may stand behind those before it.
fn follows(before: &[WrittenKey], key: &WrittenKey) -> Result<(), &'static str> {
    let Some(last) = before.last() else { return Ok(()) };
    if last.id >= key.id {
        return Err("the numbers of the keys must rise: a key stands here twice, or two files were put together");
    }
    if before.iter().any(|other| *other.raw == *key.raw) {
        return Err("the same key under another number");
    }
    match (last.state, key.state) {
        (KeyState::Seal, KeyState::Seal) => Err("a second `seal` key: exactly one seals, those before it only `open`"),
        (before, now) if before > now => Err("keys that `open` stand before the one that seals, `next` ones behind it"),
        _ => Ok(()),
    }
}

fn push_hex(out: &mut String, bytes: &[u8; 32]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
}

fn unhex(text: &str) -> Option<Secret> {
    let mut out = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}
