//! A text that the person sent: understood, and recorded as an opt-out where it is a stop; with the one reply permitted.
//!
//! The answer follows from the request, the packs and what the record held before it, so that the same request asked
//! again gets the same answer.

use prost::Message as _;

use super::answer::stamp;
use super::consent::{Change, Described, Inbound, finish, number, receipt_text, request_id};
use super::{Clock, Engine, Failure};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{
    Channel, Contact, Facts, OptOut, OptOutSource, PastAttempt, Purpose, Seen, Seller, Set, Term, WriteId,
};
use crate::law::{Around, Heard, Law, Meaning};
use crate::place::{self, Jurisdiction, Location, LocationPosture, Number};
use crate::proto::store::{ContactEvent, audited_write};
use crate::proto::v1;
use crate::time::Instant;

/// The longest text that is read, in bytes.
const TEXT_BYTES: usize = 8 * 1024;

/// A request, read.
struct Asked<'a> {
    request: &'a v1::ProcessInboundRequest,
    number: Number,
    id: Option<WriteId>,
    /// As told; absent: when it is processed.
    received_at: Option<Instant>,
    law: &'a Law,
}

/// What the record held when the text came.
struct Before {
    /// When it came; never later than it was recorded.
    received_at: Instant,
    facts: Facts,
    places: Vec<Jurisdiction>,
    /// The last text sent to the person: of the seller asked about, where one is.
    last: Option<PastAttempt>,
}

impl Engine {
    /// Reads a text that the person sent. Once a stop is answered, every check sees it (I1).
    ///
    /// # Errors
    /// As [`Engine::record_consent`].
    pub async fn process_inbound(
        &self,
        permit: &Permit,
        request: v1::ProcessInboundRequest,
        clock: Clock,
    ) -> Result<v1::ProcessInboundResponse, Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        if request.text.len() > TEXT_BYTES {
            reader.fault("text", format!("is {} bytes long; at most {TEXT_BYTES} are accepted", request.text.len()));
        }
        let received_at = reader.instant("received_at", request.received_at.as_ref());
        reader.name("sent_to", &request.sent_to, |text| Some(text.len()));
        reader.name("seller", &request.seller, Seller::new);
        let number = finish(reader, number)?;
        let law = self.law();
        let asked = Asked {
            request: &request,
            number,
            id: WriteId::new(&request.request_id, &request.encode_to_vec()),
            received_at,
            law: &law,
        };
        let described = Described { request: audited_write::Request::ProcessInbound(request.clone()), event: None };
        let mut answer = v1::ProcessInboundResponse::default();
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                let (change, found) = asked.answer(contact, receipt, clock.now)?;
                answer = found;
                Ok(change)
            })
            .await?;
        Ok(v1::ProcessInboundResponse {
            receipt_id: receipt_text(written.receipt),
            recorded_at: Some(stamp(written.recorded_at)),
            number: number.reveal_e164().as_str().to_owned(),
            ..answer
        })
    }
}

