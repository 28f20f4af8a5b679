//! `ringfence registry import`: a list from the files its keeper hands out.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::super::open::OpenError;
use super::super::progress::{Progress, grouped};
use super::super::refused::RefusedFile;
use super::super::settings::OfServer;
use super::super::terms::instant;
use super::super::{Error, Exit, Global, output};
use crate::access::{self, DEFAULT_TENANT};
use crate::engine::ListTags;
use crate::place::{Jurisdiction, Number, NumberError};
use crate::registry::ids::{OWN, official};
use crate::registry::import::{Answers, Columns, Import, Opened, Order, Report, is_beside, open};
use crate::registry::set::Areas;
use crate::registry::{Fault, SET, Tagger, tenant_folder};
use crate::store::Keys;
use crate::time::{Instant, Millis};

/// Make a list and put it in force.
#[derive(Debug, clap::Args)]
#[command(
    about = "Make a list from the files its keeper hands out, and put it in force",
    after_help = "Read are: one number a line; area code and seven digits; lists of changes (A added, D deleted) with \
                  --changes; and CSV by the names of its columns. Gzipped and zipped files are read as they are, - is \
                  standard input. Of a list of your own (tenant.NAME) the file holds keyed tags in place of numbers, under the \
                  keys of the server (--keys, or as its settings say), which are made where there are none and no list is under others. The file ID.set in the folder is replaced in one step, and a running server takes it up \
                  by itself.\n\n\
                  Official lists hold for every tenant. A list of your own is for --tenant alone: that of another than `default` \
                  goes to tenants/NAME/ within the folder, which is made where there is none, and is of no use to anybody else.\n\n\
                  The US and the Canadian registry are handed out by area code: a copy of them speaks for the area codes that \
                  were given, and of a number elsewhere nothing is known. --areas names them, where they have few numbers; \
                  --areas all says that it is the whole list.\n\n\
                  Some registers only answer about the numbers they are asked (it.rpo, au.dncr, sg.dnc.voice and others). Their copy is \
                  made of what was sent (--asked) and of the answer, which holds those who are on the register (--listed) or those \
                  who are left (--cleaned); it speaks for the numbers that were asked about, and for nobody else.\n\n\
                  Changes must begin where the copy in force ends, and reach up to --as-of: one file that was left out would \
                  leave people unprotected for good, in a list that looks fresh.\n\n\
                  Example: ringfence registry import us.dnc.national 2026-11-20_*.zip --registries lists --as-of \
                  2026-11-20T04:00:00Z"
)]
pub struct ImportArgs {
    /// The id of the list: an official one, or tenant.NAME
    #[arg(value_name = "ID")]
    id: String,
    /// The files, all of one copy
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The folder of lists
    #[arg(long, value_name = "DIR")]
    registries: PathBuf,
    /// When the keeper made this copy: a rule counts its age from here
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    as_of: Instant,
    /// Where the copy comes from, for those who look later; left out: the names of the files
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The files say what was added (A) and deleted (D) since the copy in force
    #[arg(long)]
    changes: bool,
    /// The column of the numbers, in CSV files with a header
    #[arg(long, value_name = "NAME", conflicts_with = "changes")]
    column: Option<String>,
    /// The column of the dates of entry
    #[arg(long, value_name = "NAME", requires = "column")]
    date_column: Option<String>,
    /// Leave out dates of entry; without it they are kept, but for North American lists, where no rule asks for them
    #[arg(long)]
    no_dates: bool,
    /// So many lines may be left out because they are not understood; more, and nothing is imported
    #[arg(long, value_name = "N", default_value_t = 0)]
    most_rejected: u64,
    /// The copy may be empty, hold less than half of the one before it (of an official list of a thousand numbers and more) or
    /// of one of its areas, or be of fewer area codes than its list has; of those asked about, none or more than half may be on
    /// the register
    #[arg(long)]
    fewer: bool,
    /// The area codes that the files are of, such as 202,305-307, or all, which also says that a register that is else asked was
    /// handed out whole; left out: of a list that is handed out by area code, those that the files have a thousand numbers of,
    /// and a hundredth of what others have
    #[arg(long, value_name = "CODES", value_parser = areas, conflicts_with = "changes")]
    areas: Option<Areas>,
    /// The changes are all those since this instant, up to --as-of; left out, and always of a list that changes every day, their
    /// dates must say so
    #[arg(long, value_name = "INSTANT", value_parser = instant, requires = "changes")]
    since: Option<Instant>,
    /// Changes between the copy in force and --as-of may be missing: whoever was added then stays unprotected until the next
    /// full copy
    #[arg(long, requires = "changes")]
    gap: bool,
    /// What the register was sent, where it only answers about the numbers it is asked; FILE is then its answer
    #[arg(long, value_name = "FILE", requires = "answer", conflicts_with_all = ["changes", "areas"])]
    asked: Vec<PathBuf>,
    /// The column of the numbers in what it was sent
    #[arg(long, value_name = "NAME", requires = "asked")]
    asked_column: Option<String>,
    /// The answer holds those who are on the register
    #[arg(long, group = "answer", requires = "asked", conflicts_with = "most_rejected")]
    listed: bool,
    /// The answer holds those who are left: whoever is on the register was taken out
    #[arg(long, group = "answer", requires = "asked")]
    cleaned: bool,
    /// The country in whose national form numbers may be, such as US: of a list of your own
    #[arg(long, value_name = "COUNTRY", value_parser = region)]
    default_region: Option<Jurisdiction>,
    /// Of a list of your own: the keys, or the tenant, are others than those of the copy in force
    #[arg(long, conflicts_with = "changes")]
    new_keys: bool,
    /// Write the lines that are not understood to this file, each with its file, its number and why
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Replace the file of refused rows if it is there
    #[arg(long)]
    force: bool,
    /// The numbers are made up: each answer that rests on the list says so
    #[arg(long)]
    sample: bool,
    #[command(flatten)]
    of_server: OfServer,
}

