//! Leave of whoever opened a stream: asked for before each batch of rows, and lost while the stream waits for more.
//!
//! Promises: nothing is judged, recorded or handed out for somebody whom a new request would not be answered to; what was
//! answered before stays so. Guarded by `tests/access/streams.rs`.

use std::fmt::Display;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use super::incoming::{Incoming, now};
use super::{Calls, status};
use crate::access::{Lost, Permit, Role, Standing};
use crate::engine::Failure;
use crate::telemetry::{Meter, Refusal};
use crate::time::Instant;

/// Comes once leave is lost, with why the stream ends.
pub(super) type Losing = Pin<Box<dyn Future<Output = Status> + Send>>;

/// See the module.
#[derive(Clone)]
pub(super) struct Leave {
    /// As it was when the stream began.
    begun: Permit,
    /// `None`: whoever reaches the server may ask, for as long as it serves.
    held: Option<Held>,
}

#[derive(Clone)]
struct Held {
    standing: Standing,
    method: &'static str,
    from: IpAddr,
    meter: Arc<Meter>,
}

impl Leave {
    /// Leave of whoever asks, for what needs this role.
    ///
    /// # Errors
    /// They lack it.
    pub(super) fn of(calls: &Calls, method: &'static str, incoming: &Incoming, role: Role) -> Result<Self, Failure> {
        let begun = incoming.permit(role)?;
        let held = calls.access().zip(incoming.admitted()).map(|(access, admitted)| {
            let (credentials, caller) = (admitted.credentials.clone(), admitted.caller.clone());
            let standing = Standing::new(Arc::clone(access), credentials, caller, role);
            Held { standing, method, from: admitted.from, meter: Arc::clone(&admitted.meter) }
        });
        Ok(Self { begun, held })
    }

    /// The permit under which it began.
    pub(super) const fn begun(&self) -> &Permit {
        &self.begun
    }

    /// The permit under which it goes on now.
    ///
    /// # Errors
    /// It ends: see [`Standing::permit`].
    pub(super) fn permit(&self, now: Instant) -> Result<Permit, Status> {
        match &self.held {
            None => Ok(self.begun.clone()),
            Some(held) => held.standing.permit(now).map_err(|lost| held.told(&self.begun, &lost)),
        }
    }

    /// Comes once there is none any more.
    pub(super) fn lost(&self) -> Losing {
        match self.held.clone() {
            None => Box::pin(std::future::pending()),
            Some(held) => {
                let begun = self.begun.clone();
                Box::pin(async move {
                    let lost = held.standing.clone().lost(now).await;
                    held.told(&begun, &lost)
                })
            }
        }
    }

    /// A stream of answers, which ends before the first of them that its caller may no longer have.
    pub(super) fn over<T: Send>(
        self,
        answers: impl Stream<Item = Result<T, Status>> + Send,
    ) -> impl Stream<Item = Result<T, Status>> + Send {
        let lost = self.lost();
        futures_util::stream::unfold(Some((Box::pin(answers), lost, self)), |going| async move {
            let (mut answers, mut lost, leave) = going?;
            let next = tokio::select! {
                biased;
                status = &mut lost => Err(status),
                next = answers.next() => leave.permit(now()).and(next?),
            };
            let going = next.is_ok().then_some((answers, lost, leave));
            Some((next, going))
        })
    }
}

impl Held {
    /// Why it ends, for the caller, the log and the metrics.
    fn told(&self, begun: &Permit, lost: &Lost) -> Status {
        let (status, reason) = match lost {
            Lost::Unrecognised(why) => (status::unrecognised(why), why.reason()),
            Lost::Refused(refused) => (status::of(Failure::Refused(*refused)), "ROLE_MISSING"),
        };
        let (call, caller): (&dyn Display, _) = (&self.method, begun.name());
        self.meter.ended(&Refusal { reason, why: lost, call, caller, from: Some(self.from) });
        status
    }
}
