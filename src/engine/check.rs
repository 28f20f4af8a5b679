//! One check: read, resolve, load, decide, swap, append. A lost race decides again on the record that won.

use std::sync::OnceLock;

use super::answer::{self, Granted};
use super::audited::Kind;
use super::control::Standing;
use super::find::{Found, Won};
use super::listed::WithOwn;
use super::many::Met;
use super::question::{self, Checked};
use super::{Clock, Engine, Failure, Loaded};
use crate::access::Permit;
use crate::contact::wire::Violation;
use crate::contact::{AttemptId, Contact, Facts, Known, Purpose, Reservation};
use crate::decision::{self, Decision, Evidence, Lists, Look, Postures, Question};
use crate::law::Law;
use crate::place::{Jurisdiction, Number, NumberError};
use crate::proto::v1;
use crate::registry::{Answer, List, Snapshot};
use crate::store::{DataKey, Swapped, Version, Write};
use crate::telemetry::{Laps, Stage};
use crate::time::Instant;

/// The lists of one snapshot, turned to one number.
pub(super) struct Turned<'a> {
    pub lists: &'a Snapshot,
    pub digits: u64,
    /// What the lists of the tenant's own say, in their order. A look into one costs a keyed tag, and one decision asks
    /// several times: which of them have the number, then rule by rule, then for what was used.
    own: OnceLock<Box<[Answer]>>,
}

impl<'a> Turned<'a> {
    /// Nothing is looked up yet.
    pub fn new(lists: &'a Snapshot, number: Number) -> Self {
        Self { lists, digits: number.reveal_digits(), own: OnceLock::new() }
    }

    fn own(&self) -> impl Iterator<Item = (&List, Answer)> {
        let all = || self.lists.own().map(|list| list.look_up(self.digits)).collect();
        self.lists.own().zip(self.own.get_or_init(all).iter().copied())
    }

    fn answer(&self, list: &List) -> Answer {
        let own = || self.own().find(|(own, _)| std::ptr::eq(*own, list)).map(|(_, answer)| answer);
        list.is_own().then(own).flatten().unwrap_or_else(|| list.look_up(self.digits))
    }
}

impl Lists for Turned<'_> {
    fn look_up(&self, registry: &str) -> Option<Look> {
        let list = self.lists.get(registry)?;
        let (listed, listed_at) = match self.answer(list) {
            Answer::Listed { since } => (Some(true), since),
            Answer::NotListed => (Some(false), None),
            Answer::NotCovered => (None, None),
        };
        Some(Look { listed, listed_at, as_of: list.as_of, version: list.version.as_str().into(), sample: list.sample })
    }

    fn own_hits(&self) -> Vec<Box<str>> {
        let hits = self.own().filter(|(_, answer)| matches!(answer, Answer::Listed { .. }));
        hits.map(|(list, _)| list.id.as_str()).chain(self.lists.own_unread()).map(Into::into).collect()
    }

    fn own_clear(&self, tell: &mut dyn FnMut(&str)) {
        let clear = self.own().filter(|(_, answer)| matches!(answer, Answer::NotListed));
        clear.for_each(|(list, _)| tell(&list.id));
    }
}

/// A check on its way: what does not change from one race to the next.
pub(super) struct Asked<'a> {
    pub checked: &'a Checked,
    pub number: Number,
    pub law: &'a Law,
    pub lists: Turned<'a>,
    pub now: Instant,
}

impl Engine {
    /// Answers one check. An ALLOW that is not a dry run is a reservation, counted and logged before it is answered.
    ///
    /// # Errors
    /// A faulty request; an attempt id used for another attempt; store or log unavailable; races or the caller's
    /// patience outlasted.
    pub async fn check(
        &self,
        permit: &Permit,
        request: v1::CheckRequest,
        clock: Clock,
    ) -> Result<v1::Decision, Failure> {
        let mut laps = self.metrics.stages().begin(true);
        let checked = self.read(permit, &request, clock)?;
        laps.end(Stage::Read);
        let (law, snapshot) = (self.law.load(), self.lists.snapshot());
        self.check_read(permit, &checked, request, clock, (&law, &snapshot), None).await
    }

    /// Reads a check, and whether it may be asked.
    pub(super) fn read(&self, permit: &Permit, request: &v1::CheckRequest, clock: Clock) -> Result<Checked, Failure> {
        let checked = question::read(request, self.settings.server_region).map_err(Failure::Invalid)?;
        self.count_exceptional(permit, &checked)?;
        if clock.passed() {
            return Err(Failure::TooLate);
        }
        Ok(checked)
    }

