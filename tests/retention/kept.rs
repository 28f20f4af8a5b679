//! What a sweep leaves alone: a record that its person restricted, asked about or had held; what an erasure put off; what
//! somebody has yet to be told. And an erasure leaves what a tenant's hold keeps.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::Engine;
use ringfence::proto::v1::{self, RightsRequestKind as Kind, RightsRequestStep as Step, Verdict};
use ringfence::store::{MemoryStore, Store};

use super::support::{DAY, clock, engine, engine_over, opt_out, permit, stamp};
use super::{BERLIN, check, consent, contact, record, sale};

const OLD: &str = "2015-01-10T10:00:00Z";

/// A contact of which all may go: a consent that ended long ago, an opt-out with its words.
async fn ended(engine: &Engine) {
    let gone = v1::Consent { withdrawn_at: stamp("2016-01-10T10:00:00Z"), ..consent(OLD, "1") };
    record(engine, BERLIN, gone, "r-1", OLD).await;
    let said = v1::RecordOptOutRequest { wording: "Stop it, I said.".to_owned(), ..opt_out(BERLIN, "o-1") };
    engine.record_opt_out(&permit(Role::WriteConsent), said, clock("2016-01-10T10:00:00Z")).await.unwrap();
}

async fn sweep(engine: &Engine, dry_run: bool, all_periods_over: bool) -> v1::SweepContactsResponse {
    let request = v1::SweepContactsRequest { dry_run, all_periods_over, ..Default::default() };
    engine.sweep_contacts(&permit(Role::Control), &request, clock(DAY)).await.unwrap()
}

/// Nothing goes, whatever is asked, and for this reason.
async fn assert_whole(engine: &Engine, rule: &str) {
    let before = contact(engine, BERLIN).await;
    for over in [false, true] {
        let page = sweep(engine, true, over).await;
        assert!(page.swept.is_empty() && page.records_changed == 0 && page.keys_destroyed == 0, "{page:?}");
        assert!(page.held.iter().all(|row| row.rule_id == rule) && page.held.len() == 2, "{:?}", page.held);
    }
    sweep(engine, false, false).await;
    assert_eq!(contact(engine, BERLIN).await, before);
}

async fn assert_goes(engine: &Engine) {
    let page = sweep(engine, false, false).await;
    assert_eq!(page.records_changed, 1, "{page:?}");
    let left = contact(engine, BERLIN).await;
    assert_eq!((left.opt_outs.len(), left.opt_outs[0].wording.as_str()), (1, ""));
    assert_eq!(left.consents[0].consent.as_ref().unwrap().wording, "");
    assert_eq!(check(engine, sale("acme"), DAY).await.verdict(), Verdict::Deny);
}

