//! Erasure: nothing readable is left, in any file and in no spelling; what suppresses stays; holds are respected.

use std::path::Path;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::audit::{Expect, verify};
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1::{
    self, ErasureReason as Why, RightsRequestKind as Kind, RightsRequestState as State, Verdict,
};

use super::support::{DAY, clock, durable, engine, florida, opt_out, permit, stamp};
use super::{
    NUMBER, Step, check, dry, fields, kept, listed, notice, opened, request as request_of, rules, shown, step, verified,
};

const WORDING: &str = "Yes, acme may call me about my roof in Tulip Lane";
const NAME: &str = "Marguerite Yourcenar";

pub fn erase(number: &str, id: &str) -> v1::EraseContactRequest {
    v1::EraseContactRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        reason: Why::Requested.into(),
        identity_verified_by: "called back on this number, by ann".to_owned(),
        ..Default::default()
    }
}

pub async fn erased(engine: &Engine, request: v1::EraseContactRequest) -> v1::EraseContactResponse {
    engine.erase_contact(&permit(Role::Privacy), request, clock(DAY)).await.unwrap()
}

fn consent(number: &str, id: &str, given: &str) -> v1::RecordConsentRequest {
    v1::RecordConsentRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        consent: Some(v1::Consent {
            grade: v1::ConsentGrade::ExpressWritten.into(),
            given_at: stamp(given),
            wording: WORDING.to_owned(),
            evidence_ref: "form-1".to_owned(),
            ..Default::default()
        }),
        person: NAME.to_owned(),
        ..Default::default()
    }
}

/// A contact with a bit of everything.
pub async fn live(engine: &Engine, number: &str) -> Vec<String> {
    let write = permit(Role::WriteConsent);
    engine.record_consent(&write, consent(number, "c-1", "2026-06-01T10:00:00Z"), clock(DAY)).await.unwrap();
    let facts = v1::UpdateContactRequest {
        number: number.to_owned(),
        request_id: "u-1".to_owned(),
        facts: Some(v1::ContactFacts { birth_date: "1971-02-03".to_owned(), ..Default::default() }),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["birth_date".to_owned()] }),
        ..Default::default()
    };
    engine.update_contact(&write, facts, clock(DAY)).await.unwrap();
    let mut decisions = Vec::new();
    for index in 0..3 {
        let asked = v1::CheckRequest { attempt_id: format!("{NAME} {index}"), ..florida(number) };
        let decision = check(engine, asked).await;
        assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
        decisions.push(decision.decision_id);
    }
    let said = v1::RecordOptOutRequest {
        wording: format!("{NAME} wants no texts"),
        scope: Some(v1::OptOutScope { channels: vec![v1::Channel::Text.into()], ..Default::default() }),
        ..opt_out(number, "s-1")
    };
    engine.record_opt_out(&write, said, clock(DAY)).await.unwrap();
    decisions
}

