//! Where settings come from, and which of several places wins.

use std::fmt;
use std::path::Path;

use super::file::{File, meant};
use super::{KEYS, PINNED};

/// Where settings come from, so that tests give their own.
pub struct Sources<'a> {
    /// The file named with `--config`, or `ringfence.toml` where there is one.
    pub file: Option<&'a Path>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A flag of the command line, by key.
    pub flag: &'a dyn Fn(&str) -> Option<String>,
}

/// Where a setting was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nowhere: it has a default.
    Default,
    /// In the file, on this line: `ringfence.toml:3`.
    File(String),
    /// In this variable of the environment.
    Variable(String),
    /// By this flag.
    Flag(String),
}

impl Origin {
    /// `default`, `file`, `environment` or `flag`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Variable(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => f.write_str(place),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A setting that has effect: as it is written, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Its key; of a region `pinned[1].name`, counted from 1.
    pub key: String,
    /// Its value as text; empty: none. Nothing in it is a secret.
    pub value: String,
    /// Where it was written.
    pub origin: Origin,
    /// What it is.
    pub what: &'static str,
}

impl Setting {
    /// Where to change it: `ringfence.toml:3: data`, `--data`, `RINGFENCE_DATA`, `the default of data`.
    #[must_use]
    pub fn place(&self) -> String {
        place(&self.key, &self.origin)
    }
}

fn place(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Default => format!("the default of {key}"),
        Origin::File(place) => format!("{place}: {key}"),
        Origin::Variable(name) | Origin::Flag(name) => name.clone(),
    }
}

/// A setting as written, and where.
pub(super) struct Written {
    pub text: String,
    pub origin: String,
}

impl Sources<'_> {
    fn find(&self, file: &File, key: &str) -> (String, Origin) {
        let variable = format!("RINGFENCE_{}", key.to_uppercase());
        if let Some(text) = (self.flag)(key) {
            return (text, Origin::Flag(format!("--{}", key.replace('_', "-"))));
        }
        if let Some(text) = (self.env)(&variable) {
            return (text, Origin::Variable(variable));
        }
        match file.text.get(key) {
            Some(text) => (text, Origin::File(file.place(key))),
            None => {
                let default = KEYS.iter().find(|(known, ..)| *known == key).map_or("", |(.., default)| default);
                (default.to_owned(), Origin::Default)
            }
        }
    }

    pub(super) fn written(&self, file: &File, key: &str) -> Written {
        let (text, origin) = self.find(file, key);
        Written { text, origin: place(key, &origin) }
    }

    /// Every setting with what it is now, in the order of the reference; then those of the regions that are given.
    pub(super) fn all(&self, file: &File) -> Vec<Setting> {
        let mut all: Vec<_> = KEYS
            .iter()
            .map(|(key, what, _)| {
                let (value, origin) = self.find(file, key);
                Setting { key: (*key).to_owned(), value: open(&value), origin, what }
            })
            .collect();
        let texts = file.text.pinned.as_deref().unwrap_or_default();
        for (n, (given, text)) in file.tables().zip(texts).enumerate() {
            all.extend(given.filter_map(|(key, place)| {
                let (_, what, _) = PINNED.iter().find(|(known, ..)| *known == key)?;
                let (key, value) = (format!("pinned[{}].{key}", n + 1), open(&text.shown(key)));
                Some(Setting { key, value, origin: Origin::File(place), what })
            }));
        }
        all
    }
}

/// A text without what stands before an @ in a URL, which may be a password. A URL with one is refused, but shown.
fn open(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://(hidden)@{rest}"),
        (None, Some((before, rest))) if before.contains(':') => format!("(hidden)@{rest}"),
        _ => text.to_owned(),
    }
}

/// Variables that are no settings and change what the program does: by name, what each is, and whether its value is a secret.
pub const VARIABLES: [(&str, &str, bool); 14] = [
    ("RINGFENCE_CONFIG", "the file of settings", false),
    ("RINGFENCE_STORE_PASSWORD", "the password of the Redis, in place of `store_password_file`", true),
    ("RINGFENCE_SENTINEL_PASSWORD", "that of its sentinels, in place of `sentinel_password_file`", true),
    (
        "RINGFENCE_LOG_FILTER",
        "which log lines are written: `info`, `ringfence=debug`, … (as `EnvFilter` of tracing-subscriber reads it)",
        false,
    ),
    (
        "RINGFENCE_SERVER",
        "the server that commands with `--server` ask; where it is set, they ask no data folder",
        false,
    ),
    (
        "RINGFENCE_TENANT",
        "whose data commands without a server act on, in place of `--tenant`: where it is set, it holds for every command",
        false,
    ),
    ("RINGFENCE_API_KEY", "the key that commands show to a server", true),
    ("RINGFENCE_API_KEY_FILE", "a file that holds it; it wins over the key itself", false),
    ("RINGFENCE_SERVER_CA", "a file with the authorities of that server's certificate, PEM", false),
    (
        "RINGFENCE_PROCESSOR_SECRET",
        "the secret that signs what a processor is sent, for `ringfence processor add`, in place of `--secret-file`",
        true,
    ),
    ("AWS_ACCESS_KEY_ID", "for `audit_archive` in an object store, where no file of credentials is named", true),
    ("AWS_SECRET_ACCESS_KEY", "the same", true),
    ("AWS_SESSION_TOKEN", "the same", true),
    ("AWS_REGION", "the region of that object store, where `audit_archive_region` names none", false),
];

/// Variables of the environment that look like settings and are none: a misspelt one must not be silently unused.
pub(super) fn unknown_variables() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("RINGFENCE_"))
        .filter(|name| !KNOWN_BESIDE.contains(&name.as_str()))
        .filter(|name| !VARIABLES.iter().any(|(known, ..)| known == name))
        .filter(|name| !KEYS.iter().any(|(key, ..)| *name == format!("RINGFENCE_{}", key.to_uppercase())))
        .map(|name| {
            let key = name.trim_start_matches("RINGFENCE_").to_lowercase();
            let keys: Vec<&str> = KEYS.iter().map(|(key, ..)| *key).collect();
            format!("{name}: no setting goes by this name{}", meant(&key, &keys))
        })
        .collect()
}

/// Variables that tests and benches read.
const KNOWN_BESIDE: &[&str] = &[
    "RINGFENCE_REDIS_SERVER",
    "RINGFENCE_REDIS_LOGS",
    "RINGFENCE_REDIS_OPERATIONS",
    "RINGFENCE_FAULT_ROUNDS",
    "RINGFENCE_FAULT_SEED",
    "RINGFENCE_BLESS",
    "RINGFENCE_ADVISORIES",
    "RINGFENCE_TWIN_QUESTIONS",
    "RINGFENCE_BENCH_SECONDS",
    "RINGFENCE_BENCH_GENERATOR",
    "RINGFENCE_BENCH_NUMBERS",
    "RINGFENCE_BENCH_ROWS",
    "RINGFENCE_SOAK_MINUTES",
    "RINGFENCE_PYTHON",
    "RINGFENCE_TWIN_SEED",
    "RINGFENCE_REPLAY_DECISIONS",
];

pub(super) fn choice(written: &Written, values: &[&str], fault: &mut dyn FnMut(&Written, &str)) -> usize {
    values.iter().position(|value| *value == written.text).unwrap_or_else(|| {
        fault(written, &format!("is not one of {}", values.join(", ")));
        0
    })
}

pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
