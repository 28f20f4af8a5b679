//! `CheckStream`: what waits is answered together, in the order asked.
//!
//! Promises: answers stand in the order of the questions; nothing waits for more to come; at most one batch is being
//! answered while the next is read and the last is handed out, so that a reader who is slow stops what is read from him, and
//! so does a tenant that asks faster than it may; a message that does not decode, or asks wrongly, is one error among the
//! answers; nothing is judged for somebody who may no longer ask; whatever ends the stream, what was answered stands and is
//! handed out, and what was asked and not answered is asked again with its `attempt_id`, which counts once. Guarded by
//! `tests/service/stream.rs` and `tests/access/streams.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant as Monotonic};

use futures_util::Stream;
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::calls;
use super::incoming::{Incoming, PATIENCE, now};
use super::leave::{Leave, Losing};
use super::lenient::Sent;
use super::{Calls, malformed, refused, status};
use crate::access::{Arrival, Busy, EACH, Gate, Lane, Permit, Role, Share, Ticket};
use crate::contact::wire::Violation;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::v1;
use crate::telemetry::Way;

/// Its name in metrics and the log.
const NAME: &str = "CheckStream";
/// The most checks that are answered together.
const MOST: usize = 512;
/// The most bytes that checks take which are answered together, of more than one.
const MOST_BYTES: usize = 1 << 20;

/// Why a message of the stream is not asked.
enum Fault {
    /// It does not decode: its answer.
    Malformed(Status),
    /// There is no room for it.
    Busy(Busy),
}

/// A message of the stream, or why it is not asked.
pub(super) struct Asked {
    message: Result<v1::CheckStreamRequest, Fault>,
    /// What it takes in memory.
    weight: usize,
    /// The room that it takes of what all share, where it is more than everybody may have.
    room: Option<Arrival>,
}

impl Asked {
    /// A message that finds no room is answered as in an overload, and let go; but not one in an emergency, of whoever
    /// `may_declare` one.
    fn of(
        sent: Sent<v1::CheckStreamRequest>,
        gate: &Arc<Gate>,
        share: Option<&Arc<Share>>,
        may_declare: impl Fn() -> bool,
    ) -> Self {
        let Sent { message, weight } = sent;
        let asked = Self { message: message.map_err(Fault::Malformed), weight, room: None };
        if weight <= EACH {
            return asked;
        }
        let mut room = gate.arrival(Lane::Check, share).come();
        match room.is_read(weight, asked.is_urgent() && may_declare()) {
            Ok(()) => Self { room: Some(room), ..asked },
            Err(busy) => Self { message: Err(Fault::Busy(busy)), weight: 0, room: None },
        }
    }

    fn is_urgent(&self) -> bool {
        let check = self.message.as_ref().ok().and_then(|message| message.check.as_ref());
        check.is_some_and(|check| check.purpose() == v1::Purpose::Emergency)
    }
}

/// Whether whoever asks may say that something is an emergency.
fn may_declare(incoming: &Incoming) -> bool {
    incoming.permit(Role::Check).is_ok_and(|permit| permit.may_assert_exceptional())
}

/// How the questions ended.
enum End {
    /// All were asked.
    Whole,
    /// What came was none, or did not come in time.
    Broken(Status),
}

type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The answers to a stream of questions.
pub(super) struct Answers<R> {
    engine: Arc<Engine>,
    /// Whether whoever asks still may.
    leave: Leave,
    /// What they may ask in a second.
    incoming: Incoming,
    /// Which gate bursts go through, and where they are answered.
    calls: Calls,
    asked: R,
    /// Read, and not asked yet; and their bytes.
    waiting: Vec<Asked>,
    bytes: usize,
    end: Option<End>,
    under_way: Option<JoinHandle<Vec<v1::CheckStreamResponse>>>,
    answered: std::vec::IntoIter<v1::CheckStreamResponse>,
    /// `None`: it was heard of.
    stopping: Option<Stopping>,
    losing: Option<Losing>,
    /// Until the tenant may ask again.
    pause: Option<Pin<Box<Sleep>>>,
    /// When nobody waits for the stream any more.
    deadline: Option<(Monotonic, Pin<Box<Sleep>>)>,
    /// How it ended, once it has.
    ended: Option<Code>,
}

impl<R> Answers<R> {
    /// Begins to answer.
    pub(super) fn new(engine: Arc<Engine>, leave: Leave, incoming: &Incoming, calls: Calls, asked: R) -> Self {
        let until = incoming.timeout.and_then(|timeout| incoming.arrived.checked_add(timeout));
        let deadline = until.map(|until| (until, Box::pin(tokio::time::sleep_until(until.into()))));
        let stopping: Stopping = Box::pin(engine.stopping());
        Self {
            engine,
            losing: Some(leave.lost()),
            leave,
            incoming: incoming.clone(),
            calls,
            asked,
            waiting: Vec::new(),
            bytes: 0,
            end: None,
            under_way: None,
            answered: Vec::new().into_iter(),
            stopping: Some(stopping),
            pause: None,
            deadline,
            ended: None,
        }
    }

