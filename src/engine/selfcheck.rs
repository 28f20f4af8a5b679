//! The self-check: everybody who opted out, or whose data are restricted, is asked about in the scope of that, and must be
//! denied for it.
//!
//! Promises: it goes the way that a check goes (a fresh read of the record for each opt-out, the switches, the law in force,
//! the same decision) but for reserving and the log: what it is answered is told to nobody. An opt-out that does not deny
//! is an alarm even where something else denies: at another hour nothing would. The erased are not asked about: of them
//! there is no number to ask with. Rounds run one after another, a page of
//! records at a time; of several instances on one store one runs a round, and all of them tell when one last ended, from
//! what is stored: a start makes nobody forget that none does. Guarded by `tests/watch.rs`.

use std::time::Duration;

use prost::Message as _;
use tokio::sync::watch;

use super::answer::stamp;
use super::check::{Asked, Turned, decide};
use super::control::Standing;
use super::find::{Found, Record};
use super::question::{self, Checked};
use super::region::Kept;
use super::watch::Now;
use super::{Engine, Failure, Loaded};
use crate::access::Permit;
use crate::contact::{Channel, Consent, Grade, OptOut, Purpose, Scope, Set, Term as _};
use crate::law::Family;
use crate::place::Number;
use crate::proto::store::SelfCheckState;
use crate::proto::v1::{self, SelfCheckAlarm, SelfCheckReport};
use crate::store::{Key, MetaSwapped, Purpose as Sealed, Version};
use crate::time::Instant;

/// Records read at once.
const PAGE: usize = 64;
/// Alarms that a report holds; the log has them all.
const EXAMPLES: usize = 20;
/// How often it is looked whether a round is due.
const LOOK: Duration = Duration::from_secs(30);
/// How often a round under way is noted.
const NOTED_EVERY: u64 = 200;
const FORM: u32 = 1;
/// A seller of no tenant: an opt-out that names no seller closes for it too.
const SELLER: &str = "ringfence.self-check";

/// How often, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From the beginning of one round to that of the next; [`Duration::ZERO`]: never.
    pub every: Duration,
    /// The pause after each page of 64 records.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { every: Duration::from_secs(86_400), pause: Duration::from_millis(500) }
    }
}

/// What one question showed.
enum Shown {
    Denied,
    Alarm { allowed: bool },
}

impl Engine {
    /// Runs rounds until it is told to stop.
    pub async fn self_check(&self, settings: Settings, now: Now, mut stopping: watch::Receiver<bool>) {
        if settings.every.is_zero() {
            return;
        }
        let rounds = async {
            loop {
                match self.self_check_if_due(settings, now).await {
                    Ok(()) => {}
                    Err(error) => tracing::warn!(%error, "the self-check could not go on; it is tried again"),
                }
                tokio::time::sleep(LOOK.min(settings.every)).await;
            }
        };
        tokio::select! {
            () = rounds => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }

    /// Tells the metrics when a round last ended, on whichever instance, and runs one if it is due.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn self_check_if_due(&self, settings: Settings, now: Now) -> Result<(), Failure> {
        let looked = self.self_check_state().await;
        self.tell_self_check(looked.as_ref().ok().map(|(_, state)| state), now());
        let (version, state) = looked?;
        let begun = state.current.as_ref().or(state.finished.as_ref()).and_then(|report| report.started_at.as_ref());
        let every = i64::try_from(settings.every.as_millis()).unwrap_or(i64::MAX);
        let due = begun.and_then(|at| at.to_millis()).is_none_or(|at| now().millis() >= at.saturating_add(every));
        if !due {
            return Ok(());
        }
        let state = beginning(state, now());
        match self.save_self_check(version, &state).await? {
            Some(version) => self.self_check_round(version, state, settings.pause, now).await.map(drop),
            // Another instance begins the same round.
            None => Ok(()),
        }
    }

