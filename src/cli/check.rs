//! `ringfence check`: one number, one explained answer.

use super::question::Question;
use super::source::{self, Kept, Lists};
use super::{Error, Exit, Global, explain, now, output, remote};
use crate::access::{Caller, Role};
use crate::engine::{Clock, Failure};
use crate::proto::v1;

/// May this number be called or texted now?
#[derive(Debug, clap::Args)]
#[command(
    about = "Ask about one number, and have the answer explained",
    after_help = "Counts nothing unless --reserve is given. Exit status: 0 allowed, 1 denied, 2 error.\n\n\
                  Example: ringfence check +12025550143 --channel call --purpose marketing --seller acme --sample"
)]
pub struct Args {
    /// The number: E.164 (+12025550143), or national with --default-region
    #[arg(allow_hyphen_values = true)]
    number: String,
    #[command(flatten)]
    question: Question,
    /// Where the person lives, as an ISO 3166 code such as FR or US-FL
    #[arg(long, value_name = "PLACE")]
    residence: Option<String>,
    /// The county or district in the residence
    #[arg(long, value_name = "NAME")]
    county: Option<String>,
    /// The postal code of the residence
    #[arg(long, value_name = "CODE")]
    postal_code: Option<String>,
    /// The time zone the person is in, such as America/Phoenix
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Count the attempt if it is allowed, as a dialer about to call does
    #[arg(long, conflicts_with = "at")]
    reserve: bool,
    /// The attempt's own id: asked again with it, it is counted once
    #[arg(long, value_name = "ID")]
    attempt_id: Option<String>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    lists: Lists,
}

/// Runs it.
///
/// # Errors
/// There is no answer.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let request = args.request()?;
    let (decision, from_nothing) = match &args.kept.server {
        Some(server) => (ask(server, request.clone()).await?, false),
        None => answer(&args, request.clone(), global).await?,
    };
    if global.json {
        output::say_json(&decision)?;
    } else {
        let note = if from_nothing { source::FROM_NOTHING } else { "" };
        output::say(&format!("{}{note}", explain::decision(&request, &decision)))?;
    }
    Ok(Exit::when(decision.verdict() == v1::Verdict::Allow))
}

impl Args {
    fn request(&self) -> Result<v1::CheckRequest, Error> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let location = v1::Location {
            residence: text(&self.residence),
            county: text(&self.county),
            postal_code: text(&self.postal_code),
            time_zone: text(&self.time_zone),
        };
        Ok(v1::CheckRequest {
            number: self.number.clone(),
            location: (location != v1::Location::default()).then_some(location),
            attempt_id: text(&self.attempt_id),
            dry_run: !self.reserve,
            ..self.question.request()?
        })
    }
}

async fn ask(server: &str, request: v1::CheckRequest) -> Result<v1::Decision, Error> {
    let mut client = remote::checks(server).await?;
    let response = client.check(request).await.map_err(|status| remote::refused(&status))?;
    response.into_inner().decision.ok_or_else(|| Error::said(format!("{server}: answered without a decision")))
}

/// The answer, and whether it was given from nothing stored.
async fn answer(args: &Args, request: v1::CheckRequest, global: &Global) -> Result<(v1::Decision, bool), Error> {
    let (opened, from_nothing) = source::answering(&args.kept, &args.lists, args.reserve, global).await?;
    let permit = Caller::local_of(&global.tenant).permit(Role::Check).map_err(Failure::from)?;
    let decision = opened.engine.check(&permit, request, Clock::at(now())).await?;
    opened.settle(now()).await?;
    Ok((decision, from_nothing))
}
