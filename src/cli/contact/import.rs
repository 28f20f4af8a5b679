//! `ringfence contact import`: consents and opt-outs from a file, by the million.
//!
//! Promises: a row is recorded whole or refused with its line and reason; begun again after whatever ended it, the same
//! file records nothing twice; a column that nobody knows is refused, since what it says might tighten. Guarded by
//! `tests/cli/import.rs`.

pub(in crate::cli) mod cells;
pub(in crate::cli) mod rows;
mod target;

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::json;

use self::cells::{Defaults, Kind};
use self::rows::{Form, Row, Rows, Source};
use self::target::{CHUNK, CHUNK_BYTES, Target};
use crate::cli::again::Tell;
use crate::cli::output::{note, say, say_json};
use crate::cli::progress::{Progress, grouped};
use crate::cli::refused::RefusedFile;
use crate::cli::source::{Kept, Within};
use crate::cli::terms::word;
use crate::cli::{Error, Exit, Global};
use crate::contact::{Channel, Grade, Method, OptOutSource, Purpose};
use crate::engine::Imported;
use crate::proto::v1;

/// Refused rows that are shown.
const SHOWN: usize = 10;
/// Refused rows in the summary for machines.
const LISTED: usize = 1_000;

/// Consents and opt-outs from a file.
#[derive(Debug, clap::Args)]
#[command(
    about = "Record consents and opt-outs from a file, CSV or JSON lines",
    after_help = "Each row is recorded whole, or refused with its line and the reason. Interrupted, run it again: a\n\
                  row is known by the content of the file and its line, and is recorded once.\n\n\
                  CSV: the first line names the columns. Every row: number, kind (consent or opt_out; or --kind),\n\
                  default_region, request_id. Consents: consent_id, person, grade, flags, channels,\n\
                  technologies, purposes, sellers, products, given_at, expires_at, withdrawn_at, method, wording,\n\
                  notice_given, forced, policy_version, obtained_from, evidence_ref. Opt-outs: opt_out_id,\n\
                  everything, channels, purposes, sellers, subjects, campaigns, source, at, wording. Several\n\
                  values of a cell are parted by semicolons; instants are RFC 3339 with their offset, or days. An unknown\n\
                  column is refused (--ignore-column), and a row that lacks a field, or has a line end in one\n\
                  that is not wording: a quote never closed would swallow the rows after it.\n\
                  JSON lines: a row is {\"consent\": …}, {\"optOut\": …} or {\"facts\": …}, with the fields of\n\
                  RecordConsentRequest, RecordOptOutRequest and UpdateContactRequest.\n\
                  Both may be compressed, gzip or zstd. The file of refused rows is imported as it is, once they\n\
                  are mended.\n\n\
                  Exit status: 0 every row is recorded, 1 some were refused, 2 error: run it again.\n\n\
                  Example: ringfence contact import stops.csv --kind opt-out --everything --rejected refused.csv"
)]
pub struct ImportArgs {
    /// The file to read
    file: PathBuf,
    /// In which form it is; left out: as its name says (.csv, .jsonl, .ndjson)
    #[arg(long, value_name = "FORM")]
    format: Option<Form>,
    /// Write refused rows to this file, each with its line, field and reason
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Replace the file of refused rows if it is there
    #[arg(long)]
    force: bool,
    /// The name of the import; left out: one that follows from the file and these options
    #[arg(long, value_name = "ID")]
    import_id: Option<String>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    fill: Fill,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    within: Within,
}

/// Columns of a CSV file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Columns of a CSV file")]
struct Columns {
    /// The column with the numbers, where it is not called number or phone
    #[arg(long, value_name = "NAME")]
    number_column: Option<String>,
    /// A column that says nothing about consent; may be given more than once
    #[arg(long, value_name = "NAME")]
    ignore_column: Vec<String>,
}

/// What cells that are empty, or not there, stand for.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "For rows that do not say")]
struct Fill {
    /// What the rows record
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// The country in whose national form numbers may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// Opt-outs reach every contact but emergencies and notices that the law itself demands
    #[arg(long)]
    everything: bool,
    /// The seller
    #[arg(long, value_name = "NAME")]
    seller: Vec<String>,
    /// The purpose
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Vec<Purpose>,
    /// The channel
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true)]
    channel: Vec<Channel>,
    /// How the opt-outs came in
    #[arg(long, value_name = "SOURCE", value_parser = word::<OptOutSource>(), ignore_case = true)]
    source: Option<OptOutSource>,
    /// How strong the consents are
    #[arg(long, value_name = "GRADE", value_parser = word::<Grade>(), ignore_case = true)]
    grade: Option<Grade>,
    /// How the consents were captured
    #[arg(long, value_name = "METHOD", value_parser = word::<Method>(), ignore_case = true)]
    method: Option<Method>,
}

