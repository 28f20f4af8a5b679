//! `ringfence registry put`, `add`, `remove` and `look-up`: lists of the tenant's own that are kept by API, and what every
//! list says of one number.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::super::keeper::{By, Keeper, again, ask, at, new_id, told};
use super::super::output::{say, say_json};
use super::super::source::{Kept, Lists, NO_LISTS};
use super::super::{Error, Exit, Global, settings};
use crate::place::Number;
use crate::proto::v1::{self, ListChangeOutcome as Outcome, ListFile, Listing};

/// A list.
#[derive(Debug, clap::Args)]
#[command(
    about = "Begin a list of your own that is kept by API, or change what is said of it",
    after_help = "Once it has returned, every check sees it. --complete says that what is added is all there is, so that a \
                  number that was not added is not on the list; without it a rule that asks for the list denies every \
                  number until a file of it is loaded. A list that stands in a file needs neither: add to it. Once a file \
                  of it was in force, nobody is contacted where that file is missing; to do without it for good, remove it \
                  on every instance and say --file withdrawn.\n\n\
                  Example: ringfence registry put tenant.litigators --complete --who ann --why \"Counsel keeps it\""
)]
pub struct PutArgs {
    /// The list: tenant.NAME
    #[arg(value_name = "LIST")]
    list: String,
    /// What it is called
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What is added is all there is
    #[arg(long)]
    complete: bool,
    /// Whether it stands in a file: kept (also one that is still to come) or withdrawn; left out: as it was
    #[arg(long, value_name = "WHERE", value_enum)]
    file: Option<InFile>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    by: By,
}

/// Whether a list stands in a file.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum InFile {
    /// In a file, also one that is still to come
    Kept,
    /// In none any more
    Withdrawn,
}

impl From<InFile> for ListFile {
    fn from(file: InFile) -> Self {
        match file {
            InFile::Kept => Self::Kept,
            InFile::Withdrawn => Self::Withdrawn,
        }
    }
}

/// Numbers for a list.
#[derive(Debug, clap::Args)]
#[command(
    about = "Put numbers on a list of your own, at once on every instance",
    after_help = "Up to 1,000 at a time; import a file of more. Exit status: 0 all are on the list, 1 some were refused, 2 \
                  error.\n\nExample: ringfence registry add tenant.litigators +13055550123 --server http://127.0.0.1:50051"
)]
pub struct AddArgs {
    #[command(flatten)]
    change: ChangeArgs,
}

/// Numbers of a list.
#[derive(Debug, clap::Args)]
#[command(
    about = "Take numbers off a list of your own that were put on by `add`",
    after_help = "What a file lists stays listed, and is named. Exit status: 0 none is on the list any more, 1 some were \
                  refused or stay listed by the file, 2 error."
)]
pub struct RemoveArgs {
    #[command(flatten)]
    change: ChangeArgs,
}

/// Which numbers of which list.
#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// The list: tenant.NAME
    #[arg(value_name = "LIST")]
    list: String,
    /// The numbers: E.164 (+12025550143), or national with --default-region
    #[arg(value_name = "NUMBER", required = true)]
    numbers: Vec<String>,
    /// The country in whose national form they may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kept: Kept,
}

/// What lists say.
#[derive(Debug, clap::Args)]
#[command(
    about = "What the lists say of one number",
    after_help = "It counts as no contact, says nothing of law, and leaves an entry in the log. Exit status: 0 on none, 1 on \
                  one at least, or one that was named is not known, 2 error."
)]
pub struct LookUpArgs {
    /// The number: E.164 (+12025550143), or national with --default-region
    #[arg(allow_hyphen_values = true)]
    number: String,
    /// The country in whose national form the number may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// A list to look into; may be given more than once; left out: all that are loaded, and your own
    #[arg(long, value_name = "ID")]
    list: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kept: Kept,
}

/// Where files of lists are, without a server.
#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// The folder with the do-not-call lists
    #[arg(long, value_name = "DIR", env = "RINGFENCE_REGISTRIES", hide_env_values = true)]
    registries: Option<PathBuf>,
}

impl Files {
    pub(super) fn lists(&self) -> Lists {
        let config = settings::file_of_environment();
        Lists { registries: self.registries.clone(), config, ..NO_LISTS }
    }
}