    /// Answers a check that was read. `met` is what was found of the contact since the check came, where that was looked for
    /// already.
    pub(super) async fn check_read<'a>(
        &'a self,
        permit: &Permit,
        checked: &Checked,
        request: v1::CheckRequest,
        clock: Clock,
        (law, snapshot): (&Law, &Snapshot),
        met: Option<Met<'a>>,
    ) -> Result<v1::Decision, Failure> {
        let now = checked.at.unwrap_or(clock.now);
        let decided = match checked.number {
            Err(error) => self.answer_unusable(law, request, error, now, clock).await,
            Ok(number) => {
                let lists = Turned::new(snapshot, number);
                let asked = Asked { checked, number, law, lists, now };
                // Only what needs no stored fact is answered without store or log.
                let emergency = checked.attempt.purpose == Purpose::Emergency;
                let kept = emergency.then(|| request.attempt_id.clone());
                match (self.answer(permit, &asked, request, clock, met).await, kept) {
                    (Err(Failure::Store(_)), Some(attempt_id)) => Ok(self.answer_degraded(&asked, &attempt_id, clock)),
                    (answer, _) => answer,
                }
            }
        }?;
        self.meter.decided(&decided, checked.attempt.channel);
        Ok(decided)
    }

    /// Asserting an emergency, or a notice required by law, needs its own role and is counted.
    pub(super) fn count_exceptional(&self, permit: &Permit, checked: &Checked) -> Result<(), Failure> {
        if answer::is_exceptional(checked.attempt.purpose, checked.attempt.legally_required) {
            if !permit.may_assert_exceptional() {
                return Err(crate::access::Refused { role: crate::access::Role::AssertExceptional }.into());
            }
            self.meter.exceptional(checked.attempt.purpose);
        }
        Ok(())
    }

    /// A string that is no number is a DENY of family NUMBER.
    async fn answer_unusable(
        &self,
        law: &Law,
        request: v1::CheckRequest,
        error: NumberError,
        now: Instant,
        clock: Clock,
    ) -> Result<v1::Decision, Failure> {
        let decision = decision::unusable(error, now);
        let id = self.main.next_id(clock.now);
        // What was no number may be long, and is of no use to anybody later: so much of it is kept as judging it again
        // takes.
        let mut request = request;
        request.number = request.number.chars().take(question::NUMBER_BYTES + 1).collect();
        let granted = granted(id, &request.attempt_id, None);
        let answer = unusable(&decision, error, &request, law, &self.settings.postures, granted);
        if self.main.log.is_none() {
            return Ok(answer);
        }
        let standing = Standing::default();
        let about = self.about(Kind::Answer, &request.campaign);
        let body = self.decision_body(request, None, (law, &standing, None), &decision, &answer);
        let entry = self.day_entry(&self.main, about, id, clock.now, None, &body).await?;
        self.main.log_soon(entry).await?;
        self.to_shadow(id, Kind::Answer, body, &standing);
        Ok(answer)
    }

    async fn answer<'a>(
        &'a self,
        permit: &Permit,
        asked: &Asked<'_>,
        request: v1::CheckRequest,
        clock: Clock,
        met: Option<Met<'a>>,
    ) -> Result<v1::Decision, Failure> {
        // Of many together so many are enough.
        let wanted = met.is_none() || asked.number.reveal_digits().is_multiple_of(16);
        let mut laps = self.metrics.stages().begin(wanted);
        let (mut found, mut standing) = match met {
            Some(met) => met?,
            None => {
                let found = self.find_with_switches(permit, asked.number, Some(clock.now)).await?;
                laps.end(Stage::Find);
                found
            }
        };
        let mut lost = false;
        loop {
            if let (Some(id), Some(loaded), false) = (&asked.checked.attempt_id, &found.loaded, asked.checked.dry_run) {
                known(&loaded.contact, id, &request)?;
            }
            let decision = decide(self, asked, &standing, &found);
            laps.end(Stage::Decide);
            if asked.checked.dry_run || !decision.allows() {
                return self.answer_only(asked, request, found, (&standing, &decision), clock, &mut laps).await;
            }
            if clock.passed() {
                return Err(if lost { Failure::Aborted } else { Failure::TooLate });
            }
            let (kept, key) = (found.kept, found.key);
            match self.reserve(asked, &request, found, (&standing, &decision), clock, &mut laps).await? {
                Reserved::Done(answer) => return Ok(*answer),
                // A lost race costs no further read: the store hands back the record that won.
                Reserved::Lost(winner) => {
                    self.metrics.lost_race();
                    lost = true;
                    match *winner {
                        Won::Here(loaded) => found = Found { kept, key, loaded, arriving: false },
                        Won::Elsewhere => {
                            (found, standing) = self.find_with_switches(permit, asked.number, Some(clock.now)).await?;
                        }
                    }
                }
            }
        }
    }

    /// An emergency answered without a store or a log: it counts nothing and says that it is degraded.
    fn answer_degraded(&self, asked: &Asked<'_>, attempt_id: &str, clock: Clock) -> v1::Decision {
        let decision = decide_on(self, asked, &Standing::default(), None, None);
        let id = self.main.next_id(clock.now);
        let mut answer = self.message(&decision, Some(asked.number), asked.law, id, attempt_id, None);
        answer.degraded = true;
        let decision = &answer.decision_id;
        tracing::error!(number = %asked.number, %decision, "emergency answered without a store or a log entry");
        answer
    }

    /// An answer that counts nothing.
    async fn answer_only(
        &self,
        asked: &Asked<'_>,
        request: v1::CheckRequest,
        found: Found<'_>,
        (standing, decision): (&Standing, &Decision),
        clock: Clock,
        laps: &mut Laps<'_>,
    ) -> Result<v1::Decision, Failure> {
        let Found { kept, key, loaded, .. } = found;
        let id = kept.next_id(clock.now);
        let answer = self.message(decision, Some(asked.number), asked.law, id, &request.attempt_id, None);
        if kept.log.is_none() {
            return Ok(answer);
        }
        let about = self.about(Kind::Answer, &request.campaign).of(Some(asked.number));
        let judged = (asked.law, standing, kept.at);
        let (own, before) = loaded.map(|loaded| (loaded.own, (loaded.contact, loaded.version))).unzip();
        let body = self.decision_body(request, before, judged, decision, &answer);
        let entry = match own {
            Some(own) => self.contact_entry(about, id, clock.now, &key, &own, &body)?,
            None => self.day_entry(kept, about, id, clock.now, Some(*key.tag()), &body).await?,
        };
        laps.end(Stage::Compose);
        kept.log_soon(entry).await?;
        laps.end(Stage::Log);
        self.to_shadow(id, Kind::Answer, body, standing);
        Ok(answer)
    }

    /// Counts the attempt: record and outbox in one step, then the log, then the answer.
    async fn reserve(
        &self,
        asked: &Asked<'_>,
        request: &v1::CheckRequest,
        found: Found<'_>,
        (standing, decision): (&Standing, &Decision),
        clock: Clock,
        laps: &mut Laps<'_>,
    ) -> Result<Reserved, Failure> {
        let Found { kept, key, loaded, .. } = found;
        kept.log_ready()?;
        let id = kept.next_id(clock.now);
        let attempt_id = match &asked.checked.attempt_id {
            Some(given) => given.clone(),
            None => AttemptId::new(&uuid::Uuid::from_bytes(id).hyphenated().to_string())
                .ok_or_else(|| Failure::Internal("an empty id".to_owned()))?,
        };
        let use_by = decision.valid_until.unwrap_or(Instant::FAR).min(asked.now.plus(self.settings.reserve_for));
        let answer = self.message(decision, Some(asked.number), asked.law, id, attempt_id.as_str(), Some(use_by));
        let (expected, before, own) = match loaded {
            Some(Loaded { version, contact, own, .. }) => (version, Some(contact), own),
            None => (Version::ABSENT, None, DataKey::random()?),
        };
        let mut after = before.clone().unwrap_or_else(|| Contact::new(asked.number, asked.now));
        after.name_again(asked.number);
        after.reserve(&Reservation { id: &attempt_id, request, decision: id, use_by }, asked.now);
        let before = before.map(|contact| (contact, expected));
        let judged = (asked.law, standing, kept.at);
        let body = self.decision_body(request.clone(), before, judged, decision, &answer);
        let about = self.about(Kind::Reservation, &request.campaign).of(Some(asked.number));
        let entry = self.contact_entry(about, id, clock.now, &key, &own, &body)?;
        let keys = self.keys.now();
        let write = Write {
            key,
            expected,
            bytes: keys.seal_record(&key, &own, &after.to_bytes())?,
            expires: None,
            event: entry.event(0, clock.now, Vec::new()),
        };
        laps.end(Stage::Compose);
        let swapped = self.swap(kept, write).await;
        laps.end(Stage::Write);
        match swapped? {
            Swapped::Won { event, .. } => {
                kept.log_swapped(entry, event).await?;
                laps.end(Stage::Log);
                if kept.log.is_some() {
                    self.to_shadow(id, Kind::Reservation, body, standing);
                }
                Ok(Reserved::Done(Box::new(answer)))
            }
            Swapped::Lost(winner) => Ok(Reserved::Lost(Box::new(self.winner(&key, winner).await?))),
        }
    }

    fn message(
        &self,
        decision: &Decision,
        number: Option<Number>,
        law: &Law,
        id: [u8; 16],
        attempt_id: &str,
        use_by: Option<Instant>,
    ) -> v1::Decision {
        answer::message(decision, number, law, &self.settings.postures, granted(id, attempt_id, use_by))
    }
}

