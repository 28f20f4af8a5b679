//! `ringfence audit prove-absence` and `ringfence audit check-proof`: that no contact to a number was allowed after an
//! instant.

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::open::AUDIT;
use super::super::output::{say, say_json};
use super::super::settings::OfServer;
use super::super::source::Kept;
use super::super::terms::instant;
use super::super::{Error, Exit, Global, regions_beside, replace};
use super::{Archived, folded_line};
use crate::audit::proof::{self, Checked, Heads, Link, Matter, Proving, Seen, Wanted, Whom};
use crate::audit::{self, Archive, Entries, LogError};
use crate::place::Number;
use crate::store::{Keys, WriterId};
use crate::time::Instant;

/// Of what, and where to.
#[derive(Debug, clap::Args)]
#[command(
    about = "Prove that no contact to a number was allowed after an instant",
    after_help = "The proof shows every entry of every published log since the last head that was published before\n\
                  the instant: of this number when and what, of all others only that there is one. Check it with\n\
                  `ringfence audit check-proof`, or with deploy/verify/absence.py and nothing of ours.\n\
                  Whoever has it can tell what is about this number; nobody else's entries open.\n\
                  Needs the keys, not the store: a server may go on.\n\
                  Where nothing shown names the number, nobody else can tell that the proof is about it: record\n\
                  something of it (a complaint, or a look at its record), publish a head, and prove again; or\n\
                  give --unnamed.\n\
                  Exit status: 0 proven, 1 not: a contact was allowed, or nothing names the number (no file is\n\
                  written); 2 error.\n\n\
                  Example: ringfence audit prove-absence +12025550143 --after 2026-11-01T00:00:00Z\n\
                  \x20          --heads heads.jsonl --out absence.proof"
)]
pub struct ProveArgs {
    /// The number, E.164
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    number: String,
    /// No contact was allowed at this instant or later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    after: Instant,
    /// The heads that were published: lines of `ringfence audit head`
    #[arg(long, value_name = "FILE")]
    heads: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write it too where nothing shown names the number: then that it is about it is your word
    #[arg(long)]
    unnamed: bool,
    #[command(flatten)]
    logs: Logs,
}

/// Where the logs are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Logs {
    /// The data folder, or a copy of it [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// The data folder of another instance, or a copy of it; may be given more than once
    #[arg(long = "also", value_name = "DIR")]
    also: Vec<PathBuf>,
    /// Keys from before the records were copied into this store; may be given more than once
    #[arg(long = "old-keys", value_name = "FILE")]
    old_keys: Vec<PathBuf>,
    #[command(flatten)]
    of_server: OfServer,
    #[command(flatten)]
    archived: Archived,
}

/// What to check, and by what.
#[derive(Debug, clap::Args)]
#[command(
    about = "Check a proof that no contact was allowed, with nothing but published heads",
    after_help = "Needs neither keys nor data. Give the number and the instant that you ask about: else the proof\n\
                  may be of others. deploy/verify/absence.py does the same, in Python without anything of ours.\n\
                  Exit status: 0 proven, 1 not, 2 error.\n\n\
                  Example: ringfence audit check-proof absence.proof --heads heads.jsonl --number +12025550143"
)]
pub struct CheckArgs {
    /// The proof
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The heads that were published, from where they were published
    #[arg(long, value_name = "FILE")]
    heads: PathBuf,
    /// The number that it must be about, E.164
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    number: Option<String>,
    /// The instant that it must be of
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    after: Option<Instant>,
    /// Take the word of who made it that it is about the number, where nothing shown names that
    #[arg(long)]
    unnamed: bool,
}

fn number(text: &str) -> Result<Number, Error> {
    Number::parse(text, None).map_err(|error| Error::said(format!("the number {error}")))
}

/// The contact of a number under these keys: of one tenant, since what others did is not its to prove.
pub(super) fn of(keys: &Keys, number: Number, tenant: &str) -> Whom {
    let tenant = keys.tenant(tenant, 1);
    let tag = *keys.tag(&tenant, number.reveal_e164().as_str()).tag();
    Whom { mark: keys.hash_mark(), tag, name_key: keys.name_key(&tag) }
}

/// Refuses to prove anything of logs that are not all there are: each region has its own, and a contact may have been in
/// any of them.
fn all_regions(logs: &Logs, heads: &Heads) -> Result<(), Error> {
    let own = logs.own()?;
    let data: Vec<_> = std::iter::once(&own).chain(&logs.also).map(PathBuf::as_path).collect();
    let missing = regions_beside::missing(data.iter().copied())?;
    if let Some(region) = missing.first() {
        return Err(Error::said(format!(
            "region {region} has a log of its own, which is not here: name its data folder, or a copy of it, with --also, \
             and give the heads of it that were published too"
        )));
    }
    for folder in data {
        let writer = audit::writer_of(&folder.join(AUDIT))?;
        let named = writer.is_some_and(|writer| heads.writers().any(|published| published == writer));
        if !named && regions_beside::Beside::read(folder)?.is_some() {
            return Err(Error::said(format!(
                "{}: no head of this log is among those that were published, so nothing is proven of its region: publish \
                 it with `ringfence audit head --data {}`, too",
                folder.display(),
                folder.display()
            )));
        }
    }
    Ok(())
}