/// Lines and areas that are named to people.
const SHOWN: usize = 20;

fn areas(text: &str) -> Result<Areas, &'static str> {
    Areas::read(text)
}

/// A country in whose national form numbers are read.
fn region(text: &str) -> Result<Jurisdiction, String> {
    let unknown = || format!("`{text}` is no country with telephone numbers: give its ISO 3166 code, such as US");
    match Number::parse("1", Some(text)) {
        Err(NumberError::BadRegion) => Err(unknown()),
        _ => text.to_ascii_uppercase().parse().map_err(|_| unknown()),
    }
}

/// Runs it.
///
/// # Errors
/// A file cannot be read or is refused; the folder cannot be written.
pub fn run(args: &ImportArgs, global: &Global, now: Instant) -> Result<Exit, Error> {
    if args.as_of > now.plus(Millis::hours(1)) {
        return Err(Error::said(format!("--as-of {} lies in the future: give the instant of the copy", args.as_of)));
    }
    args.has_all_answers()?;
    let folder = if args.id.starts_with(OWN) {
        own_folder(&args.registries, &global.tenant)?
    } else {
        if global.tenant != DEFAULT_TENANT {
            output::note("note: an official list holds for every tenant, whatever --tenant says");
        }
        args.registries.clone()
    };
    let mut refused = args.refused(&folder)?;
    let made = make(args, &folder, refused.as_ref(), global);
    // Of an import that was refused for them, too.
    let written = refused.as_mut().map_or(Ok(()), |refused| refused.finish_if_any(made.is_ok()));
    let report = made?;
    written?;
    tell(&report, global)?;
    Ok(Exit::Yes)
}

/// Reads the files and puts the list in force.
fn make(args: &ImportArgs, folder: &Path, refused: Option<&RefusedFile>, global: &Global) -> Result<Report, Error> {
    let tagger = if args.id.starts_with(OWN) {
        let keys = own_keys(folder, &args.of_server.keys(global)?, args.new_keys)?;
        Some(Arc::new(ListTags::of(keys, &global.tenant)) as Arc<dyn Tagger>)
    } else {
        None
    };
    let rejected = refused.map(|refused| (refused.path().to_owned(), refused.file()));
    let mut import = Import::begin(Order { rejected, ..order(args) }, folder, tagger).map_err(said)?;
    let total = args
        .files
        .iter()
        .chain(&args.asked)
        .map(|file| std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file));
    let total = total.map(|about| about.map(|about| about.len())).sum();
    let progress = Progress::new(total, &args.id);
    for file in &args.files {
        read(file, &progress, &mut |name, text, told| import.read(name, text, told))?;
    }
    for file in &args.asked {
        read(file, &progress, &mut |name, text, told| import.read_asked(name, text, told))?;
    }
    let report = import.finish().map_err(said)?;
    progress.finish(&format!("{} numbers", grouped(report.header.on_list())));
    Ok(report)
}

