//! `ringfence policy`: versions of the privacy policy, and what they do to consents.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::keeper::{By, Keeper, again, ask, at, read, told, when};
use super::output::{say, say_json};
use super::source::Kept;
use super::terms::{stamp, word};
use super::{Error, Exit, Global};
use crate::contact::{Purpose, Term};
use crate::proto::v1;
use crate::time::Instant;

/// Policies.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Publish a version: archived for good, and in force from its day on
    Publish(Box<PublishArgs>),
    /// List the versions
    List(ListArgs),
    /// Show a version with its text
    Show(ShowArgs),
    /// List the consents that a version overtakes: whom to ask again
    Overtaken(OvertakenArgs),
    /// Record that a seller passed to another: a merger, a sale
    Transfer(Box<TransferArgs>),
}

/// A version.
#[derive(Debug, clap::Args)]
#[command(
    about = "Publish a version: archived for good, and in force from its day on",
    after_help = "A material version ends, from its day on, what consents given under earlier ones cover of the purposes \
                  it changes. Silence is no acceptance.\n\n\
                  Example: ringfence policy publish 2026-12 --material --reason recipients --purpose marketing \\\n  \
                  --text en=policy.en.txt --text de=policy.de.txt --summary \"Partners may call you\" --who ann"
)]
pub struct PublishArgs {
    /// Its name, as consents name it
    version: String,
    /// From when on it is in force; left out: now
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    effective_at: Option<Instant>,
    /// It changes what people agreed to
    #[arg(long, required_unless_present = "cosmetic", conflicts_with = "cosmetic")]
    material: bool,
    /// It changes nothing that people agreed to
    #[arg(long)]
    cosmetic: bool,
    /// What makes it material; may be given more than once
    #[arg(long, value_name = "REASON", value_parser = REASONS.map(|(word, _)| word))]
    reason: Vec<String>,
    /// A purpose it changes; may be given more than once; left out: all
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Vec<Purpose>,
    /// A text: its language and its file, such as en=policy.txt; may be given more than once
    #[arg(long, value_name = "LANGUAGE=FILE", required = true)]
    text: Vec<String>,
    /// What changed, why, and what it means for people
    #[arg(long, value_name = "TEXT")]
    summary: String,
    /// Where the impact assessment is
    #[arg(long, value_name = "REF", default_value = "", hide_default_value = true)]
    assessment: String,
    #[command(flatten)]
    by: By,
}

const REASONS: [(&str, v1::PolicyChangeReason); 7] = [
    ("service_model", v1::PolicyChangeReason::ServiceModel),
    ("recipients", v1::PolicyChangeReason::Recipients),
    ("rights", v1::PolicyChangeReason::Rights),
    ("contact_channels", v1::PolicyChangeReason::ContactChannels),
    ("high_risk", v1::PolicyChangeReason::HighRisk),
    ("purpose", v1::PolicyChangeReason::Purpose),
    ("controller", v1::PolicyChangeReason::Controller),
];

/// What to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    kept: Kept,
}

/// What to show.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The version; left out: the one in force now
    #[arg(default_value = "", hide_default_value = true)]
    version: String,
    /// The language of the text; left out: every one
    #[arg(long, value_name = "TAG", default_value = "", hide_default_value = true)]
    language: String,
    #[command(flatten)]
    kept: Kept,
}

/// Which consents.
#[derive(Debug, clap::Args)]
pub struct OvertakenArgs {
    /// The version that overtakes them; left out: any
    #[arg(default_value = "", hide_default_value = true)]
    version: String,
    #[command(flatten)]
    kept: Kept,
}

/// A seller that passed to another.
#[derive(Debug, clap::Args)]
#[command(
    about = "Record that a seller passed to another: a merger, a sale",
    after_help = "Opt-outs and attempts of the one bind the other from now on. Consents go along only with --keeps-terms."
)]
pub struct TransferArgs {
    /// The seller that was
    from_seller: String,
    /// The seller that takes its place
    to_seller: String,
    /// The recipient's legal name
    #[arg(long, value_name = "NAME")]
    recipient: String,
    /// How people reach the recipient
    #[arg(long, value_name = "TEXT")]
    contact: String,
    /// The recipient is bound to the terms that people agreed to
    #[arg(long)]
    keeps_terms: bool,
    /// Why: the agreement, the register entry
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: By,
}

/// Runs it.
///
/// # Errors
/// Nothing could be published or read.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Publish(args) => publish(*args, global).await,
        Command::List(args) => list(&args, global).await,
        Command::Show(args) => show(args, global).await,
        Command::Overtaken(args) => overtaken(args, global).await,
        Command::Transfer(args) => transfer(*args, global).await,
    }
}

