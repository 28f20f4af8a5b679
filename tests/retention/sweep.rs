//! Sweeps over stored contacts: a dry run says what then goes, holds win, one instance at a time, the end of a service.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::{Engine, Failure, Sweeper, SweeperSettings, Turn};
use ringfence::proto::v1::{self, Verdict};
use ringfence::store::{MemoryStore, Store};
use ringfence::time::Millis;

use super::support::{DAY, at, clock, durable, engine, opt_out, permit, stamp};
use super::{BERLIN, FLORIDA, check, consent, contact, pair, record, sale};

/// Everything to sweep, page by page, put together as text that can be compared.
async fn swept(engine: &Engine, dry_run: bool, all_periods_over: bool, now: &str) -> (Vec<String>, u32) {
    let (mut rows, mut changed, mut page_token) = (Vec::new(), 0, String::new());
    loop {
        let request = v1::SweepContactsRequest { dry_run, all_periods_over, page_size: 2, page_token };
        let page = engine.sweep_contacts(&permit(Role::Control), &request, clock(now)).await.unwrap();
        for row in page.swept {
            rows.push(format!("{} {} {} {}", row.record_class().as_str_name(), row.place, row.rule_id, row.count));
            assert!(row.examples.iter().all(|one| one.contains("••")), "{:?}", row.examples);
        }
        changed += page.records_changed;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            rows.sort();
            return (rows, changed);
        }
    }
}

async fn hold(engine: &Engine, request: v1::PlaceRetentionHoldRequest) -> v1::RetentionHold {
    let request = v1::PlaceRetentionHoldRequest { who: "ann".to_owned(), why: "Doe v. acme".to_owned(), ..request };
    engine.place_retention_hold(&permit(Role::Control), request, clock(DAY)).await.unwrap().hold.unwrap()
}

/// Consents that ended, of several ages and places; opt-outs with words.
async fn fill(engine: &Engine) {
    let withdrawn = |given: &str, at: &str| v1::Consent { withdrawn_at: stamp(at), ..consent(given, "1") };
    let old = "2015-01-10T10:00:00Z";
    record(engine, BERLIN, withdrawn(old, "2016-01-10T10:00:00Z"), "r-1", old).await;
    record(engine, "+4930231251", withdrawn("2025-01-10T10:00:00Z", "2025-02-10T10:00:00Z"), "r-1", DAY).await;
    record(engine, FLORIDA, withdrawn(old, "2016-01-10T10:00:00Z"), "r-1", old).await;
    record(engine, "+33123456789", consent(old, "1"), "r-1", old).await;
    let said = v1::RecordOptOutRequest { wording: "Stop it, I said.".to_owned(), ..opt_out(BERLIN, "o-1") };
    engine.record_opt_out(&permit(Role::WriteConsent), said, clock("2016-01-10T10:00:00Z")).await.unwrap();
}

#[tokio::test]
async fn a_dry_run_says_what_then_goes_and_nothing_goes_twice() {
    let engine = engine();
    fill(&engine).await;
    let before = check(&engine, sale("acme"), DAY).await;
    let (told, changed) = swept(&engine, true, false, DAY).await;
    assert_eq!(
        told,
        [
            "RECORD_CLASS_CONSENTS DE de.consent.proof_5y 1",
            "RECORD_CLASS_CONSENTS FR fr.prospects 1",
            "RECORD_CLASS_CONSENTS US us.tsr.records 1",
            "RECORD_CLASS_NOTES DE ringfence.period 1",
        ]
    );
    assert_eq!(contact(&engine, BERLIN).await.consents[0].consent.as_ref().unwrap().wording, "Yes, acme may call me.");
    let (went, went_changed) = swept(&engine, false, false, DAY).await;
    assert_eq!((went, went_changed), (told, changed));
    assert_eq!(swept(&engine, true, false, DAY).await, (Vec::new(), 0));
    let left = contact(&engine, BERLIN).await;
    let rest = left.consents[0].consent.as_ref().unwrap();
    assert_eq!((rest.wording.as_str(), rest.grade, rest.given_at), ("", 0, None));
    assert_eq!(rest.withdrawn_at, stamp("2016-01-10T10:00:00Z"));
    assert_eq!((left.opt_outs.len(), left.opt_outs[0].wording.as_str()), (1, ""));
    // Nobody is called that was not before, and the person may consent anew.
    assert_eq!((before.verdict(), check(&engine, sale("acme"), DAY).await.verdict()), (Verdict::Deny, Verdict::Deny));
    record(&engine, BERLIN, consent("2026-11-18T15:00:00Z", "1"), "r-9", DAY).await;
    let allowed = check(&engine, sale("acme"), "2026-11-18T16:00:01Z").await;
    assert_eq!(allowed.verdict(), Verdict::Allow, "{:?}", allowed.reasons);
    // The same request is still known, and the number is there again for who walks the contacts.
    let walked = v1::ExportContactsRequest::default();
    let walked = engine.export_contacts(&permit(Role::ReadContacts), walked, clock(DAY)).await.unwrap();
    assert!(walked.contacts.iter().any(|one| one.number == BERLIN));
}