impl Asked<'_> {
    /// Understands the text, records what it asks for, and says what may be replied. Asked again, nothing is recorded and
    /// the same is said.
    fn answer(
        &self,
        contact: &mut Contact,
        receipt: [u8; 16],
        now: Instant,
    ) -> Result<(Change, v1::ProcessInboundResponse), Failure> {
        let seen = match contact.seen(self.id) {
            None => None,
            Some(Seen::Same { receipt, recorded_at }) => Some((receipt, recorded_at)),
            Some(Seen::Other) => {
                return Err(Failure::AlreadyExists("this request_id was used for another request"));
            }
        };
        let judged_at = seen.map_or(now, |(_, at)| at);
        let recorded_before = seen.map(|(receipt, _)| contact.opt_out_of(receipt));
        let said = recorded_before.iter().flatten().find_map(|(_, opt_out)| opt_out.at?.to_millis());
        let received_at =
            said.map_or_else(|| self.received_at.unwrap_or(judged_at).min(judged_at), Instant::from_millis);
        let before = self.before(contact, received_at, seen.map(|(_, at)| at));
        let mut heard = self.law.hear(&self.request.text, &around(&before, judged_at));
        match &recorded_before {
            // What was recorded then is the answer, whatever the packs say by now.
            Some(Some(_)) if heard.meaning != Meaning::Stop => heard = bare(Meaning::Stop),
            Some(None) if heard.meaning == Meaning::Stop => heard = bare(Meaning::Nothing),
            _ => {}
        }
        let (at, receipt) = match seen {
            Some((receipt, at)) => (at, receipt),
            None if heard.meaning == Meaning::Stop => {
                let scope = self.scope(&before, &heard, now);
                let opt_out = self.opt_out(scope, received_at);
                (contact.add_opt_out(&opt_out, self.id, receipt, now), receipt)
            }
            None => (contact.note(self.id, receipt, now), receipt),
        };
        let recorded = contact.opt_out_of(receipt);
        let answer = v1::ProcessInboundResponse {
            meaning: meaning(heard.meaning).into(),
            matched: heard.matched.to_string(),
            rule_id: heard.rule.as_deref().unwrap_or_default().to_owned(),
            reply: self.reply(&before, &heard, recorded.as_ref(), at),
            opt_out: recorded.map(|(_, opt_out)| opt_out),
            ..v1::ProcessInboundResponse::default()
        };
        let change = match seen {
            Some((receipt, recorded_at)) => Change::Stands { receipt, recorded_at },
            None => Change::Found(at, Box::new(self.found(&answer))),
        };
        Ok((change, answer))
    }

    /// What the record held before the text; of a text seen before, what it held then as far as that shows.
    fn before(&self, contact: &Contact, received_at: Instant, recorded_at: Option<Instant>) -> Before {
        let mut facts = contact.facts(None);
        if let Some(at) = recorded_at {
            facts.opt_outs.retain(|opt_out| opt_out.recorded_at.is_none_or(|recorded| recorded <= at));
            facts.consents.retain(|consent| consent.recorded_at.is_none_or(|recorded| recorded <= at));
        }
        let location = Location { residences: facts.residences.iter().copied().collect(), ..Location::default() };
        let resolved = place::resolve(self.number, &location, LocationPosture::Strictest);
        let places = resolved.map(|found| found.plausible.iter().map(|place| place.jurisdiction).collect());
        let seller = Seller::new(&self.request.seller);
        let texts = facts.attempts.iter().filter(|attempt| {
            attempt.channel.is_none_or(|channel| channel == Channel::Text)
                && (seller.is_none() || attempt.seller.is_none() || attempt.seller == seller)
                // An answer comes after what it answers.
                && attempt.earliest <= received_at
        });
        let last = texts.max_by_key(|attempt| attempt.earliest).cloned();
        Before { received_at, places: places.unwrap_or_default(), last, facts }
    }

    /// What a stop closes: the purpose of the last text, and marketing, of its seller; everything of that seller where that
    /// is unknown, where the words say so, or where the law of the place says so of such a text.
    fn scope(&self, before: &Before, heard: &Heard, at: Instant) -> v1::OptOutScope {
        let terms = self.law.stop_terms(&around(before, at));
        let told = Seller::new(&self.request.seller);
        let seller = told.or_else(|| before.last.as_ref().and_then(|attempt| attempt.seller.clone()));
        let sellers: Vec<String> = seller.iter().map(ToString::to_string).collect();
        let purpose = before.last.as_ref().and_then(|attempt| attempt.purpose);
        // An emergency is what no opt-out closes: it says nothing of what else is meant.
        let narrow = purpose.filter(|purpose| {
            !heard.everything && *purpose != Purpose::Emergency && !terms.everything_after.contains(*purpose)
        });
        match narrow {
            Some(purpose) => {
                // Whoever stops a notice does not want to be sold to (GDPR art. 21(2)-(3)).
                let mut purposes: Vec<i32> = vec![purpose.number().into()];
                purposes.extend((purpose != Purpose::Marketing).then(|| i32::from(Purpose::Marketing.number())));
                v1::OptOutScope { purposes, sellers, ..v1::OptOutScope::default() }
            }
            None => v1::OptOutScope { everything: true, sellers, ..v1::OptOutScope::default() },
        }
    }

    fn opt_out(&self, scope: v1::OptOutScope, received_at: Instant) -> v1::RecordOptOutRequest {
        v1::RecordOptOutRequest {
            scope: Some(scope),
            source: v1::OptOutSource::TextReply.into(),
            at: Some(stamp(received_at)),
            wording: self.request.text.clone(),
            ..v1::RecordOptOutRequest::default()
        }
    }

    /// The one reply permitted: to a request for help always, to a stop once and in time.
    fn reply(
        &self,
        before: &Before,
        heard: &Heard,
        recorded: Option<&(usize, v1::OptOut)>,
        at: Instant,
    ) -> Option<v1::InboundReply> {
        let scope = recorded.and_then(|(_, opt_out)| opt_out.scope.as_ref());
        let told = Some(self.request.seller.as_str()).filter(|seller| !seller.is_empty());
        let seller = match heard.meaning {
            Meaning::Stop => scope.and_then(|scope| scope.sellers.first()).map(String::as_str),
            _ => told.or_else(|| before.last.as_ref().and_then(|last| last.seller.as_ref()).map(Seller::as_str)),
        };
        let text = self.law.wording(heard, seller, &before.places)?;
        if heard.meaning == Meaning::Help {
            return Some(v1::InboundReply { text, send_by: None });
        }
        let within = self.law.stop_terms(&around(before, at)).confirm_within;
        let send_by = within.map(|within| before.received_at.plus(within));
        let confirmed = |earlier: &&OptOut| {
            earlier.source == Some(OptOutSource::TextReply)
                // One that came in too late to be confirmed was not.
                && within.is_none_or(|within| {
                    earlier.at.zip(earlier.recorded_at).is_some_and(|(said, recorded)| recorded <= said.plus(within))
                })
        };
        let (place, _) = recorded?;
        let mut earlier = before.facts.opt_outs.iter().take(*place).filter(confirmed);
        let repeated = earlier.any(|earlier| covers(earlier, scope) && !reopened(&before.facts, earlier));
        let in_time = send_by.is_none_or(|send_by| at <= send_by);
        (in_time && !repeated).then(|| v1::InboundReply { text, send_by: send_by.map(stamp) })
    }

    fn found(&self, answer: &v1::ProcessInboundResponse) -> Inbound {
        let event = answer.opt_out.clone().map(|opt_out| ContactEvent {
            format: 1,
            kind: v1::OptOutEventKind::Closed.into(),
            number: self.number.reveal_digits(),
            sellers: opt_out.scope.iter().flat_map(|scope| scope.sellers.clone()).collect(),
            opt_out: Some(opt_out),
            ..ContactEvent::default()
        });
        Inbound { answer: answer.clone(), rules_version: self.law.version().to_owned(), event }
    }
}