/// Every file below a folder, with its bytes.
pub fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((path.display().to_string(), std::fs::read(&path).unwrap())),
        }
    }
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// The number in every form in which something might have written it, and the words.
pub fn spellings(number: &str) -> Vec<Vec<u8>> {
    let digits = number.trim_start_matches('+');
    let value: u64 = digits.parse().unwrap();
    let national = &digits[1..];
    let mut varint = Vec::new();
    prost::encoding::encode_varint(value, &mut varint);
    let utf16: Vec<u8> = digits.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bcd: Vec<u8> =
        format!("0{digits}").as_bytes().chunks(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect();
    let swapped: Vec<u8> =
        format!("{digits}0").as_bytes().chunks(2).map(|pair| (pair[1] - b'0') << 4 | (pair[0] - b'0')).collect();
    let dashed = format!("{}-{}-{}", &national[..3], &national[3..6], &national[6..]);
    let spaced = format!("({}) {}-{}", &national[..3], &national[3..6], &national[6..]);
    let reversed: String = digits.chars().rev().collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes();
    vec![
        digits.as_bytes().to_vec(),
        national.as_bytes().to_vec(),
        dashed.into_bytes(),
        spaced.into_bytes(),
        reversed.into_bytes(),
        value.to_le_bytes()[..6].to_vec(),
        value.to_be_bytes()[2..].to_vec(),
        varint,
        utf16,
        bcd,
        swapped,
        hex(digits.as_bytes()),
        hex(&value.to_be_bytes()[2..]),
        WORDING.as_bytes().to_vec(),
        NAME.as_bytes().to_vec(),
        b"Tulip Lane".to_vec(),
        b"Yourcenar".to_vec(),
        b"1971-02-03".to_vec(),
    ]
}

#[tokio::test]
async fn nothing_readable_is_left_in_any_file_and_the_old_key_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let keys_file;
    let wrapped;
    let decisions;
    {
        let durable = durable(folder.path()).await;
        decisions = live(&durable.engine, NUMBER).await;
        // Other contacts stay.
        live(&durable.engine, "+13055550199").await;
        let request = verified(&durable.engine, NUMBER, Kind::Erasure, "r-1").await;
        // The sealed own key, as the store has it now.
        let before: Vec<_> = durable.store.scan(None, 100).await.unwrap();
        wrapped = before.iter().map(|(key, record)| (*key, record.bytes[..65].to_vec())).collect::<Vec<_>>();
        let asked =
            v1::EraseContactRequest { rights_request_id: request.rights_request_id.clone(), ..erase(NUMBER, "x-1") };
        let answer = erased(&durable.engine, asked.clone()).await;
        assert!(answer.erased_at.is_some() && answer.holds.is_empty());
        assert_eq!((answer.kept_opt_outs, answer.kept_attempts), (2, 3));
        assert_eq!(erased(&durable.engine, asked).await, answer, "the same asked again");
        assert!(durable.engine.drop_erased(true).await.unwrap());
        assert!(!durable.engine.drop_erased(true).await.unwrap(), "done once");
        // Old entries no longer open; others do.
        let audit = permit(Role::Audit);
        for id in &decisions {
            let record = durable.engine.decision(&audit, id, crate::support::READ_AT).await.unwrap();
            assert!(record.erased && record.decision.is_none() && record.request.is_none() && record.stored.is_none());
            assert!(record.position.is_some());
        }
        let done = shown(&durable.engine, &request.rights_request_id).await;
        assert_eq!((done.state(), done.number.as_str(), done.identity_verified_by.as_str()), (State::Done, "", ""));
        durable.reconciler.tick(super::support::at(DAY)).await.unwrap();
        keys_file = std::fs::read(folder.path().join("keys")).unwrap();
        assert!(!keys_file.is_empty());
        let after: Vec<_> = durable.store.scan(None, 100).await.unwrap();
        let gone: Vec<_> = wrapped
            .iter()
            .filter(|(key, head)| after.iter().any(|(k, record)| k == key && record.bytes[..65] != head[..]))
            .map(|(_, head)| head.clone())
            .collect();
        assert!(!gone.is_empty());
        let mut found = Vec::new();
        files(&folder.path().join("data"), &mut found);
        assert!(found.iter().any(|(path, bytes)| path.ends_with("store.redb") && bytes.len() > 10_000));
        for (path, bytes) in &found {
            for spelling in spellings(NUMBER) {
                assert!(!contains(bytes, &spelling), "{path} holds {spelling:?}");
            }
            for head in &gone {
                assert!(!contains(bytes, head), "{path} holds the sealed old key");
            }
        }
    }
    // After a restart it is all the same, and the log verifies.
    let durable = durable(folder.path()).await;
    let record = durable.engine.decision(&permit(Role::Audit), &decisions[0], crate::support::READ_AT).await.unwrap();
    assert!(record.erased);
    let report = verify(&folder.path().join("data/audit"), &Expect::default()).unwrap();
    assert!(report.bad.is_none(), "{report:?}");
    let contact = kept(&durable.engine, NUMBER).await.unwrap();
    assert!(contact.erased_at.is_some() && contact.consents.is_empty() && contact.dated_facts.is_empty());
    let text = String::from_utf8_lossy(&contact.encode_to_vec()).into_owned();
    assert!(!text.contains("Yourcenar") && !text.contains("acme") && !text.contains("renewal"), "{text}");
}

