//! The query file: each number with the date of each consent that still covers something.
//!
//! Promises: no file is left that is not whole, and none that others than its owner can read; every page read for it leaves
//! an entry in the log. Whole numbers go nowhere else. Guarded by `tests/cli/reassigned.rs`.

use std::collections::{BTreeSet, HashSet};
use std::io::{BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::NamedTempFile;

use crate::cli::keeper::{Keeper, ask};
use crate::cli::output::{done, note, say, say_json};
use crate::cli::progress::grouped;
use crate::cli::source::Kept;
use crate::cli::terms::instant;
use crate::cli::{Error, Exit, Global, now};
use crate::contact::answers::date_to_ask_about;
use crate::contact::{Facts, answers, wire};
use crate::decision::given_up;
use crate::place::{Jurisdiction, Location, LocationPosture, Number, country_group, resolve};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// The most rows that the database takes in one file.
const MOST_ROWS: u64 = 250_000;
/// Since when carriers report to the database: about earlier dates it mostly has no data.
const REPORTED_FROM: &str = "2021-01-27";
/// Contacts asked for at a time.
const PAGE: u32 = 1_000;

/// Write the query file.
#[derive(Debug, clap::Args)]
#[command(
    about = "Write the file of numbers and dates of consent that the database is asked with",
    after_help = "A row is ten digits and a date, 2025550143,2024-05-01: one for each day on which a consent was given that \
                  still covers something, of every number that may be in the United States. The date is that of the \
                  westernmost clock, so that no answer reaches less far back than the consent.\n\n\
                  The file holds whole numbers: it is readable by its owner alone, and what is read for it is in the log. \
                  Give it to the database as it is, and its answers to `ringfence reassigned import`.\n\n\
                  Example: ringfence reassigned query --out ask.csv --not-asked-since 2026-11-01T00:00:00Z"
)]
pub struct QueryArgs {
    /// The file to write; must not exist; - is standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave out what was asked at this instant or later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    not_asked_since: Option<Instant>,
    /// Begin another file, FILE-2, after so many rows: the database takes no more at once
    #[arg(long, value_name = "N", default_value_t = MOST_ROWS, value_parser = clap::value_parser!(u64).range(1..))]
    most_rows: u64,
    /// Write to a terminal, or where others can read what is written
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    kept: Kept,
}

/// What was found.
#[derive(Default)]
struct Tally {
    contacts: u64,
    numbers: u64,
    rows: u64,
    asked_before: u64,
    undated: u64,
    unreported: u64,
}

