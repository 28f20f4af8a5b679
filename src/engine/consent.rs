//! Consents, opt-outs and facts: recorded, read, changed. Each write is safe before it is answered.

use prost::Message as _;

use super::answer::stamp;
use super::audited::{About, Kind, Told};
use super::find::{Found, Won};
use super::{Clock, DEFAULT_REGION, Engine, Failure, Loaded, Unmet, question, watch};
use crate::access::Permit;
use crate::contact::wire::{self, Reader, Violation};
use crate::contact::{Contact, Outcome, Seen, WriteId};
use crate::place::Number;
use crate::proto::store::{ContactEvent, audited_write};
use crate::proto::v1;
use crate::store::{DataKey, Swapped, Version, Write};
use crate::time::Instant;

/// The facts that `UpdateContact` may change.
const FACTS: [&str; 15] = [
    "residence",
    "recipient",
    "legal_form",
    "line_type",
    "age",
    "birth_date",
    "relationship",
    "inconvenient_times",
    "policy",
    "transfer",
    "reassigned",
    "registry_checks",
    "last_conversation_at",
    "first_notice_at",
    "no_sharing",
];

/// What a write came to.
pub(super) struct Written {
    pub receipt: [u8; 16],
    pub recorded_at: Instant,
    pub version: u64,
    /// It had been recorded before: the same request, asked again.
    pub repeated: bool,
}

/// What a change makes of a record: a changed one, or an earlier write that stands.
pub(super) enum Change {
    /// Changed, as of this instant.
    Changed(Instant),
    /// Changed, as of this instant, by what only the record could tell.
    Found(Instant, Box<Inbound>),
    /// Changed, as of this instant, and told by an event that only the record could make.
    Told(Instant, Box<ContactEvent>),
    /// Changed, as of this instant, from what is kept in the log.
    Corrected(Instant, Box<v1::ContactFacts>),
    Stands {
        receipt: [u8; 16],
        recorded_at: Instant,
    },
}

/// What an inbound text was found to mean: for the log and for those who follow the events.
pub(super) struct Inbound {
    pub answer: v1::ProcessInboundResponse,
    pub rules_version: String,
    pub event: Option<ContactEvent>,
}

/// Makes the next record of the present one, given the receipt.
pub(super) type Make<'a> = dyn FnMut(&mut Contact, [u8; 16]) -> Result<Change, Failure> + Send + 'a;

/// Which record is written. Without a number it must be there.
pub(super) struct Target<'a> {
    pub tag: [u8; 32],
    pub number: Option<Number>,
    /// Where it is, and as it is.
    pub found: Found<'a>,
}

/// How a write is described to the log and to those who follow the events.
pub(super) struct Described {
    pub request: audited_write::Request,
    pub event: Option<ContactEvent>,
}

impl Engine {
    /// Records a consent.
    ///
    /// # Errors
    /// A faulty request, a `request_id` used for something else, store or log unavailable, races outlasted.
    pub async fn record_consent(
        &self,
        permit: &Permit,
        request: v1::RecordConsentRequest,
        clock: Clock,
    ) -> Result<v1::RecordConsentResponse, Failure> {
        let given = request.consent.as_ref().map(|consent| consent.consent_id.clone());
        let (number, written) = self.write_consent(permit, request, clock).await?;
        let receipt_id = receipt_text(written.receipt);
        let consent_id = given.filter(|id| !id.is_empty()).unwrap_or_else(|| receipt_id.clone());
        Ok(v1::RecordConsentResponse {
            receipt_id,
            recorded_at: Some(stamp(written.recorded_at)),
            number: number.reveal_e164().as_str().to_owned(),
            consent_id,
        })
    }