/// What came of a file.
#[derive(Default)]
pub(in crate::cli) struct Outcome {
    rows: u64,
    accepted: u64,
    repeated: u64,
    pub rejected: u64,
    first: Vec<v1::ImportRejection>,
    receipts: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// The file, the data or the server fail. What was recorded stays, and the same command goes on.
pub(super) async fn run(args: ImportArgs, global: &Global) -> Result<Exit, Error> {
    let bytes = fs::metadata(&args.file).map_err(|error| Error::at(&args.file, "reading", &error))?.len();
    let mut rows = args.rows()?;
    let import_id = match &args.import_id {
        Some(id) => id.clone(),
        None => name_of(&args.file, &args.fill.defaults().canonical())?,
    };
    let refused = Refusals { input: &args.file, file: args.rejected.as_deref(), force: args.force };
    let outcome = record(&mut rows, bytes, (&args.kept, args.within), &import_id, &refused, global).await?;
    outcome.tell(&refused, &import_id, &[], global)?;
    Ok(Exit::when(outcome.rejected == 0))
}

/// Where refused rows are written.
pub(in crate::cli) struct Refusals<'a> {
    /// What is read, which must not be written to.
    pub input: &'a Path,
    pub file: Option<&'a Path>,
    pub force: bool,
}

/// Records every row of a file of so many bytes, and says what became of them.
///
/// # Errors
/// As [`run`].
pub(in crate::cli) async fn record(
    rows: &mut impl Source,
    bytes: u64,
    kept: (&Kept, Within),
    import_id: &str,
    refusals: &Refusals<'_>,
    global: &Global,
) -> Result<Outcome, Error> {
    let mut refused = refusals.file.map(|path| Refused::create(path, refusals.input, refusals.force)).transpose()?;
    let mut target = Target::open(kept, import_id, global).await?;
    let progress = Progress::new(Some(bytes), "import");
    let mut outcome = Outcome::default();
    let mut seen = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut bytes = 0;
        while chunk.len() < CHUNK
            && bytes < CHUNK_BYTES
            && let Some(row) = rows.next()?
        {
            bytes += row.text.bytes();
            chunk.push(row);
        }
        if chunk.is_empty() {
            break;
        }
        let count = chunk.len() as u64;
        outcome.take(&mut target, chunk, rows, refused.as_mut(), &|what| progress.waits(what)).await?;
        let read = rows.read();
        progress.advance(read.saturating_sub(seen), count);
        seen = read;
    }
    outcome.receipts.extend(target.finish().await?);
    if let Some(refused) = refused.as_mut() {
        refused.finish()?;
    }
    progress.finish(&format!("{} rows", grouped(outcome.rows)));
    Ok(outcome)
}

impl ImportArgs {
    /// Opens the file, as the options say that it is to be read.
    ///
    /// # Errors
    /// Its form is not known, or goes with other options; as [`Rows::open`].
    pub(in crate::cli) fn rows(&self) -> Result<impl Source + use<>, Error> {
        let form = match self.format {
            Some(form) => form,
            None => Form::of_name(&self.file).ok_or_else(|| {
                let name = self.file.display();
                Error::said(format!("{name}: its name does not say what it is: add --format csv or --format jsonl"))
            })?,
        };
        if form == Form::Jsonl && (self.fill.fills_rows() || self.columns.are_named()) {
            let why = "of JSON lines only --default-region can be given for all: a row says what it records, whole";
            return Err(Error::said(format!("{}: {why}", self.file.display())));
        }
        Rows::open(&self.file, form, self.fill.defaults(), &self.columns)
    }
}

impl Columns {
    fn are_named(&self) -> bool {
        self.number_column.is_some() || !self.ignore_column.is_empty()
    }
}

impl Fill {
    /// Whether it says anything but how numbers are read.
    fn fills_rows(&self) -> bool {
        let Self { kind, default_region: _, everything, seller, purpose, channel, source, grade, method } = self;
        let lists = !(seller.is_empty() && purpose.is_empty() && channel.is_empty());
        *everything || lists || kind.is_some() || source.is_some() || grade.is_some() || method.is_some()
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            kind: self.kind,
            default_region: self.default_region.clone().unwrap_or_default(),
            everything: self.everything,
            sellers: self.seller.clone(),
            purposes: self.purpose.clone(),
            channels: self.channel.clone(),
            source: self.source,
            grade: self.grade,
            method: self.method,
        }
    }
}

