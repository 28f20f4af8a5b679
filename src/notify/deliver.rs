//! One processor, told by this instance while it holds the delivery, and watched over while another does.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant as Monotonic;

use super::post::{PostError, Posted};
use super::sign::signatures;
use super::window::{Window, delivered};
use super::{Common, Settings, told};
use crate::engine::Failure;
use crate::engine::processors::{Delivery, Registered, Target, target};
use crate::engine::watch::{Follower, Start, Told};
use crate::proto::store::DeliveredEvent;
use crate::proto::v1::{self, OptOutEventKind};
use crate::time::Instant;

/// Events given up that are remembered; with more, delivery is switched off rather than forget one.
const GIVEN_UP: usize = 1_000;
/// Silence after which the one who delivers shows that it lives.
const BEAT: Duration = Duration::from_secs(3);
/// The longest pause that an answer may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);
/// The most bytes of an error that are kept.
const ERROR_BYTES: usize = 200;

/// The body of a webhook.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: &'a v1::OptOutEvent,
}

/// How holding a delivery ended.
enum Ended {
    /// Another instance has it, or it was switched off: watch over it.
    Released,
    /// This instance is stopping.
    Stopping,
}

type Sent = (u64, Result<Posted, PostError>);

/// Delivers to one processor whenever nobody else does.
pub(super) async fn deliver(common: Common, of: watch::Receiver<Registered>) {
    let mut stop = common.stopping.clone();
    loop {
        let work = async {
            let held = take_over(&common, &of).await?;
            Held::new(common.clone(), of.clone(), held).await?.hold().await
        };
        // Aborted from outside where the processor was removed. To stop is heard by the one who holds as well, who then
        // notes what was confirmed; here it ends only the waiting.
        match work.await {
            Ok(Ended::Released) => {}
            Ok(Ended::Stopping) | Err(Failure::Stopping) => return,
            Err(error) => {
                let processor = of.borrow().processor.name.clone();
                tracing::warn!(processor, %error, "delivery waits");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(common.settings.look) => {}
            () = told(&mut stop) => return,
        }
    }
}

/// Waits until nobody delivers, or whoever does has been silent for too long; then it is ours.
async fn take_over(common: &Common, of: &watch::Receiver<Registered>) -> Result<Delivery, Failure> {
    let mut stop = common.stopping.clone();
    let mut seen = None;
    loop {
        let one = of.borrow().clone();
        let mut delivery = common.engine.delivery(&one).await?;
        if delivery.is_disabled(&one) {
            seen = None;
        } else {
            let (version, since) = *seen.get_or_insert((delivery.version, Monotonic::now()));
            let silent = version == delivery.version && since.elapsed() >= common.settings.take_over_after;
            let free = delivery.state.holder == 0 || delivery.state.holder == common.holder;
            if free || silent {
                delivery.state.holder = common.holder;
                if common.engine.save_delivery(&one, &mut delivery).await? {
                    return Ok(delivery);
                }
                seen = None;
            } else if version != delivery.version {
                seen = None;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(common.settings.look) => {}
            () = told(&mut stop) => return Err(Failure::Stopping),
        }
    }
}

/// A delivery that this instance holds.
struct Held {
    common: Common,
    of: watch::Receiver<Registered>,
    one: Registered,
    target: Target,
    delivery: Delivery,
    follower: Follower,
    window: Window,
    /// Confirmed beyond the places, by a run before.
    done_before: Vec<DeliveredEvent>,
    sending: JoinSet<Sent>,
    /// Nothing is sent before this.
    not_before: Monotonic,
    /// Something changed that the store does not have yet.
    unnoted: bool,
    noted: Monotonic,
}

impl Held {
    async fn new(common: Common, of: watch::Receiver<Registered>, mut delivery: Delivery) -> Result<Self, Failure> {
        let one = of.borrow().clone();
        let target = target(&one.processor.url).map_err(|why| Failure::Internal(format!("the url {why}")))?;
        let start = match delivery.places() {
            Some(places) => Start::After(places, Instant::from_millis(delivery.state.moved_at)),
            None => Start::Since(one.since),
        };
        let follower = match common.engine.follow(start, common.now).await {
            Err(Failure::TooOld(_)) => common.follow_what_is_left(&one, &mut delivery).await?,
            other => other?,
        };
        let window = Window::new(follower.places());
        let done_before = delivery.state.beyond.clone();
        let now = Monotonic::now();
        let (not_before, noted) = (now, now);
        let sending = JoinSet::new();
        let held = Self {
            common,
            of,
            one,
            target,
            delivery,
            follower,
            window,
            done_before,
            sending,
            not_before,
            unnoted: true,
            noted,
        };
        Ok(held)
    }

    async fn hold(mut self) -> Result<Ended, Failure> {
        let Settings { note, .. } = self.common.settings;
        let mut stop = self.common.stopping.clone();
        let mut tick = tokio::time::interval(note);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.resume().await?;
        loop {
            self.send();
            if self.delivery.is_disabled(&self.one) {
                return self.release(Ended::Released).await;
            }
            let due = self.next_due();
            tokio::select! {
                () = told(&mut stop) => return self.release(Ended::Stopping).await,
                Some(sent) = self.sending.join_next() => {
                    // A sending that panicked is one that is sent again by the next holder.
                    let Ok((id, answer)) = sent else { return self.release(Ended::Released).await };
                    self.answered(id, answer);
                    if self.delivery.is_disabled(&self.one) {
                        return self.release(Ended::Released).await;
                    }
                }
                step = self.follower.next(), if self.window.has_room() => match step {
                    Ok(step) => self.take(step),
                    Err(Failure::Stopping) => return self.release(Ended::Stopping).await,
                    Err(Failure::TooOld(_)) => {
                        // What was under way counts as missed from the last place on that was confirmed.
                        self.delivery.move_to(self.window.places(), (self.common.now)());
                        self.follower = self.common.follow_what_is_left(&self.one, &mut self.delivery).await?;
                        self.window = Window::new(self.follower.places());
                        self.sending = JoinSet::new();
                        self.unnoted = true;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "events cannot be read");
                        tokio::time::sleep(self.common.settings.look).await;
                    }
                },
                _ = tick.tick() => {
                    if !self.note().await? {
                        return Ok(Ended::Released);
                    }
                }
                changed = self.of.changed() => {
                    if changed.is_err() {
                        return self.release(Ended::Stopping).await;
                    }
                    self.one = self.of.borrow_and_update().clone();
                    match target(&self.one.processor.url) {
                        Ok(target) => self.target = target,
                        Err(_) => return self.release(Ended::Released).await,
                    }
                    // Whatever was wrong may have been put right.
                    self.not_before = Monotonic::now();
                    self.resume().await?;
                }
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    fn take(&mut self, step: crate::engine::watch::Step) {
        let (one, before) = (&self.one, &self.done_before);
        let done = |told: &Told| {
            before.iter().any(|done| done.shard == u32::from(told.shard) && done.event_id == told.event.event_id)
        };
        let concerned = |told: &Told| one.is_sent(told);
        self.window.take(step, Monotonic::now(), concerned, done);
        self.unnoted = true;
    }

    /// Takes up again what had been given up, once for each time that somebody asks for it.
    async fn resume(&mut self) -> Result<(), Failure> {
        if self.delivery.state.resumed_at == self.one.resumed_at {
            return Ok(());
        }
        for given_up in &self.delivery.state.given_up {
            let shard = u16::try_from(given_up.shard).unwrap_or_default();
            if let Some(told) = self.common.engine.event_at(shard, given_up.seq).await?
                && told.goes_by(&given_up.event_id)
            {
                self.window.take_again(std::sync::Arc::new(told), Monotonic::now());
            }
        }
        self.delivery.state.resumed_at = self.one.resumed_at;
        self.delivery.state.disabled_at = 0;
        self.unnoted = true;
        Ok(())
    }

    /// Starts what may be sent now: one at a time while the processor fails.
    fn send(&mut self) {
        let now = Monotonic::now();
        let at_once = self.at_once();
        while now >= self.not_before
            && let Some((id, told)) = self.window.send(now, at_once)
        {
            if told.is_unreadable() {
                self.give_up(id, "it does not open: record or key is damaged");
                continue;
            }
            let (client, target) = (std::sync::Arc::clone(&self.common.client), self.target.clone());
            let (keys, within) = (self.one.keys.clone(), self.common.settings.answer_within);
            let at = (self.common.now)();
            self.sending.spawn(async move {
                let body = Body {
                    r#type: kind(told.event.kind()),
                    timestamp: told.recorded_at().to_rfc3339().unwrap_or_default(),
                    data: &told.event,
                };
                let Ok(body) = serde_json::to_vec(&body) else { return (id, Err(PostError::Request)) };
                let seconds = at.millis().div_euclid(1_000);
                let signed = signatures(&keys, &told.event.event_id, seconds, &body);
                let headers = [
                    ("webhook-id", told.event.event_id.clone()),
                    ("webhook-timestamp", seconds.to_string()),
                    ("webhook-signature", signed),
                ];
                (id, client.post(&target, &headers, body, within).await)
            });
        }
    }

    const fn at_once(&self) -> usize {
        if self.delivery.state.failures > 0 { 1 } else { self.common.settings.at_once }
    }

    /// When something may be sent next, if nothing else happens.
    fn next_due(&self) -> Monotonic {
        let later = || Monotonic::now() + Duration::from_secs(3_600);
        self.window.due(self.at_once()).map_or_else(later, |due| due.max(self.not_before))
    }

    fn answered(&mut self, id: u64, answer: Result<Posted, PostError>) {
        let processor = self.one.processor.name.clone();
        self.unnoted = true;
        self.delivery.state.tried_at = (self.common.now)().millis();
        match answer {
            Ok(Posted { status: 200..=299, .. }) => {
                if let Some(item) = self.window.done(id)
                    && item.again
                {
                    self.delivery.state.given_up.retain(|given_up| !item.told.goes_by(&given_up.event_id));
                }
                if self.delivery.state.failures > 0 {
                    tracing::info!(processor, "delivery works again");
                }
                self.delivery.state.failures = 0;
                self.delivery.state.last_error.clear();
                self.common.metrics_delivered(&processor, "confirmed");
            }
            Ok(Posted { status: 410, .. }) => {
                let _ = self.window.failed(id);
                self.failed("it answered 410 Gone".to_owned(), None);
                self.disable("the processor says that it is gone");
            }
            Ok(Posted { status, retry_after }) => self.try_later(id, format!("it answered {status}"), retry_after),
            Err(error) => self.try_later(id, error.to_string(), None),
        }
    }

    fn try_later(&mut self, id: u64, why: String, asked: Option<Duration>) {
        let Settings { first_pause, longest_pause, give_up_after, .. } = self.common.settings;
        let now = Monotonic::now();
        self.failed(why.clone(), asked);
        let Some(item) = self.window.failed(id) else { return };
        item.due =
            now + pause(first_pause, longest_pause, item.tries).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        let too_long = item.first.is_some_and(|first| now.duration_since(first) >= give_up_after);
        if too_long {
            self.give_up(id, &why);
        }
    }

    fn failed(&mut self, why: String, asked: Option<Duration>) {
        let Settings { first_pause, longest_pause, .. } = self.common.settings;
        let processor = &self.one.processor.name;
        let state = &mut self.delivery.state;
        // Not once a try: a processor that is down for a day is one line, and the state says the rest.
        if state.failures == 0 {
            tracing::warn!(processor, host = self.target.host, why, "a delivery failed; it is tried again");
        }
        state.failures = state.failures.saturating_add(1);
        state.last_error = why.chars().take(ERROR_BYTES).collect();
        let pause = pause(first_pause, longest_pause, state.failures).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        self.not_before = Monotonic::now() + pause;
        self.common.metrics_delivered(processor, "failed");
    }

    fn give_up(&mut self, id: u64, why: &str) {
        // What had been given up before stands in the list already.
        if !self.window.is_again(id) && self.delivery.state.given_up.len() >= GIVEN_UP {
            return self.disable("too much was given up");
        }
        let Some(item) = self.window.done(id) else { return };
        let processor = &self.one.processor.name;
        let event_id = &item.told.event.event_id;
        tracing::error!(processor, event_id, why, "ALARM: an opt-out was given up: tell the processor by other means");
        self.common.metrics_delivered(processor, "given_up");
        if !item.again {
            self.delivery.state.given_up.push(delivered(&item.told, why));
        }
    }

    fn disable(&mut self, why: &str) {
        let processor = &self.one.processor.name;
        tracing::error!(processor, why, "ALARM: delivery is switched off: put it right, then resume the processor");
        self.common.metrics_delivered(processor, "disabled");
        self.delivery.state.disabled_at = (self.common.now)().millis().max(1);
        self.delivery.state.resumed_at = self.one.resumed_at;
    }

    /// Writes what was confirmed, and that we live; `false`: it is somebody else's now.
    async fn note(&mut self) -> Result<bool, Failure> {
        if !self.unnoted && self.noted.elapsed() < BEAT {
            return Ok(true);
        }
        self.delivery.move_to(self.window.places(), (self.common.now)());
        self.delivery.state.beyond = self.window.beyond();
        self.unnoted = false;
        self.noted = Monotonic::now();
        self.common.engine.save_delivery(&self.one, &mut self.delivery).await
    }

    async fn release(mut self, ended: Ended) -> Result<Ended, Failure> {
        self.sending.abort_all();
        self.delivery.state.holder = 0;
        self.unnoted = true;
        // Lost to another: then it is theirs already.
        let _ = self.note().await?;
        Ok(ended)
    }
}

impl Common {
    /// Goes on past what is no longer kept. The gap is noted, not hidden: what is left is delivered, and the operator knows.
    async fn follow_what_is_left(&self, one: &Registered, delivery: &mut Delivery) -> Result<Follower, Failure> {
        let processor = &one.processor.name;
        let missed = self.engine.missed(one, delivery, None, (self.now)()).await?;
        let places = self.engine.places_left(delivery).await?;
        let told_at = Instant::from_millis(delivery.state.moved_at);
        let follower = self.engine.follow(Start::After(places, told_at), self.now).await?;
        if missed.is_any() {
            let events = missed.events;
            tracing::error!(processor, events, "ALARM: events went before they were confirmed: give it the list anew");
            self.metrics_delivered(processor, "given_up");
            delivery.note_missed(missed);
        }
        Ok(follower)
    }

    fn metrics_delivered(&self, processor: &str, result: &'static str) {
        self.engine.meter().delivered(processor, result);
    }
}

/// Doubles with each failure, and is a little shorter or longer, so that many do not come back together.
fn pause(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(u32::MAX));
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    let percent = 80 + u32::try_from(random % 41).unwrap_or(0);
    doubled.min(longest).saturating_mul(percent) / 100
}

const fn kind(kind: OptOutEventKind) -> &'static str {
    match kind {
        OptOutEventKind::Closed => "opt_out.closed",
        OptOutEventKind::Reopened => "opt_out.reopened",
        OptOutEventKind::Erased => "opt_out.erased",
        OptOutEventKind::Withdrawn => "opt_out.withdrawn",
        OptOutEventKind::PolicyChanged => "policy.changed",
        OptOutEventKind::Unspecified => "opt_out.unknown",
    }
}