#[tokio::test]
async fn a_hold_keeps_what_it_reaches_until_it_is_released() {
    let engine = engine();
    fill(&engine).await;
    let all = swept(&engine, true, false, DAY).await.0;
    let request =
        v1::PlaceRetentionHoldRequest { request_id: "h-1".to_owned(), number: BERLIN.to_owned(), ..Default::default() };
    let held = hold(&engine, request).await;
    let request =
        v1::PlaceRetentionHoldRequest { request_id: "h-2".to_owned(), place: "US".to_owned(), ..Default::default() };
    let wide = hold(&engine, request).await;
    let (left, _) = swept(&engine, true, false, DAY).await;
    assert_eq!(left, ["RECORD_CLASS_CONSENTS FR fr.prospects 1"]);
    let request = v1::SweepContactsRequest { dry_run: true, ..Default::default() };
    let page = engine.sweep_contacts(&permit(Role::Control), &request, clock(DAY)).await.unwrap();
    let rule = format!("hold.{}", held.hold_id);
    assert!(page.held.iter().any(|row| row.rule_id == rule && row.until.is_none() && row.citation == "Doe v. acme"));
    let named = engine
        .record_duties(&permit(Role::Control), ringfence::place::Number::parse(BERLIN, None).unwrap(), at(DAY))
        .await
        .unwrap();
    assert!(named.iter().any(|hold| *hold.reason == *rule));
    for (index, one) in [held, wide].into_iter().enumerate() {
        let request = v1::ReleaseRetentionHoldRequest {
            request_id: format!("x-{index}"),
            hold_id: one.hold_id.clone(),
            who: "bob".to_owned(),
            why: "Settled.".to_owned(),
        };
        let released =
            engine.release_retention_hold(&permit(Role::Control), request.clone(), clock(DAY)).await.unwrap();
        assert_eq!(released.hold.unwrap().released_by, "bob");
        let again = v1::ReleaseRetentionHoldRequest { request_id: format!("y-{index}"), ..request };
        let again = engine.release_retention_hold(&permit(Role::Control), again, clock(DAY)).await;
        assert!(matches!(again, Err(Failure::AlreadyExists(_))), "{again:?}");
    }
    assert_eq!(swept(&engine, true, false, DAY).await.0, all);
    let list = v1::ListRetentionHoldsRequest::default();
    assert!(engine.list_retention_holds(&permit(Role::Control), &list, at(DAY)).await.unwrap().holds.is_empty());
    let list = v1::ListRetentionHoldsRequest { history: true, ..list };
    assert_eq!(engine.list_retention_holds(&permit(Role::Control), &list, at(DAY)).await.unwrap().holds.len(), 2);
}

#[tokio::test]
async fn a_record_of_which_nothing_is_needed_loses_its_number() {
    let engine = engine();
    let old = "2015-01-10T10:00:00Z";
    let gone = v1::Consent { withdrawn_at: stamp("2016-01-10T10:00:00Z"), ..consent(old, "1") };
    record(&engine, "+5511987654321", gone, "r-1", old).await;
    let request = v1::SweepContactsRequest::default();
    let page = engine.sweep_contacts(&permit(Role::Control), &request, clock(DAY)).await.unwrap();
    assert_eq!((page.records_changed, page.records_anonymised), (1, 1));
    let walked = v1::ExportContactsRequest::default();
    let walked = engine.export_contacts(&permit(Role::ReadContacts), walked, clock(DAY)).await.unwrap();
    assert!(walked.contacts.is_empty());
}