fn around(before: &Before, at: Instant) -> Around<'_> {
    Around {
        places: &before.places,
        last: before.last.as_ref().and_then(|attempt| attempt.purpose),
        had_stopped: !before.facts.opt_outs.is_empty(),
        at,
    }
}

fn bare(meaning: Meaning) -> Heard {
    Heard { meaning, matched: "".into(), rule: None, everything: false }
}

const fn meaning(meaning: Meaning) -> v1::InboundMeaning {
    match meaning {
        Meaning::Nothing => v1::InboundMeaning::Nothing,
        Meaning::Stop => v1::InboundMeaning::Stop,
        Meaning::Start => v1::InboundMeaning::Start,
        Meaning::Help => v1::InboundMeaning::Help,
    }
}

/// Whether an earlier opt-out closed all that this scope closes.
fn covers(earlier: &OptOut, scope: Option<&v1::OptOutScope>) -> bool {
    let Some(scope) = scope else { return false };
    let earlier = &earlier.scope;
    let sellers = earlier.sellers.is_empty()
        || !scope.sellers.is_empty() && scope.sellers.iter().all(|s| earlier.sellers.iter().any(|e| e.as_str() == s));
    let wanted: Set<Purpose> = scope.purposes.iter().filter_map(|number| Purpose::from_number(*number)).collect();
    // One that names only sellers closes what `everything` closes.
    let purposes = earlier.purposes.is_empty()
        || !scope.everything && wanted.iter().all(|purpose| earlier.purposes.contains(purpose));
    let whole = earlier.channels.is_empty() && earlier.subjects.is_empty() && earlier.campaigns.is_empty();
    sellers && purposes && whole
}

/// Whether a consent recorded since may have reopened it: a stop after that is a new one.
fn reopened(facts: &Facts, earlier: &OptOut) -> bool {
    facts.consents.iter().any(|consent| consent.recorded_at.zip(earlier.recorded_at).is_some_and(|(c, o)| c > o))
}