async fn open(engine: &Engine, kind: Kind) -> String {
    let asked = v1::OpenRequestRequest {
        number: BERLIN.to_owned(),
        request_id: format!("q-{}", kind.as_str_name()),
        kind: kind.into(),
        identity_verified_by: "called back, by ann".to_owned(),
        ..v1::OpenRequestRequest::default()
    };
    let answer = engine.open_request(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap();
    answer.request.unwrap().rights_request_id
}

async fn step(engine: &Engine, id: &str, step: Step) {
    let asked = v1::ResolveRequestRequest {
        rights_request_id: id.to_owned(),
        request_id: format!("{id} {}", step.as_str_name()),
        step: step.into(),
        who: "ann".to_owned(),
        note: "Told by letter.".to_owned(),
        ..Default::default()
    };
    engine.resolve_request(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap();
}

async fn place(engine: &Engine, class: &str) -> String {
    let asked = v1::PlaceHoldRequest {
        number: BERLIN.to_owned(),
        request_id: format!("h-{class}"),
        record_class: class.to_owned(),
        reason: "A claim is pending.".to_owned(),
        who: "legal".to_owned(),
        ..Default::default()
    };
    engine.place_hold(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap().hold.unwrap().hold_id
}

async fn lift(engine: &Engine, hold_id: &str) {
    let asked = v1::LiftHoldRequest {
        number: BERLIN.to_owned(),
        request_id: format!("l-{hold_id}"),
        hold_id: hold_id.to_owned(),
        who: "legal".to_owned(),
        why: "Settled.".to_owned(),
        ..Default::default()
    };
    engine.lift_hold(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap();
}

async fn place_wide(engine: &Engine, classes: &[v1::RecordClass], id: &str) -> String {
    let asked = v1::PlaceRetentionHoldRequest {
        request_id: id.to_owned(),
        place: "DE".to_owned(),
        record_classes: classes.iter().map(|class| (*class).into()).collect(),
        why: "Doe v. acme".to_owned(),
        who: "legal".to_owned(),
        ..Default::default()
    };
    engine.place_retention_hold(&permit(Role::Control), asked, clock(DAY)).await.unwrap().hold.unwrap().hold_id
}

async fn release(engine: &Engine, hold_id: &str) {
    let asked = v1::ReleaseRetentionHoldRequest {
        request_id: format!("x-{hold_id}"),
        hold_id: hold_id.to_owned(),
        who: "legal".to_owned(),
        why: "Settled.".to_owned(),
    };
    engine.release_retention_hold(&permit(Role::Control), asked, clock(DAY)).await.unwrap();
}

async fn erase(engine: &Engine, id: &str) -> v1::EraseContactResponse {
    let asked = v1::EraseContactRequest {
        number: BERLIN.to_owned(),
        request_id: id.to_owned(),
        reason: v1::ErasureReason::Requested.into(),
        identity_verified_by: "called back, by ann".to_owned(),
        ..v1::EraseContactRequest::default()
    };
    engine.erase_contact(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap()
}

#[tokio::test]
async fn a_restricted_record_stays_as_it_is() {
    let engine = engine();
    ended(&engine).await;
    let id = open(&engine, Kind::Restriction).await;
    assert_whole(&engine, "ringfence.restriction").await;
    step(&engine, &id, Step::LiftRestriction).await;
    step(&engine, &id, Step::Complete).await;
    assert_goes(&engine).await;
}

#[tokio::test]
async fn what_a_person_asked_to_see_stays_until_it_was_shown() {
    let engine = engine();
    ended(&engine).await;
    let id = open(&engine, Kind::Access).await;
    assert_whole(&engine, "ringfence.request").await;
    step(&engine, &id, Step::Complete).await;
    assert_goes(&engine).await;
}

#[tokio::test]
async fn a_hold_in_the_record_keeps_what_it_names() {
    let engine = engine();
    ended(&engine).await;
    let proof = place(&engine, "consents").await;
    let page = sweep(&engine, true, false).await;
    let rule = format!("hold.{proof}");
    assert!(page.held.iter().any(|row| row.rule_id == rule && row.until.is_none()), "{:?}", page.held);
    assert!(page.swept.iter().all(|row| row.record_class() == v1::RecordClass::Notes), "{:?}", page.swept);
    let all = place(&engine, "everything").await;
    assert_whole(&engine, &format!("hold.{all}")).await;
    lift(&engine, &all).await;
    sweep(&engine, false, false).await;
    assert_eq!(contact(&engine, BERLIN).await.consents[0].consent.as_ref().unwrap().wording, "Yes, acme may call me.");
    lift(&engine, &proof).await;
    assert_goes(&engine).await;
}

#[tokio::test]
async fn an_erasure_that_was_put_off_is_done_by_the_first_sweep_after_the_hold() {
    let engine = engine();
    ended(&engine).await;
    let hold = place_wide(&engine, &[], "w-1").await;
    let put_off = erase(&engine, "e-1").await;
    assert!(put_off.erased_at.is_none(), "{put_off:?}");
    assert_eq!(put_off.holds.iter().map(|one| one.hold_id.as_str()).collect::<Vec<_>>(), [hold.as_str()]);
    let before = contact(&engine, BERLIN).await;
    let page = sweep(&engine, false, false).await;
    assert!(page.swept.is_empty() && page.held.iter().all(|row| row.rule_id == "ringfence.restriction"), "{page:?}");
    assert_eq!((page.erasures_done, contact(&engine, BERLIN).await), (0, before.clone()), "the hold stands");
    release(&engine, &hold).await;
    let page = sweep(&engine, true, false).await;
    assert_eq!((page.erasures_done, contact(&engine, BERLIN).await), (1, before), "a dry run says so");
    let page = sweep(&engine, false, false).await;
    assert_eq!((page.erasures_done, page.records_changed), (1, 1), "{page:?}");
    let erased = contact(&engine, BERLIN).await;
    assert!(erased.erased_at.is_some() && erased.restricted_at.is_none() && erased.consents.is_empty(), "{erased:?}");
    assert_eq!(check(&engine, sale("acme"), DAY).await.verdict(), Verdict::Deny);
    assert_eq!(sweep(&engine, false, false).await.erasures_done, 0, "once");
}

#[tokio::test]
async fn what_a_tenants_hold_kept_from_an_erasure_goes_with_the_hold_and_what_forbids_contact_stays() {
    let engine = engine();
    ended(&engine).await;
    let hold = place_wide(&engine, &[v1::RecordClass::Consents], "w-1").await;
    let erased = erase(&engine, "e-1").await;
    assert!(erased.erased_at.is_some() && erased.holds.len() == 1, "{erased:?}");
    sweep(&engine, false, false).await;
    let kept = contact(&engine, BERLIN).await;
    assert_eq!(kept.consents[0].consent.as_ref().unwrap().wording, "Yes, acme may call me.");
    assert_eq!(kept.opt_outs.len(), 2);
    release(&engine, &hold).await;
    // No period of the tenant's own keeps what the person wanted gone.
    let page = sweep(&engine, false, false).await;
    assert!(page.swept.iter().any(|row| row.record_class() == v1::RecordClass::Consents), "{page:?}");
    let left = contact(&engine, BERLIN).await;
    assert!(left.consents.is_empty() && left.opt_outs.len() == 2, "{left:?}");
    assert_eq!(sweep(&engine, false, false).await.records_changed, 0);
    assert_eq!(check(&engine, sale("acme"), DAY).await.verdict(), Verdict::Deny);
}

/// The key that opens an opt-out's event does not go before who follows opt-outs was told.
#[tokio::test]
async fn at_the_end_of_a_service_who_holds_the_number_is_told_first() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = engine_over(Arc::clone(&store));
    let control = permit(Role::Control);
    let processor = v1::Processor {
        name: "dialer".to_owned(),
        purpose: "Calls".to_owned(),
        contract_ref: "DPA-7".to_owned(),
        assessed_on: "2026-01-05".to_owned(),
        ..v1::Processor::default()
    };
    let asked = v1::PutProcessorRequest {
        request_id: "p-1".to_owned(),
        processor: Some(processor),
        since: stamp("2016-01-01T00:00:00Z"),
        who: "ann".to_owned(),
        ..Default::default()
    };
    engine.put_processor(&control, asked, clock(DAY)).await.unwrap();
    let number = "+5511987654321";
    engine.record_opt_out(&permit(Role::WriteConsent), opt_out(number, "o-1"), clock(DAY)).await.unwrap();
    let asked = v1::OffBoardRequest {
        request_id: "end".to_owned(),
        who: "ann".to_owned(),
        why: "acme closes.".to_owned(),
        contact: "privacy@example.com".to_owned(),
    };
    engine.off_board(&control, asked, clock(DAY)).await.unwrap();
    let page = sweep(&engine, false, true).await;
    assert_eq!(page.keys_destroyed, 0, "the dialer does not know yet");
    let rule = |row: &v1::HeldRows| row.rule_id == "ringfence.untold dialer";
    let waits = page.held.iter().find(|&row| rule(row)).unwrap_or_else(|| panic!("{page:?}"));
    assert_eq!((waits.count, waits.until), (1, stamp("2027-02-16T16:00:00Z")), "and it is said who, and until when");
    // One that never confirms keeps no key for ever; judged without removing, as the rest of the test goes on.
    let later = v1::SweepContactsRequest { dry_run: true, all_periods_over: true, ..Default::default() };
    for (now, gone) in [("2027-02-16T15:59:59.999Z", 0), ("2027-02-16T16:00:00Z", 1)] {
        let page = engine.sweep_contacts(&control, &later, clock(now)).await.unwrap();
        assert_eq!((page.keys_destroyed, page.held.iter().any(rule)), (gone, gone == 0), "{now}: {page:?}");
    }
    let asked = v1::RemoveProcessorRequest {
        request_id: "p-2".to_owned(),
        name: "dialer".to_owned(),
        who: "ann".to_owned(),
        why: "It is gone.".to_owned(),
    };
    engine.remove_processor(&control, asked, clock(DAY)).await.unwrap();
    assert_eq!(sweep(&engine, false, true).await.keys_destroyed, 1);
    let mut kinds = Vec::new();
    for (key, _) in store.scan(None, 100).await.unwrap() {
        kinds.extend(store.events(key.shard(), 0, 100).await.unwrap().into_iter().map(|event| event.kind));
    }
    assert!(kinds.contains(&3), "whoever copied the number is told to forget it: {kinds:?}");
    let asked = v1::CheckRequest { number: number.to_owned(), ..sale("acme") };
    assert_eq!(check(&engine, asked, DAY).await.verdict(), Verdict::Deny);
}