/// Reads a file of published heads.
pub(super) fn heads(path: &Path) -> Result<Heads, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::at(path, "reading", &error))?;
    Heads::read(&text).map_err(|error| Error::said(format!("{}: {error}", path.display())))
}

impl Logs {
    /// The data folder.
    fn own(&self) -> Result<PathBuf, Error> {
        let kept = Kept { server: None, store: None, data: self.data.clone() };
        kept.data_by(self.of_server.config.as_deref())
    }

    /// The folders of the logs by their writers, each with its archive.
    fn folders(&self) -> Result<Vec<(WriterId, PathBuf)>, Error> {
        let own = self.own()?;
        let mut folders = Vec::new();
        for data in std::iter::once(&own).chain(&self.also) {
            let log = data.join(AUDIT);
            let writer = if log.is_dir() { audit::writer_of(&log)? } else { None };
            let writer = writer.ok_or_else(|| {
                Error::said(format!("{}: no audit log there: name a data folder with --data", log.display()))
            })?;
            folders.push((writer, log));
        }
        Ok(folders)
    }

    /// The contact of a number, under the keys of now and of before.
    fn whom(&self, number: Number, global: &Global) -> Result<Vec<Whom>, Error> {
        let (mut whom, keys) = (Vec::new(), self.of_server.keys(global)?);
        for file in std::iter::once(&keys).chain(&self.old_keys) {
            whom.push(of(&Keys::open(file)?, number, &global.tenant));
        }
        Ok(whom)
    }
}

/// Makes a proof.
///
/// # Errors
/// A log, the heads or the keys cannot be read; a log is missing, or not the one that was published; the file cannot be
/// written. A contact that was allowed is no error but an answer.
pub(super) async fn prove(args: ProveArgs, global: &Global) -> Result<Exit, Error> {
    let number = number(&args.number)?;
    let (heads, folders) = (heads(&args.heads)?, args.logs.folders()?);
    if let Some(missing) = heads.writers().find(|writer| folders.iter().all(|(found, _)| found != writer)) {
        return Err(Error::said(format!(
            "the log of writer {missing}, whose head was published, is not here: name the data folder of its instance, or \
             a copy of it, with --also"
        )));
    }
    all_regions(&args.logs, &heads)?;
    let whom = args.logs.whom(number, global)?;
    let archive = args.logs.archived.settings()?;
    let (after, out, unnamed) = (args.after, args.out.clone(), args.unnamed);
    let made = tokio::task::spawn_blocking(move || {
        let open = |writer: WriterId| {
            let found = folders.iter().find(|(found, _)| *found == writer);
            let (_, folder) = found.ok_or_else(|| LogError::Closed { place: writer.to_string() })?;
            Entries::open(folder, archive.as_ref().map(|archive| Archive::open(archive, writer)).transpose()?)
        };
        make(&Proving { heads: &heads, after, whom: &whom }, &open, (number, unnamed), &out)
    });
    let checked = made.await.map_err(|error| Error::said(error.to_string()))??;
    told(&checked, Some(number), Some(&args.out).filter(|_| checked.proven()), global)?;
    Ok(Exit::when(checked.proven()))
}

/// Writes the proof beside its place and checks it there; what proves nothing does not stay.
fn make(
    proving: &Proving<'_>,
    open: &dyn Fn(WriterId) -> Result<Entries, LogError>,
    (number, unnamed): (Number, bool),
    out: &Path,
) -> Result<Checked, Error> {
    let out = &replace::place(out)?;
    let draft = replace::beside(out, ".new");
    let io = |doing: &'static str| {
        let draft = draft.clone();
        move |error: std::io::Error| Error::at(&draft, doing, &error)
    };
    let wrote = fs::File::create(&draft).map_err(io("writing")).and_then(|file| {
        let mut file = BufWriter::new(file);
        proof::write(*proving, open, &mut file).map_err(|error| Error::said(error.to_string()))?;
        let file = file.into_inner().map_err(|error| io("writing")(error.into_error()))?;
        file.sync_all().map_err(io("writing"))
    });
    let e164 = number.reveal_e164();
    let (heads, number) = (proving.heads, Some(e164.as_str()));
    let wanted = Wanted { heads, number, after: Some(proving.after), unnamed };
    let checked = wrote.and_then(|()| read(&draft, wanted)?.map_err(|faulty| Error::said(faulty.to_string())));
    match checked {
        Ok(checked) if checked.proven() => {
            fs::rename(&draft, out).map_err(io("putting in its place"))?;
            Ok(checked)
        }
        other => {
            // What is left of it would prove nothing.
            let _ = fs::remove_file(&draft);
            other
        }
    }
}

fn read(path: &Path, wanted: Wanted<'_>) -> Result<Result<Checked, proof::Faulty>, Error> {
    let file = fs::File::open(path).map_err(|error| Error::at(path, "reading", &error))?;
    Ok(proof::check(BufReader::new(file).lines(), wanted))
}

