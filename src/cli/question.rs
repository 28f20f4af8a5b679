//! The options that say what is asked, shared by `check` and `scrub`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Error;
use super::terms::{instant, number, stamp, word};
use crate::contact::{Channel, LegalForm, OfferCategory, Purpose, Recipient, Technology};
use crate::place::LineType;
use crate::proto::{json, v1};
use crate::time::Instant;

/// More than any evidence about one person.
const MOST_EVIDENCE: u64 = 16 << 20;

/// What is about to happen.
#[derive(Clone, Debug, Args)]
pub struct Question {
    /// Call or text
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true)]
    channel: Channel,
    /// Why the person is contacted
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Purpose,
    /// On whose behalf: the brand or legal entity, always spelt the same
    #[arg(long, value_name = "NAME")]
    seller: String,
    /// Who dials and who speaks; left out: could be any, so all must allow
    #[arg(long, value_name = "TECHNOLOGY", value_parser = word::<Technology>(), ignore_case = true)]
    technology: Option<Technology>,
    /// In what capacity the person is contacted; left out: could be any
    #[arg(long, value_name = "RECIPIENT", value_parser = word::<Recipient>(), ignore_case = true)]
    recipient: Option<Recipient>,
    /// The legal form of a recipient in trade
    #[arg(long, value_name = "FORM", value_parser = word::<LegalForm>(), ignore_case = true)]
    legal_form: Option<LegalForm>,
    /// The kind of line; left out: could be any, but for what the number makes certain
    #[arg(long, value_name = "TYPE", value_parser = word::<LineType>(), ignore_case = true)]
    line_type: Option<LineType>,
    /// What about: a product line, programme or debt
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// What is offered, where a law singles it out
    #[arg(long, value_name = "CATEGORY", value_parser = word::<OfferCategory>(), ignore_case = true, hide_possible_values = true)]
    offer_category: Option<OfferCategory>,
    /// The number or name that will be shown to the person
    #[arg(long, value_name = "NUMBER")]
    caller_id: Option<String>,
    /// The law itself demands this notice
    #[arg(long)]
    legally_required: bool,
    /// The country in whose national form numbers may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// Where the asking system runs, as an ISO 3166 code
    #[arg(long, value_name = "PLACE")]
    processing_region: Option<String>,
    /// What else is known: an Evidence message as JSON
    #[arg(long, value_name = "FILE.json")]
    evidence: Option<PathBuf>,
    /// Answer for another instant, such as 2026-11-18T21:30:00-05:00, and not for now
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    at: Option<Instant>,
}

impl Question {
    /// Another instant to answer for.
    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// The question without a number: a dry run.
    pub(super) fn request(&self) -> Result<v1::CheckRequest, Error> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Ok(v1::CheckRequest {
            default_region: text(&self.default_region),
            channel: number(Some(self.channel)),
            technology: number(self.technology),
            purpose: number(Some(self.purpose)),
            seller: self.seller.clone(),
            subject: text(&self.subject),
            campaign: text(&self.campaign),
            recipient: number(self.recipient),
            legal_form: number(self.legal_form),
            line_type: number(self.line_type),
            caller_id: text(&self.caller_id),
            offer_category: number(self.offer_category),
            legally_required: self.legally_required,
            evidence: self.evidence.as_deref().map(evidence).transpose()?,
            dry_run: true,
            at: stamp(self.at),
            processing_region: text(&self.processing_region),
            ..v1::CheckRequest::default()
        })
    }
}

fn evidence(path: &Path) -> Result<v1::Evidence, Error> {
    let failed = |error: std::io::Error| Error::at(path, "reading", &error);
    let mut text = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MOST_EVIDENCE + 1).read_to_end(&mut text)).map_err(failed)?;
    if text.len() as u64 > MOST_EVIDENCE {
        return Err(Error::said(format!("{}: larger than {MOST_EVIDENCE} bytes", path.display())));
    }
    json::read(&text).map_err(|error| Error::said(format!("{}: not an Evidence message: {error}", path.display())))
}
