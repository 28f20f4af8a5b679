//! `ringfence audit list`, and how decisions are asked for a page at a time.

use serde_json::Value;

use super::super::output::{say, say_json, table};
use super::super::source::{self, Kept, NO_LISTS};
use super::super::terms::{instant, number, stamp, word};
use super::super::{Error, Exit, Global, now, open::Opened, remote};
use super::Archived;
use crate::access::{Caller, Permit, Role};
use crate::contact::{Channel, Purpose};
use crate::engine::{Clock, Failure};
use crate::proto::v1;
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::time::Instant;

/// Rows that are shown where no limit is given.
const USUAL: u32 = 100;
/// Decisions asked for at a time.
const PAGE: u32 = 1_000;

/// Which decisions.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filters {
    /// Recorded at this instant or later
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Instant>,
    /// Recorded before this instant
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<Instant>,
    /// About this number: E.164 (+12025550143), or national with --default-region
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    number: Option<String>,
    /// The country in whose national form the number may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// On behalf of this seller
    #[arg(long, value_name = "NAME")]
    seller: Option<String>,
    /// In this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// With this verdict
    #[arg(long, value_name = "VERDICT", value_parser = ["allow", "deny"], ignore_case = true)]
    verdict: Option<String>,
    /// Denied by this family, among others, such as QUIET_HOURS
    #[arg(long, value_name = "FAMILY", value_parser = family)]
    family: Option<v1::RuleFamily>,
    /// Denied by this rule, among others, such as us.fl.cap
    #[arg(long, value_name = "ID")]
    rule_id: Option<String>,
    /// Under the law of this place, among others, such as US-FL
    #[arg(long, value_name = "PLACE")]
    jurisdiction: Option<String>,
    /// By this channel
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true)]
    channel: Option<Channel>,
    /// For this purpose
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Option<Purpose>,
    /// That reserved an attempt, or that only answered (denials, dry runs)
    #[arg(long, value_name = "KIND", value_parser = ["reservation", "answer"], ignore_case = true)]
    kind: Option<String>,
    /// Dry runs too
    #[arg(long)]
    dry_runs: bool,
}

fn family(text: &str) -> Result<v1::RuleFamily, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    v1::RuleFamily::from_str_name(&format!("RULE_FAMILY_{name}"))
        .filter(|family| *family != v1::RuleFamily::Unspecified)
        .ok_or_else(|| "no family of rules, such as QUIET_HOURS, CONSENT, OPT_OUT, REGISTRY or CAP".to_owned())
}

/// The value of a word in any case; nothing in particular where there is none.
fn of<T: Copy + Default>(word: &Option<String>, values: [(&str, T); 2]) -> T {
    let said = |name: &str| word.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(name));
    values.into_iter().find(|(name, _)| said(name)).map_or_else(T::default, |(_, value)| value)
}

impl Filters {
    /// The first page of them.
    pub(super) fn request(&self, order: v1::ListOrder, page_size: u32) -> v1::ListDecisionsRequest {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        v1::ListDecisionsRequest {
            from: stamp(self.from),
            until: stamp(self.until),
            number: text(&self.number),
            default_region: text(&self.default_region),
            seller: text(&self.seller),
            campaign: text(&self.campaign),
            verdict: of(&self.verdict, [("allow", v1::Verdict::Allow), ("deny", v1::Verdict::Deny)]).into(),
            family: self.family.unwrap_or_default().into(),
            rule_id: text(&self.rule_id),
            jurisdiction: text(&self.jurisdiction),
            dry_runs: self.dry_runs,
            page_size,
            page_token: String::new(),
            channel: number(self.channel),
            purpose: number(self.purpose),
            kind: of(
                &self.kind,
                [("reservation", v1::DecisionKind::Reservation), ("answer", v1::DecisionKind::Answer)],
            )
            .into(),
            order: order.into(),
        }
    }
}

/// Lists decisions.
#[derive(Debug, clap::Args)]
#[command(
    about = "List decisions, the newest first, their numbers masked",
    after_help = "Exit status: 0 there are some, 1 there is none, 2 error.\n\n\
                  Example: ringfence audit list --number +12025550143 --verdict deny"
)]
pub struct ListArgs {
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// So many at most
    #[arg(long, value_name = "COUNT", default_value_t = USUAL)]
    limit: u32,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    archived: Archived,
}

