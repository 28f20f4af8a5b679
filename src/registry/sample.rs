//! Made-up lists, built into the program, so that a first question can be answered from anywhere.
//!
//! Their headers say `sample=true`: every decision that rests on one warns. They hold numbers kept free for fiction and
//! numbers made up by `deploy/sample/generate.py`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Fault, List};
use crate::time::Instant;

/// Where the templates want the instant.
const STAMP: &str = "@NOW@";

macro_rules! samples {
    ($($id:literal),* $(,)?) => {
        /// Every sample list: its id and the template of its file.
        pub static TEMPLATES: &[(&str, &str)] =
            &[$(($id, include_str!(concat!("../../deploy/sample/registries/", $id, ".txt")))),*];
    };
}

samples![
    "fr.bloctel",
    "uk.ctps",
    "uk.tps",
    "us.dnc.co",
    "us.dnc.fl",
    "us.dnc.in",
    "us.dnc.la",
    "us.dnc.ma",
    "us.dnc.mo",
    "us.dnc.national",
    "us.dnc.ok",
    "us.dnc.pa",
    "us.dnc.tn",
    "us.dnc.tx",
    "us.dnc.wy",
];

/// Writes the sample lists into a folder, made where it is absent, as copies of the instant `now`. Sample lists that
/// are there already are stamped anew; nothing else is touched. Returns the files written.
///
/// # Errors
/// The folder cannot be written, `now` lies outside the years -9999 to 9999, or a file of one of the names is there
/// that is not a sample: then nothing is written at all.
pub fn install(to: &Path, now: Instant) -> Result<Vec<PathBuf>, Fault> {
    let stamp =
        now.to_rfc3339().ok_or_else(|| Fault::new(to, "the instant is no calendar date", "give another one"))?;
    let failed = |path: &Path, error: &std::io::Error| {
        Fault::new(path, format!("cannot be written: {error}"), "name a folder that ringfence may write to")
    };
    fs::create_dir_all(to).map_err(|error| failed(to, &error))?;
    for (id, _) in TEMPLATES {
        let path = to.join(format!("{id}.txt"));
        if path.exists() && !is_sample(id, &path) {
            let remedy = "keep the samples in a folder of their own";
            return Err(Fault::new(&path, "is there already and is no sample list", remedy));
        }
    }
    let mut written = Vec::with_capacity(TEMPLATES.len());
    for (id, template) in TEMPLATES {
        let path = to.join(format!("{id}.txt"));
        let unfinished = to.join(format!(".{id}.{}.tmp", std::process::id()));
        fs::write(&unfinished, template.replacen(STAMP, &stamp, 1))
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|error| failed(&path, &error))?;
        written.push(path);
    }
    Ok(written)
}

/// The sample lists in memory, as copies of the instant `now`.
///
/// # Errors
/// `now` lies outside the years -9999 to 9999. The templates themselves are read by a test.
pub fn lists(now: Instant) -> Result<Vec<List>, Fault> {
    let read = |(id, template): &(&str, &str)| {
        let text = template.replacen(STAMP, &now.to_string(), 1);
        List::read(id, Path::new("sample").join(id).as_path(), text.as_bytes())
    };
    TEMPLATES.iter().map(read).collect()
}

fn is_sample(id: &str, path: &Path) -> bool {
    fs::File::open(path).is_ok_and(|file| List::read(id, path, file).is_ok_and(|list| list.sample))
}