#[tokio::test]
async fn what_suppresses_stays_and_only_a_new_consent_with_its_proof_reopens() {
    let engine = engine();
    live(&engine, NUMBER).await;
    erased(&engine, erase(NUMBER, "x-1")).await;
    let denied = check(&engine, dry(NUMBER)).await;
    assert!(
        rules(&denied).iter().any(|rule| rule.contains("dnc.internal") || *rule == "ringfence.opt_out"),
        "{:?}",
        rules(&denied)
    );
    // The opt-out of texts is kept as it was.
    let text = v1::CheckRequest { channel: v1::Channel::Text.into(), ..dry(NUMBER) };
    assert_eq!(check(&engine, text).await.verdict(), Verdict::Deny);
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Allow, "no notice was refused");
    let write = permit(Role::WriteConsent);
    // A retry of what was recorded before brings nothing back.
    let again =
        engine.record_consent(&write, consent(NUMBER, "c-1", "2026-06-01T10:00:00Z"), clock(DAY)).await.unwrap();
    assert!(!again.receipt_id.is_empty());
    let old = engine.record_consent(&write, consent(NUMBER, "c-2", "2026-06-01T10:00:00Z"), clock(DAY)).await;
    assert!(old.is_ok());
    assert_eq!(check(&engine, dry(NUMBER)).await.verdict(), Verdict::Deny, "a consent from before");
    let later = "2026-11-18T16:30:00Z";
    let fresh = engine.record_consent(&write, consent(NUMBER, "c-3", later), clock("2026-11-18T17:00:00Z")).await;
    assert!(fresh.is_ok());
    let asked = v1::CheckRequest { dry_run: true, ..florida(NUMBER) };
    let now = clock("2026-11-18T17:30:00Z");
    let decision = engine.check(&permit(Role::Check), asked, now).await.unwrap();
    assert!(
        !rules(&decision).iter().any(|rule| rule.contains("opt_out") || rule.contains("dnc.internal")),
        "{:?}",
        rules(&decision)
    );
    // Three attempts from before the erasure still count: Florida allows no fourth that day.
    assert!(rules(&decision).contains(&"us.fl.cap"), "{:?}", rules(&decision));
}

#[tokio::test]
async fn a_name_that_narrowed_an_opt_out_is_gone_and_it_reaches_further() {
    for scope in [
        v1::OptOutScope { subjects: vec!["case 4711 of Yourcenar".to_owned()], ..Default::default() },
        v1::OptOutScope { campaigns: vec!["widows of Yourcenar".to_owned()], ..Default::default() },
    ] {
        narrowed(scope).await;
    }
}

async fn narrowed(scope: v1::OptOutScope) {
    let engine = engine();
    let said = v1::RecordOptOutRequest { scope: Some(scope), ..opt_out(NUMBER, "s-1") };
    engine.record_opt_out(&permit(Role::WriteConsent), said, clock(DAY)).await.unwrap();
    let other = v1::CheckRequest { subject: "another".to_owned(), campaign: "another".to_owned(), ..notice(NUMBER) };
    assert_eq!(check(&engine, other.clone()).await.verdict(), Verdict::Allow);
    erased(&engine, erase(NUMBER, "x-1")).await;
    assert_eq!(check(&engine, other).await.verdict(), Verdict::Deny, "wider, never narrower");
    let contact = kept(&engine, NUMBER).await.unwrap();
    let mut scopes = contact.opt_outs.iter().map(|one| one.opt_out.as_ref().unwrap().scope.as_ref().unwrap());
    assert!(scopes.all(|scope| scope.subjects.is_empty() && scope.campaigns.is_empty()));
}

#[tokio::test]
async fn somebody_unknown_can_be_erased_and_stays_suppressed() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let denied = check(&durable.engine, dry(NUMBER)).await;
    let answer = erased(&durable.engine, erase(NUMBER, "x-1")).await;
    assert_eq!((answer.kept_opt_outs, answer.kept_attempts), (1, 0));
    assert_eq!(check(&durable.engine, dry(NUMBER)).await.verdict(), Verdict::Deny);
    // What a key of the day sealed about the number before is not shown any more.
    let record =
        durable.engine.decision(&permit(Role::Audit), &denied.decision_id, crate::support::READ_AT).await.unwrap();
    assert!(record.erased && record.request.is_none());
}

