//! `ringfence audit replay`: past decisions judged again, as they were made or with one thing changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::audit::{self, DecisionId, Entries, Library};
use crate::cli::open::{AUDIT, LIBRARY, OpenError};
use crate::cli::progress::Progress;
use crate::cli::settings::OfServer;
use crate::cli::source::Kept;
use crate::cli::terms::instant;
use crate::cli::{Error, Exit, Global, output, packs};
use crate::engine::replay::{Filter, Laws, Plan, Tally, Unfit, Vault, install, run as replay};
use crate::law::Hash;
use crate::place::Number;
use crate::store::redis::RedisStore;
use crate::store::{EmbeddedStore, Keys, Store, embedded};
use crate::time::Instant;

use super::{Archived, replayed};

/// Which decisions, and under what.
#[derive(Debug, clap::Args)]
#[command(
    about = "Judge past decisions again: as they were made, under changed packs, or by what is known now",
    after_help = "Without --now or --packs: each decision under the very packs, zone data and numbering tables it\n\
                  was made by, from the library in the data folder. The same bytes must result; what cannot be\n\
                  judged again is named with the reason. On another machine: see `ringfence audit bundle`, or\n\
                  copy the data folder and bring the keys file.\n\n\
                  With --packs (or --now): a back-test. Who would flip under those packs, by rule, campaign and\n\
                  place, with examples. Each decision is judged on its own: what a flip would have changed for\n\
                  later attempts is not worked out. A registry that no rule asked for then counts as not loaded,\n\
                  and is named.\n\n\
                  Two questions about facts: `--known then` (the default) judges by what was known when the\n\
                  decision was made; `--known now` by what is known today of that same instant: an opt-out that\n\
                  was entered late counts as of its own date. What was asserted with the check, and what the\n\
                  registries answered, stays as it was.\n\n\
                  Exit status: 0 all the same to the byte (in a back-test, or with --known now: no verdict flips),\n\
                  1 not, or some could not be judged, 2 error."
)]
pub struct Args {
    #[command(flatten)]
    pub(super) from: Origin,
    /// Judge under the packs built into this program, not those of then
    #[arg(long)]
    now: bool,
    /// Judge under the packs built in, with those of this folder in their place or beside them
    #[arg(long, value_name = "DIR")]
    packs: Option<PathBuf>,
    /// By what is known of each contact: then, or now
    #[arg(long, value_name = "WHEN", value_enum, default_value = "then")]
    known: When,
    #[command(flatten)]
    pub(super) which: Which,
    /// Examples to show of each rule
    #[arg(long, value_name = "COUNT", default_value = "3")]
    examples: usize,
    /// What a run of this program tells another: judge what was made with the zone data and tables of this law
    #[arg(long, value_name = "LAW", value_parser = basis, hide = true)]
    under: Option<Hash>,
}

/// Where decisions are.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Origin {
    /// The data folder, a copy of one, or a bundle [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL", env = "RINGFENCE_STORE", hide_env_values = true)]
    store: Option<String>,
    #[command(flatten)]
    of_server: OfServer,
    #[command(flatten)]
    pub(super) archived: Archived,
}

/// Which decisions.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Which {
    /// Only decisions made at this instant or later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Instant>,
    /// Only decisions made before this instant
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<Instant>,
    /// Only this decision; may be given more than once
    #[arg(long = "decision", value_name = "ID", value_parser = decision)]
    decisions: Vec<DecisionId>,
    /// Only decisions about this number, E.164
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Only decisions on behalf of this seller
    #[arg(long, value_name = "SELLER")]
    seller: Option<String>,
    /// Only decisions in this campaign
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<String>,
}

impl Origin {
    /// The folder, which must hold a log.
    pub(super) fn folder(&self) -> Result<PathBuf, Error> {
        let folder = self.kept().data_by(self.of_server.config.as_deref())?;
        let log = folder.join(AUDIT);
        match log.is_dir() {
            true => Ok(folder),
            false => Err(Error::said(format!("{}: no audit log there: name a data folder with --data", log.display()))),
        }
    }

    fn kept(&self) -> Kept {
        Kept { server: None, store: self.store.clone(), data: self.data.clone() }
    }

    /// The keys file of those records.
    pub(super) fn keys(&self, global: &Global) -> Result<PathBuf, Error> {
        self.of_server.keys(global)
    }

    /// The log in this folder, with what of it is in the archive.
    pub(super) fn entries(&self, log: &Path) -> Result<Entries, Error> {
        Ok(Entries::open(log, self.archived.open(audit::writer_of(log)?)?)?)
    }

    /// Opens store and keys, and nothing else: a copy is read as it is.
    pub(super) async fn vault(&self, folder: &Path, global: &Global) -> Result<Vault, Error> {
        let keys = Keys::open(&self.keys(global)?)?;
        let store: Arc<dyn Store> = match self.kept().redis_by(self.of_server.config.as_deref())? {
            Some(redis) => Arc::new(RedisStore::connect(redis).await?),
            // Opening would make a store where there is none.
            None if !folder.join("store.id").exists() => {
                return Ok(Vault::new(None, keys).for_tenant(&global.tenant));
            }
            None => Arc::new(EmbeddedStore::open(folder, embedded::Settings::default())?),
        };
        keys.check(&*store).await?;
        Ok(Vault::new(Some(store), keys).for_tenant(&global.tenant))
    }
}

