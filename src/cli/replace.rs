//! Files that a command writes beside their place and then puts there. What is no file is never replaced by one: a rename over
//! `/dev/null` would take it from the whole machine.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf, absolute};

use super::Error;

/// The place that a file named like this takes: that of what a link leads to, where it is one.
///
/// # Errors
/// Something is there that is no file, or cannot be looked at.
pub(super) fn place(path: &Path) -> Result<PathBuf, Error> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => {
            fs::canonicalize(path).map_err(|error| Error::at(path, "naming the file", &error))
        }
        Ok(_) => Err(Error::said(format!("{}: a folder or device: name a file", path.display()))),
        // A link that leads nowhere is replaced as a file would be.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(Error::at(path, "looking at", &error)),
    }
}

/// Whether something is there that is no file and takes what is written to it: a pipe, a device.
pub(super) fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}

/// Whether two names are of one file, or of one that is not there yet.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
            return (one.dev(), one.ino()) == (other.dev(), other.ino());
        }
    }
    let is_same = |one: std::io::Result<PathBuf>, other: std::io::Result<PathBuf>| matches!((one, other), (Ok(one), Ok(other)) if one == other);
    is_same(fs::canonicalize(one), fs::canonicalize(other)) || is_same(absolute(one), absolute(other))
}

/// Whether a file that is open is the one of this name now.
pub(super) fn is_named(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |about: fs::Metadata| (about.dev(), about.ino());
        let (open, named) = (file.metadata().map(identity), fs::symlink_metadata(path).map(identity));
        matches!((open, named), (Ok(open), Ok(named)) if open == named)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// A name beside it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_files_are_replaced_and_those_that_links_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::write(at("file"), "").unwrap();
        for (link, target) in [("to-pipe", "pipe"), ("to-file", "file"), ("to-nothing", "nothing")] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        for no in ["pipe", "to-pipe", "."] {
            assert!(place(&at(no)).unwrap_err().to_string().contains("a folder or device"), "{no}");
        }
        assert!(
            is_stream(&at("to-pipe")) && !is_stream(&at("to-file")) && !is_stream(&at(".")) && !is_stream(&at("new"))
        );
        assert_eq!(place(&at("to-file")).unwrap(), fs::canonicalize(at("file")).unwrap());
        for (one, other, same) in [("file", "to-file", true), ("file", "new", false), ("new", "./new", true)] {
            assert_eq!(is_same(&at(one), &at(other)), same, "{one} {other}");
        }
        for new in ["new", "to-nothing"] {
            assert_eq!(place(&at(new)).unwrap(), at(new));
        }
    }
}
