//! `ringfence audit evidence`: a report of all that is known of one number, or about one complaint.

mod answers;
mod html;
mod markup;
mod report;

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::open::AUDIT;
use super::super::output::{say, say_json};
use super::super::progress::Progress;
use super::super::regions_beside::Beside;
use super::super::{Error, Exit, Global, now};
use super::absence::{heads, of};
use super::replay::Origin;
use crate::audit::proof::{self, Heads, Proving, Wanted, Whom};
use crate::audit::{self, Entries, Expect, Report};
use crate::engine::evidence::{Event, Held, gather};
use crate::engine::layout::Layout;
use crate::engine::replay::Vault;
use crate::place::Number;
use crate::store::{Keys, WriterId};

/// About whom, and where to.
#[derive(Debug, clap::Args)]
#[command(
    about = "Write a report of all that is known of one number, or about one complaint",
    after_help = "Makes a folder with report.html (to be read and printed, no program needed), report.json (the\n\
                  same for machines; deploy/evidence.md says what is in it) and, with --heads, chain.proof, by\n\
                  which others check that what is told stands in the log that was published: consents and their\n\
                  wording, opt-outs, attempts, every decision with its law, citations and the local times judged,\n\
                  the registries as they were, what was recorded and when, and whether the log is whole.\n\
                  The number is masked unless --whole-number says otherwise. Of nobody else anything is in it.\n\
                  Exit status: 0 the log is whole, 1 it is not (the report says where), 2 error.\n\n\
                  Example: ringfence audit evidence +12025550143 --out evidence-2026-117"
)]
pub struct EvidenceArgs {
    /// The number, E.164
    #[arg(value_name = "NUMBER", allow_hyphen_values = true, required_unless_present = "complaint")]
    number: Option<String>,
    /// The complaint, or other request, by its id: the number is that of who made it
    #[arg(long, value_name = "ID", conflicts_with = "number")]
    complaint: Option<uuid::Uuid>,
    /// The folder to make
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The heads that were published, to enclose the proof that the chain leads to them
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// Show the number whole, and enclose what was recorded byte for byte, to be compared with the chain
    #[arg(long)]
    whole_number: bool,
    /// The data folder of another instance, or a copy of it; may be given more than once
    #[arg(long = "also", value_name = "DIR")]
    also: Vec<PathBuf>,
    #[command(flatten)]
    from: Origin,
}

/// All that a report is made from.
pub(super) struct Told<'a> {
    pub(super) number: Number,
    pub(super) whole: bool,
    pub(super) complaint: Option<String>,
    pub(super) held: Option<Held>,
    pub(super) events: &'a [Event],
    pub(super) chain: &'a [(WriterId, Report)],
    /// What the enclosed proof says; `None`: there is none.
    pub(super) proven: Option<Value>,
    /// Other regions, whose logs were not looked at.
    pub(super) elsewhere: Vec<String>,
}

/// What is not in a report where there are several regions.
pub(super) fn elsewhere_in_words(regions: &[String]) -> Option<String> {
    let regions = Some(regions.join(", ")).filter(|regions| !regions.is_empty())?;
    Some(format!(
        "It is of one region. What was asked and recorded while the contact was in another is in the log of that one, which \
         was not looked at: {regions}."
    ))
}

