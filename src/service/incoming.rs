//! A request as a transport knows it: who asks, until when an answer is of use, and the one now by which it is judged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use super::guard::Admitted;
use crate::access::{Caller, Permit, Quota, Role, Share};
use crate::engine::{Clock, Failure};
use crate::telemetry::Meter;
use crate::time::Instant;

/// For how long an answer is of use where the caller does not say.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// What a tenant may ask may change while a stream waits.
const LOOK: Duration = Duration::from_secs(1);

/// What a transport knows of a request.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Who asks.
    pub caller: Caller,
    /// For how long an answer is of use, counted from its arrival.
    pub timeout: Option<Duration>,
    /// When it arrived: its headers, where the rest of it was waited for.
    pub arrived: Monotonic,
    /// From where, as far as that is known.
    pub(super) from: Option<IpAddr>,
    /// What is counted of whoever asks; `None`: of the server's own tenant.
    pub(super) meter: Option<Arc<Meter>>,
    /// By what its caller was recognised; `None`: nobody was asked who they are.
    admitted: Option<Arc<Admitted>>,
}

impl Incoming {
    /// A request of whoever reaches a server without authentication.
    #[must_use]
    pub fn local(timeout: Option<Duration>) -> Self {
        Self::new(Caller::local(), timeout)
    }

    /// The same for this tenant.
    #[must_use]
    pub fn local_of(tenant: &str, timeout: Option<Duration>) -> Self {
        Self::new(Caller::local_of(tenant), timeout)
    }

    fn new(caller: Caller, timeout: Option<Duration>) -> Self {
        Self { caller, timeout, arrived: Monotonic::now(), from: None, meter: None, admitted: None }
    }

    /// One of somebody who was recognised.
    pub(super) fn of(admitted: &Arc<Admitted>, timeout: Option<Duration>) -> Self {
        let (from, meter) = (Some(admitted.from), Some(Arc::clone(&admitted.meter)));
        Self { from, meter, admitted: Some(Arc::clone(admitted)), ..Self::new(admitted.caller.clone(), timeout) }
    }

    /// One of somebody who was not asked who they are, where that must be asked; what is counted of them.
    pub(super) fn of_nobody(meter: &Arc<Meter>, timeout: Option<Duration>) -> Self {
        Self { meter: Some(Arc::clone(meter)), ..Self::new(Caller::nobody(), timeout) }
    }

    /// By what its caller was recognised; `None`: nobody was asked who they are.
    pub(super) fn admitted(&self) -> Option<&Admitted> {
        self.admitted.as_deref()
    }

    fn quota(&self) -> Option<&Quota> {
        self.admitted.as_ref().map(|admitted| &*admitted.quota)
    }

    /// What its tenant uses of what all share.
    pub(super) fn share(&self) -> Option<&Arc<Share>> {
        self.quota().map(Quota::share)
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.arrived.checked_add(self.timeout.unwrap_or(PATIENCE))
    }

    /// The one now of this request: read here and nowhere below.
    pub(super) fn clock(&self) -> Clock {
        Clock { now: now(), deadline: self.deadline() }
    }

    /// Takes so many further calls from what the tenant may ask in a second: for the rows of a batch.
    pub(super) fn charge(&self, calls: u32) -> Result<(), Failure> {
        match self.quota() {
            Some(quota) if calls > 0 => Ok(quota.charge(calls, Monotonic::now())?),
            _ => Ok(()),
        }
    }

    /// Takes as many of these rows of a stream as the tenant may ask now, one at least.
    ///
    /// # Errors
    /// None: after how long to ask again. What is not taken up until then holds up whoever sends it, and nobody else.
    pub(super) fn take(&self, rows: usize) -> Result<usize, Duration> {
        let Some(quota) = self.quota() else { return Ok(rows) };
        let some = quota.charge_some(u32::try_from(rows).unwrap_or(u32::MAX), Monotonic::now());
        some.map(|some| usize::try_from(some).unwrap_or(rows).min(rows)).map_err(|wait| wait.min(LOOK))
    }

    /// Gives back rows that were taken, and of which nothing was done.
    pub(super) fn give_back(&self, rows: usize) {
        if let Some(quota) = self.quota() {
            quota.refund(u32::try_from(rows).unwrap_or(u32::MAX), Monotonic::now());
        }
    }

    pub(super) fn permit(&self, role: Role) -> Result<Permit, Failure> {
        Ok(self.caller.permit(role)?)
    }

    /// Does what needs this role; gives up once nobody waits for it any more, whatever hangs. A write given up on may
    /// have happened, as after any answer that was lost.
    pub(super) async fn within<T>(
        &self,
        role: Role,
        work: impl AsyncFnOnce(&Permit) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let permit = self.permit(role)?;
        match self.deadline() {
            None => work(&permit).await,
            Some(deadline) if Monotonic::now() >= deadline => Err(Failure::TooLate),
            Some(deadline) => {
                let ended = tokio::time::timeout_at(deadline.into(), work(&permit)).await;
                ended.unwrap_or(Err(Failure::TooLate))
            }
        }
    }
}

/// The wall clock, to the millisecond.
#[must_use]
pub fn now() -> Instant {
    Instant::from_millis(jiff::Timestamp::now().as_millisecond())
}