    pub(super) async fn write_consent(
        &self,
        permit: &Permit,
        request: v1::RecordConsentRequest,
        clock: Clock,
    ) -> Result<(Number, Written), Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        check_consent(&mut reader, request.consent.as_ref(), clock.now);
        reader.name("person", &request.person, |text| Some(text.len()));
        let number = finish(reader, number)?;
        let id = WriteId::new(&request.request_id, &request.encode_to_vec());
        let consent = request.consent.clone().unwrap_or_default();
        let described = Described {
            request: audited_write::Request::RecordConsent(request.clone()),
            event: watch::consent_event(number, &consent),
        };
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                already(contact, id)?.map_or_else(
                    || {
                        contact.name(number);
                        Ok(Change::Changed(contact.add_consent(&consent, &request.person, id, receipt, clock.now)))
                    },
                    Ok,
                )
            })
            .await?;
        Ok((number, written))
    }

    /// Records an opt-out. Once this has returned, every check sees it (I1).
    ///
    /// # Errors
    /// As [`Engine::record_consent`].
    pub async fn record_opt_out(
        &self,
        permit: &Permit,
        request: v1::RecordOptOutRequest,
        clock: Clock,
    ) -> Result<v1::RecordOptOutResponse, Failure> {
        let given = request.opt_out_id.clone();
        let (number, written) = self.write_opt_out(permit, request, clock).await?;
        let receipt_id = receipt_text(written.receipt);
        let opt_out_id = Some(given).filter(|id| !id.is_empty()).unwrap_or_else(|| receipt_id.clone());
        Ok(v1::RecordOptOutResponse {
            receipt_id,
            recorded_at: Some(stamp(written.recorded_at)),
            number: number.reveal_e164().as_str().to_owned(),
            opt_out_id,
        })
    }

    pub(super) async fn write_opt_out(
        &self,
        permit: &Permit,
        request: v1::RecordOptOutRequest,
        clock: Clock,
    ) -> Result<(Number, Written), Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        let scope = reader.within("scope", |reader| wire::scope(reader, request.scope.as_ref()));
        reader.instant("at", request.at.as_ref());
        reader.term::<crate::contact::OptOutSource>("source", request.source);
        reader.text("wording", &request.wording);
        reader.name("opt_out_id", &request.opt_out_id, |text| Some(text.len()));
        let number = finish(reader, number)?;
        let id = WriteId::new(&request.request_id, &request.encode_to_vec());
        let event = ContactEvent {
            format: 1,
            kind: v1::OptOutEventKind::Closed.into(),
            number: number.reveal_digits(),
            opt_out: Some(v1::OptOut {
                opt_out_id: request.opt_out_id.clone(),
                scope: request.scope.clone(),
                at: request.at,
                source: request.source,
            }),
            sellers: scope.sellers.iter().map(ToString::to_string).collect(),
            ..ContactEvent::default()
        };
        let described =
            Described { request: audited_write::Request::RecordOptOut(request.clone()), event: Some(event) };
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                already(contact, id)?
                    .map_or_else(|| Ok(Change::Changed(contact.add_opt_out(&request, id, receipt, clock.now))), Ok)
            })
            .await?;
        Ok((number, written))
    }

    /// All that is stored of a number.
    ///
    /// # Errors
    /// A faulty request, nothing stored, store unavailable.
    pub async fn contact(
        &self,
        permit: &Permit,
        request: &v1::GetContactRequest,
        now: Instant,
    ) -> Result<v1::Contact, Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        let number = finish(reader, number)?;
        let found = self.find(permit, number, None).await?;
        let asked = audited_write::Request::GetContact(v1::GetContactRequest::default());
        // That nothing is there is an answer too.
        self.note_reading(permit, found.kept, Some(*found.key.tag()), asked, now).await?;
        let loaded = found.loaded.ok_or(Failure::NotFound("nothing is stored about this number"))?;
        let mut contact = loaded.contact.message(number, loaded.version.0);
        self.marks().await?.put(&mut contact);
        Ok(contact)
    }

    /// Changes the facts that the mask names.
    ///
    /// # Errors
    /// As [`Engine::record_consent`].
    pub async fn update_contact(
        &self,
        permit: &Permit,
        request: v1::UpdateContactRequest,
        clock: Clock,
    ) -> Result<v1::UpdateContactResponse, Failure> {
        let (number, written) = self.write_facts(permit, request, clock).await?;
        Ok(v1::UpdateContactResponse {
            receipt_id: receipt_text(written.receipt),
            recorded_at: Some(stamp(written.recorded_at)),
            number: number.reveal_e164().as_str().to_owned(),
            version: written.version,
        })
    }

    pub(super) async fn write_facts(
        &self,
        permit: &Permit,
        request: v1::UpdateContactRequest,
        clock: Clock,
    ) -> Result<(Number, Written), Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        let facts = request.facts.clone().unwrap_or_default();
        let mask = mask(&mut reader, request.update_mask.as_ref());
        reader.within("facts", |reader| check_facts(reader, &facts, &mask));
        let number = finish(reader, number)?;
        let id = WriteId::new(&request.request_id, &request.encode_to_vec());
        let described = Described { request: audited_write::Request::UpdateContact(request), event: None };
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                already(contact, id)?.map_or_else(
                    || {
                        contact.name(number);
                        let seller = facts.relationship.as_ref().map(|tie| tie.seller.as_str()).unwrap_or_default();
                        let before = Box::new(contact.standing_facts(&mask, seller));
                        Ok(Change::Corrected(contact.update(&facts, &mask, id, receipt, clock.now), before))
                    },
                    Ok,
                )
            })
            .await?;
        Ok((number, written))
    }

    /// Makes the next record and writes it with its event, again and again until it wins or nobody waits any more.
    pub(super) async fn change(
        &self,
        permit: &Permit,
        number: Number,
        clock: Clock,
        described: Described,
        make: &mut Make<'_>,
    ) -> Result<Written, Failure> {
        // An opt-out asks for no switch: it is taken whatever they say.
        let collects = matches!(
            described.request,
            audited_write::Request::RecordConsent(_) | audited_write::Request::UpdateContact(_)
        );
        let (found, ended) = if collects {
            let (found, standing) = self.find_with_switches(permit, number, Some(clock.now)).await?;
            (found, standing.off_boarded_at().is_some())
        } else {
            (self.find(permit, number, Some(clock.now)).await?, false)
        };
        if ended {
            let what = "the tenant's service has ended: nothing is collected any more";
            return Err(Failure::Precondition(Unmet::ServiceEnded, what));
        }
        let target = Target { tag: *found.key.tag(), number: Some(number), found };
        self.change_as(permit, target, None, clock, described, make).await
    }

    /// The same for a record that was found before, with a receipt that was made for the log of its region: where another
    /// request moves the record meanwhile, it is [`Failure::Aborted`].
    pub(super) async fn change_as<'a>(
        &'a self,
        permit: &Permit,
        Target { tag, number, found }: Target<'a>,
        receipt: Option<[u8; 16]>,
        clock: Clock,
        described: Described,
        make: &mut Make<'_>,
    ) -> Result<Written, Failure> {
        self.is_of(permit)?;
        let made_in = found.kept;
        let mut found = found;
        let mut lost = false;
        loop {
            if clock.passed() {
                return Err(if lost { Failure::Aborted } else { Failure::TooLate });
            }
            let Found { kept, key, loaded, arriving } = found;
            kept.log_ready()?;
            let receipt = match receipt {
                None => kept.next_id(clock.now),
                Some(receipt) if std::ptr::eq(kept, made_in) => receipt,
                Some(_) => return Err(Failure::Aborted),
            };
            let begun = loaded.is_some();
            let (expected, mut contact, own) = match loaded {
                Some(Loaded { version, contact, own, .. }) => (version, contact, own),
                None => {
                    let number = number.ok_or(Failure::NotFound("the record is not there any more"))?;
                    (Version::ABSENT, Contact::new(number, clock.now), DataKey::random()?)
                }
            };
            if let Some(number) = number {
                contact.name_again(number);
            }
            let (mut replaced, mut own_event) = (None, None);
            let (recorded_at, heard) = match make(&mut contact, receipt)? {
                Change::Changed(at) => (at, None),
                Change::Found(at, found) => (at, Some(*found)),
                Change::Told(at, event) => {
                    own_event = Some(*event);
                    (at, None)
                }
                Change::Corrected(at, before) => {
                    replaced = Some(*before);
                    (at, None)
                }
                Change::Stands { receipt, recorded_at } => {
                    // Whoever wrote it may never have been told that it is safe.
                    kept.confirm(&key).await?;
                    return Ok(Written { receipt, recorded_at, version: expected.0, repeated: true });
                }
            };
            let belongs = number.map_or(&*kept.name, |number| self.belongs(&contact, number, kept));
            if let (Some(number), false, false) = (number, *belongs == *kept.name, *belongs == *DEFAULT_REGION) {
                // What pins it elsewhere is written there and nowhere else.
                if arriving {
                    // As a plain record it can move on.
                    self.settle(kept, number, clock.now).await?;
                } else {
                    self.relocate_first(number, kept, self.kept(belongs)?, clock.now, !begun).await?;
                }
                found = self.find_moved(number, belongs, clock.now).await?;
                continue;
            }
            let next = expected.next();
            let (event, inbound) = match heard {
                None => (described.event.clone(), None),
                Some(found) => (found.event, Some((found.answer, found.rules_version))),
            };
            let told = Told { inbound, replaced };
            let body = Self::write_body_with(permit, described.request.clone(), next.0, clock.now, told);
            let about = About::from(Kind::Write).of(number);
            let entry = self.contact_entry(about, receipt, clock.now, &key, &own, &body)?;
            // A consent reopens only what somebody closed.
            let reopens = i32::from(v1::OptOutEventKind::Reopened);
            let event = event.filter(|event| event.kind != reopens || contact.has_opt_outs());
            let event = own_event.or(event).map(|event| ContactEvent { recorded_at: recorded_at.millis(), ..event });
            let (kind, payload) =
                self.event_payload(kept, event, &key, &own, (receipt, entry.digest()), clock.now).await?;
            let keys = self.keys.now();
            let write = Write {
                key,
                expected,
                bytes: keys.seal_record(&key, &own, &contact.to_bytes())?,
                expires: None,
                event: entry.event(kind, clock.now, payload),
            };
            match self.swap(kept, write).await? {
                Swapped::Won { event, .. } => {
                    if kind != 0 {
                        self.hub.nudge();
                    }
                    kept.log_swapped(entry, event).await?;
                    if let (false, Some(number)) = (*belongs == *kept.name, number) {
                        self.relocate(number, kept, self.kept(belongs)?, clock.now).await?;
                    }
                    return Ok(Written { receipt, recorded_at, version: next.0, repeated: false });
                }
                Swapped::Lost(winner) => {
                    self.metrics.lost_race();
                    lost = true;
                    found = match self.winner(&key, winner).await? {
                        Won::Here(loaded) => Found { kept, key, loaded, arriving: false },
                        Won::Elsewhere => match number {
                            Some(number) => self.find(permit, number, Some(clock.now)).await?,
                            None => self.find_tagged(made_in, tag, Some((permit, clock.now))).await?,
                        },
                    };
                }
            }
        }
    }
}