    /// Ends it with what was answered up to here: what waits is not asked.
    fn leave_off(&mut self, why: Status) {
        (self.waiting, self.bytes, self.pause, self.losing) = (Vec::new(), 0, None, None);
        self.end = Some(End::Broken(why));
    }

    /// Whether leave was lost. Nothing more is taken or asked then.
    fn heed(&mut self, context: &mut Context<'_>) {
        if let Some(losing) = &mut self.losing
            && let Poll::Ready(why) = losing.as_mut().poll(context)
        {
            self.leave_off(why);
        }
    }

    fn is_stopping(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(stopping) = &mut self.stopping
            && stopping.as_mut().poll(context).is_ready()
        {
            self.stopping = None;
        }
        self.stopping.is_none()
    }

    /// How many of those that wait the tenant may ask now. Where it may ask none, nothing is held while that passes, and
    /// what is not read meanwhile holds up its sender; a server that stops waits for no tenant, and an emergency for none.
    fn may_ask(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            if self.pause.is_some() && self.is_urgent(&self.waiting) {
                self.pause = None;
                return Poll::Ready(self.waiting.len());
            }
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(context).is_pending() {
                    if self.is_stopping(context) {
                        self.leave_off(stopped());
                        return Poll::Ready(0);
                    }
                    return Poll::Pending;
                }
                self.pause = None;
            }
            match self.incoming.take(self.waiting.len()) {
                Ok(count) => return Poll::Ready(count),
                Err(wait) => self.pause = Some(Box::pin(tokio::time::sleep(wait))),
            }
        }
    }

    /// Asks the first of what waits, which was charged. It is answered to the end even where nobody waits any more: what it
    /// counts is then counted whole.
    fn ask(&mut self, count: usize) {
        let now = now();
        let permit = match self.leave.permit(now) {
            Ok(permit) => permit,
            Err(why) => {
                self.incoming.give_back(count);
                return self.leave_off(why);
            }
        };
        let rest = self.waiting.split_off(count.min(self.waiting.len()));
        let waiting = std::mem::replace(&mut self.waiting, rest);
        self.bytes = self.waiting.iter().map(|asked| asked.weight).sum();
        let ticket = match self.begin(&waiting) {
            Ok(ticket) => ticket,
            Err(refused) => {
                // What is refused for want of room is not charged. It stands behind what is still to be handed out.
                self.incoming.give_back(count);
                let refused = v1::CheckStreamResponse { result: Some(calls::error(&refused)) };
                let refused = std::iter::repeat_n(refused, waiting.len());
                self.answered = std::mem::take(&mut self.answered).chain(refused).collect::<Vec<_>>().into_iter();
                return;
            }
        };
        let each = Monotonic::now().checked_add(PATIENCE);
        let deadline = match (each, self.deadline.as_ref()) {
            (Some(each), Some((until, _))) => Some(each.min(*until)),
            (each, until) => each.or(until.map(|(until, _)| *until)),
        };
        let (engine, clock) = (Arc::clone(&self.engine), Clock { now, deadline });
        let (incoming, span) = (self.incoming.clone(), engine.meter().span());
        let answering = async move {
            let began = Monotonic::now();
            let answers = answer(&engine, &incoming, &permit, waiting, clock).await;
            engine.meter().took(Way::Stream, answers.len(), began.elapsed());
            drop(ticket);
            answers
        };
        let answering = answering.instrument(span);
        self.under_way = Some(match self.calls.elsewhere() {
            Some(there) => there.spawn(answering),
            None => tokio::spawn(answering),
        });
    }

    /// A burst is one of the checks under way. One with an emergency in it is never refused, if the caller may declare one.
    fn begin(&self, waiting: &[Asked]) -> Result<Ticket, Status> {
        let share = self.incoming.share();
        self.calls.gate().enter(Lane::Check, share, None).or_else(|busy| {
            if self.is_urgent(waiting) {
                Ok(self.calls.gate().enter_anyway(Lane::Check, share))
            } else {
                refused::tell(self.engine.meter(), &self.incoming, &NAME, "OVERLOADED", &busy.why.word());
                Err(status::overloaded(Busy::after(busy.wait)))
            }
        })
    }

    /// Whether one of them is in an emergency, by the word of a caller that may give it.
    fn is_urgent(&self, waiting: &[Asked]) -> bool {
        waiting.iter().any(Asked::is_urgent) && may_declare(&self.incoming)
    }

    fn finish(&mut self, code: Code) {
        self.ended = Some(code);
        self.engine.metrics().answered(NAME, status::name(code));
        self.engine.meter().answered(code.into(), status::name(code));
    }

    fn fail(&mut self, status: Status) -> Poll<Option<Result<v1::CheckStreamResponse, Status>>> {
        self.finish(status.code());
        Poll::Ready(Some(Err(status)))
    }
}

