//! The file of states of emergency: read whole, and again when it changes.

use std::path::Path;
use std::sync::Arc;

use super::packs::PacksError;
use crate::engine::Feed;
use crate::law::{Law, read_declared};
use crate::store::sha256;

/// Larger files are no list of emergencies.
const MOST_BYTES: u64 = 4 << 20;

/// Reads the file, whose name tells its form: `.csv`, or else TOML.
///
/// # Errors
/// It cannot be read, or is at fault: every fault, with its line.
pub(super) fn read(path: &Path, law: &Law) -> Result<Feed, PacksError> {
    let text = text(path)?;
    parse(path, &text, law)
}

/// The file again, if it says something else than what is in force, by its digest.
///
/// # Errors
/// As [`read`].
pub(super) fn look(path: &Path, in_force: &str, law: &Law) -> Result<Option<Feed>, PacksError> {
    let text = text(path)?;
    if digest(&text) == in_force { Ok(None) } else { parse(path, &text, law).map(Some) }
}

fn text(path: &Path) -> Result<String, PacksError> {
    let failed = |why: String| PacksError::Unreadable { path: path.to_owned(), why };
    let about = std::fs::metadata(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    if about.len() > MOST_BYTES {
        return Err(failed(format!("larger than {MOST_BYTES} bytes: no list of emergencies")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))
}

fn parse(path: &Path, text: &str, law: &Law) -> Result<Feed, PacksError> {
    let declared = read_declared(&path.display().to_string(), text, law).map_err(PacksError::Faults)?;
    Ok(Feed { digest: digest(text), emergencies: declared.into_iter().map(Arc::new).collect() })
}

fn digest(text: &str) -> String {
    sha256(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::law::BUILT_IN;

    const GOOD: &str = "[[emergency]]\nid = \"a\"\njurisdiction = \"US-LA\"\ntitle = \"Storm\"\nsource = \"JBE 1\"\n\
                        from = 2026-11-18\n";

    #[test]
    fn a_file_is_taken_once_it_says_something_else_and_refused_until_it_reads() {
        let law = Law::read(BUILT_IN.iter().copied()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("emergencies.toml");
        std::fs::write(&path, GOOD).unwrap();
        let feed = read(&path, &law).unwrap();
        assert_eq!((feed.emergencies.len(), feed.digest.len()), (1, 16));
        let in_force = feed.digest;
        assert!(look(&path, &in_force, &law).unwrap().is_none());
        std::fs::write(&path, GOOD.replace("US-LA", "US-QQ")).unwrap();
        // Tried again each time: what is refused now may be taken once the packs are others.
        for _ in 0..2 {
            let told = look(&path, &in_force, &law).unwrap_err().to_string();
            assert!(told.contains("emergencies.toml:1: ") && told.contains("US-QQ"), "{told}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(look(&path, &in_force, &law).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&path, GOOD.replace("JBE 1", "JBE 2")).unwrap();
        assert!(look(&path, &in_force, &law).unwrap().is_some());
    }
}
