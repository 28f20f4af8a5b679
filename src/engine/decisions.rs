//! Listing decisions: a page at a time, with bounded work. What stands outside of an entry finds it; the rest of the
//! filters look into the opened body.

use std::collections::BTreeMap;
use std::time::{Duration, Instant as Monotonic};

use prost::Message as _;

use super::answer::stamp;
use super::audited::{Kind, record};
use super::find::Record;
use super::region::Kept;
use super::replay::Unfit;
use super::{Clock, Engine, Failure, Loaded, consent};
use crate::access::Permit;
use crate::audit::{BodyKey, Entry, Found, Log, Order, Select};
use crate::contact::wire::{Reader, Violation};
use crate::contact::{Channel, Purpose, Term as _};
use crate::place::Number;
use crate::proto::{store, v1};
use crate::store::{DataKey, Purpose as Sealed, SealError};
use crate::time::Instant;

/// Decisions on a page: at most, and where the caller does not say.
const PAGE: u32 = 1_000;
const USUAL: u32 = 100;
/// Entries opened for one page at most.
const MOST_OPENED: usize = 20_000;
/// Entries opened at a time: their keys are loaded together.
const AT_ONCE: usize = 256;
/// A page that has grown to so many bytes is full.
const PAGE_BYTES: usize = 8 << 20;
/// Stands in a token for the begin of a log.
const BEGIN: u64 = u64::MAX;
/// A page ends so long before the caller's patience does.
const MARGIN: Duration = Duration::from_millis(500);

/// What a contact's record says of the entries about it.
struct Owner {
    own: DataKey,
    erased_at: Option<Instant>,
}

/// By the tag of the contact.
type Owners = BTreeMap<[u8; 32], Option<Owner>>;

/// The filters that look into a body.
struct Inside<'r> {
    seller: &'r str,
    campaign: &'r str,
    verdict: i32,
    family: i32,
    rule_id: &'r str,
    jurisdiction: String,
    channel: i32,
    purpose: i32,
    dry_runs: bool,
}

impl Inside<'_> {
    /// Whether only what was erased could say.
    fn asks(&self) -> bool {
        let words = [self.seller, self.rule_id, self.jurisdiction.as_str()];
        let terms = [self.verdict, self.family, self.channel, self.purpose];
        words.iter().any(|word| !word.is_empty()) || terms.iter().any(|term| *term != 0)
    }

    fn wants(&self, body: &store::AuditedDecision, decision: &v1::Decision) -> bool {
        let request = body.request.clone().unwrap_or_default();
        let is = |filter: &str, value: &str| filter.is_empty() || filter == value;
        let same = |filter: i32, value: i32| filter == 0 || filter == value;
        let places = &decision.jurisdictions;
        let reason = |wanted: &dyn Fn(&v1::Reason) -> bool| decision.reasons.iter().any(wanted);
        is(self.seller, &request.seller)
            && is(self.campaign, &request.campaign)
            && same(self.channel, request.channel)
            && same(self.purpose, request.purpose)
            && same(self.verdict, decision.verdict)
            && (self.dry_runs || !request.dry_run)
            && (self.family == 0 || reason(&|reason| reason.family == self.family))
            && (self.rule_id.is_empty() || reason(&|reason| reason.rule_id == self.rule_id))
            && (self.jurisdiction.is_empty() || places.contains(&self.jurisdiction))
    }
}