/// Refuses a report of a contact of another region, and one of several regions at once: what is sealed in one opens with
/// its own store alone. The regions that are not looked at.
fn of_one_region(data: &Path, also: &[PathBuf], layout: Option<&Layout>, number: Number) -> Result<Vec<String>, Error> {
    let beside = Beside::read(data)?;
    let own = layout.map(|layout| &*layout.name).or(beside.as_ref().map(|beside| beside.region.as_str()));
    let Some(own) = own.map(str::to_owned) else { return Ok(Vec::new()) };
    for folder in also {
        let other = Beside::read(folder)?.map(|beside| beside.region);
        if other.as_deref() != Some(own.as_str()) {
            let what = other.map_or_else(
                || "it does not say of which region it is (its file regions.json)".to_owned(),
                |other| format!("it is of region {other}"),
            );
            return Err(Error::said(format!(
                "{}: {what}, and the store is that of region {own}: make a report of each region by itself",
                folder.display()
            )));
        }
    }
    if let Some(home) = layout.map(|layout| layout.home(number)).filter(|home| **home != *own) {
        return Err(Error::said(format!(
            "{number} belongs to region {home}, and the store is that of region {own}: name the data folder of region \
             {home} with --data"
        )));
    }
    let mut all = beside.map(|beside| beside.all).unwrap_or_default();
    all.extend(layout.into_iter().flat_map(|layout| layout.regions.iter().map(|region| region.name.to_string())));
    all.remove(&own);
    Ok(all.into_iter().collect())
}

/// Runs it.
///
/// # Errors
/// Folder, store or keys cannot be opened; a log was altered so that it does not read; the complaint is not known; the new
/// folder is there, or cannot be made.
pub(super) async fn run(args: EvidenceArgs, global: &Global) -> Result<Exit, Error> {
    let data = args.from.folder()?;
    if args.out.symlink_metadata().is_ok() {
        return Err(Error::said(format!("{}: is there already: name a folder to make with --out", args.out.display())));
    }
    let heads = args.heads.as_deref().map(heads).transpose()?;
    let vault = args.from.vault(&data, global).await?;
    let number = number(&args, &vault).await?;
    let elsewhere = of_one_region(&data, &args.also, vault.layout().await?.as_ref(), number)?;
    let tag = vault.tag(number);
    let folders: Vec<_> = std::iter::once(&data).chain(&args.also).map(|data| data.join(AUDIT)).collect();
    let (mut logs, mut chain) = (Vec::new(), Vec::new());
    for folder in &folders {
        let report = verified(folder, &args.from).await?;
        let writer = report.writer.ok_or_else(|| Error::said(format!("{}: no audit log there", folder.display())))?;
        logs.push((writer, args.from.entries(folder)?));
        chain.push((writer, report));
    }
    let total = logs.iter().map(|(_, entries)| entries.total_bytes()).sum();
    let progress = Progress::new(Some(total), "evidence");
    let told = |bytes, rows| progress.advance(bytes, rows);
    let events = gather(logs, &vault, &[tag], args.whole_number, told).await?;
    drop(progress);
    let held = vault.of_tag(tag).await?.map_err(|why| Error::said(why.to_string()))?;
    let marks = vault.marks().await?;
    let held = held.map(|contact| Held::of(&contact, number, &marks));
    fs::create_dir_all(&args.out).map_err(|error| Error::at(&args.out, "making", &error))?;
    let whom = of(&Keys::open(&args.from.keys(global)?)?, number, &global.tenant);
    let proven = match &heads {
        Some(heads) => enclose(&args, heads, &events, whom, number, &folders).await?,
        None => None,
    };
    let complaint = args.complaint.map(|id| id.hyphenated().to_string());
    let told =
        Told { number, whole: args.whole_number, complaint, held, events: &events, chain: &chain, proven, elsewhere };
    let report = report::json(&told, now());
    let text = serde_json::to_string_pretty(&report).map_err(|error| Error::said(error.to_string()))?;
    put(&args.out.join("report.json"), &text)?;
    put(&args.out.join("report.html"), &html::page(&report))?;
    if args.whole_number {
        put(&args.out.join("openings.jsonl"), &openings(&events))?;
    }
    let sound = chain.iter().all(|(_, report)| report.sound());
    match global.json {
        true => {
            say_json(&json!({ "folder": args.out.display().to_string(), "entries": events.len(), "sound": sound }))?
        }
        false => say(&format!(
            "{} entries about {number}, written to {}: open report.html there.{}{}\n",
            events.len(),
            args.out.display(),
            elsewhere_in_words(&told.elsewhere).map(|words| format!("\n{words}")).unwrap_or_default(),
            if sound { "" } else { "\nThe log is NOT whole: see `ringfence audit verify`." }
        ))?,
    }
    Ok(Exit::when(sound))
}

