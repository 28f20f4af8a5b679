//! The file of states of emergency: read whole, and again when it changes.

use std::path::Path;
use std::sync::Arc;

use super::packs::PacksError;
use crate::engine::Feed;
use crate::law::{Law, read_declared};
use crate::store::sha256;

/// Larger files are no list of emergencies.
const MOST_BYTES: u64 = 4 << 20;

/// A file as it was last looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// Its text, by digest.
    Text(String),
    /// It could not be read.
    Nothing,
}

/// Reads the file, whose name tells its form: `.csv`, or else TOML.
///
/// # Errors
/// It cannot be read, or is at fault: every fault, with its line.
pub(super) fn read(path: &Path, law: &Law) -> Result<Feed, PacksError> {
    let text = text(path)?;
    parse(path, &text, law)
}

/// The file again, if it is not as it was `seen` last; and how it is now.
pub(super) fn look(path: &Path, seen: &Seen, law: &Law) -> (Seen, Option<Result<Feed, PacksError>>) {
    match text(path) {
        Ok(text) => {
            let now = Seen::Text(digest(&text));
            let read = (now != *seen).then(|| parse(path, &text, law));
            (now, read)
        }
        Err(error) => (Seen::Nothing, (*seen != Seen::Nothing).then_some(Err(error))),
    }
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
    fn a_file_is_read_again_only_when_it_changed_and_its_loss_is_told_once() {
        let law = Law::read(BUILT_IN.iter().copied()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("emergencies.toml");
        std::fs::write(&path, GOOD).unwrap();
        let feed = read(&path, &law).unwrap();
        assert_eq!((feed.emergencies.len(), feed.digest.len()), (1, 16));
        let seen = Seen::Text(feed.digest);
        let (seen, unchanged) = look(&path, &seen, &law);
        assert!(unchanged.is_none());
        std::fs::write(&path, GOOD.replace("US-LA", "US-QQ")).unwrap();
        let (seen, refused) = look(&path, &seen, &law);
        let told = refused.unwrap().unwrap_err().to_string();
        assert!(told.contains("emergencies.toml:1: ") && told.contains("US-QQ"), "{told}");
        let (seen, again) = look(&path, &seen, &law);
        assert!(again.is_none(), "the same fault is not told every second");
        std::fs::remove_file(&path).unwrap();
        let (seen, gone) = look(&path, &seen, &law);
        assert!(gone.unwrap().unwrap_err().to_string().contains("cannot be read"));
        let (seen, still) = look(&path, &seen, &law);
        assert!(still.is_none());
        std::fs::write(&path, GOOD).unwrap();
        assert!(look(&path, &seen, &law).1.unwrap().is_ok());
    }
}