impl ImportArgs {
    /// The file of lines that are not understood: over nothing that is read, nor the list itself.
    fn refused(&self, folder: &Path) -> Result<Option<RefusedFile>, Error> {
        let Some(path) = self.rejected.as_deref() else { return Ok(None) };
        let list = [SET, "txt"].map(|ending| folder.join(format!("{}.{ending}", self.id)));
        let read = self.files.iter().chain(&self.asked).filter(|file| file.as_os_str() != "-");
        let inputs: Vec<_> = read.chain(&list).map(PathBuf::as_path).collect();
        RefusedFile::create(path, &inputs, self.force).map(Some)
    }

    /// Refuses fewer answers than questions: whoever is on the register by one that was forgotten would not be listed. Of those who
    /// are left, the missing ones count as listed, and need no guard.
    fn has_all_answers(&self) -> Result<(), Error> {
        let (answers, asked) = (self.files.len(), self.asked.len());
        if !self.listed || self.fewer || answers >= asked {
            return Ok(());
        }
        Err(Error::said(format!(
            "{}: {asked} files were sent, and there are {answers} of those who are listed: whoever stands in a missing answer would \
             count as not listed. Give an answer for each file; if these are all there are, say so with --fewer",
            self.id
        )))
    }
}

/// What these arguments ask for.
fn order(args: &ImportArgs) -> Order {
    let names = args.files.iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    let source = args.source.clone().unwrap_or_else(|| names.collect::<Vec<_>>().join(" "));
    Order {
        id: args.id.clone(),
        as_of: args.as_of,
        source,
        sample: args.sample,
        changes: args.changes,
        dates: !args.no_dates && !official(&args.id).is_some_and(|list| list.is_north_american()),
        columns: args.column.clone().map(|number| Columns { number, date: args.date_column.clone() }),
        most_rejected: args.most_rejected,
        fewer: args.fewer,
        areas: args.areas.clone(),
        since: args.since,
        gap: args.gap,
        region: args.default_region,
        answers: match (args.listed, args.cleaned) {
            (true, _) => Some(Answers::Listed),
            (_, true) => Some(Answers::Cleaned),
            _ => None,
        },
        asked_columns: args.asked_column.clone().map(|number| Columns { number, date: None }),
        new_keys: args.new_keys,
        rejected: None,
    }
}

/// The folder of a tenant's own lists, made where it is absent.
fn own_folder(lists: &Path, tenant: &str) -> Result<PathBuf, Error> {
    if tenant == DEFAULT_TENANT {
        return Ok(lists.to_owned());
    }
    if !access::is_name(tenant) {
        return Err(OpenError::Tenant.into());
    }
    let folder = tenant_folder(lists, tenant);
    // Whoever misspelt the folder of lists is told so by the import.
    if lists.is_dir() {
        std::fs::create_dir_all(&folder).map_err(|error| Error::at(&folder, "making", &error))?;
    }
    Ok(folder)
}

/// The keys of a tenant's own lists, made where there are none: as `serve` does. Where lists are in force under some, others
/// are not made unasked: whoever starts this in another folder would make tags that no server can ask for.
fn own_keys(folder: &Path, keys: &Path, new: bool) -> Result<Keys, Error> {
    if keys.exists() {
        return Ok(Keys::open(keys)?);
    }
    let is_tagged = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(OWN) && path.extension().is_some_and(|extension| extension == SET)
    };
    let mut files = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    if let Some(tagged) = files.find(|path| is_tagged(path)).filter(|_| !new) {
        return Err(Error::said(format!(
            "{}: there are no keys, and {} was made under some: name them with --keys; if they are gone, --new-keys makes new \
             ones, and every list of your own must be imported anew",
            keys.display(),
            tagged.display()
        )));
    }
    output::note(&format!("note: made keys {}", keys.display()));
    Ok(Keys::generate(keys)?)
}

/// A fault as it is; the words are the same on every road.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(fault: Fault) -> Error {
    Error::said(fault.to_string())
}

/// Reads one text by its name, telling now and then of lines.
type Take<'a> = &'a mut dyn FnMut(&str, &mut dyn Read, &mut dyn FnMut(u64)) -> Result<(), Fault>;

fn read(file: &Path, progress: &Progress, take: Take<'_>) -> Result<(), Error> {
    let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let failed = |error: std::io::Error| Error::io("reading", &name, &error);
    let bytes = Arc::new(AtomicU64::new(0));
    let mut told = |lines: u64| progress.advance(bytes.swap(0, Ordering::Relaxed), lines);
    match open(file, &bytes).map_err(failed)? {
        Opened::Text(mut text) => take(&name, &mut text, &mut told).map_err(said),
        Opened::Zip(mut archive) => {
            for at in 0..archive.len() {
                let mut member = archive.by_index(at).map_err(|error| failed(error.into()))?;
                if !member.is_file() {
                    continue;
                }
                let name = format!("{name}/{}", member.name());
                if is_beside(member.name()) {
                    output::note(&format!("note: {name} is no list, and was left out"));
                } else {
                    take(&name, &mut member, &mut told).map_err(said)?;
                }
            }
            Ok(())
        }
    }
}