async fn number(args: &EvidenceArgs, vault: &Vault) -> Result<Number, Error> {
    match (&args.number, args.complaint) {
        (Some(text), _) => Number::parse(text, None).map_err(|error| Error::said(format!("the number {error}"))),
        (None, Some(id)) => vault.number_of_request(id).await?.ok_or_else(|| {
            Error::said(format!(
                "--complaint {id}: no request of this id is known here, or its contact was erased: name the number"
            ))
        }),
        (None, None) => Err(Error::said("name a number, or a complaint with --complaint")),
    }
}

async fn verified(folder: &Path, from: &Origin) -> Result<Report, Error> {
    let archive = from.archived.open(audit::writer_of(folder)?)?;
    let folder = folder.to_path_buf();
    let walked =
        tokio::task::spawn_blocking(move || audit::verify_with(&folder, &Expect::default(), archive.as_ref())).await;
    Ok(walked.map_err(|error| Error::said(error.to_string()))??)
}

/// Writes the proof that the chain leads from before the first of these entries to the published heads; what it says.
async fn enclose(
    args: &EvidenceArgs,
    heads: &Heads,
    events: &[Event],
    whom: Whom,
    number: Number,
    folders: &[PathBuf],
) -> Result<Option<Value>, Error> {
    let Some(first) = events.first().map(|event| event.found.entry.at) else { return Ok(None) };
    let after = first.min(heads.least().1);
    let (heads, file) = (heads.clone(), args.out.join("chain.proof"));
    let (folders, from) = (folders.to_vec(), args.from.clone());
    let made = tokio::task::spawn_blocking(move || -> Result<Value, Error> {
        let mut found = Vec::new();
        for folder in &folders {
            found.push((audit::writer_of(folder)?, folder));
        }
        let open = |writer: WriterId| -> Result<Entries, audit::LogError> {
            let missing = |why: &str| audit::LogError::Closed { place: format!("the log of writer {writer}{why}") };
            let (_, folder) = found.iter().find(|(named, _)| *named == Some(writer)).ok_or_else(|| missing(""))?;
            from.entries(folder).map_err(|error| missing(&format!(": {error}")))
        };
        let io = |doing: &'static str| {
            let file = file.clone();
            move |error: std::io::Error| Error::at(&file, doing, &error)
        };
        let mut out = BufWriter::new(fs::File::create(&file).map_err(io("writing"))?);
        let proving = Proving { heads: &heads, after, whom: &[whom] };
        proof::write(proving, &open, &mut out).map_err(|error| Error::said(error.to_string()))?;
        out.flush().map_err(io("writing"))?;
        let text = BufReader::new(fs::File::open(&file).map_err(io("reading"))?);
        let e164 = number.reveal_e164();
        let wanted = Wanted { heads: &heads, number: Some(e164.as_str()), after: Some(after), unnamed: true };
        let checked = proof::check(text.lines(), wanted).map_err(|faulty| Error::said(faulty.to_string()))?;
        Ok(json!({
            "file": "chain.proof",
            "from": checked.after.to_string(),
            "until": checked.until.to_string(),
            "entries": checked.allowed.len() + checked.seen.len(),
        }))
    });
    made.await.map_err(|error| Error::said(error.to_string()))?.map(Some)
}

/// What lets others compare what is told with the chain, a line an entry.
fn openings(events: &[Event]) -> String {
    let line = |event: &Event| {
        let (salt, body) = event.opening.as_ref()?;
        let (id, seq) = (event.found.entry.id.to_string(), event.found.seq);
        let (salt, body) = (report::hex(salt), report::hex(body));
        let line = json!({ "id": id, "writer": event.writer.to_string(), "entry": seq, "salt": salt, "body": body });
        Some(format!("{line}\n"))
    };
    events.iter().filter_map(line).collect()
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| Error::at(path, "writing", &error))
}