/// A name that follows from the content of the file and from what fills its rows: other rows under one name would be
/// refused.
///
/// # Errors
/// The file cannot be read.
pub(in crate::cli) fn name_of(path: &Path, filled: &str) -> Result<String, Error> {
    let failed = |error| Error::at(path, "reading", &error);
    let mut digest = Context::new(&SHA256);
    let mut file = File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        digest.update(buffer.get(..read).unwrap_or_default());
    }
    digest.update(filled.as_bytes());
    let hex: String = digest.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("file-{hex}"))
}

impl Outcome {
    /// Records some rows and counts what became of them.
    async fn take(
        &mut self,
        target: &mut Target,
        chunk: Vec<Row>,
        rows: &impl Source,
        mut refused: Option<&mut Refused>,
        tell: Tell<'_>,
    ) -> Result<(), Error> {
        let mut asked = Vec::with_capacity(chunk.len());
        let mut raw = Vec::with_capacity(chunk.len());
        for Row { line, entry, text } in chunk {
            match entry {
                Ok(entry) => {
                    asked.push(v1::ImportContactsRequest { import_id: String::new(), row: line, entry: Some(entry) });
                    raw.push((None, text));
                }
                Err(fault) => {
                    let why = v1::ImportRejection { row: line, field: fault.field, message: fault.message };
                    raw.push((Some(why), text));
                }
            }
        }
        let mut became = target.record(asked, tell).await?.into_iter();
        for (faulty, text) in raw {
            let became = match faulty {
                Some(why) => Imported::Rejected(why),
                None => became.next().ok_or_else(|| Error::said("a row was left without an answer"))?,
            };
            self.rows += 1;
            match became {
                Imported::Accepted => self.accepted += 1,
                Imported::Repeated => self.repeated += 1,
                Imported::Rejected(why) => {
                    self.rejected += 1;
                    if let Some(refused) = refused.as_mut() {
                        refused.write(rows, &text, &why)?;
                    }
                    if self.first.len() < LISTED {
                        self.first.push(why);
                    }
                }
            }
        }
        Ok(())
    }

    /// Says what became of the rows, and counts that only this kind of file has.
    pub(in crate::cli) fn tell(
        &self,
        refusals: &Refusals<'_>,
        import_id: &str,
        counts: &[(&str, u64)],
        global: &Global,
    ) -> Result<(), Error> {
        let file = refusals.file.map(|path| path.display().to_string());
        if global.json {
            let rejections: Vec<_> = self
                .first
                .iter()
                .map(|why| json!({ "line": why.row, "field": why.field, "message": why.message }))
                .collect();
            let mut all = json!({
                "importId": import_id,
                "rows": self.rows,
                "accepted": self.accepted,
                "repeated": self.repeated,
                "rejected": self.rejected,
                "rejections": rejections,
                "rejectedFile": file,
                "receipts": self.receipts,
            });
            if let Some(members) = all.as_object_mut() {
                members.extend(counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())));
            }
            return say_json(&all);
        }
        let [rows, accepted, repeated, rejected] =
            [self.rows, self.accepted, self.repeated, self.rejected].map(grouped);
        let counts: String = counts.iter().map(|(name, count)| format!("{:<8}{}\n", name, grouped(*count))).collect();
        say(&format!(
            "{rows} rows: {accepted} recorded, {repeated} recorded before, {rejected} refused\n{counts}import {import_id}\n"
        ))?;
        for why in self.first.iter().take(SHOWN) {
            let field = if why.field.is_empty() { String::new() } else { format!("{} ", why.field) };
            note(&format!("line {}: {field}{}", why.row, why.message));
        }
        match (file, self.rejected) {
            (_, 0) => {}
            (Some(file), _) => note(&format!("refused rows are in {file}: mend them, and import that file")),
            (None, count) if count > SHOWN as u64 => note("and more: --rejected FILE writes all of them to a file"),
            _ => {}
        }
        Ok(())
    }
}

/// The file of refused rows, as they are written.
struct Refused {
    out: BufWriter<Arc<File>>,
    file: RefusedFile,
    begun: bool,
}

impl Refused {
    fn create(path: &Path, input: &Path, force: bool) -> Result<Self, Error> {
        let file = RefusedFile::create(path, &[input], force)?;
        Ok(Self { out: BufWriter::new(file.file()), file, begun: false })
    }

    fn write(&mut self, rows: &impl Source, text: &rows::Text, why: &v1::ImportRejection) -> Result<(), Error> {
        let mut bytes = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            bytes.extend(rows.refused_head());
        }
        bytes.extend(rows.refused(text, why));
        self.out.write_all(&bytes).map_err(|error| Error::at(self.file.path(), "writing", &error))
    }

    /// Puts it in its place.
    fn finish(&mut self) -> Result<(), Error> {
        self.out.flush().map_err(|error| Error::at(self.file.path(), "writing", &error))?;
        self.file.finish()
    }
}
