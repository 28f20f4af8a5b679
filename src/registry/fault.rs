//! What is wrong with a list, in words an operator can act on.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file or folder of lists was refused: where, what, and what to do. Never quotes a line, so it may be logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file or folder.
    pub path: PathBuf,
    /// The line, counted from 1; `None` where the fault is in no one line.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether reading again may go better although the file did not change.
    pub(super) may_pass: bool,
}

impl Fault {
    pub(super) fn new(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into(), remedy: remedy.into(), may_pass: false }
    }

    pub(super) fn at_line(path: &Path, line: u64, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(path, what, remedy) }
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "create it, or name another one with --registries",
            std::io::ErrorKind::PermissionDenied => "let the user who runs ringfence read it",
            _ => "check the disk and the path",
        };
        Self { may_pass: true, ..Self::new(path, format!("cannot be read: {error}"), remedy) }
    }
}

impl Fault {
    pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        let remedy = "let the user who runs this write there, and see that the disk has room";
        Self::new(path, format!("cannot be written: {error}"), remedy)
    }
}

/// `path:line: what; remedy`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Fault {}
