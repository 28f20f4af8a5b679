//! How a command ends.

use std::path::Path;
use std::process::ExitCode;

use super::open::OpenError;
use super::output;
use crate::engine::Failure;
use crate::store::{KeysError, StoreError};

/// The exit status of a command that came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Allowed, sound, passed, done: 0.
    Yes,
    /// Denied, unsound, failed: 1.
    No,
    /// No answer: 2.
    Error,
}

impl Exit {
    /// Yes or no.
    #[must_use]
    pub const fn when(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    /// Says an error on standard error.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        output::note(&format!("error: {error}"));
        Self::Error
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Yes => Self::SUCCESS,
            Exit::No => Self::from(1),
            Exit::Error => Self::from(2),
        }
    }
}

/// What kept a command from answering, in words for whoever typed it: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// In words of its own.
    #[error("{0}")]
    Said(String),
    /// Data, keys, lists or rules cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A use case failed.
    #[error("{}", failed(.0))]
    Failed(#[from] Failure),
}

impl Error {
    /// In words of its own.
    #[must_use]
    pub fn said(words: impl Into<String>) -> Self {
        Self::Said(words.into())
    }

    /// `PATH: DOING failed: WHY`
    #[must_use]
    pub fn io(doing: &str, place: &str, error: &std::io::Error) -> Self {
        Self::Said(format!("{place}: {doing} failed: {error}"))
    }

    /// The same about a file.
    #[must_use]
    pub fn at(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        Self::io(doing, &path.display().to_string(), error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Open(error.into())
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        Self::Open(error.into())
    }
}

fn failed(failure: &Failure) -> String {
    match failure {
        Failure::Invalid(violations) => faults(violations.iter().map(|v| (v.field.as_str(), v.message.as_str()))),
        other => other.to_string(),
    }
}

/// The faults of a request, a line each, with the options they came by.
#[must_use]
pub fn faults<'a>(faults: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let lines: Vec<_> = faults.map(|(field, message)| format!("{} {message}", option(field))).collect();
    lines.join("\n       ")
}

/// What a field of the contract is called on the command line.
fn option(field: &str) -> String {
    match field {
        "number" => "the number".to_owned(),
        "place" => "the place".to_owned(),
        _ if field.starts_with("evidence") => format!("--evidence: {field}"),
        _ => {
            let name = field.rsplit('.').next().unwrap_or(field);
            format!("--{}", name.split('[').next().unwrap_or(name).replace('_', "-"))
        }
    }
}