/// The number of a request about a record: here, what is no number is a fault.
pub(super) fn number(reader: &mut Reader, text: &str, default_region: &str) -> Option<Number> {
    match question::number(reader, text, default_region) {
        Ok(number) => Some(number),
        Err(crate::place::NumberError::BadRegion) => None,
        Err(error) => {
            reader.fault("number", error.to_string());
            None
        }
    }
}

pub(super) fn finish(reader: Reader, number: Option<Number>) -> Result<Number, Failure> {
    let violations: Vec<Violation> = reader.violations();
    number.filter(|_| violations.is_empty()).ok_or(Failure::Invalid(violations))
}

pub(super) fn receipt_text(receipt: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(receipt).hyphenated().to_string()
}

pub(super) fn request_id(reader: &mut Reader, id: &str) {
    if id.is_empty() {
        reader.fault("request_id", "is required: it makes the same request asked again harmless");
    }
    reader.name("request_id", id, |text| Some(text.len()));
}

pub(super) fn already(contact: &Contact, id: Option<WriteId>) -> Result<Option<Change>, Failure> {
    match contact.seen(id) {
        None => Ok(None),
        Some(Seen::Same { receipt, recorded_at }) => Ok(Some(Change::Stands { receipt, recorded_at })),
        Some(Seen::Other) => Err(Failure::AlreadyExists("this request_id was used for another request")),
    }
}

