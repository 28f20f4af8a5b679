//! The rules in force: the packs built into the program, with those of a folder in place of the same jurisdiction's, and
//! policy packs beside them.

use std::path::{Path, PathBuf};

use super::own_packs::{Own, OwnPacks};
use crate::law::{BUILT_IN, Law, Pack, PackFault};

/// Larger files are no packs.
const MOST_BYTES: u64 = 4 << 20;

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum PacksError {
    /// The folder or a file in it cannot be read.
    #[error("{}: {why}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The texts are at fault; every fault, a line each: `PATH:LINE: what`.
    #[error("{}", lines(.0))]
    Faults(Vec<PackFault>),
}

fn lines(faults: &[PackFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads the rules: those built in, and those of the folder.
///
/// # Errors
/// The folder cannot be read or holds no pack; a text is at fault.
pub fn read(folder: Option<&Path>) -> Result<Law, PacksError> {
    let Some(folder) = folder else { return law(&[]) };
    law(&texts(folder)?)
}

/// The same with those of a second folder beside them: the rules of one tenant.
///
/// # Errors
/// As [`read`].
pub fn read_with(folder: Option<&Path>, own: &Path) -> Result<Law, PacksError> {
    let mut all = folder.map(texts).transpose()?.unwrap_or_default();
    all.extend(texts(own)?);
    law(&all)
}

/// The rules of one tenant, where it has packs of its own; `None`: those of all hold for it.
///
/// # Errors
/// As [`read`]; whether it has packs of its own is not known.
pub fn read_own(all: Option<&Path>, of_tenants: Option<&Path>, tenant: &str) -> Result<Option<Law>, PacksError> {
    let Some(folder) = of_tenants else { return Ok(None) };
    let unknown = |error: super::Error| PacksError::Unreadable { path: folder.to_owned(), why: error.to_string() };
    match OwnPacks::open(folder).and_then(|mut packs| packs.of(tenant)).map_err(unknown)? {
        Own::Folder(own) => read_with(all, &own).map(Some),
        Own::Nothing => Ok(None),
    }
}

fn law(own: &[(String, String)]) -> Result<Law, PacksError> {
    let mut faults = Vec::new();
    let mut replaced = Vec::new();
    for (file, text) in own {
        match Pack::read(file, text) {
            Ok(pack) if !pack.is_policy() => replaced.push(pack.jurisdiction()),
            Ok(_) => {}
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        return Err(PacksError::Faults(faults));
    }
    // Those built in were read by the tests: one that cannot be is kept, so that its faults are told below.
    let stays = |text: &str, file: &str| {
        replaced.is_empty() || Pack::read(file, text).map_or(true, |pack| !replaced.contains(&pack.jurisdiction()))
    };
    let built_in = BUILT_IN.iter().copied().filter(|(file, text)| stays(text, file));
    let own = own.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    Law::read(built_in.chain(own)).map_err(PacksError::Faults)
}

/// The `.toml` files of a folder, by name.
fn texts(folder: &Path) -> Result<Vec<(String, String)>, PacksError> {
    let failed = |path: &Path, error: &std::io::Error| PacksError::Unreadable {
        path: path.to_owned(),
        why: format!("cannot be read: {error}"),
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(PacksError::Unreadable { path: folder.to_owned(), why: "holds no pack (*.toml)".to_owned() });
    }
    let read = |path: PathBuf| {
        let about = std::fs::metadata(&path).map_err(|error| failed(&path, &error))?;
        if about.len() > MOST_BYTES {
            return Err(PacksError::Unreadable { path, why: format!("larger than {MOST_BYTES} bytes: no pack") });
        }
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}