/// Runs it.
///
/// # Errors
/// Data or server cannot be read.
pub(super) async fn run(args: ListArgs, global: &Global) -> Result<Exit, Error> {
    let order = if args.oldest_first { v1::ListOrder::OldestFirst } else { v1::ListOrder::NewestFirst };
    let mut pages = Pages::open(&args.kept, &args.archived, global).await?;
    let limit = args.limit.max(1);
    let mut request = args.filters.request(order, limit.min(PAGE));
    let mut records = Vec::new();
    while let Some(page) = pages.next(&mut request).await? {
        records.extend(page);
        if records.len() >= limit as usize {
            break;
        }
    }
    records.truncate(limit as usize);
    if global.json {
        say_json(&records)?;
    } else if records.is_empty() {
        say("No decision fits.\n")?;
    } else {
        say(&table(&records.iter().map(shown).collect::<Vec<_>>()))?;
    }
    Ok(Exit::when(!records.is_empty()))
}

fn shown(record: &v1::DecisionRecord) -> Vec<String> {
    let decision = record.decision.clone().unwrap_or_default();
    let request = record.request.clone().unwrap_or_default();
    let at = record.position.as_ref().and_then(|position| position.recorded_at.as_ref());
    // The text of a term is the same in JSON: there it is one word.
    let at = at.map(|at| serde_json::to_value(at).unwrap_or(Value::Null));
    let at = at.and_then(|at| at.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    if record.erased {
        return vec![at, "erased".to_owned(), String::new(), String::new(), decision.decision_id];
    }
    let verdict = super::rows::bare(decision.verdict().as_str_name(), "VERDICT_");
    let question = format!(
        "{} {} for {}{}",
        super::rows::bare(request.purpose().as_str_name(), "PURPOSE_").to_lowercase(),
        super::rows::bare(request.channel().as_str_name(), "CHANNEL_").to_lowercase(),
        request.seller,
        if request.dry_run { " (dry run)" } else { "" }
    );
    let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.rule_id.as_str()).collect();
    let last = [decision.decision_id.as_str(), reasons.join(" ").as_str()].join("  ");
    vec![at, verdict.to_owned(), decision.number, question, last.trim_end().to_owned()]
}

/// Where decisions are read.
pub(super) enum Pages {
    /// A server.
    Server(Box<AuditServiceClient<tonic::transport::Channel>>),
    /// The data folder.
    Here(Box<Opened>, Permit),
}

impl Pages {
    /// Connects, or opens the data folder.
    ///
    /// # Errors
    /// Neither can be had.
    pub(super) async fn open(kept: &Kept, archived: &Archived, global: &Global) -> Result<Self, Error> {
        if let Some(server) = &kept.server {
            return Ok(Self::Server(Box::new(remote::audit(server).await?)));
        }
        let archive = archived.settings()?;
        let opened = source::opened_with(Some(kept.existing_folder()?), kept, &NO_LISTS, global, archive).await?;
        let permit = Caller::local().permit(Role::Audit).map_err(Failure::from)?;
        Ok(Self::Here(Box::new(opened), permit))
    }

    /// The next page, which may be empty; `None` after the last. The request is turned to the page after it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn next(
        &mut self,
        request: &mut v1::ListDecisionsRequest,
    ) -> Result<Option<Vec<v1::DecisionRecord>>, Error> {
        // A size of zero marks the end: it is never asked for.
        if request.page_size == 0 {
            return Ok(None);
        }
        let page = match self {
            Self::Server(client) => {
                client.list_decisions(request.clone()).await.map_err(|status| remote::refused(&status))?.into_inner()
            }
            Self::Here(opened, permit) => opened.engine.decisions(permit, request, Clock::at(now())).await?,
        };
        if page.next_page_token.is_empty() {
            request.page_size = 0;
        }
        request.page_token = page.next_page_token;
        Ok(Some(page.records))
    }
}