/// What forbids contact and names nobody outlives the person's data: an erasure must not let anything be allowed.
#[tokio::test]
async fn list_entries_a_number_that_changed_hands_and_closed_times_stay() {
    let engine = engine();
    let hit = v1::RegistryCheck {
        registry: "us.dnc.national".to_owned(),
        listed: Some(true),
        checked_at: stamp(DAY),
        ..Default::default()
    };
    let clean = v1::RegistryCheck { registry: "us.dnc.fl".to_owned(), listed: Some(false), ..hit.clone() };
    let paths = ["registry_checks", "reassigned", "last_conversation_at"].map(str::to_owned).to_vec();
    let facts = v1::ContactFacts {
        registry_checks: vec![hit.clone(), clean],
        reassigned: Some(v1::Reassigned {
            checked_at: stamp(DAY),
            answer: v1::ReassignedAnswer::Yes.into(),
            ..Default::default()
        }),
        last_conversation_at: stamp(DAY),
        ..Default::default()
    };
    let update = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u-1".to_owned(),
        facts: Some(facts),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths }),
        ..Default::default()
    };
    engine.update_contact(&permit(Role::WriteConsent), update, clock(DAY)).await.unwrap();
    // Asked with a clean look at both lists: the stored hit denies all the same.
    assert!(rules(&check(&engine, dry(NUMBER)).await).iter().any(|rule| rule.starts_with("us.dnc")));
    erased(&engine, erase(NUMBER, "x-1")).await;
    assert!(rules(&check(&engine, dry(NUMBER)).await).iter().any(|rule| rule.starts_with("us.dnc")));
    let kept = kept(&engine, NUMBER).await.unwrap();
    assert_eq!(kept.registry_checks, [hit], "what loosens is gone");
    assert!(kept.reassigned.is_some() && kept.last_conversation_at.is_some());
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_changes_nothing() {
    let engine = engine();
    live(&engine, NUMBER).await;
    let before = kept(&engine, NUMBER).await.unwrap();
    let answer = erased(&engine, v1::EraseContactRequest { dry_run: true, ..erase(NUMBER, "x-1") }).await;
    assert_eq!((answer.kept_opt_outs, answer.kept_attempts), (2, 3));
    assert!(answer.erased_at.is_none() && answer.receipt_id.is_empty());
    assert_eq!(kept(&engine, NUMBER).await.unwrap(), before);
}

