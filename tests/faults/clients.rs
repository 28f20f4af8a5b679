//! Dialers: what they send, and what they were told.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringfence::proto::v1;
use ringfence::proto::v1::audit_service_client::AuditServiceClient;
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use ringfence::proto::v1::control_service_client::ControlServiceClient;
use ringfence::proto::well_known::Timestamp;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Longer than any answer takes on a busy machine: a test fails rather than hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The services of one server.
#[derive(Clone)]
pub struct Client {
    pub check: CheckServiceClient<Channel>,
    pub consent: ConsentServiceClient<Channel>,
    pub audit: AuditServiceClient<Channel>,
    pub control: ControlServiceClient<Channel>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect_lazy();
        Self {
            check: CheckServiceClient::new(channel.clone()),
            consent: ConsentServiceClient::new(channel.clone()),
            audit: AuditServiceClient::new(channel.clone()),
            control: ControlServiceClient::new(channel),
        }
    }

    pub async fn check(&mut self, request: v1::CheckRequest) -> Result<v1::Decision, Status> {
        Ok(self.check.check(request).await?.into_inner().decision.expect("a decision"))
    }

    pub async fn report(&mut self, request: v1::ReportOutcomeRequest) -> Result<v1::ReportOutcomeResponse, Status> {
        Ok(self.check.report_outcome(request).await?.into_inner())
    }

    pub async fn opt_out(&mut self, request: v1::RecordOptOutRequest) -> Result<v1::RecordOptOutResponse, Status> {
        Ok(self.consent.record_opt_out(request).await?.into_inner())
    }

    pub async fn consent(&mut self, request: v1::RecordConsentRequest) -> Result<v1::RecordConsentResponse, Status> {
        Ok(self.consent.record_consent(request).await?.into_inner())
    }

    /// All that is stored about a number: an empty contact where nothing is.
    pub async fn contact(&mut self, number: &str) -> v1::Contact {
        let request = v1::GetContactRequest { number: number.to_owned(), ..Default::default() };
        match self.consent.get_contact(request).await {
            Ok(response) => response.into_inner().contact.unwrap(),
            Err(status) if status.code() == Code::NotFound => v1::Contact::default(),
            Err(status) => panic!("{status:?}"),
        }
    }

    /// A decision as the log has it.
    pub async fn decision(&mut self, id: &str) -> Result<v1::Decision, Status> {
        let request = v1::GetDecisionRequest { decision_id: id.to_owned() };
        let record = self.audit.get_decision(request).await?.into_inner().record.expect("a record");
        Ok(record.decision.expect("a decision that was not erased"))
    }
}

/// The number of this index, in Florida.
pub fn number(index: usize) -> String {
    format!("+1305555{:04}", 100 + index)
}

/// May this seller call with a notice? Under the house rules: three times a day, at any hour.
pub fn notice(number: &str, seller: &str, attempt_id: &str) -> v1::CheckRequest {
    v1::CheckRequest {
        number: number.to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Informational.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Landline.into(),
        seller: seller.to_owned(),
        attempt_id: attempt_id.to_owned(),
        ..Default::default()
    }
}

pub fn opt_out(number: &str, request_id: &str) -> v1::RecordOptOutRequest {
    v1::RecordOptOutRequest {
        number: number.to_owned(),
        request_id: request_id.to_owned(),
        scope: Some(v1::OptOutScope { everything: true, ..Default::default() }),
        source: v1::OptOutSource::Phone.into(),
        ..Default::default()
    }
}

/// A consent given yesterday: it reopens nothing that is closed today.
pub fn consent(number: &str, request_id: &str, wording: &str) -> v1::RecordConsentRequest {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let yesterday = i64::try_from((now - Duration::from_secs(86_400)).as_millis()).unwrap();
    v1::RecordConsentRequest {
        number: number.to_owned(),
        request_id: request_id.to_owned(),
        consent: Some(v1::Consent {
            grade: v1::ConsentGrade::Express.into(),
            given_at: Some(Timestamp::from_millis(yesterday)),
            method: v1::ConsentMethod::WebForm.into(),
            evidence_ref: "form-7".to_owned(),
            wording: wording.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub fn report(number: &str, attempt_id: &str, outcome: v1::Outcome) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        number: number.to_owned(),
        attempt_id: attempt_id.to_owned(),
        outcome: outcome.into(),
        ..Default::default()
    }
}

/// Whether an attempt of a contact counts: reserved or made, not released.
pub fn counts(recorded: &v1::RecordedAttempt) -> bool {
    recorded.attempt.as_ref().unwrap().outcome() != v1::Outcome::NotAttempted
}

/// A small generator of numbers (SplitMix64): enough to choose what comes next.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}