impl<R> Drop for Answers<R> {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.finish(Code::Cancelled);
        }
    }
}

impl<R: Stream<Item = Result<Sent<v1::CheckStreamRequest>, Status>> + Unpin> Answers<R> {
    /// Takes what was sent, as far as there is room.
    fn read(&mut self, context: &mut Context<'_>) {
        while self.end.is_none() && self.waiting.len() < MOST && self.bytes < MOST_BYTES {
            // What was sent before the stop was heard of is answered; nothing more is taken.
            if self.is_stopping(context) {
                self.end = Some(End::Broken(stopped()));
                return;
            }
            match Pin::new(&mut self.asked).poll_next(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(asked))) => {
                    let incoming = &self.incoming;
                    let asked = Asked::of(asked, self.calls.gate(), incoming.share(), || may_declare(incoming));
                    self.bytes += asked.weight;
                    self.waiting.push(asked);
                }
                Poll::Ready(Some(Err(status))) => self.end = Some(End::Broken(status)),
                Poll::Ready(None) => self.end = Some(End::Whole),
            }
        }
    }
}

impl<R: Stream<Item = Result<Sent<v1::CheckStreamRequest>, Status>> + Unpin> Stream for Answers<R> {
    type Item = Result<v1::CheckStreamResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended.is_some() {
            return Poll::Ready(None);
        }
        loop {
            if let Some(answer) = this.answered.next() {
                return Poll::Ready(Some(Ok(answer)));
            }
            if let Some((_, sleep)) = &mut this.deadline
                && sleep.as_mut().poll(context).is_ready()
            {
                return this.fail(status::of(Failure::TooLate));
            }
            this.heed(context);
            this.read(context);
            if let Some(task) = &mut this.under_way {
                let done = ready!(Pin::new(task).poll(context));
                this.under_way = None;
                match done {
                    Ok(answers) => this.answered = answers.into_iter(),
                    // It panicked, or the server is ending: nothing of it was answered.
                    Err(error) => return this.fail(status::of(Failure::Internal(error.to_string()))),
                }
            }
            if !this.waiting.is_empty() {
                match this.may_ask(context) {
                    Poll::Ready(0) => {}
                    Poll::Ready(count) => this.ask(count),
                    Poll::Pending if this.answered.len() == 0 => return Poll::Pending,
                    Poll::Pending => {}
                }
                continue;
            }
            if this.answered.len() > 0 {
                continue;
            }
            match this.end.take() {
                None => return Poll::Pending,
                Some(End::Broken(status)) => return this.fail(status),
                Some(End::Whole) => {
                    this.finish(Code::Ok);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Answers what was asked, in its order.
async fn answer(
    engine: &Engine,
    incoming: &Incoming,
    permit: &Permit,
    asked: Vec<Asked>,
    clock: Clock,
) -> Vec<v1::CheckStreamResponse> {
    let meter = engine.meter();
    let failed = |failure: &Failure| refused::failed(meter, incoming, NAME, failure);
    let mut faults = Vec::with_capacity(asked.len());
    let mut checks = Vec::with_capacity(asked.len());
    let mut rooms = Vec::new();
    for Asked { message, room, .. } in asked {
        rooms.extend(room);
        match message.map(|message| message.check) {
            Ok(Some(check)) => {
                faults.push(None);
                checks.push(check);
            }
            Ok(None) => {
                failed(&missing());
                faults.push(Some(calls::error(&status::of(missing()))));
            }
            Err(Fault::Malformed(status)) => {
                refused::tell(meter, incoming, &NAME, malformed::REASON, &malformed::WHY);
                faults.push(Some(calls::error(&status)));
            }
            Err(Fault::Busy(busy)) => {
                // What is refused for want of room is not charged.
                incoming.give_back(1);
                refused::tell(meter, incoming, &NAME, "OVERLOADED", &busy.why.word());
                faults.push(Some(calls::error(&status::overloaded(Busy::after(busy.wait)))));
            }
        }
    }
    let answers = engine.check_many(permit, checks, clock).await;
    answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(failed);
    let mut answers = answers.into_iter();
    let mut of_row = |fault: Option<v1::CheckResult>| match fault {
        Some(fault) => Some(fault),
        None => answers.next().map(calls::result),
    };
    faults.into_iter().map(|fault| v1::CheckStreamResponse { result: of_row(fault) }).collect()
}

fn missing() -> Failure {
    let message = "is required: the attempt that is about to be made".to_owned();
    Failure::Invalid(vec![Violation { field: "check".to_owned(), message }])
}

/// When to ask another server.
const RETRY: Duration = Duration::from_secs(1);

/// The server stops, and something was not answered.
pub(super) fn stopped() -> Status {
    let why = "the server is stopping: ask another what was not answered; an attempt_id makes that harmless";
    status::passing(Code::Unavailable, "STOPPING", why, RETRY)
}