/// A consent fit to be recorded: one that could never cover anything is refused rather than kept.
fn check_consent(reader: &mut Reader, consent: Option<&v1::Consent>, now: Instant) {
    let Some(message) = consent else {
        reader.fault("consent", "is required");
        return;
    };
    reader.within("consent", |reader| {
        let consent = wire::consent(reader, message);
        if consent.grade.is_none() && message.grade == 0 {
            reader.fault("grade", "is required: how strong it is");
        }
        match consent.given_at {
            None if message.given_at.is_none() => {
                reader.fault("given_at", "is required: a consent without its instant covers nothing");
            }
            Some(given) if given > now => reader.fault("given_at", "lies in the future"),
            _ => {}
        }
        if consent.notice_given == Some(false) {
            reader.fault("notice_given", "without notice before there is no consent, and none is recorded");
        }
        if consent.forced == Some(true) {
            reader.fault("forced", "a forced consent is none and is not recorded");
        }
        if consent.method.is_some_and(|method| !method.can_consent()) {
            reader.fault("method", "a pre-ticked box, silence or mere use is no consent and is not recorded");
        }
    });
}

fn mask(reader: &mut Reader, mask: Option<&crate::proto::well_known::FieldMask>) -> Vec<String> {
    let paths = mask.map(|mask| mask.paths.clone()).unwrap_or_default();
    if paths.is_empty() {
        reader.fault("update_mask", format!("is required: name the facts to change, of {}", FACTS.join(", ")));
    }
    for path in paths.iter().filter(|path| !FACTS.contains(&path.as_str())) {
        reader.fault("update_mask", format!("`{}` is not one of {}", wire::short(path), FACTS.join(", ")));
    }
    paths
}