fn hold(class: &str, id: &str, until: Option<&str>) -> v1::PlaceHoldRequest {
    v1::PlaceHoldRequest {
        number: NUMBER.to_owned(),
        request_id: id.to_owned(),
        record_class: class.to_owned(),
        until: until.and_then(stamp),
        reason: "A claim is pending.".to_owned(),
        citation: "GDPR art. 17(3)(e)".to_owned(),
        who: "legal".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_hold_on_everything_puts_the_erasure_off_and_stops_all_use() {
    let engine = engine();
    live(&engine, NUMBER).await;
    let privacy = permit(Role::Privacy);
    let placed = engine.place_hold(&privacy, hold("decisions", "h-1", None), clock(DAY)).await.unwrap();
    let request = verified(&engine, NUMBER, Kind::Erasure, "r-1").await;
    let asked =
        v1::EraseContactRequest { rights_request_id: request.rights_request_id.clone(), ..erase(NUMBER, "x-1") };
    let answer = erased(&engine, asked.clone()).await;
    assert!(answer.erased_at.is_none() && !answer.receipt_id.is_empty());
    assert_eq!(answer.holds.len(), 1);
    assert_eq!(answer.holds[0].citation, "GDPR art. 17(3)(e)");
    assert_eq!(erased(&engine, asked).await, answer);
    assert!(rules(&check(&engine, notice(NUMBER)).await).contains(&"ringfence.restriction"));
    let open = listed(&engine, v1::ListRequestsRequest { state: State::Open.into(), ..Default::default() }).await;
    assert_eq!(open.requests.len(), 1, "the request waits");
    // A restriction asked for besides, and lifted, does not end what the erasure that waits has stopped.
    let besides = opened(&engine, request_of(NUMBER, Kind::Restriction, "r-2")).await.rights_request_id;
    step(&engine, &besides, Step::LiftRestriction, "Settled; told by letter.").await.unwrap();
    assert!(rules(&check(&engine, notice(NUMBER)).await).contains(&"ringfence.restriction"));
    let hold_id = placed.hold.unwrap().hold_id;
    let lift = |id: &str| v1::LiftHoldRequest {
        number: NUMBER.to_owned(),
        request_id: id.to_owned(),
        hold_id: hold_id.clone(),
        who: "legal".to_owned(),
        why: "Settled.".to_owned(),
        ..Default::default()
    };
    engine.lift_hold(&privacy, lift("l-1"), clock(DAY)).await.unwrap();
    engine.lift_hold(&privacy, lift("l-1"), clock(DAY)).await.unwrap();
    assert!(matches!(engine.lift_hold(&privacy, lift("l-2"), clock(DAY)).await, Err(Failure::NotFound(_))));
    let asked = v1::EraseContactRequest { rights_request_id: request.rights_request_id, ..erase(NUMBER, "x-2") };
    assert!(erased(&engine, asked).await.erased_at.is_some());
}

/// Those who follow opt-outs are told as much as checks deny: everything, and not marketing alone.
#[tokio::test]
async fn an_erasure_put_off_is_told_as_wide_as_it_stops() {
    let engine = engine();
    live(&engine, NUMBER).await;
    engine.place_hold(&permit(Role::Privacy), hold("decisions", "h-1", None), clock(DAY)).await.unwrap();
    let child = v1::EraseContactRequest { reason: Why::Child.into(), ..erase(NUMBER, "x-1") };
    assert!(erased(&engine, child).await.erased_at.is_none());
    let debt = v1::CheckRequest { purpose: v1::Purpose::DebtCollection.into(), ..notice(NUMBER) };
    assert!(rules(&check(&engine, debt).await).contains(&"ringfence.restriction"));
    let told = super::told(&engine).await.pop().unwrap();
    assert_eq!((told.kind(), told.number.as_str()), (v1::OptOutEventKind::Closed, NUMBER));
    let said = told.opt_out.unwrap();
    assert!(said.scope.as_ref().unwrap().everything, "a dialer that follows events stops its notices too");
    assert_eq!(said.source(), v1::OptOutSource::RightsRequest);
}

/// An erasure that no request asks for, put off, outlives every restriction that is lifted, and ends with the erasure.
#[tokio::test]
async fn what_an_erasure_that_waits_has_stopped_no_request_opens_again() {
    let engine = engine();
    live(&engine, NUMBER).await;
    let privacy = permit(Role::Privacy);
    engine.place_hold(&privacy, hold("decisions", "h-1", Some("2027-01-01T00:00:00Z")), clock(DAY)).await.unwrap();
    let child = v1::EraseContactRequest { reason: Why::Child.into(), ..erase(NUMBER, "x-1") };
    assert!(erased(&engine, child.clone()).await.erased_at.is_none());
    let stopped = async || rules(&check(&engine, notice(NUMBER)).await).contains(&"ringfence.restriction");
    assert!(stopped().await);
    // Neither a restriction that is lifted, nor an erasure that was asked for and refused.
    let besides = opened(&engine, request_of(NUMBER, Kind::Restriction, "r-1")).await.rights_request_id;
    step(&engine, &besides, Step::LiftRestriction, "Settled; told by letter.").await.unwrap();
    assert!(stopped().await, "the erasure waits");
    let asked = verified(&engine, NUMBER, Kind::Erasure, "r-2").await.rights_request_id;
    let named = v1::EraseContactRequest { rights_request_id: asked.clone(), ..erase(NUMBER, "x-2") };
    assert!(erased(&engine, named).await.erased_at.is_none());
    step(&engine, &asked, Step::Refuse, "").await.unwrap();
    step(&engine, &asked, Step::LiftRestriction, "Not the person's own number.").await.unwrap();
    assert!(stopped().await, "the other erasure still waits");
    let later = clock("2027-01-02T00:00:00Z");
    let done = engine.erase_contact(&privacy, erase(NUMBER, "x-3"), later).await.unwrap();
    assert!(done.erased_at.is_some());
    assert!(kept(&engine, NUMBER).await.unwrap().consents.is_empty());
}

/// A request that a hold kept open is closed by the sweep that erases; a restriction of its own goes on.
#[tokio::test]
async fn a_sweep_after_the_hold_erases_and_closes_the_request() {
    let engine = engine();
    live(&engine, NUMBER).await;
    let privacy = permit(Role::Privacy);
    engine.place_hold(&privacy, hold("decisions", "h-1", Some("2027-01-01T00:00:00Z")), clock(DAY)).await.unwrap();
    let asked = verified(&engine, NUMBER, Kind::Erasure, "r-1").await.rights_request_id;
    let besides = opened(&engine, request_of(NUMBER, Kind::Restriction, "r-2")).await.rights_request_id;
    let named = v1::EraseContactRequest { rights_request_id: asked.clone(), ..erase(NUMBER, "x-1") };
    assert!(erased(&engine, named).await.erased_at.is_none());
    let sweep = async |now| {
        let request = v1::SweepContactsRequest::default();
        engine.sweep_contacts(&permit(Role::Control), &request, clock(now)).await.unwrap().erasures_done
    };
    assert_eq!((sweep("2026-12-31T23:59:59Z").await, sweep("2027-01-01T00:00:00Z").await), (0, 1));
    assert_eq!(shown(&engine, &asked).await.state(), State::Done);
    let left = kept(&engine, NUMBER).await.unwrap();
    assert!(left.erased_at.is_some() && left.consents.is_empty());
    assert!(left.restricted_at.is_some(), "that was asked for by itself");
    step(&engine, &besides, Step::LiftRestriction, "Settled; told by letter.").await.unwrap();
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Allow);
}

/// Where the one request that an erasure was to answer is refused, its restriction can be lifted.
#[tokio::test]
async fn an_erasure_that_is_refused_while_it_waits_restricts_only_until_that_is_lifted() {
    let engine = engine();
    live(&engine, NUMBER).await;
    engine.place_hold(&permit(Role::Privacy), hold("decisions", "h-1", None), clock(DAY)).await.unwrap();
    let asked = verified(&engine, NUMBER, Kind::Erasure, "r-1").await.rights_request_id;
    let named = v1::EraseContactRequest { rights_request_id: asked.clone(), ..erase(NUMBER, "x-1") };
    erased(&engine, named).await;
    step(&engine, &asked, Step::Refuse, "").await.unwrap();
    assert!(rules(&check(&engine, notice(NUMBER)).await).contains(&"ringfence.restriction"));
    step(&engine, &asked, Step::LiftRestriction, "Not the person's own number.").await.unwrap();
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Allow);
}