async fn publish(args: PublishArgs, global: &Global) -> Result<Exit, Error> {
    let mut texts = Vec::new();
    for given in &args.text {
        let Some((language, path)) = given.split_once('=') else {
            return Err(Error::said(format!(
                "--text {given}: a language and a file are needed, such as en=policy.txt"
            )));
        };
        let text = read(&PathBuf::from(path))?;
        texts.push(v1::PolicyText { language: language.to_owned(), text, digest: String::new() });
    }
    let kind = if args.material { v1::PolicyChangeKind::Material } else { v1::PolicyChangeKind::Cosmetic };
    let reason = |given: &String| REASONS.iter().find(|(word, _)| word == given).map_or(0, |(_, one)| i32::from(*one));
    let request = v1::PublishPolicyRequest {
        request_id: args.by.request_id(),
        version: args.version,
        effective_at: stamp(args.effective_at),
        kind: kind.into(),
        reasons: args.reason.iter().map(reason).collect(),
        purposes: args.purpose.iter().map(|purpose| i32::from(purpose.number())).collect(),
        texts,
        summary: args.summary,
        assessment_ref: args.assessment,
        who: args.by.who.clone(),
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open(&args.by.kept, global).await?;
    let answer = ask!(keeper, policies, publish_policy, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || {
        let policy = answer.policy.clone().unwrap_or_default();
        format!("Published: {}.\n", line(&policy))
    })
}

fn line(policy: &v1::PolicyVersion) -> String {
    let kind = match policy.kind() {
        v1::PolicyChangeKind::Material => "material",
        _ => "cosmetic",
    };
    let languages: Vec<&str> = policy.texts.iter().map(|text| text.language.as_str()).collect();
    let since = at(policy.effective_at.as_ref());
    format!("{} ({kind}, in force from {since}; {}): {}", policy.version, languages.join(", "), policy.summary)
}

async fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    let (mut policies, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListPoliciesRequest { page_size: 1_000, page_token: token };
        let page = ask!(keeper, policies, list_policies, request)?;
        policies.extend(page.policies);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if global.json {
        say_json(&v1::ListPoliciesResponse { policies, next_page_token: String::new() })?;
    } else if policies.is_empty() {
        say("No policy was published.\n")?;
    } else {
        say(&policies.iter().map(|policy| format!("{}\n", line(policy))).collect::<String>())?;
    }
    Ok(Exit::Yes)
}

async fn show(args: ShowArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    let request = v1::GetPolicyRequest { version: args.version, language: args.language };
    let answer = ask!(keeper, policies, get_policy, request)?;
    if global.json {
        say_json(&answer)?;
    } else {
        let policy = answer.policy.unwrap_or_default();
        let mut out = format!("{}\n", line(&policy));
        for text in &policy.texts {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n[{}] sha256 {}\n\n{}\n", text.language, text.digest, text.text.trim_end());
        }
        say(&out)?;
    }
    Ok(Exit::Yes)
}

async fn overtaken(args: OvertakenArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    let (mut token, mut count) = (String::new(), 0_usize);
    loop {
        let version = args.version.clone();
        let request = v1::ListOvertakenConsentsRequest { version, page_size: 1_000, page_token: token };
        let page = ask!(keeper, policies, list_overtaken_consents, request)?;
        count += page.consents.len();
        for consent in &page.consents {
            if global.json {
                say_json(consent)?;
            } else {
                let masked = crate::place::Number::parse(&consent.number, None).map(|number| number.to_string());
                let masked = masked.unwrap_or_default();
                let by = &consent.overtaken_by;
                let since = at(consent.overtaken_at.as_ref());
                say(&format!("{masked}  consent {}  overtaken by {by} from {since}\n", consent.consent_id))?;
            }
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if !global.json {
        say(&format!("{count} consents are to be asked for again. Whole numbers: --json\n"))?;
    }
    Ok(Exit::Yes)
}

async fn transfer(args: TransferArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::TransferSellerRequest {
        request_id: args.by.request_id(),
        from_seller: args.from_seller,
        to_seller: args.to_seller,
        recipient_name: args.recipient,
        recipient_contact: args.contact,
        keeps_terms: args.keeps_terms,
        who: args.by.who.clone(),
        why: args.why,
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open(&args.by.kept, global).await?;
    let answer = ask!(keeper, policies, transfer_seller, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || {
        let one = answer.transfer.clone().unwrap_or_default();
        let consents = if one.keeps_terms { "consents go along" } else { "no consent goes along" };
        format!("Recorded: {} passed to {} ({}); {consents}.\n", one.from_seller, one.to_seller, one.recipient_name)
    })
}