/// One instance sweeps at a time; one that goes away leaves its place; a day goes by between rounds.
#[tokio::test]
async fn instances_take_turns() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = pair(&store, &folder.path().join("keys")).await;
    for n in 0..150 {
        record(&one, &format!("+49302312{n:03}"), consent("2015-01-10T10:00:00Z", "1"), "r-1", DAY).await;
    }
    let sweeper = || Sweeper::new(SweeperSettings::default()).unwrap();
    let (first, second) = (sweeper(), sweeper());
    let after = |seconds: i64| at(DAY).plus(Millis::seconds(seconds));
    let is_page = |turn: &Turn| matches!(turn, Turn::Page(page) if page.records_seen > 0);
    assert!(is_page(&first.turn(&one, after(0)).await.unwrap()));
    assert_eq!(second.turn(&other, after(1)).await.unwrap(), Turn::Idle);
    // The first is not heard of any more: the second goes on where it stopped.
    assert!(is_page(&second.turn(&other, after(121)).await.unwrap()));
    assert_eq!(first.turn(&one, after(122)).await.unwrap(), Turn::Idle);
    assert!(is_page(&second.turn(&other, after(122)).await.unwrap()));
    assert!(matches!(second.turn(&other, after(123)).await.unwrap(), Turn::Last(_)));
    for idle in [124, 3_600, 86_400] {
        assert_eq!(first.turn(&one, after(idle)).await.unwrap(), Turn::Idle, "{idle}");
    }
    assert!(is_page(&first.turn(&one, after(123 + 86_400)).await.unwrap()));
    assert!(Sweeper::new(SweeperSettings { every: None }).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_service_stops_everything_for_good_and_keeps_what_a_duty_wants() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    fill(engine).await;
    record(engine, "+5511987654321", consent("2026-01-10T10:00:00Z", "1"), "r-1", DAY).await;
    let over = v1::SweepContactsRequest { all_periods_over: true, ..Default::default() };
    let refused = engine.sweep_contacts(&permit(Role::Control), &over, clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Invalid(_))), "{refused:?}");
    let request = v1::OffBoardRequest {
        request_id: "end".to_owned(),
        who: "ann".to_owned(),
        why: "acme closes.".to_owned(),
        contact: "privacy@example.com".to_owned(),
    };
    let ended = engine.off_board(&permit(Role::Control), request.clone(), clock(DAY)).await.unwrap();
    assert!(ended.log_sequence > 0 && ended.log_digest.len() == 64);
    assert!(ended.notices.iter().any(|one| one.to_guardian && one.language == "zh-Hans"));
    assert_eq!(
        engine.off_board(&permit(Role::Control), request, clock(DAY)).await.unwrap().receipt_id,
        ended.receipt_id
    );
    let denied = check(engine, sale("acme"), DAY).await;
    assert!(denied.reasons.iter().any(|reason| reason.rule_id == "ringfence.freeze"), "{:?}", denied.reasons);
    let lift = v1::UnfreezeRequest {
        request_id: "lift".to_owned(),
        freeze_id: ended.freeze_id,
        who: "bob".to_owned(),
        why: "Oops.".to_owned(),
    };
    let lift = engine.unfreeze(&permit(Role::Control), lift, clock(DAY)).await;
    assert!(matches!(lift, Err(Failure::Invalid(_))), "{lift:?}");
    let (would, _) = swept(engine, true, true, DAY).await;
    let page = engine.sweep_contacts(&permit(Role::Control), &over, clock(DAY)).await.unwrap();
    // Germany wants the proof of 2025 kept until 2030; nothing else is wanted by anybody.
    assert!(page.held.iter().any(|row| row.rule_id == "de.consent.proof_5y"), "{:?}", page.held);
    assert!(page.keys_destroyed >= 3, "{page:?}");
    assert!(would.iter().any(|row| row == "RECORD_CLASS_CONSENTS BR ringfence.period 1"), "{would:?}");
    let walked = v1::ExportContactsRequest::default();
    let walked = engine.export_contacts(&permit(Role::ReadContacts), walked, clock(DAY)).await.unwrap();
    assert_eq!(walked.contacts.iter().map(|one| one.number.as_str()).collect::<Vec<_>>(), ["+4930231251"]);
    // The opt-out is still there, without the number.
    assert_eq!(contact(engine, BERLIN).await.opt_outs.len(), 1);
    durable.reconciler.tick(at(DAY)).await.unwrap();
}