fn check_facts(reader: &mut Reader, facts: &v1::ContactFacts, mask: &[String]) {
    let named = |field: &str| mask.iter().any(|path| path == field);
    if !facts.residence.is_empty() {
        question::residence(reader, &facts.residence);
    }
    reader.term::<crate::contact::Recipient>("recipient", facts.recipient);
    reader.term::<crate::contact::LegalForm>("legal_form", facts.legal_form);
    reader.term::<crate::place::LineType>("line_type", facts.line_type);
    if let Some(years) = facts.age {
        wire::age(reader, years);
    }
    wire::birth_date(reader, &facts.birth_date);
    if let Some(tie) = &facts.relationship {
        reader.within("relationship", |reader| {
            wire::relationship(reader, tie);
            if tie.seller.is_empty() {
                reader.fault("seller", "is required: with whom");
            }
        });
    } else if named("relationship") {
        reader.fault("relationship", "is named in update_mask but not given");
    }
    reader.each("inconvenient_times", &facts.inconvenient_times, wire::weekly_window);
    if let Some(policy) = &facts.policy {
        reader.within("policy", |reader| wire::policy(reader, policy));
    }
    if let Some(transfer) = &facts.transfer {
        reader.within("transfer", |reader| wire::transfer(reader, transfer));
    }
    crate::contact::answers::read(reader, facts.reassigned.as_ref(), &facts.reassigned_before);
    reader.each("registry_checks", &facts.registry_checks, wire::registry_check);
    reader.instant("last_conversation_at", facts.last_conversation_at.as_ref());
    reader.instant("first_notice_at", facts.first_notice_at.as_ref());
}

/// An outcome that says the attempt was made, or released.
pub(super) const fn releases(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::NotAttempted)
}
