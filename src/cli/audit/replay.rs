//! `ringfence audit replay`: past decisions judged again, as they were made or with one thing changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::audit::{DecisionId, Entries, Library};
use crate::cli::open::{AUDIT, LIBRARY, OpenError};
use crate::cli::progress::Progress;
use crate::cli::source::{DATA, Kept};
use crate::cli::terms::instant;
use crate::cli::{Error, Exit, Global, output, packs};
use crate::engine::replay::{Filter, Laws, Plan, Tally, Unfit, Vault, install, run as replay};
use crate::law::Hash;
use crate::place::Number;
use crate::store::redis::RedisStore;
use crate::store::{EmbeddedStore, Keys, Store, embedded};
use crate::time::Instant;

use super::replayed;

/// Which decisions, and under what.
#[derive(Debug, clap::Args)]
#[command(
    about = "Judge past decisions again: as they were made, under changed packs, or by what is known now",
    after_help = "Without --now or --packs: each decision under the very packs, zone data and numbering tables it was made by,\n\
                  from the library in the data folder. The same bytes must result; what cannot be judged again is named with\n\
                  the reason. On another machine: copy the data folder, bring the keys file.\n\n\
                  With --packs (or --now): a back-test. Who would flip under those packs, by rule, campaign and place, with\n\
                  examples. Each decision is judged on its own: what a flip would have changed for later attempts is not\n\
                  worked out. A registry that the packs of then did not ask for counts as not loaded, and is named.\n\n\
                  Two questions about facts: `--known then` (the default) judges by what was known when the decision was\n\
                  made; `--known now` by what is known today of that same instant: an opt-out that was entered late counts\n\
                  as of its own date. What was asserted with the check, and what the registries answered, stays as it was.\n\n\
                  Exit status: 0 all the same to the byte (in a back-test, or with --known now: no verdict flips), 1 not, or\n\
                  some could not be judged, 2 error."
)]
pub struct Args {
    /// The data folder, or a copy of one [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL", env = "RINGFENCE_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Judge under the packs built into this program, not those of then
    #[arg(long)]
    now: bool,
    /// Judge under the packs built in, with those of this folder in their place or beside them
    #[arg(long, value_name = "DIR")]
    packs: Option<PathBuf>,
    /// By what is known of each contact: then, or now
    #[arg(long, value_name = "WHEN", value_enum, default_value = "then")]
    known: When,
    /// Only decisions made at this instant or later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Instant>,
    /// Only decisions made before this instant
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    to: Option<Instant>,
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
    /// Examples to show of each rule
    #[arg(long, value_name = "COUNT", default_value = "3")]
    examples: usize,
    /// What a run of this program tells another: judge what was made with the zone data and tables of this law
    #[arg(long, value_name = "LAW", value_parser = basis, hide = true)]
    under: Option<Hash>,
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
    let kept = Kept { server: None, store: args.store.clone(), data: args.data.clone() };
    let folder = args.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
    let log = folder.join(AUDIT);
    if !log.is_dir() {
        return Err(Error::said(format!("{}: no audit log there: name a data folder with --data", log.display())));
    }
    let laws = Laws::new(Library::at(&folder.join(LIBRARY)));
    // Before anything looks at a zone or a number.
    if let Some(basis) = &args.under {
        install(&laws, basis).map_err(|why| Error::said(why.to_string()))?;
    }
    let law = match (&args.packs, args.now) {
        (None, false) => None,
        (packs, _) => Some(Arc::new(packs::read(packs.as_deref()).map_err(OpenError::from)?)),
    };
    let vault = vault(&kept, &folder, global).await?;
    // Read only now: reading a number looks at the numbering tables.
    let number = args.number.as_deref().map(|text| Number::parse(text, None)).transpose();
    let number = number.map_err(|error| Error::said(format!("--number {error}")))?;
    let filter = Filter {
        from: args.from,
        until: args.to,
        ids: args.decisions.iter().copied().collect(),
        tag: number.map(|number| vault.tag(number)),
        seller: args.seller.clone(),
        campaign: args.campaign.clone(),
    };
    let known_now = args.known == When::Now;
    let part = args.under.is_some();
    let plan = Plan { law: law.clone(), known_now, filter, examples: args.examples, part };
    let total = Entries::open(&log)?.total_bytes();
    let progress = (!part).then(|| Progress::new(Some(total), "replay"));
    let told = |bytes, rows| progress.iter().for_each(|progress| progress.advance(bytes, rows));
    let mut tally = replay(&log, vault, laws, plan, told).await?;
    drop(progress);
    if part {
        let text = serde_json::to_string(&tally).map_err(|error| Error::said(error.to_string()))?;
        output::say(&text)?;
        return Ok(Exit::Yes);
    }
    elsewhere(&mut tally, &args, &folder, global)?;
    let found = tally.judged + tally.unfits();
    let named = u64::try_from(args.decisions.len()).unwrap_or(u64::MAX);
    if found < named {
        return Err(Error::said(format!("{} of the {named} decisions named are not in this log", named - found)));
    }
    let replayed = replayed::Replayed { log: &log, tally: &tally, law: law.as_deref(), known_now };
    replayed.say(global)?;
    Ok(Exit::when(replayed.is_as_expected()))
}

/// Opens store and keys, and nothing else: a copy is read as it is.
async fn vault(kept: &Kept, folder: &Path, global: &Global) -> Result<Vault, Error> {
    let keys = Keys::open(&global.keys)?;
    let store: Arc<dyn Store> = match kept.redis()? {
        Some(redis) => Arc::new(RedisStore::connect(redis).await?),
        None if !folder.join("store.id").exists() => {
            let what = "holds no store, which has the keys of contacts: copy the whole data folder, or name a Redis with --store";
            return Err(Error::said(format!("{}: {what}", folder.display())));
        }
        None => Arc::new(EmbeddedStore::open(folder, embedded::Settings::default())?),
    };
    keys.check(&*store).await?;
    Ok(Vault::new(store, keys))
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
    command.args(["audit", "replay", "--under", name]).arg("--data").arg(folder).arg("--keys").arg(&global.keys);
    command.arg("--examples").arg(args.examples.to_string());
    let texts = [("--store", &args.store), ("--seller", &args.seller), ("--campaign", &args.campaign)];
    for (flag, value) in texts.into_iter().filter_map(|(flag, value)| value.as_ref().map(|value| (flag, value))) {
        command.arg(format!("{flag}={value}"));
    }
    let instants = [("--from", args.from), ("--to", args.to)];
    for (flag, at) in instants.into_iter().filter_map(|(flag, at)| Some((flag, at?.to_rfc3339()?))) {
        command.arg(format!("{flag}={at}"));
    }
    command.args(args.decisions.iter().map(|id| format!("--decision={id}")));
    command.args(args.number.iter().map(|number| format!("--number={number}")));
    if args.known == When::Now {
        command.arg("--known=now");
    }
    let output = command.output().map_err(|error| Error::io("starting", "a second run of this program", &error))?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("error: ").to_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| error.to_string()))
}
