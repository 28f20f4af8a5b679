//! `ringfence law`: the rules in force, and their tests.

mod calendar;
mod diff;
mod names;
mod show;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::output::{say, say_json};
use super::packs::{self, PacksError};
use super::{Error, Exit, Global};
use crate::engine::cases::{self, Outcome};
use crate::law::{self, Body, Law};
use crate::registry::ids;

/// The law.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Look for what a reviewer should mend in the packs
    Lint(LintArgs),
    /// Run the cases of the packs, or a file of acceptance cases
    Test(TestArgs),
    /// Show the packs, one pack, or one rule
    Show(show::Args),
    /// Show what changed between two days, or from one set of packs to another
    Diff(diff::Args),
    /// Show the open hours of the coming days for one place and purpose
    Calendar(Box<calendar::Args>),
}

/// Which packs.
#[derive(Clone, Debug, clap::Args)]
pub struct Packs {
    /// A folder of packs that replace those built in, or add to them
    #[arg(long, value_name = "DIR", env = "RINGFENCE_PACKS", hide_env_values = true)]
    packs: Option<PathBuf>,
}

impl Packs {
    fn read(&self) -> Result<Law, Error> {
        Ok(packs::read(self.packs.as_deref()).map_err(super::open::OpenError::from)?)
    }
}

/// Remarks about the packs.
#[derive(Debug, clap::Args)]
#[command(
    about = "Look for what a reviewer should mend in the packs",
    after_help = "Looks for: rules without citation, review date or cases; rules and exemptions that can never be reached; \
                  calendars, postures, lists, words and places that nothing reads; gaps and overlaps between the \
                  versions of one provision.\n\n\
                  Prints FILE:LINE: REMARK, one a line. Exit status: 0 no remark, 1 remarks or faults, 2 error."
)]
pub struct LintArgs {
    #[command(flatten)]
    packs: Packs,
}

/// Tests of the law.
#[derive(Debug, clap::Args)]
#[command(
    about = "Run the cases of the packs, or a file of acceptance cases",
    after_help = "Prints each failure with the decision beside the expectation, then `N passed, N failed`.\n\
                  Exit status: 0 all passed, 1 some failed, 2 error."
)]
pub struct TestArgs {
    /// A file of acceptance cases, one JSON object a line, instead of the packs' own; may be given more than once
    #[arg(long, value_name = "FILE")]
    cases: Vec<PathBuf>,
    #[command(flatten)]
    packs: Packs,
}

/// Runs it.
///
/// # Errors
/// Packs or cases cannot be read; a question is faulty.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Lint(args) => lint(&args, global),
        Command::Test(args) => test(&args, global),
        Command::Show(args) => show::run(&args, global).await,
        Command::Diff(args) => diff::run(&args, global),
        Command::Calendar(args) => calendar::run(*args, global).await,
    }
}

fn lint(args: &LintArgs, global: &Global) -> Result<Exit, Error> {
    let remarks: Vec<_> = match packs::read(args.packs.packs.as_deref()) {
        Ok(law) => {
            law::lint(&law).into_iter().map(|r| (r.file, r.line, r.message)).chain(unknown_lists(&law)).collect()
        }
        // A pack that cannot be read is the first thing a reviewer should mend.
        Err(PacksError::Faults(faults)) => faults.into_iter().map(|f| (f.file, f.line, f.message)).collect(),
        Err(other) => return Err(super::open::OpenError::from(other).into()),
    };
    if global.json {
        let list = remarks.iter().map(|(file, line, message)| json!({"file": file, "line": line, "message": message}));
        say_json(&list.collect::<Vec<_>>())?;
    } else if remarks.is_empty() {
        say("no remarks\n")?;
    } else {
        let lines: String = remarks.iter().map(|(file, line, message)| format!("{file}:{line}: {message}\n")).collect();
        say(&lines)?;
    }
    Ok(Exit::when(remarks.is_empty()))
}

/// Rules about a list that the service knows by no name: no file could ever hold it.
fn unknown_lists(law: &Law) -> Vec<(String, usize, String)> {
    let rules = law.packs().iter().flat_map(|pack| pack.rules.iter().map(move |rule| (pack, rule)));
    let unknown = rules.filter_map(|(pack, rule)| match &rule.body {
        Body::Registry { list, .. } => {
            let why = ids::kind(list).err()?;
            Some((pack.file.to_string(), rule.line, format!("rule `{}`: {why}", rule.id)))
        }
        _ => None,
    });
    unknown.collect()
}

fn test(args: &TestArgs, global: &Global) -> Result<Exit, Error> {
    let law = args.packs.read()?;
    let mut outcomes = Vec::new();
    if args.cases.is_empty() {
        outcomes.extend(law.packs().iter().flat_map(|pack| cases::of_pack(&law, pack)));
    }
    for file in &args.cases {
        outcomes.extend(acceptance(&law, file)?);
    }
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
    let passed = outcomes.len() - failed.len();
    if global.json {
        let list =
            failed.iter().map(|outcome| json!({"name": outcome.name, "why": outcome.why, "failure": outcome.failure}));
        say_json(&json!({"passed": passed, "failed": failed.len(), "failures": list.collect::<Vec<_>>()}))?;
    } else {
        let mut text: String = failed.iter().map(|outcome| told(outcome)).collect();
        text.push_str(&format!("{passed} passed, {} failed\n", failed.len()));
        say(&text)?;
    }
    Ok(Exit::when(failed.is_empty()))
}

fn acceptance(law: &Law, file: &Path) -> Result<Vec<Outcome>, Error> {
    let text = std::fs::read_to_string(file).map_err(|error| Error::at(file, "reading", &error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let outcomes: Vec<_> = lines
        .map(|(index, line)| {
            let mut outcome = cases::acceptance(law, line, index + 1);
            outcome.name = format!("{}:{} {}", file.display(), index + 1, outcome.name);
            outcome
        })
        .collect();
    // A file of nothing would pass whatever the law says.
    if outcomes.is_empty() {
        return Err(Error::said(format!("{}: holds no case", file.display())));
    }
    Ok(outcomes)
}

fn told(outcome: &Outcome) -> String {
    let why = if outcome.why.is_empty() { String::new() } else { format!("\n  why: {}", outcome.why) };
    let failure = outcome.failure.as_deref().unwrap_or_default().replace('\n', "\n  ");
    format!("FAILED {}{why}\n  {failure}\n\n", outcome.name)
}