impl Engine {
    /// One page of decisions, numbers masked.
    ///
    /// # Errors
    /// A faulty request; a token of other filters; the log, its keys or its archive cannot be read.
    pub async fn decisions(
        &self,
        permit: &Permit,
        request: &v1::ListDecisionsRequest,
        clock: Clock,
    ) -> Result<v1::ListDecisionsResponse, Failure> {
        let (mut select, inside, size) = self.read_listing(request)?;
        let context = context(permit, request);
        let logs = self.logs()?;
        let (mut at, after) = self.place_of(&logs, &request.page_token, &context).await?;
        select.after = after;
        let (mut page, mut opened, mut bytes) = (v1::ListDecisionsResponse::default(), 0, 0);
        while let Some((kept, log)) = logs.get(at).copied() {
            let selected = log.select(select.clone()).await?;
            let mut next = selected.resume;
            let owners = self.owners(kept, &selected.found).await?;
            let mut rest = selected.found.len();
            for found in selected.found {
                opened += 1;
                rest -= 1;
                let seq = found.seq;
                if let Some(record) = self.listed(permit, (kept, log), found, &owners, &inside).await? {
                    bytes += record.encoded_len();
                    page.records.push(record);
                }
                if page.records.len() >= size || bytes >= PAGE_BYTES {
                    // Full with the very last one there is: no token for a page of nothing.
                    next = next.filter(|_| rest == 0).or((rest > 0).then_some(seq));
                    break;
                }
            }
            let full = page.records.len() >= size || bytes >= PAGE_BYTES || opened >= MOST_OPENED || late(clock);
            select.after = next;
            if next.is_none() {
                at += 1;
            }
            match logs.get(at) {
                Some((_, log)) if full => {
                    page.next_page_token = self.token(log, next, &context)?;
                    return Ok(page);
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(page)
    }

    /// The logs that there are: with regions each has one, and none of them may be away, since a list that leaves some out
    /// looks like a whole one.
    fn logs(&self) -> Result<Vec<(&Kept, &Log)>, Failure> {
        let kept = self.all_kept().into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(kept.into_iter().filter_map(|kept| Some((kept, &**kept.log.as_ref()?))).collect())
    }

    fn read_listing<'r>(&self, request: &'r v1::ListDecisionsRequest) -> Result<(Select, Inside<'r>, usize), Failure> {
        let mut reader = Reader::new();
        let number = match request.number.as_str() {
            "" => None,
            text => consent::number(&mut reader, text, &request.default_region),
        };
        let from = reader.instant("from", request.from.as_ref());
        let until = reader.instant("until", request.until.as_ref());
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            reader.fault("until", "lies before from");
        }
        for (field, text) in
            [("seller", &request.seller), ("campaign", &request.campaign), ("rule_id", &request.rule_id)]
        {
            let _: Option<()> = reader.name(field, text, |_| None);
        }
        let jurisdiction = reader.jurisdiction("jurisdiction", &request.jurisdiction);
        let channel = reader.term::<Channel>("channel", request.channel);
        let purpose = reader.term::<Purpose>("purpose", request.purpose);
        let mut known = |field: &str, known: bool| {
            if !known {
                reader.fault(field, "is no value of this contract");
            }
        };
        known("verdict", v1::Verdict::try_from(request.verdict).is_ok());
        known("family", v1::RuleFamily::try_from(request.family).is_ok());
        known("kind", v1::DecisionKind::try_from(request.kind).is_ok());
        known("order", v1::ListOrder::try_from(request.order).is_ok());
        if request.page_size > PAGE {
            reader.fault("page_size", format!("is more than the {PAGE} that a page has at most"));
        }
        let violations = reader.violations();
        if !violations.is_empty() {
            return Err(Failure::Invalid(violations));
        }
        let millis = |at: Option<Instant>| at.map(|at| u64::try_from(at.millis()).unwrap_or(0));
        let inside = Inside {
            seller: &request.seller,
            campaign: &request.campaign,
            verdict: request.verdict,
            family: request.family,
            rule_id: &request.rule_id,
            jurisdiction: jurisdiction.map(|place| place.to_string()).unwrap_or_default(),
            channel: channel.map_or(0, |channel| i32::from(channel.number())),
            purpose: purpose.map_or(0, |purpose| i32::from(purpose.number())),
            dry_runs: request.dry_runs,
        };
        let campaign =
            (!request.campaign.is_empty()).then(|| self.keys.now().campaign(&self.main.tenant, &request.campaign));
        let size = if request.page_size == 0 { USUAL } else { request.page_size } as usize;
        let select = Select {
            tag: number.map(|number| *self.keys.now().tag(&self.main.tenant, number.reveal_e164().as_str()).tag()),
            campaign,
            millis: millis(from).unwrap_or(0)..=millis(until).map_or(u64::MAX, |until| until.saturating_sub(1)),
            kinds: match request.kind() {
                v1::DecisionKind::Unspecified => vec![Kind::Reservation as u8, Kind::Answer as u8],
                v1::DecisionKind::Reservation => vec![Kind::Reservation as u8],
                v1::DecisionKind::Answer => vec![Kind::Answer as u8],
            },
            order: match request.order() {
                v1::ListOrder::OldestFirst => Order::OldestFirst,
                v1::ListOrder::NewestFirst | v1::ListOrder::Unspecified => Order::NewestFirst,
            },
            after: None,
            most: AT_ONCE.min(size),
        };
        Ok((select, inside, size))
    }

    /// What the records say of the contacts that these entries are about; `None` where there is no record. Contacts that
    /// moved to another region, or are on their way, are left out: their records are there.
    async fn owners(&self, kept: &Kept, found: &[Found]) -> Result<Owners, Failure> {
        let mut tags: Vec<_> = found.iter().filter_map(|one| one.entry.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        let known = self.keys.now();
        let keys: Vec<_> = tags.iter().map(|tag| known.key_of(&kept.tenant, *tag)).collect();
        let stored = kept.ask(|store| store.load_many(&keys)).await?;
        let mut owners = BTreeMap::new();
        for ((tag, key), stored) in tags.into_iter().zip(&keys).zip(stored) {
            let record = match stored {
                Some(stored) => Some(self.open(key, &stored).await?),
                None => None,
            };
            match record {
                None => drop(owners.insert(tag, None)),
                Some(Record::Here(Loaded { contact, own, .. })) => {
                    owners.insert(tag, Some(Owner { own, erased_at: contact.erased_at() }));
                }
                Some(Record::Elsewhere(..) | Record::Arriving(..)) => {}
            }
        }
        Ok(owners)
    }

    /// The record of an entry if it is wanted.
    async fn listed(
        &self,
        permit: &Permit,
        (kept, log): (&Kept, &Log),
        found: Found,
        owners: &Owners,
        inside: &Inside<'_>,
    ) -> Result<Option<v1::DecisionRecord>, Failure> {
        let Found { seq, entry } = found;
        if entry.tenant != permit.tenant() {
            return Ok(None);
        }
        let position = v1::LogPosition {
            writer: log.writer().to_string(),
            sequence: seq,
            digest: entry.encode().digest().to_vec(),
            recorded_at: Some(stamp(entry.at)),
        };
        let Some(plain) = self.body_of(kept, &entry, owners).await? else {
            let decision = v1::Decision {
                decision_id: entry.id.to_string(),
                evaluated_at: Some(stamp(entry.at)),
                ..v1::Decision::default()
            };
            let erased = v1::DecisionRecord {
                decision: Some(decision),
                position: Some(position),
                erased: true,
                ..v1::DecisionRecord::default()
            };
            return Ok((!inside.asks()).then_some(erased));
        };
        let unreadable = |error: prost::DecodeError| Failure::Internal(error.to_string());
        let body = store::AuditBody::decode(plain.as_slice()).map_err(unreadable)?;
        let Some(store::audit_body::Body::Decision(body)) = body.body else { return Ok(None) };
        let decision = v1::Decision::decode(body.decision.as_slice()).map_err(unreadable)?;
        if !inside.wants(&body, &decision) {
            return Ok(None);
        }
        Ok(Some(masked(record(body, decision, Some(position)))))
    }

    /// The body of an entry about one of these contacts; `None`: erased. As `open_body` has it, for many at a time.
    async fn body_of(&self, kept: &Kept, entry: &Entry, owners: &Owners) -> Result<Option<Vec<u8>>, Failure> {
        let context = entry.id.bytes();
        let owner = entry.tag.and_then(|tag| owners.get(&tag)).and_then(Option::as_ref);
        let erased_at = owner.and_then(|owner| owner.erased_at);
        let elsewhere = entry.tag.is_some_and(|tag| !owners.contains_key(&tag));
        let opened = match (entry.key, owner) {
            (BodyKey::Contact, Some(owner)) => owner.own.open(Sealed::AuditBody, &context, &entry.body),
            // Not shown any more, though the key is there for the others of that day.
            (BodyKey::Day(_), _) if erased_at.is_some_and(|erased| entry.at <= erased) => return Ok(None),
            (BodyKey::Day(day), _) if !elsewhere => match self.find_day_key(kept, day).await? {
                Some(key) => key.open(Sealed::AuditBody, &context, &entry.body),
                None => return Ok(None),
            },
            _ => {
                return match self.open_body(kept, entry).await? {
                    Ok(body) => Ok(Some(body)),
                    Err(Unfit::Erased) => Ok(None),
                    Err(Unfit::UnknownKey(id)) => Err(SealError::UnknownKey(id).into()),
                    Err(why) => Err(Failure::Internal(why.to_string())),
                };
            }
        };
        match opened {
            // Sealed under the key that the erasure destroyed.
            Err(SealError::Damaged) if entry.key == BodyKey::Contact && erased_at.is_some() => Ok(None),
            opened => Ok(Some(opened?)),
        }
    }

    /// Names the next entry of a log, or its begin.
    fn token(&self, log: &Log, after: Option<u64>, context: &[u8]) -> Result<String, Failure> {
        // No entry has the number that stands for the begin: a log would have to be full.
        let plain = [after.unwrap_or(BEGIN).to_le_bytes().as_slice(), &log.writer().0.to_le_bytes()].concat();
        let sealed = self.keys.now().seal_bytes(Sealed::Meta, context, &plain)?;
        Ok(sealed.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The log, and the place in it, that a token names.
    async fn place_of(
        &self,
        logs: &[(&Kept, &Log)],
        token: &str,
        context: &[u8],
    ) -> Result<(usize, Option<u64>), Failure> {
        if token.is_empty() {
            return Ok((0, None));
        }
        let fault = |message: &str| {
            Failure::Invalid(vec![Violation { field: "page_token".to_owned(), message: message.to_owned() }])
        };
        let plain = match unhex(token) {
            Some(sealed) => self.keys.open_bytes(Sealed::Meta, context, &sealed).await.ok(),
            None => None,
        };
        let parts = plain.as_deref().and_then(|plain| plain.split_first_chunk::<8>());
        let Some((seq, writer)) = parts else {
            return Err(fault("is not the next_page_token of a page with these filters: ask for the first page again"));
        };
        let Some(at) = logs.iter().position(|(_, log)| writer == log.writer().0.to_le_bytes()) else {
            return Err(fault("is of the log of another server: every server lists its own; ask that one"));
        };
        let seq = u64::from_le_bytes(*seq);
        Ok((at, (seq != BEGIN).then_some(seq)))
    }
}

fn late(clock: Clock) -> bool {
    clock.deadline.is_some_and(|deadline| Monotonic::now() + MARGIN >= deadline)
}

/// What a token is bound to.
fn context(permit: &Permit, request: &v1::ListDecisionsRequest) -> Vec<u8> {
    let mut filters = request.clone();
    filters.page_token.clear();
    filters.page_size = 0;
    let tenant = permit.tenant().as_bytes();
    [b"ListDecisions\0", tenant, b"\0", filters.encode_to_vec().as_slice()].concat()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Without whole numbers, and without what may be long.
fn masked(mut record: v1::DecisionRecord) -> v1::DecisionRecord {
    record.stored = None;
    if let Some(request) = &mut record.request {
        request.number = shown(&request.number);
        request.caller_id = shown(&request.caller_id);
        request.evidence = None;
    }
    if let Some(decision) = &mut record.decision {
        decision.number = shown(&decision.number);
    }
    record
}

/// A number as people may see it; of what is none, no digit.
fn shown(text: &str) -> String {
    match Number::parse(text, None) {
        _ if text.is_empty() => String::new(),
        Ok(number) => number.to_string(),
        Err(_) => text.chars().map(|c| if c.is_ascii_digit() { '•' } else { c }).collect(),
    }
}