/// Begins a list, or changes what is said of it.
///
/// # Errors
/// It is refused, or nothing could be recorded.
pub async fn put(args: PutArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::PutListRequest {
        request_id: args.by.request_id(),
        list: args.list,
        title: args.title.unwrap_or_default(),
        complete: args.complete,
        who: args.by.who.clone(),
        why: args.why,
        file: args.file.map_or(ListFile::Unspecified, ListFile::from).into(),
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open_with_lists(&args.by.kept, &args.files.lists(), global).await?;
    let answer = ask!(keeper, registries, put_list, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || {
        let list = answer.list.clone().unwrap_or_default();
        let what = match (list.complete, list.in_file) {
            (true, _) => "what is added is all there is",
            (false, true) => "a file holds it, and where that is missing nobody is contacted",
            (false, false) => "of a number that is not added nothing is known without a file",
        };
        format!("{}: {what}.\n", list.list)
    })
}

/// Puts numbers on a list.
///
/// # Errors
/// The request is refused as a whole, or nothing could be recorded.
pub async fn add(AddArgs { change: args }: AddArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::AddToListRequest {
        request_id: args.request_id.unwrap_or_else(new_id),
        list: args.list,
        numbers: args.numbers,
        default_region: args.default_region.unwrap_or_default(),
        why: args.why.unwrap_or_default(),
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open_with_lists(&args.kept, &args.files.lists(), global).await?;
    let answer = ask!(keeper, registries, add_to_list, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || lines(&answer.changes, ["put on", "on it already"]))?;
    Ok(Exit::when(answer.changes.iter().all(|change| change.outcome() != Outcome::Rejected)))
}

/// Takes numbers off a list.
///
/// # Errors
/// As [`add`].
pub async fn remove(RemoveArgs { change: args }: RemoveArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::RemoveFromListRequest {
        request_id: args.request_id.unwrap_or_else(new_id),
        list: args.list,
        numbers: args.numbers,
        default_region: args.default_region.unwrap_or_default(),
        why: args.why.unwrap_or_default(),
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open_with_lists(&args.kept, &args.files.lists(), global).await?;
    let answer = ask!(keeper, registries, remove_from_list, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || lines(&answer.changes, ["taken off", "was not put on"]))?;
    let off = |change: &v1::ListChange| change.outcome() != Outcome::Rejected && !change.listed_by_file;
    Ok(Exit::when(answer.changes.iter().all(off)))
}

/// Looks one number up.
///
/// # Errors
/// It is refused, or nothing could be read.
pub async fn look_up(args: LookUpArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::LookUpRequest {
        number: args.number,
        default_region: args.default_region.unwrap_or_default(),
        registries: args.list,
    };
    let keeper = Keeper::open_with_lists(&args.kept, &args.files.lists(), global).await?;
    let answer = ask!(keeper, registries, look_up, request)?;
    // That it was looked up is in the log before it is shown.
    keeper.settle().await?;
    if global.json {
        say_json(&answer)?;
    } else {
        let mut out = format!("{}\n", masked(&answer.number));
        for one in &answer.answers {
            let says = match one.listing() {
                Listing::Listed => "listed",
                Listing::NotListed => "not listed",
                _ if matches!(one.version.as_str(), "" | "api") => "unknown: no copy is loaded",
                _ => "unknown: the loaded copy does not speak for this area code, or was not asked about the number",
            };
            let since = one.listed_at.map(|since| format!(", since {}", at(Some(&since)))).unwrap_or_default();
            let added = if one.added_here { ", put on by `registry add`" } else { "" };
            let copy = match one.version.as_str() {
                "" | "api" => String::new(),
                version => format!(", copy {version} as of {}", at(one.as_of.as_ref())),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {:<20} {says}{since}{added}{copy}", one.registry);
        }
        if answer.answers.is_empty() {
            out += "  No list is loaded, and none of your own is complete.\n";
        }
        say(&out)?;
    }
    Ok(Exit::when(answer.answers.iter().all(|one| one.listing() == Listing::NotListed)))
}

fn lines(changes: &[v1::ListChange], [done, unchanged]: [&str; 2]) -> String {
    let mut out = String::new();
    for change in changes {
        let outcome = match change.outcome() {
            Outcome::Done => done,
            Outcome::Unchanged => unchanged,
            Outcome::Rejected | Outcome::Unspecified => "refused",
        };
        let why = if change.message.is_empty() { String::new() } else { format!(": {}", change.message) };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}  {outcome}{why}", masked(&change.number));
    }
    out
}

/// A number as it may be shown; what was none, without its digits.
fn masked(number: &str) -> String {
    match Number::parse(number, None) {
        Ok(number) => number.to_string(),
        Err(_) => {
            number.chars().map(|c| if c.is_ascii_digit() { '•' } else { c }).flat_map(char::escape_debug).collect()
        }
    }
}