fn tell(report: &Report, global: &Global) -> Result<(), Error> {
    let Report { read, added, removed, rejects, ambiguous, missed, kept, dates, .. } = report;
    let Report { before, header, path, superseded, beside, given_up, .. } = report;
    let areas = header.areas.as_ref().map_or_else(String::new, ToString::to_string);
    let rejected = rejects.named.iter().map(|line| json!({ "file": line.file, "line": line.line, "why": line.why }));
    if global.json {
        return output::say_json(&json!({
            "registry": header.registry,
            "file": path.display().to_string(),
            "as_of": header.as_of.to_string(),
            "version": header.version(),
            "numbers": header.on_list(),
            "asked": header.listed.map(|_| header.count),
            "with_date": header.with_date(),
            "bytes": header.length,
            "lines_read": read,
            "added": added,
            "removed": removed,
            "deleted_but_absent": missed,
            "deletions_too_old": kept,
            "first_change": dates.first.map(|first| first.to_string()),
            "last_change": dates.last.map(|last| last.to_string()),
            "ambiguous": ambiguous,
            "rejected": rejects.count,
            "rejected_lines": rejected.collect::<Vec<_>>(),
            "areas": areas,
            "areas_not_covered": beside.to_string(),
            "areas_given_up": given_up.to_string(),
            "full_as_of": header.full_as_of.map(|full| full.to_string()),
            "before": before.as_ref().map(|before| {
                json!({ "as_of": before.as_of.to_string(), "version": before.version(), "numbers": before.on_list() })
            }),
            "superseded": superseded.as_ref().map(|text| text.display().to_string()),
        }));
    }
    let mut text = format!(
        "{}: {} numbers as of {}, version {}\n{} lines read, {} numbers added, {} removed, {} lines rejected\n",
        header.registry,
        grouped(header.on_list()),
        header.as_of,
        header.version(),
        grouped(*read),
        grouped(*added),
        grouped(*removed),
        grouped(rejects.count),
    );
    if let (Some(first), Some(last)) = (dates.first, dates.last) {
        text += &format!("Changes of {first} to {last}\n");
    }
    if *missed > 0 {
        text += &format!("{} numbers were to be deleted and were not there\n", grouped(*missed));
    }
    if *kept > 0 {
        text += &format!(
            "{} numbers were deleted before the day of the copy in force, and stay as they are in it: who is in it may have \
             come back since, and a full list says who\n",
            grouped(*kept)
        );
    }
    if *ambiguous > 0 {
        let taken = if header.listed.is_some() { "neither counts as not listed" } else { "both were taken" };
        text += &format!("{} could be read as two numbers: {taken}\n", grouped(*ambiguous));
    }
    text += &match header.listed {
        Some(_) => format!(
            "The register was asked about {} numbers; of any other it says nothing, and rules that ask for it deny\n",
            grouped(header.count)
        ),
        None => covered(report, &areas),
    };
    text += &match before {
        Some(before) => format!("In place of the copy of {}, version {}\n", before.as_of, before.version()),
        None => "The first copy of this list\n".to_owned(),
    };
    text += &format!("{}\n", path.display());
    if let Some(superseded) = superseded {
        text += &format!("{} is not used any more: remove it\n", superseded.display());
    }
    for line in rejects.named.iter().take(SHOWN) {
        text += &format!("rejected: {line}\n");
    }
    if rejects.count > SHOWN as u64 {
        text += "and more: --rejected FILE writes all of them to a file\n";
    }
    output::say(&text)
}

/// What the copy speaks for, where that is not all.
fn covered(report: &Report, areas: &str) -> String {
    let Some(codes) = report.header.areas.as_ref().filter(|areas| !areas.is_all()) else { return String::new() };
    let mut text = format!(
        "It is a copy of {} area codes: {areas}\nOf a number elsewhere it says nothing, and rules that ask for the list deny. \
         If it is the whole list, import it with --areas all\n",
        codes.codes().count()
    );
    if report.beside.codes().next().is_some() {
        text += &format!(
            "It has numbers of area codes that it is not a copy of: {}. If it has all of them, name them with --areas\n",
            report.beside
        );
    }
    if report.given_up.codes().next().is_some() {
        text += &format!("The copy before spoke for these area codes, and this one does not: {}\n", report.given_up);
    }
    text
}
