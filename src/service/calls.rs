//! Every call of the contract, once: authorise, read the clock, ask the engine, count. gRPC and HTTP both come here, so
//! that one cannot answer otherwise than the other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::guard::Admitted;
use super::incoming::{Incoming, now};
use super::leave::Leave;
use super::lenient::Sent;
use super::ready::{Faults, Readiness};
use super::stream::Answers;
use super::{rows, status};
use crate::access::{Access, Arrived, Gate, Peer, Permit, Role};
use crate::engine::watch::HEARTBEAT;
use crate::engine::{Engine, Failure, ShadowReport, Tenants, batch_too_long};
use crate::proto::v1;
use crate::telemetry::{Traces, Way};
use crate::time::Instant;

/// The most checks of one batch.
const BATCH: usize = crate::engine::BATCH;

/// The calls, for whichever transport.
#[derive(Clone, Debug)]
pub struct Calls {
    tenants: Arc<Tenants>,
    access: Option<Arc<Access>>,
    gate: Arc<Gate>,
    traces: Option<Arc<Traces>>,
    readiness: Option<Arc<Readiness>>,
    apart: Option<Handle>,
}

impl Calls {
    /// The calls of an engine, for everybody who reaches them.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            tenants: Arc::new(Tenants::new(engine)),
            access: None,
            gate: Arc::default(),
            traces: None,
            readiness: None,
            apart: None,
        }
    }

    /// The calls of several tenants, for those who are recognised.
    #[must_use]
    pub fn guarded(tenants: Arc<Tenants>, access: Arc<Access>) -> Self {
        Self { tenants, access: Some(access), gate: Arc::default(), traces: None, readiness: None, apart: None }
    }

    /// The same, which tell what is not ready as it was last looked at.
    #[must_use]
    pub fn looked_at(self, readiness: Arc<Readiness>) -> Self {
        Self { readiness: Some(readiness), ..self }
    }

    /// What is not ready, and how long ago that was found; found now where nobody looks by turns.
    pub async fn not_ready(&self) -> (Faults, Duration) {
        match &self.readiness {
            Some(readiness) => readiness.now(),
            None => (self.server().not_ready().await, Duration::ZERO),
        }
    }

    /// The same, of which no more is under way than this gate lets in.
    #[must_use]
    pub fn behind(self, gate: Arc<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// The same, which are answered on these threads while others are refused: see [`super::Apart`].
    #[must_use]
    pub fn apart(self, apart: Option<Handle>) -> Self {
        Self { apart, ..self }
    }

    /// Where a call that was let in is answered, if not where it was read.
    pub(super) fn elsewhere(&self) -> Option<&Handle> {
        self.apart.as_ref().filter(|_| self.gate.is_crowded())
    }

    /// The same, of which spans are made.
    #[must_use]
    pub fn traced(self, traces: Option<Arc<Traces>>) -> Self {
        Self { traces, ..self }
    }

    /// What makes spans of calls.
    #[must_use]
    pub const fn traces(&self) -> Option<&Arc<Traces>> {
        self.traces.as_ref()
    }

    /// What refuses where more comes than is answered in time.
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Tells the metrics how much is under way, and was refused.
    pub fn measure(&self) {
        let metrics = self.tenants.main().metrics();
        let state = self.gate.state();
        for (lane, under_way, refused) in state.lanes {
            metrics.lane(lane.word(), under_way, refused.map(|(why, count)| (why.word(), count)));
        }
        metrics.pace(state.limit, state.took, state.ease);
        if let Some(traces) = &self.traces {
            metrics.traces_failed(traces.failed());
        }
    }

    /// Tells the metrics what is measured of the engines of all tenants.
    pub fn measure_tenants(&self, now: Instant) {
        self.tenants.measure(now);
    }

    /// The engine that knows of the server as a whole. What belongs to a tenant is never asked of it: see [`Calls::of`].
    #[must_use]
    pub fn server(&self) -> &Arc<Engine> {
        self.tenants.main()
    }

    /// Who may ask; `None`: everybody who reaches them.
    #[must_use]
    pub const fn access(&self) -> Option<&Arc<Access>> {
        self.access.as_ref()
    }

    /// A request, by what was found out about who asks. Where that is asked and was not, it is nobody's.
    #[must_use]
    pub fn incoming(&self, extensions: &http::Extensions, timeout: Option<Duration>) -> Incoming {
        let mut incoming = match (extensions.get::<Arc<Admitted>>(), &self.access) {
            (Some(admitted), _) => Incoming::of(admitted, timeout),
            (None, Some(_)) => Incoming::of_nobody(self.server().metrics().nobody(), timeout),
            (None, None) => Incoming::local(timeout),
        };
        if let Some(Arrived(at)) = extensions.get() {
            incoming.arrived = *at;
        }
        incoming.from = incoming.from.or_else(|| Some(extensions.get::<Peer>()?.address.ip()));
        incoming
    }

    /// The engine of a permit's tenant.
    pub(super) fn of(&self, permit: &Permit) -> Result<Arc<Engine>, Failure> {
        self.tenants.of(permit)
    }

    /// Whether somebody may see how the server as a whole does.
    ///
    /// # Errors
    /// They may not.
    pub fn may_operate(&self, method: &'static str, incoming: &Incoming) -> Result<(), Status> {
        self.done(method, incoming, incoming.permit(Role::Operate).map(drop))
    }

    pub(super) fn done<T>(
        &self,
        method: &'static str,
        incoming: &Incoming,
        answer: Result<T, Failure>,
    ) -> Result<T, Status> {
        if let Err(failure) = &answer {
            self.failed(incoming, method, failure);
        }
        let answer = answer.map_err(status::of);
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.count(method, incoming, code);
        answer
    }

    /// A caller went away before its request was answered.
    pub(super) fn given_up(&self, method: &str, incoming: &Incoming) {
        self.server().metrics().given_up(method);
        self.meter(incoming).answered(Code::Cancelled.into(), status::name(Code::Cancelled));
    }

    /// A request was answered.
    pub(super) fn count(&self, method: &'static str, incoming: &Incoming, code: Code) {
        self.server().metrics().answered(method, status::name(code));
        self.meter(incoming).answered(code.into(), status::name(code));
    }

    /// `CheckService.Check`.
    ///
    /// # Errors
    /// The status of the failure; so for every call below.
    pub async fn check(&self, incoming: Incoming, request: v1::CheckRequest) -> Result<v1::CheckResponse, Status> {
        let answer = incoming
            .within(Role::Check, async |permit| self.of(permit)?.check(permit, request, incoming.clock()).await)
            .await;
        self.meter(&incoming).took(Way::Check, 1, incoming.arrived.elapsed());
        let answer = answer.map(|decision| v1::CheckResponse { decision: Some(decision) });
        self.done("Check", &incoming, answer)
    }

    /// `CheckService.CheckBatch`.
    ///
    /// # Errors
    /// See [`Calls::check`]. A row that fails is a result of its own.
    pub async fn check_batch(
        &self,
        incoming: Incoming,
        request: v1::CheckBatchRequest,
    ) -> Result<v1::CheckBatchResponse, Status> {
        let length = request.checks.len();
        let work = async |permit: &Permit| {
            if length > BATCH {
                return Err(batch_too_long(length));
            }
            // One row is charged where it came in.
            let charged = incoming.charge(u32::try_from(length.saturating_sub(1)).unwrap_or(u32::MAX));
            let is_urgent = || request.checks.iter().any(|check| check.purpose() == v1::Purpose::Emergency);
            if !(permit.may_assert_exceptional() && is_urgent()) {
                charged?;
            }
            let clock = incoming.clock();
            let engine = self.of(permit)?;
            let failed = |failure: &Failure| self.failed(&incoming, "CheckBatch", failure);
            let results = rows::answer(&engine, permit, request.checks, clock, &failed).await?;
            Ok(v1::CheckBatchResponse { results })
        };
        let answer = incoming.within(Role::Check, work).await;
        // What was refused at once says nothing of how long rows take.
        if matches!(answer, Ok(_) | Err(Failure::TooLate)) {
            self.meter(&incoming).took(Way::Batch, length.min(BATCH), incoming.arrived.elapsed());
        }
        self.done("CheckBatch", &incoming, answer)
    }

    /// `CheckService.CheckStream`.
    ///
    /// # Errors
    /// The caller lacks the role. What is wrong with a message is its answer; the stream ends with the first error of its
    /// own.
    pub(super) fn check_stream<R>(&self, incoming: &Incoming, asked: R) -> Result<Answers<R>, Status>
    where
        R: Stream<Item = Result<Sent<v1::CheckStreamRequest>, Status>> + Unpin,
    {
        let asker = Leave::of(self, "CheckStream", incoming, Role::Check);
        match asker.and_then(|leave| Ok((self.of(leave.begun())?, leave))) {
            Ok((engine, leave)) => Ok(Answers::new(engine, leave, incoming, self.clone(), asked)),
            Err(failure) => self.done("CheckStream", incoming, Err(failure)),
        }
    }

    /// `CheckService.ReportOutcome`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn report_outcome(
        &self,
        incoming: Incoming,
        request: v1::ReportOutcomeRequest,
    ) -> Result<v1::ReportOutcomeResponse, Status> {
        let answer = incoming
            .within(Role::Check, async |permit| {
                self.of(permit)?.report_outcome(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ReportOutcome", &incoming, answer)
    }

    /// `ConsentService.RecordConsent`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn record_consent(
        &self,
        incoming: Incoming,
        request: v1::RecordConsentRequest,
    ) -> Result<v1::RecordConsentResponse, Status> {
        let answer = incoming
            .within(Role::WriteConsent, async |permit| {
                self.of(permit)?.record_consent(permit, request, incoming.clock()).await
            })
            .await;
        self.done("RecordConsent", &incoming, answer)
    }

    /// `ConsentService.RecordOptOut`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn record_opt_out(
        &self,
        incoming: Incoming,
        request: v1::RecordOptOutRequest,
    ) -> Result<v1::RecordOptOutResponse, Status> {
        let answer = incoming
            .within(Role::WriteConsent, async |permit| {
                self.of(permit)?.record_opt_out(permit, request, incoming.clock()).await
            })
            .await;
        self.done("RecordOptOut", &incoming, answer)
    }

    /// `ConsentService.GetContact`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_contact(
        &self,
        incoming: Incoming,
        request: v1::GetContactRequest,
    ) -> Result<v1::GetContactResponse, Status> {
        let answer = incoming
            .within(Role::ReadContacts, async |permit| {
                self.of(permit)?.contact(permit, &request, incoming.clock().now).await
            })
            .await;
        let answer = answer.map(|contact| v1::GetContactResponse { contact: Some(contact) });
        self.done("GetContact", &incoming, answer)
    }

    /// `ConsentService.UpdateContact`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn update_contact(
        &self,
        incoming: Incoming,
        request: v1::UpdateContactRequest,
    ) -> Result<v1::UpdateContactResponse, Status> {
        let answer = incoming
            .within(Role::WriteConsent, async |permit| {
                self.of(permit)?.update_contact(permit, request, incoming.clock()).await
            })
            .await;
        self.done("UpdateContact", &incoming, answer)
    }

    /// `ConsentService.ProcessInbound`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn process_inbound(
        &self,
        incoming: Incoming,
        request: v1::ProcessInboundRequest,
    ) -> Result<v1::ProcessInboundResponse, Status> {
        let answer = incoming
            .within(Role::WriteConsent, async |permit| {
                self.of(permit)?.process_inbound(permit, request, incoming.clock()).await
            })
            .await;
        self.done("ProcessInbound", &incoming, answer)
    }

    /// `AuditService.GetDecision`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_decision(
        &self,
        incoming: Incoming,
        request: v1::GetDecisionRequest,
    ) -> Result<v1::GetDecisionResponse, Status> {
        let now = incoming.clock().now;
        let answer = incoming
            .within(Role::Audit, async |permit| self.of(permit)?.decision(permit, &request.decision_id, now).await)
            .await;
        let answer = answer.map(|record| v1::GetDecisionResponse { record: Some(record) });
        self.done("GetDecision", &incoming, answer)
    }

    /// `AuditService.ListDecisions`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn list_decisions(
        &self,
        incoming: Incoming,
        request: v1::ListDecisionsRequest,
    ) -> Result<v1::ListDecisionsResponse, Status> {
        let answer = incoming
            .within(Role::Audit, async |permit| self.of(permit)?.decisions(permit, &request, incoming.clock()).await)
            .await;
        self.done("ListDecisions", &incoming, answer)
    }

    /// `AuditService.Replay`.
    ///
    /// # Errors
    /// See [`Calls::check`]. A decision that cannot be judged again is a result of its own.
    pub async fn replay(&self, incoming: Incoming, request: v1::ReplayRequest) -> Result<v1::ReplayResponse, Status> {
        let now = incoming.clock().now;
        let answer =
            incoming.within(Role::Audit, async |permit| self.of(permit)?.replay(permit, &request, now).await).await;
        let result = |(decision_id, judged): (String, Result<v1::Replayed, Failure>)| {
            let result = match judged {
                Ok(replayed) => v1::replay_result::Result::Replayed(replayed),
                Err(failure) => v1::replay_result::Result::Error(status::message(&status::of(failure))),
            };
            v1::ReplayResult { decision_id, result: Some(result) }
        };
        let answer = answer.map(|results| v1::ReplayResponse { results: results.into_iter().map(result).collect() });
        self.done("Replay", &incoming, answer)
    }

    /// What the shadow packs brought so far. HTTP alone serves it: it is for operators.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub fn shadow(&self, incoming: &Incoming) -> Result<ShadowReport, Status> {
        let answer = incoming.permit(Role::Operate).and_then(|permit| self.server().shadow_report(&permit));
        self.done("Shadow", incoming, answer)
    }

    /// `ConsentService.WatchOptOuts`.
    ///
    /// # Errors
    /// See [`Calls::check`]. The stream ends with its first error; so it does once its caller may no longer follow.
    pub async fn watch_opt_outs(
        &self,
        incoming: Incoming,
        request: v1::WatchOptOutsRequest,
    ) -> Result<impl Stream<Item = Result<v1::WatchOptOutsResponse, Status>> + Send + use<>, Status> {
        let answer = incoming
            .within(Role::ReadContacts, async |permit| {
                self.of(permit)?.watch_opt_outs(permit, request, now, HEARTBEAT).await
            })
            .await;
        let leave = Leave::of(self, "WatchOptOuts", &incoming, Role::ReadContacts);
        let answer = answer.and_then(|events| Ok((events, leave?)));
        let (events, leave) = self.done("WatchOptOuts", &incoming, answer)?;
        Ok(leave.over(events.map(|event| event.map_err(status::of))))
    }

    /// `AuditService.GetSelfCheck`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub async fn get_self_check(&self, incoming: Incoming) -> Result<v1::GetSelfCheckResponse, Status> {
        let answer =
            incoming.within(Role::Audit, async |permit| self.of(permit)?.self_check_report(permit).await).await;
        self.done("GetSelfCheck", &incoming, answer)
    }

    /// `LawService.ListPacks`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub fn list_packs(&self, incoming: &Incoming) -> Result<v1::ListPacksResponse, Status> {
        let answer = incoming.permit(Role::ReadLaw).and_then(|permit| Ok(self.of(&permit)?.packs(&permit)));
        self.done("ListPacks", incoming, answer)
    }

    /// `LawService.GetRule`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub fn get_rule(&self, incoming: &Incoming, request: &v1::GetRuleRequest) -> Result<v1::GetRuleResponse, Status> {
        let answer = incoming
            .permit(Role::ReadLaw)
            .and_then(|permit| self.of(&permit)?.rule(&permit, &request.rule_id))
            .map(|rule| v1::GetRuleResponse { rule: Some(rule) });
        self.done("GetRule", incoming, answer)
    }

    /// `LawService.Calendar`.
    ///
    /// # Errors
    /// See [`Calls::check`].
    pub fn calendar(&self, incoming: &Incoming, request: &v1::CalendarRequest) -> Result<v1::CalendarResponse, Status> {
        let answer = incoming
            .permit(Role::ReadLaw)
            .and_then(|permit| self.of(&permit)?.calendar(&permit, request, incoming.clock().now));
        self.done("Calendar", incoming, answer)
    }
}

pub(super) fn result(answer: Result<v1::Decision, Failure>) -> v1::CheckResult {
    match answer {
        Ok(decision) => v1::CheckResult { result: Some(v1::check_result::Result::Decision(decision)) },
        Err(failure) => error(&status::of(failure)),
    }
}

/// The answer to a row that could not be judged.
pub(super) fn error(status: &Status) -> v1::CheckResult {
    v1::CheckResult { result: Some(v1::check_result::Result::Error(status::message(status))) }
}