    /// Runs one round now, and returns its report.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn self_check_now(&self, now: Now) -> Result<SelfCheckReport, Failure> {
        let (version, state) = self.self_check_state().await?;
        self.self_check_round(version, beginning(state, now()), Duration::ZERO, now).await
    }

    /// Tells when a round last ended. While none ever has, since when that is so: what begins again and again, and never
    /// ends, grows old as well. `None`: it cannot be read; then what was told before stands.
    fn tell_self_check(&self, state: Option<&SelfCheckState>, now: Instant) {
        let finished = state.and_then(|state| state.finished.as_ref()?.finished_at.as_ref()?.to_millis());
        let first = state.map(|state| state.first_begun_at).filter(|at| *at != 0);
        match finished.or(first) {
            Some(at) => self.meter.self_checked(at),
            None => self.meter.self_check_begun(now.millis()),
        }
    }

    async fn self_check_round(
        &self,
        mut version: Version,
        mut state: SelfCheckState,
        pause: Duration,
        now: Now,
    ) -> Result<SelfCheckReport, Failure> {
        let mut report = state.current.take().unwrap_or_default();
        let mut after = None;
        let mut pages = 0_u64;
        // Regions one after the other; one that cannot be asked keeps the round from being done, once the others are.
        let mut regions = self.all_kept().into_iter();
        let mut fault = None;
        let mut current: Option<(&Kept, Vec<Key>)> = None;
        loop {
            let Some((kept, others)) = &current else {
                match regions.next() {
                    None => break,
                    Some(Ok(kept)) => (current, after) = (Some((kept, self.keys_of_others(kept))), None),
                    Some(Err(failure)) => fault = Some(failure),
                }
                continue;
            };
            let kept = *kept;
            let page = match kept.ask(|store| store.scan(after, PAGE)).await {
                Ok(page) => page,
                Err(error) => {
                    (current, fault) = (None, Some(Failure::from(error)));
                    continue;
                }
            };
            let Some((last, _)) = page.last() else {
                current = None;
                continue;
            };
            after = Some(*last);
            for (key, stored) in &page {
                if others.contains(key) || !kept.has(key) {
                    continue;
                }
                match self.open(key, stored).await {
                    // A copy on its way is asked about by its number as well: the record in force is found by that.
                    Ok(record @ (Record::Here(_) | Record::Arriving(..))) => {
                        report.contacts += 1;
                        match self.self_check_contact(&record, &mut report, now()).await {
                            Err(Failure::Store(error)) if self.has_regions() => fault = Some(error.into()),
                            done => done?,
                        }
                    }
                    // What it points to is met in its own region.
                    Ok(Record::Elsewhere(..)) => {}
                    Err(error) => {
                        report.contacts += 1;
                        report.unreadable += 1;
                        tracing::error!(?key, %error, "self-check: a record cannot be read");
                    }
                }
            }
            pages += 1;
            if pages.is_multiple_of(NOTED_EVERY) {
                state.current = Some(report.clone());
                match self.save_self_check(version, &state).await? {
                    Some(next) => version = next,
                    // Another round was begun since this one: it goes on.
                    None => return Ok(report),
                }
            }
            tokio::time::sleep(pause).await;
        }
        if let Some(failure) = fault {
            return Err(failure);
        }
        report.finished_at = Some(stamp(now()));
        state.current = None;
        state.finished = Some(report.clone());
        if self.save_self_check(version, &state).await?.is_none() {
            tracing::warn!("self-check: another round was begun while this one ran; its report stands");
        }
        self.meter.self_checked(now().millis());
        let (questions, alarms) = (report.questions, report.alarms);
        tracing::info!(
            contacts = report.contacts,
            questions,
            alarms,
            unreadable = report.unreadable,
            "self-check done"
        );
        Ok(report)
    }

    async fn self_check_contact(
        &self,
        record: &Record,
        report: &mut SelfCheckReport,
        now: Instant,
    ) -> Result<(), Failure> {
        // Whether a copy on its way is still restricted, the record in force says.
        let (contact, scanned) = match record {
            Record::Here(Loaded { contact, version, .. }) => (contact, Some(*version)),
            Record::Arriving(Loaded { contact, .. }, _) => (contact, None),
            Record::Elsewhere(..) => return Ok(()),
        };
        if !contact.has_opt_outs() && contact.restricted_at().is_none() {
            return Ok(());
        }
        // What was erased holds no number to ask about; its tag alone suppresses it.
        let Some(number) = Number::from_digits(contact.clone().into_stored().number) else { return Ok(()) };
        let facts = contact.facts(None);
        let closed =
            facts.opt_outs.iter().map(|opt_out| (opt_out.recorded_at, questions(number, opt_out), Some(opt_out)));
        let everything = |_| (facts.restricted_at, ask(number, &Scope::default(), &every_purpose()), None);
        let restricted = facts.restricted_at.filter(|_| scanned.is_some()).map(everything);
        for (recorded_at, requests, opt_out) in closed.chain(restricted) {
            // One fresh read for all questions of it.
            let (found, standing) = self.look_up(number, None).await?;
            let fresh = found.loaded.as_ref();
            let over = if let Some(opt_out) = opt_out {
                let consents = fresh.map(|loaded| loaded.contact.facts(None).consents).unwrap_or_default();
                facts.consents.iter().chain(&consents).any(|consent| may_reopen(consent, opt_out))
            } else {
                // Lifted since; a record that is older than the one met is a fault.
                fresh.is_some_and(|loaded| Some(loaded.version) > scanned && loaded.contact.restricted_at().is_none())
            };
            for request in requests {
                let checked = question::read(&request, self.settings.server_region).map_err(Failure::Invalid)?;
                report.questions += 1;
                match self.self_check_ask(number, &checked, (&standing, &found), now) {
                    Shown::Denied => report.denied += 1,
                    Shown::Alarm { .. } if over => report.reopened += 1,
                    Shown::Alarm { allowed } => {
                        report.alarms += 1;
                        self.meter.self_check_alarm();
                        let channel = checked.attempt.channel;
                        tracing::error!(
                            contact = %number,
                            channel = channel.word(),
                            purpose = checked.attempt.purpose.word(),
                            allowed,
                            "ALARM: an opt-out does not deny: stop contacting and find out why"
                        );
                        if report.examples.len() < EXAMPLES {
                            report.examples.push(SelfCheckAlarm {
                                contact: number.to_string(),
                                allowed,
                                recorded_at: recorded_at.map(stamp),
                                channel: request.channel,
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn self_check_ask(
        &self,
        number: Number,
        checked: &Checked,
        (standing, found): (&Standing, &Found<'_>),
        now: Instant,
    ) -> Shown {
        let law = self.law();
        let snapshot = self.lists.snapshot();
        let lists = Turned::new(&snapshot, number);
        let asked = Asked { checked, number, law: &law, lists, now };
        let decision = decide(self, &asked, standing, found);
        let by = |families: &[Family]| decision.reasons.iter().any(|reason| families.contains(&reason.family));
        // What can never be contacted is denied before anybody looks at opt-outs.
        if !decision.allows() && by(&[Family::OptOut, Family::Objection, Family::Number, Family::Jurisdiction]) {
            return Shown::Denied;
        }
        Shown::Alarm { allowed: decision.allows() }
    }

    async fn self_check_state(&self) -> Result<(Version, SelfCheckState), Failure> {
        let name = self.self_check_name();
        let Some(found) = self.main.store.meta_get(&name).await? else {
            return Ok((Version::ABSENT, SelfCheckState { format: FORM, ..SelfCheckState::default() }));
        };
        let plain = self.keys.open_bytes(Sealed::Meta, name.as_bytes(), &found.bytes).await?;
        let state = SelfCheckState::decode(plain.as_slice()).map_err(|error| Failure::Internal(error.to_string()))?;
        if state.format > FORM {
            return Err(Failure::Internal(format!("{name} has form {}: run the newer build", state.format)));
        }
        Ok((found.version, state))
    }

    async fn save_self_check(&self, expected: Version, state: &SelfCheckState) -> Result<Option<Version>, Failure> {
        let name = self.self_check_name();
        let keys = self.keys.now();
        let sealed = keys.seal_bytes(Sealed::Meta, name.as_bytes(), &state.encode_to_vec())?;
        Ok(match self.main.store.meta_swap(&name, expected, sealed).await? {
            MetaSwapped::Won(version) => Some(version),
            MetaSwapped::Lost(_) => None,
        })
    }

    fn self_check_name(&self) -> String {
        format!("self-check/{}", self.main.tenant.name())
    }

    /// The last rounds.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn self_check_report(&self, permit: &Permit) -> Result<v1::GetSelfCheckResponse, Failure> {
        self.is_of(permit)?;
        let (_, state) = self.self_check_state().await?;
        Ok(v1::GetSelfCheckResponse { finished: state.finished, current: state.current })
    }
}

/// The state with a round that begins now.
fn beginning(state: SelfCheckState, now: Instant) -> SelfCheckState {
    let first_begun_at = if state.first_begun_at == 0 { now.millis() } else { state.first_begun_at };
    let current = SelfCheckReport { started_at: Some(stamp(now)), ..SelfCheckReport::default() };
    SelfCheckState { current: Some(current), first_begun_at, ..state }
}

/// Whether a consent recorded after an opt-out may have reopened what it closed.
fn may_reopen(consent: &Consent, opt_out: &OptOut) -> bool {
    consent.grade.is_some_and(|grade| grade >= Grade::Express)
        && consent.recorded_at.zip(opt_out.recorded_at).is_some_and(|(consent, opt_out)| consent > opt_out)
}

/// Every purpose that an opt-out can close.
fn every_purpose() -> Vec<Purpose> {
    Set::all().iter().filter(|purpose| *purpose != Purpose::Emergency).collect()
}

/// Questions within the scope of an opt-out: one for each channel and purpose that it surely closes.
fn questions(number: Number, opt_out: &OptOut) -> Vec<v1::CheckRequest> {
    let scope = &opt_out.scope;
    let named: Vec<Purpose> = scope.purposes.iter().filter(|purpose| *purpose != Purpose::Emergency).collect();
    let bare = scope.sellers.is_empty() && scope.subjects.is_empty() && scope.campaigns.is_empty();
    let purposes = match named.as_slice() {
        _ if scope.everything => every_purpose(),
        // Emergencies alone: no opt-out closes those.
        [] if !scope.purposes.is_empty() => Vec::new(),
        // Only a channel was named: it stops marketing there.
        [] if bare => vec![Purpose::Marketing],
        [] => every_purpose(),
        named => named.to_vec(),
    };
    ask(number, scope, &purposes)
}

/// A question for each channel of a scope and each of these purposes.
fn ask(number: Number, scope: &Scope, purposes: &[Purpose]) -> Vec<v1::CheckRequest> {
    let channels = [Channel::Call, Channel::Text];
    let channels = channels.into_iter().filter(|one| scope.channels.is_empty() || scope.channels.contains(*one));
    let seller = scope.sellers.first().map_or(SELLER, |seller| seller.as_str());
    let subject = scope.subjects.first().map_or("", |subject| subject.as_str());
    let campaign = scope.campaigns.first().map_or("", |campaign| campaign.as_str());
    let one = |channel: Channel, purpose: Purpose| v1::CheckRequest {
        number: number.reveal_e164().as_str().to_owned(),
        channel: channel.number().into(),
        purpose: purpose.number().into(),
        seller: seller.to_owned(),
        subject: subject.to_owned(),
        campaign: campaign.to_owned(),
        dry_run: true,
        ..v1::CheckRequest::default()
    };
    channels.flat_map(|channel| purposes.iter().map(move |purpose| one(channel, *purpose))).collect()
}