impl Which {
    /// The same for a log that this opens. Reading a number looks at the numbering tables.
    pub(super) fn filter(&self, vault: &Vault) -> Result<Filter, Error> {
        let number = self.number.as_deref().map(|text| Number::parse(text, None)).transpose();
        let number = number.map_err(|error| Error::said(format!("--number {error}")))?;
        Ok(Filter {
            from: self.from,
            until: self.until,
            ids: self.decisions.iter().copied().collect(),
            tag: number.map(|number| vault.tag(number)),
            seller: self.seller.clone(),
            campaign: self.campaign.clone(),
        })
    }

    /// As arguments for another run of this program.
    fn arguments(&self) -> Vec<String> {
        let texts = [("seller", &self.seller), ("campaign", &self.campaign), ("number", &self.number)];
        let texts = texts.into_iter().filter_map(|(flag, text)| Some(format!("--{flag}={}", text.as_ref()?)));
        let instants = [("from", self.from), ("until", self.until)];
        let instants = instants.into_iter().filter_map(|(flag, at)| Some(format!("--{flag}={}", at?.to_rfc3339()?)));
        texts.chain(instants).chain(self.decisions.iter().map(|id| format!("--decision={id}"))).collect()
    }
}

/// When something was known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum When {
    /// When the decision was made.
    Then,
    /// Today.
    Now,
}

fn decision(text: &str) -> Result<DecisionId, String> {
    DecisionId::parse(text).ok_or_else(|| "is no id of a decision: see the answer of the check".to_owned())
}

fn basis(text: &str) -> Result<Hash, String> {
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    let bytes = bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "is no SHA-256 in hexadecimal".to_owned())
}

/// Runs it.
///
/// # Errors
/// Folder, store, keys or packs cannot be opened; the log was altered; a decision that was named is not there.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let folder = args.from.folder()?;
    let log = folder.join(AUDIT);
    let laws = Laws::new(Library::at(&folder.join(LIBRARY)));
    // Before anything looks at a zone or a number.
    if let Some(basis) = &args.under {
        install(&laws, basis).map_err(|why| Error::said(why.to_string()))?;
    }
    let law = match (&args.packs, args.now) {
        (None, false) => None,
        (packs, _) => Some(Arc::new(packs::read(packs.as_deref()).map_err(OpenError::from)?)),
    };
    let vault = args.from.vault(&folder, global).await?;
    let filter = args.which.filter(&vault)?;
    let known_now = args.known == When::Now;
    let part = args.under.is_some();
    let plan = Plan { law: law.clone(), known_now, filter, examples: args.examples, part };
    let entries = args.from.entries(&log)?;
    let progress = (!part).then(|| Progress::new(Some(entries.total_bytes()), "replay"));
    let told = |bytes, rows| progress.iter().for_each(|progress| progress.advance(bytes, rows));
    let mut tally = replay(entries, vault, laws, plan, told).await?;
    drop(progress);
    if part {
        let text = serde_json::to_string(&tally).map_err(|error| Error::said(error.to_string()))?;
        output::say(&text)?;
        return Ok(Exit::Yes);
    }
    elsewhere(&mut tally, &args, &folder, global)?;
    let found = tally.judged + tally.unfits();
    let named = u64::try_from(args.which.decisions.len()).unwrap_or(u64::MAX);
    if found < named {
        return Err(Error::said(format!("{} of the {named} decisions named are not in this log", named - found)));
    }
    let replayed = replayed::Replayed { log: &log, tally: &tally, law: law.as_deref(), known_now };
    replayed.say(global)?;
    Ok(Exit::when(replayed.is_as_expected()))
}

/// What was made with other zone data or numbering tables is judged by another run of this program, which loads them: one
/// process has one set of them.
fn elsewhere(tally: &mut Tally, args: &Args, folder: &Path, global: &Global) -> Result<(), Error> {
    let mut waiting = std::mem::take(&mut tally.elsewhere);
    let laws = Laws::new(Library::at(&folder.join(LIBRARY)));
    while let Some((name, _)) = waiting.first_key_value() {
        let name = name.clone();
        let of = |name: &str| basis(name).ok().and_then(|basis| laws.named(&basis).ok());
        let wanted = of(&name).map(|named| (named.zones.1, named.numbering.1));
        // Whatever needs the same data goes together.
        let together: Vec<String> = waiting
            .keys()
            .filter(|other| {
                **other == name || wanted.is_some() && of(other).map(|n| (n.zones.1, n.numbering.1)) == wanted
            })
            .cloned()
            .collect();
        let count: u64 = together.iter().filter_map(|name| waiting.remove(name)).sum();
        match child(&name, args, folder, global)? {
            Ok(judged) => tally.merge(judged),
            Err(why) => {
                let unfits = tally.unfit.entry(Unfit::Library(why).to_string()).or_default();
                unfits.count += count;
            }
        }
    }
    Ok(())
}

/// What another run of this program counts under the data of this law; or what it said instead.
fn child(name: &str, args: &Args, folder: &Path, global: &Global) -> Result<Result<Tally, String>, Error> {
    let program = std::env::current_exe().map_err(|error| Error::io("finding", "this program", &error))?;
    let mut command = Command::new(program);
    let keys = args.from.keys(global)?;
    command.args(["audit", "replay", "--under", name]).arg("--data").arg(folder).arg("--keys").arg(keys);
    command.arg("--tenant").arg(&global.tenant).args(args.from.of_server.argument());
    command.arg("--examples").arg(args.examples.to_string());
    command.args(args.from.store.iter().map(|store| format!("--store={store}"))).args(args.which.arguments());
    command.args(args.from.archived.arguments());
    if args.known == When::Now {
        command.arg("--known=now");
    }
    let output = command.output().map_err(|error| Error::io("starting", "a second run of this program", &error))?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("error: ").to_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| error.to_string()))
}