fn granted(id: [u8; 16], attempt_id: &str, use_by: Option<Instant>) -> Granted {
    let decision_id = uuid::Uuid::from_bytes(id);
    Granted { decision_id, attempt_id: attempt_id.to_owned(), use_by, degraded: false }
}

/// The answer about a string that is no number: its beginning is told.
pub(super) fn unusable(
    decision: &Decision,
    error: NumberError,
    request: &v1::CheckRequest,
    law: &Law,
    postures: &Postures,
    granted: Granted,
) -> v1::Decision {
    let mut answer = answer::message(decision, None, law, postures, granted);
    answer.number = request.number.chars().take(64).collect();
    answer.number_type = match error {
        NumberError::Emergency => v1::NumberType::Emergency,
        NumberError::ShortCode => v1::NumberType::Short,
        _ => v1::NumberType::Unspecified,
    }
    .into();
    answer
}

enum Reserved {
    Done(Box<v1::Decision>),
    Lost(Box<Won>),
}

pub(super) fn decide(engine: &Engine, asked: &Asked<'_>, standing: &Standing, found: &Found<'_>) -> Decision {
    decide_on(engine, asked, standing, found.loaded.as_ref().map(|loaded| &loaded.contact), found.kept.at)
}

/// Where the record is stored is where its data are processed, beside where it is asked from.
fn decide_on(
    engine: &Engine,
    asked: &Asked<'_>,
    standing: &Standing,
    contact: Option<&Contact>,
    stored_at: Option<Jurisdiction>,
) -> Decision {
    let checked = asked.checked;
    let mut attempt = std::borrow::Cow::Borrowed(&checked.attempt);
    if let Some(place) = stored_at {
        attempt.to_mut().processing_regions.push(place);
    }
    let mut stored = contact.map_or_else(Facts::default, |contact| contact.facts(checked.attempt_id.as_ref()));
    let postures = &engine.settings.postures;
    let about = (&attempt.seller, attempt.purpose);
    let succession = standing.succession();
    let asserted = succession.apply(&mut stored, &checked.facts, about, asked.now);
    let lists = WithOwn { files: &asked.lists, standing, now: asked.now };
    decision::decide(&Question {
        number: asked.number,
        attempt: &attempt,
        evidence: Evidence { asserted: &asserted, stored: &stored, lists: &lists, live: checked.at.is_none() },
        law: asked.law,
        switches: standing.switches(),
        postures,
        now: asked.now,
    })
}

/// An id that was used up, or for something else, is not asked again.
fn known(contact: &Contact, id: &AttemptId, request: &v1::CheckRequest) -> Result<(), Failure> {
    match contact.knows(id, request) {
        Known::New | Known::Open => Ok(()),
        Known::Made => Err(Failure::AlreadyExists("the attempt of this attempt_id was already made and reported")),
        Known::Different => Err(Failure::AlreadyExists(
            "this attempt_id was used for an attempt of another channel, purpose, technology, seller or subject",
        )),
    }
}

/// The most checks of one batch.
pub const BATCH: usize = crate::proto::weigh::ROWS;

/// The fault of a batch that is too long.
#[must_use]
pub fn batch_too_long(length: usize) -> Failure {
    let message = format!("has {length} checks; at most {BATCH} are accepted");
    Failure::Invalid(vec![Violation { field: "checks".to_owned(), message }])
}