#[tokio::test]
async fn a_hold_on_proof_keeps_the_proof_and_lets_it_cover_nothing() {
    let engine = engine();
    live(&engine, NUMBER).await;
    let privacy = permit(Role::Privacy);
    engine.place_hold(&privacy, hold("consents", "h-1", Some("2029-01-01T00:00:00Z")), clock(DAY)).await.unwrap();
    let answer = erased(&engine, erase(NUMBER, "x-1")).await;
    assert!(answer.erased_at.is_some() && answer.holds.len() == 1);
    let contact = kept(&engine, NUMBER).await.unwrap();
    assert_eq!(contact.consents[0].consent.as_ref().unwrap().wording, WORDING);
    assert!(contact.dated_facts.is_empty());
    let automatic = v1::CheckRequest { technology: v1::Technology::Prerecorded.into(), ..notice(NUMBER) };
    let denied = check(&engine, v1::CheckRequest { line_type: v1::LineType::Mobile.into(), ..automatic }).await;
    assert!(rules(&denied).iter().any(|rule| rule.contains("consent")), "{:?}", rules(&denied));
    // Once the hold is over, an erasure takes the rest.
    let later = clock("2029-01-02T00:00:00Z");
    let answer = engine.erase_contact(&privacy, erase(NUMBER, "x-2"), later).await.unwrap();
    assert!(answer.holds.is_empty());
    let contact = kept(&engine, NUMBER).await.unwrap();
    assert!(contact.consents.is_empty());
}

#[tokio::test]
async fn an_erasure_answers_its_own_request_and_no_other() {
    let engine = engine();
    live(&engine, NUMBER).await;
    let privacy = permit(Role::Privacy);
    let of = |id: String| v1::EraseContactRequest { rights_request_id: id, ..erase(NUMBER, "x-1") };
    let access = verified(&engine, NUMBER, Kind::Access, "r-1").await.rights_request_id;
    assert_eq!(fields(engine.erase_contact(&privacy, of(access), clock(DAY)).await), ["rights_request_id"]);
    let elsewhere = verified(&engine, "+13055550199", Kind::Erasure, "r-2").await.rights_request_id;
    let other = engine.erase_contact(&privacy, of(elsewhere), clock(DAY)).await;
    assert!(matches!(other, Err(Failure::NotFound(_))));
    let waiting = super::opened(&engine, super::request(NUMBER, Kind::Erasure, "r-3")).await;
    assert_eq!(waiting.state(), State::AwaitingIdentity);
    let id = waiting.rights_request_id;
    assert_eq!(fields(engine.erase_contact(&privacy, of(id), clock(DAY)).await), ["rights_request_id"]);
}
