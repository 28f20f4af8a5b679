//! The contract over gRPC: each method hands its message to [`Calls`] and nothing else.

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::calls::Calls;
use super::incoming::Incoming;
use super::lenient::sent;
use crate::proto::v1;
use crate::proto::v1::audit_service_server::AuditService;
use crate::proto::v1::check_service_server::CheckService;
use crate::proto::v1::consent_service_server::ConsentService;
use crate::proto::v1::control_service_server::ControlService;
use crate::proto::v1::law_service_server::LawService;
use crate::proto::v1::privacy_service_server::PrivacyService;
use crate::proto::v1::processor_service_server::ProcessorService;

pub(super) type Answer<T> = Result<Response<T>, Status>;
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The services.
#[derive(Clone, Debug)]
pub struct Grpc(pub Calls);

impl Grpc {
    pub(super) fn incoming<T>(&self, request: &Request<T>) -> Incoming {
        let timeout = request.metadata().get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
        self.0.incoming(request.extensions(), timeout)
    }
}

/// Reads a `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2, "Requests").
pub(super) fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = if digits.len() <= 8 { digits.parse().ok()? } else { return None };
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[tonic::async_trait]
impl CheckService for Grpc {
    async fn check(&self, request: Request<v1::CheckRequest>) -> Answer<v1::CheckResponse> {
        let incoming = self.incoming(&request);
        self.0.check(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn check_batch(&self, request: Request<v1::CheckBatchRequest>) -> Answer<v1::CheckBatchResponse> {
        let incoming = self.incoming(&request);
        self.0.check_batch(incoming, request.into_inner()).await.map(Response::new)
    }

    type CheckStreamStream = Answers<v1::CheckStreamResponse>;

    async fn check_stream(
        &self,
        request: Request<Streaming<v1::CheckStreamRequest>>,
    ) -> Answer<Self::CheckStreamStream> {
        // Served by [`super::lenient`] before it comes here; the same but for messages that do not decode.
        let incoming = self.incoming(&request);
        Ok(Response::new(Box::pin(self.0.check_stream(&incoming, sent(request.into_inner()))?)))
    }

    async fn report_outcome(&self, request: Request<v1::ReportOutcomeRequest>) -> Answer<v1::ReportOutcomeResponse> {
        let incoming = self.incoming(&request);
        self.0.report_outcome(incoming, request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl ConsentService for Grpc {
    async fn record_consent(&self, request: Request<v1::RecordConsentRequest>) -> Answer<v1::RecordConsentResponse> {
        let incoming = self.incoming(&request);
        self.0.record_consent(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn record_opt_out(&self, request: Request<v1::RecordOptOutRequest>) -> Answer<v1::RecordOptOutResponse> {
        let incoming = self.incoming(&request);
        self.0.record_opt_out(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn get_contact(&self, request: Request<v1::GetContactRequest>) -> Answer<v1::GetContactResponse> {
        let incoming = self.incoming(&request);
        self.0.get_contact(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn update_contact(&self, request: Request<v1::UpdateContactRequest>) -> Answer<v1::UpdateContactResponse> {
        let incoming = self.incoming(&request);
        self.0.update_contact(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn process_inbound(&self, request: Request<v1::ProcessInboundRequest>) -> Answer<v1::ProcessInboundResponse> {
        let incoming = self.incoming(&request);
        self.0.process_inbound(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn import_contacts(
        &self,
        request: Request<Streaming<v1::ImportContactsRequest>>,
    ) -> Answer<v1::ImportContactsResponse> {
        let incoming = self.incoming(&request);
        // As the stream of checks.
        self.0.import_contacts(incoming, sent(request.into_inner())).await.map(Response::new)
    }

    type WatchOptOutsStream = Answers<v1::WatchOptOutsResponse>;

    async fn watch_opt_outs(&self, request: Request<v1::WatchOptOutsRequest>) -> Answer<Self::WatchOptOutsStream> {
        let incoming = self.incoming(&request);
        let events = self.0.watch_opt_outs(incoming, request.into_inner()).await?;
        Ok(Response::new(Box::pin(events)))
    }
}

#[tonic::async_trait]
impl AuditService for Grpc {
    async fn get_decision(&self, request: Request<v1::GetDecisionRequest>) -> Answer<v1::GetDecisionResponse> {
        let incoming = self.incoming(&request);
        self.0.get_decision(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_decisions(&self, request: Request<v1::ListDecisionsRequest>) -> Answer<v1::ListDecisionsResponse> {
        let incoming = self.incoming(&request);
        self.0.list_decisions(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn replay(&self, request: Request<v1::ReplayRequest>) -> Answer<v1::ReplayResponse> {
        let incoming = self.incoming(&request);
        self.0.replay(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn get_self_check(&self, request: Request<v1::GetSelfCheckRequest>) -> Answer<v1::GetSelfCheckResponse> {
        self.0.get_self_check(self.incoming(&request)).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl ControlService for Grpc {
    async fn freeze(&self, request: Request<v1::FreezeRequest>) -> Answer<v1::FreezeResponse> {
        let incoming = self.incoming(&request);
        self.0.freeze(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn unfreeze(&self, request: Request<v1::UnfreezeRequest>) -> Answer<v1::UnfreezeResponse> {
        let incoming = self.incoming(&request);
        self.0.unfreeze(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_freezes(&self, request: Request<v1::ListFreezesRequest>) -> Answer<v1::ListFreezesResponse> {
        let incoming = self.incoming(&request);
        self.0.list_freezes(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn declare_emergency(
        &self,
        request: Request<v1::DeclareEmergencyRequest>,
    ) -> Answer<v1::DeclareEmergencyResponse> {
        let incoming = self.incoming(&request);
        self.0.declare_emergency(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn end_emergency(&self, request: Request<v1::EndEmergencyRequest>) -> Answer<v1::EndEmergencyResponse> {
        let incoming = self.incoming(&request);
        self.0.end_emergency(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_emergencies(
        &self,
        request: Request<v1::ListEmergenciesRequest>,
    ) -> Answer<v1::ListEmergenciesResponse> {
        let incoming = self.incoming(&request);
        self.0.list_emergencies(incoming, request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl ProcessorService for Grpc {
    async fn put_processor(&self, request: Request<v1::PutProcessorRequest>) -> Answer<v1::PutProcessorResponse> {
        let incoming = self.incoming(&request);
        self.0.put_processor(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn remove_processor(
        &self,
        request: Request<v1::RemoveProcessorRequest>,
    ) -> Answer<v1::RemoveProcessorResponse> {
        let incoming = self.incoming(&request);
        self.0.remove_processor(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn resume_processor(
        &self,
        request: Request<v1::ResumeProcessorRequest>,
    ) -> Answer<v1::ResumeProcessorResponse> {
        let incoming = self.incoming(&request);
        self.0.resume_processor(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_processors(&self, request: Request<v1::ListProcessorsRequest>) -> Answer<v1::ListProcessorsResponse> {
        let incoming = self.incoming(&request);
        self.0.list_processors(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn get_processor_status(
        &self,
        request: Request<v1::GetProcessorStatusRequest>,
    ) -> Answer<v1::GetProcessorStatusResponse> {
        let incoming = self.incoming(&request);
        self.0.get_processor_status(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn confirm_opt_outs(
        &self,
        request: Request<v1::ConfirmOptOutsRequest>,
    ) -> Answer<v1::ConfirmOptOutsResponse> {
        let incoming = self.incoming(&request);
        self.0.confirm_opt_outs(incoming, request.into_inner()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl LawService for Grpc {
    async fn list_packs(&self, request: Request<v1::ListPacksRequest>) -> Answer<v1::ListPacksResponse> {
        self.0.list_packs(&self.incoming(&request)).map(Response::new)
    }

    async fn get_rule(&self, request: Request<v1::GetRuleRequest>) -> Answer<v1::GetRuleResponse> {
        self.0.get_rule(&self.incoming(&request), request.get_ref()).map(Response::new)
    }

    async fn calendar(&self, request: Request<v1::CalendarRequest>) -> Answer<v1::CalendarResponse> {
        self.0.calendar(&self.incoming(&request), request.get_ref()).map(Response::new)
    }
}

#[tonic::async_trait]
impl PrivacyService for Grpc {
    async fn open_request(&self, request: Request<v1::OpenRequestRequest>) -> Answer<v1::OpenRequestResponse> {
        let incoming = self.incoming(&request);
        self.0.open_request(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn export_contact(&self, request: Request<v1::ExportContactRequest>) -> Answer<v1::ExportContactResponse> {
        let incoming = self.incoming(&request);
        self.0.export_contact(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn erase_contact(&self, request: Request<v1::EraseContactRequest>) -> Answer<v1::EraseContactResponse> {
        let incoming = self.incoming(&request);
        self.0.erase_contact(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn list_requests(&self, request: Request<v1::ListRequestsRequest>) -> Answer<v1::ListRequestsResponse> {
        let incoming = self.incoming(&request);
        self.0.list_requests(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn get_request(&self, request: Request<v1::GetRequestRequest>) -> Answer<v1::GetRequestResponse> {
        let incoming = self.incoming(&request);
        self.0.get_request(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn resolve_request(&self, request: Request<v1::ResolveRequestRequest>) -> Answer<v1::ResolveRequestResponse> {
        let incoming = self.incoming(&request);
        self.0.resolve_request(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn place_hold(&self, request: Request<v1::PlaceHoldRequest>) -> Answer<v1::PlaceHoldResponse> {
        let incoming = self.incoming(&request);
        self.0.place_hold(incoming, request.into_inner()).await.map(Response::new)
    }

    async fn lift_hold(&self, request: Request<v1::LiftHoldRequest>) -> Answer<v1::LiftHoldResponse> {
        let incoming = self.incoming(&request);
        self.0.lift_hold(incoming, request.into_inner()).await.map(Response::new)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_and_nonsense_is_none() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("1S"), Some(Duration::from_secs(1)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for bad in ["", "S", "-1S", "123456789S", "1s", "ä", "1ä"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }
}