/// Checks a proof.
///
/// # Errors
/// The proof or the heads cannot be read. A proof that proves nothing is no error but an answer.
pub(super) fn check(args: &CheckArgs, global: &Global) -> Result<Exit, Error> {
    let heads = heads(&args.heads)?;
    let number = args.number.as_deref().map(number).transpose()?;
    let e164 = number.map(|number| number.reveal_e164());
    let e164 = e164.as_ref().map(|e164| e164.as_str());
    let wanted = Wanted { heads: &heads, number: e164, after: args.after, unnamed: args.unnamed };
    match read(&args.proof, wanted)? {
        Ok(checked) => {
            told(&checked, number, None, global)?;
            Ok(Exit::when(checked.proven()))
        }
        Err(faulty) => {
            match global.json {
                true => say_json(&json!({ "proven": false, "line": faulty.line, "fault": faulty.what }))?,
                false => {
                    say(&format!("NOT PROVEN  {}\n{}\n", args.proof.display(), folded_line(&format!("  {faulty}"))))?
                }
            }
            Ok(Exit::No)
        }
    }
}

fn told(checked: &Checked, number: Option<Number>, out: Option<&PathBuf>, global: &Global) -> Result<(), Error> {
    match global.json {
        true => say_json(&machine(checked, out)),
        false => say(&human(checked, number, out)),
    }
}

fn word(matter: Matter) -> String {
    match matter {
        Matter::Allowed => "allowed".to_owned(),
        Matter::Answered => "answered, nothing allowed".to_owned(),
        Matter::Recorded => "recorded".to_owned(),
        Matter::Rows => "rows of a file".to_owned(),
        Matter::Read => "read".to_owned(),
        Matter::Unknown(kind) => format!("of kind {kind}, which this release does not know"),
    }
}

fn human(checked: &Checked, number: Option<Number>, out: Option<&PathBuf>) -> String {
    let whom = number.map_or_else(|| "the contact it is about".to_owned(), |number| number.to_string());
    let Checked { after, until, .. } = checked;
    let mut lines = Vec::new();
    if checked.proven() {
        lines.push(format!("PROVEN  no contact to {whom} was allowed from {after} to {until}"));
    } else if checked.allowed.is_empty() {
        lines.push(format!("NOT PROVEN  nothing shown says that it is about {whom}:"));
    } else {
        lines.push(format!("NOT PROVEN  contacts to {whom} were allowed after {after}:"));
        lines.extend(checked.allowed.iter().map(|seen| format!("  {}", event(seen))));
    }
    lines.push(match checked.link {
        Link::Named => "  the log itself names this number in what is shown".to_owned(),
        Link::Unnamed => {
            "  NOTHING names this number under a hash key by which entries shown were written: that the proof is about it \
             is the word of who made it, which --unnamed takes"
                .to_owned()
        }
        Link::NotAsked => "  NOT compared with a number: give the one you ask about with --number".to_owned(),
    });
    for log in &checked.logs {
        let (first, last) = log.entries;
        let begins = log.begins.map_or_else(|| "its beginning".to_owned(), |at| format!("the head published {at}"));
        lines.push(format!(
            "  log of writer {}: entries {first} to {last}, from {begins} to the one published {}",
            log.writer, log.ends
        ));
    }
    if !checked.seen.is_empty() {
        lines.push("  all else that is shown about it:".to_owned());
        lines.extend(checked.seen.iter().map(|seen| format!("    {}", event(seen))));
    }
    if checked.rows > 0 {
        let rows = checked.rows;
        lines.push(format!(
            "  {rows} imports or files that were filtered stand there as one entry each: they allow nothing"
        ));
    }
    lines.extend(out.map(|out| format!("  written to {}", out.display())));
    lines.iter().map(|line| format!("{}\n", folded_line(line))).collect()
}

fn event(seen: &Seen) -> String {
    format!("{}  {}  {}", seen.at(), word(seen.matter), seen.id)
}

fn machine(checked: &Checked, out: Option<&PathBuf>) -> Value {
    let seen = |seen: &Seen| {
        json!({
            "at": seen.at().to_string(),
            "matter": word(seen.matter),
            "id": seen.id.to_string(),
            "writer": seen.writer.to_string(),
            "entry": seen.seq,
        })
    };
    let logs = checked.logs.iter().map(|log| {
        json!({
            "writer": log.writer.to_string(),
            "first": log.entries.0,
            "last": log.entries.1,
            "headBefore": log.begins.map(|at| at.to_string()),
            "headAfter": log.ends.to_string(),
        })
    });
    json!({
        "proven": checked.proven(),
        "after": checked.after.to_string(),
        "until": checked.until.to_string(),
        "number": match checked.link {
            Link::Named => "named",
            Link::Unnamed => "unnamed",
            Link::NotAsked => "not asked",
        },
        "logs": logs.collect::<Vec<_>>(),
        "allowed": checked.allowed.iter().map(seen).collect::<Vec<_>>(),
        "seen": checked.seen.iter().map(seen).collect::<Vec<_>>(),
        "rows": checked.rows,
        "file": out.map(|out| out.display().to_string()),
    })
}
