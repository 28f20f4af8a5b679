//! The law of a past decision, read again from the library beside the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::Library;
use crate::law::{Hash, Law, Named, read_files};
use crate::place::install_tables;
use crate::time::install_zones;

/// Sets kept in memory: a log seldom goes back and forth between more.
const REMEMBERED: usize = 8;

/// Why a decision cannot be judged again.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Unfit {
    /// See [`super::FORM`].
    #[error("it was written by an earlier release, which did not record everything that decides")]
    Older,
    /// Of a later release.
    #[error("it was written in form {0} by a later release: use that release, or a later one")]
    Newer(u32),
    /// Nobody can read it any more.
    #[error("its key is gone: the contact was erased")]
    Erased,
    /// Its key went with the contact into another region.
    #[error("the contact moved to region {0}, and its key with it: ask a server that has every region")]
    Moved(String),
    /// The keys at hand do not open it.
    #[error("it does not open with the keys at hand ({0})")]
    Sealed(String),
    /// The keys at hand lack the one of this number.
    #[error("it is sealed under key {0}, which is not among the keys at hand")]
    UnknownKey(u32),
    /// Its content is not what it should be.
    #[error("its content does not read: {0}")]
    Unreadable(String),
    /// This release would not accept the question.
    #[error("this release does not accept the question of then: {0}")]
    Request(String),
    /// It does not say what it was made by.
    #[error("it does not name the packs it was made by")]
    Unnamed,
    /// The library lacks something.
    #[error("the library lacks {0} (packs, zone data or numbering tables of then)")]
    Lacking(String),
    /// The library cannot be read.
    #[error("the library cannot be read: {0}")]
    Library(String),
    /// Other zone data are in use in this process.
    #[error("it was made with zone data {0}, which are not those of this process: `ringfence audit replay` loads them")]
    Zones(String),
    /// Other numbering tables are in use in this process.
    #[error(
        "it was made with numbering tables {0}, which are not those of this process: `ringfence audit replay` loads them"
    )]
    Tables(String),
    /// This release reads packs otherwise.
    #[error("this release refuses the packs of then: {0}")]
    Packs(String),
    /// The same texts make another law.
    #[error("this release makes another set of the packs of then")]
    Another,
}

/// Past laws, read from a library and remembered.
#[derive(Debug)]
pub struct Laws {
    library: Library,
    read: Mutex<HashMap<Hash, Result<Arc<Law>, Unfit>>>,
    named: Mutex<HashMap<Hash, Result<Named, Unfit>>>,
}

impl Laws {
    /// Of this library.
    #[must_use]
    pub fn new(library: Library) -> Self {
        Self { library, read: Mutex::default(), named: Mutex::default() }
    }

    /// The law that goes by this name.
    ///
    /// # Errors
    /// It cannot be had in this process, and why.
    pub fn get(&self, basis: &Hash) -> Result<Arc<Law>, Unfit> {
        remembered(&self.read, basis, || self.read_law(basis))
    }

    /// What the law of this name rests on.
    ///
    /// # Errors
    /// The library lacks it, or cannot be read.
    pub fn named(&self, basis: &Hash) -> Result<Named, Unfit> {
        remembered(&self.named, basis, || self.read_named(basis))
    }

    /// Everything that the law of this name rests on, by digest; the page that names it all comes last.
    ///
    /// # Errors
    /// The library lacks something of it, or cannot be read.
    pub fn objects(&self, basis: &Hash) -> Result<Vec<(Hash, Vec<u8>)>, Unfit> {
        let named = self.named(basis)?;
        let parts = [named.zones.1, named.numbering.1, named.words];
        let all = named.packs.iter().chain(&parts).chain([basis]);
        all.map(|digest| Ok((*digest, self.object(digest)?))).collect()
    }

    fn read_named(&self, basis: &Hash) -> Result<Named, Unfit> {
        let page = self.object(basis)?;
        let named = std::str::from_utf8(&page).ok().and_then(Named::read);
        named.ok_or_else(|| Unfit::Library(format!("{} names nothing that this release knows", shown(basis))))
    }

    fn read_law(&self, basis: &Hash) -> Result<Arc<Law>, Unfit> {
        let named = self.named(basis)?;
        if !named.has_zones() {
            return Err(Unfit::Zones(named.zones.0));
        }
        if !named.has_tables() {
            return Err(Unfit::Tables(named.numbering.0));
        }
        let mut texts = Vec::new();
        for digest in &named.packs {
            texts.extend(files(&self.object(digest)?, digest)?);
        }
        let texts = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let law = Law::read_with(texts, named.words)
            .map_err(|faults| Unfit::Packs(faults.first().map(ToString::to_string).unwrap_or_default()))?;
        if law.basis() == basis { Ok(Arc::new(law)) } else { Err(Unfit::Another) }
    }

    fn object(&self, digest: &Hash) -> Result<Vec<u8>, Unfit> {
        let object = self.library.get(digest).map_err(|error| Unfit::Library(error.to_string()))?;
        object.ok_or_else(|| Unfit::Lacking(shown(digest)))
    }
}

/// Reads under the lock: whoever else wants it waits, and does not read it a second time.
fn remembered<T: Clone>(
    known: &Mutex<HashMap<Hash, Result<T, Unfit>>>,
    basis: &Hash,
    read: impl FnOnce() -> Result<T, Unfit>,
) -> Result<T, Unfit> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(one) = known.get(basis) {
        return one.clone();
    }
    let one = read();
    // What was not there, or did not read, may be put right while this process runs.
    if matches!(one, Err(Unfit::Lacking(_) | Unfit::Library(_))) {
        return one;
    }
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(*basis, one.clone());
    one
}

/// Puts zone data and numbering tables of a past law in the place of those of the program, for the whole process; to be
/// called before any zone or number was looked at.
///
/// # Errors
/// The library lacks them, or something was looked at before.
pub fn install(laws: &Laws, basis: &Hash) -> Result<(), Unfit> {
    let named = laws.named(basis)?;
    let in_use = |what: &str| Unfit::Library(format!("{what} were used before they could be exchanged"));
    let bytes = laws.object(&named.zones.1)?;
    let zones: BTreeMap<String, Vec<u8>> = read_files(&bytes)
        .ok_or_else(|| Unfit::Library(format!("{} holds no zone data", shown(&named.zones.1))))?
        .into_iter()
        .map(|(name, data)| (name.to_owned(), data.to_vec()))
        .collect();
    let tables = files(&laws.object(&named.numbering.1)?, &named.numbering.1)?;
    install_zones(&named.zones.0, zones).map_err(|_| in_use("zone data"))?;
    install_tables(tables).map_err(|_| in_use("numbering tables"))?;
    Ok(())
}

fn files(bytes: &[u8], digest: &Hash) -> Result<Vec<(String, String)>, Unfit> {
    let files = read_files(bytes).and_then(|files| {
        let text = |(name, bytes): (&str, &[u8])| Some((name.to_owned(), std::str::from_utf8(bytes).ok()?.to_owned()));
        files.into_iter().map(text).collect::<Option<Vec<_>>>()
    });
    files.ok_or_else(|| Unfit::Library(format!("{} does not hold texts", shown(digest))))
}

/// The first half: enough to find the file.
fn shown(digest: &Hash) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