/// Runs it.
pub(super) async fn run(args: QueryArgs, global: &Global) -> Result<Exit, Error> {
    let to_stdout = args.out.as_os_str() == "-";
    if to_stdout && std::io::stdout().is_terminal() && !args.force {
        let how = "name a file with --out, or write it there all the same with --force";
        return Err(Error::said(format!("whole numbers would be shown on this terminal: {how}")));
    }
    let mut files = Files::begin(&args)?;
    let keeper = Keeper::open(&args.kept, global).await?;
    let (mut tally, mut token, at) = (Tally::default(), String::new(), now());
    loop {
        let why = "query file of the Reassigned Numbers Database".to_owned();
        let request = v1::ExportContactsRequest { page_size: PAGE, page_token: token, why };
        let page = ask!(keeper, retention, export_contacts, request)?;
        for contact in &page.contacts {
            tally.contacts += 1;
            let Some(number) = american(&contact.number) else { continue };
            let dates = tally.dates(contact, args.not_asked_since, at);
            tally.numbers += u64::from(!dates.is_empty());
            for date in dates {
                tally.rows += 1;
                tally.unreported += u64::from(date.as_str() < REPORTED_FROM);
                files.write(&format!("{number},{date}\n"))?;
            }
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    // That it was read is in the log before the file is there.
    keeper.settle().await?;
    let written = files.finish()?;
    tell(&tally, &written, to_stdout, global)?;
    Ok(Exit::Yes)
}

/// The ten digits of a number that may be in the United States: the database knows no other.
fn american(number: &str) -> Option<String> {
    let number = Number::parse(number, None).ok()?;
    let found = resolve(number, &Location::default(), LocationPosture::Strictest).ok()?;
    let there = found.plausible.iter().any(|place| country_group(place.jurisdiction) == Jurisdiction::US);
    number.reveal_e164().as_str().strip_prefix("+1").filter(|_| there).map(str::to_owned)
}

fn at(stamp: Option<&Timestamp>) -> Option<Instant> {
    stamp.and_then(|stamp| stamp.to_millis()).map(Instant::from_millis)
}

impl Tally {
    /// The dates to ask about, and those not to.
    fn dates(&mut self, contact: &v1::Contact, not_since: Option<Instant>, now: Instant) -> BTreeSet<String> {
        let mut dates = BTreeSet::new();
        // What is kept and not used is not asked about either.
        if contact.restricted_at.is_some() {
            return dates;
        }
        let told = answers::read(&mut wire::Reader::new(), contact.reassigned.as_ref(), &contact.reassigned_before);
        let gone = given_up(&Facts { reassigned: told, ..Facts::default() }, now);
        let erased = at(contact.erased_at.as_ref());
        let mut seen = HashSet::new();
        // Of consents recorded under one id the latest counts.
        for recorded in contact.consents.iter().rev() {
            let Some(consent) = &recorded.consent else { continue };
            let covers_nothing = !seen.insert(consent.consent_id.as_str())
                || consent.withdrawn_at.is_some()
                || at(consent.expires_at.as_ref()).is_some_and(|end| end <= now)
                || erased.is_some_and(|erased| at(recorded.recorded_at.as_ref()).is_none_or(|then| then <= erased));
            if covers_nothing {
                continue;
            }
            let Some(given) = at(consent.given_at.as_ref()) else {
                self.undated += 1;
                continue;
            };
            if gone.is_some_and(|gone| given <= gone) {
                continue;
            }
            dates.extend(date_to_ask_about(given));
        }
        let fresh = |date: &String| {
            let mut all = contact.reassigned_before.iter().chain(&contact.reassigned);
            let lately = |asked: Instant| not_since.is_some_and(|since| asked >= since);
            all.any(|answer| answer.since_date == *date && at(answer.checked_at.as_ref()).is_some_and(lately))
        };
        let all = dates.len();
        dates.retain(|date| !fresh(date));
        self.asked_before += (all - dates.len()) as u64;
        dates
    }
}

/// The files, under other names until they are whole.
struct Files<'a> {
    args: &'a QueryArgs,
    parts: Vec<BufWriter<NamedTempFile>>,
    rows: u64,
    to_stdout: bool,
}

impl<'a> Files<'a> {
    fn begin(args: &'a QueryArgs) -> Result<Self, Error> {
        let mut files = Self { args, parts: Vec::new(), rows: 0, to_stdout: args.out.as_os_str() == "-" };
        if !files.to_stdout {
            files.open()?;
        }
        Ok(files)
    }

    /// The name of the file of this number, from 1.
    fn name(&self, number: usize) -> PathBuf {
        let out = &self.args.out;
        if number == 1 {
            return out.clone();
        }
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        let end = out.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
        out.with_file_name(format!("{stem}-{number}{end}"))
    }

    fn open(&mut self) -> Result<(), Error> {
        let name = self.name(self.parts.len() + 1);
        if name.symlink_metadata().is_ok() {
            return Err(Error::said(format!("{}: is there already; name another file", name.display())));
        }
        let folder = name.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Readable by its owner alone, and gone if this fails.
        let part = NamedTempFile::new_in(folder).map_err(|error| Error::at(&name, "making the file", &error))?;
        if !self.args.force && !private(&part).map_err(|error| Error::at(&name, "making the file", &error))? {
            let how = "name one in a folder of a file system that keeps files private, or write there with --force";
            return Err(Error::said(format!("{}: others could read the whole numbers: {how}", name.display())));
        }
        self.parts.push(BufWriter::new(part));
        Ok(())
    }

    fn write(&mut self, row: &str) -> Result<(), Error> {
        if self.to_stdout {
            return done(std::io::stdout().lock().write_all(row.as_bytes()));
        }
        if self.rows == self.args.most_rows {
            self.open()?;
            self.rows = 0;
        }
        self.rows += 1;
        let name = self.name(self.parts.len());
        let Some(part) = self.parts.last_mut() else { return Ok(()) };
        part.write_all(row.as_bytes()).map_err(|error| Error::at(&name, "writing", &error))
    }

    /// Gives them their names.
    fn finish(mut self) -> Result<Vec<PathBuf>, Error> {
        let mut written = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            let name = self.name(written.len() + 1);
            let failed = |error: std::io::Error| Error::at(&name, "writing", &error);
            let part = part.into_inner().map_err(|error| failed(error.into_error()))?;
            part.as_file().sync_all().map_err(failed)?;
            part.persist_noclobber(&name).map_err(|error| failed(error.error))?;
            written.push(name);
        }
        Ok(written)
    }
}

/// Whether nobody but its owner can read a file: some file systems have no such thing.
fn private(part: &NamedTempFile) -> std::io::Result<bool> {
    #[cfg(unix)]
    {
        let about = part.as_file().metadata()?;
        Ok(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 == 0)
    }
    #[cfg(not(unix))]
    {
        part.as_file().metadata().map(|_| true)
    }
}

fn tell(tally: &Tally, written: &[PathBuf], to_stdout: bool, global: &Global) -> Result<(), Error> {
    let names: Vec<_> = written.iter().map(|path| path.display().to_string()).collect();
    if global.json && !to_stdout {
        return say_json(&json!({
            "contacts": tally.contacts,
            "numbers": tally.numbers,
            "rows": tally.rows,
            "askedBefore": tally.asked_before,
            "consentsWithoutDate": tally.undated,
            "beforeTheDatabase": tally.unreported,
            "files": names,
        }));
    }
    let [contacts, numbers, rows] = [tally.contacts, tally.numbers, tally.rows].map(grouped);
    let mut text = format!("{rows} rows for {numbers} numbers, of {contacts} contacts\n");
    for name in names {
        text += &format!("{name}\n");
    }
    for (count, what) in [
        (tally.asked_before, "left out: asked since the instant given"),
        (tally.undated, "consents without a date were left out: they cover nothing"),
        (tally.unreported, "rows are about dates before 2021-01-27, of which the database mostly has no data"),
    ] {
        if count > 0 {
            text += &format!("{} {what}\n", grouped(count));
        }
    }
    if to_stdout {
        text.lines().for_each(note);
        return Ok(());
    }
    say(&text)
}
