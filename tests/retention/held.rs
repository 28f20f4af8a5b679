//! What holds keep, against every way by which it could go: sweeps under way, ordinary writes, the clock. And what goes of
//! the log.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ringfence::access::Role;
use ringfence::audit;
use ringfence::engine::{Engine, Failure, Sweeper, SweeperSettings, Turn, Unmet};
use ringfence::proto::v1::{self, RecordClass as Class, Verdict};
use ringfence::proto::well_known::FieldMask;
use ringfence::store::{
    Answer, EventId, Key, MemoryStore, MetaSwapped, Shard, Store, StoredEvent, Swapped, Unsettled, Version, Versioned,
    Write, WriterId,
};
use ringfence::time::Millis;

use super::forwarded::forwarded;
use super::support::{DAY, at, clock, durable, engine, opt_out, permit, stamp};
use super::{BERLIN, FLORIDA, check, consent, contact, pair, record, sale};

const OLD: &str = "2015-01-10T10:00:00Z";

fn hold(classes: &[Class], months_from_purchase: u32) -> v1::PlaceRetentionHoldRequest {
    v1::PlaceRetentionHoldRequest {
        request_id: "h".to_owned(),
        record_classes: classes.iter().map(|class| i32::from(*class)).collect(),
        months_from_purchase,
        why: "Doe v. acme".to_owned(),
        who: "ann".to_owned(),
        ..v1::PlaceRetentionHoldRequest::default()
    }
}

async fn place(engine: &Engine, request: v1::PlaceRetentionHoldRequest) {
    engine.place_retention_hold(&permit(Role::Control), request, clock(DAY)).await.unwrap();
}

/// A whole round: records changed, and days of the log that went.
async fn round(engine: &Engine, dry_run: bool, now: &str) -> (u32, u32) {
    let (mut all, mut page_token) = ((0, 0), String::new());
    loop {
        let request = v1::SweepContactsRequest { dry_run, page_token, ..Default::default() };
        let page = engine.sweep_contacts(&permit(Role::Control), &request, clock(now)).await.unwrap();
        all = (all.0 + page.records_changed, all.1 + page.log_days);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn sweep(engine: &Engine, now: &str) -> (u32, u32) {
    round(engine, false, now).await
}

/// An attempt at this instant, which counts.
async fn attempt(engine: &Engine, number: &str, id: &str, now: &str) {
    let notice = v1::CheckRequest {
        number: number.to_owned(),
        purpose: v1::Purpose::Informational.into(),
        attempt_id: id.to_owned(),
        dry_run: false,
        ..sale("acme")
    };
    let decision = check(engine, notice, now).await;
    assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
}

/// Attempts that a hold keeps outlast reservations, facts and erasures; without it they go with the next sweep.
#[tokio::test]
async fn a_hold_on_attempts_outlasts_every_write() {
    let (old, later) = ("2025-01-15T11:00:00Z", "2026-11-18T11:00:00Z");
    for held in [true, false] {
        let engine = engine();
        attempt(&engine, BERLIN, "a-1", old).await;
        if held {
            place(&engine, hold(&[Class::Attempts], 0)).await;
        }
        attempt(&engine, BERLIN, "a-2", later).await;
        engine.record_opt_out(&permit(Role::WriteConsent), opt_out(BERLIN, "o-1"), clock(later)).await.unwrap();
        sweep(&engine, DAY).await;
        assert_eq!(contact(&engine, BERLIN).await.attempts.len(), if held { 2 } else { 1 });
    }
}

async fn bought(engine: &Engine, number: &str, when: &str) {
    let tie = v1::Relationship { seller: "acme".to_owned(), last_purchase_at: stamp(when), ..Default::default() };
    let request = v1::UpdateContactRequest {
        number: number.to_owned(),
        request_id: "u-1".to_owned(),
        facts: Some(v1::ContactFacts { relationship: Some(tie), ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["relationship".to_owned()] }),
        ..Default::default()
    };
    engine.update_contact(&permit(Role::WriteConsent), request, clock(when)).await.unwrap();
}

/// Three years from the last purchase, for all that belongs to it, words and attempts among it; afterwards it goes.
#[tokio::test]
async fn what_belongs_to_a_purchase_is_kept_with_it() {
    let number = "+5511987654321";
    let when = "2023-06-15T15:00:00Z";
    for held in [true, false] {
        let engine = engine();
        if held {
            place(&engine, hold(&[], 72)).await;
        }
        bought(&engine, number, when).await;
        let said = v1::RecordOptOutRequest { wording: "Stop it, I said.".to_owned(), ..opt_out(number, "o-1") };
        engine.record_opt_out(&permit(Role::WriteConsent), said, clock(when)).await.unwrap();
        sweep(&engine, DAY).await;
        assert_eq!(contact(&engine, number).await.opt_outs[0].wording.is_empty(), !held);
        sweep(&engine, "2029-07-01T00:00:00Z").await;
        let left = contact(&engine, number).await;
        assert_eq!((left.opt_outs.len(), left.opt_outs[0].wording.as_str()), (1, ""));
    }
}

#[tokio::test]
async fn a_hold_on_opt_outs_keeps_what_was_said() {
    for held in [true, false] {
        let engine = engine();
        let said = v1::RecordOptOutRequest { wording: "Stop it, I said.".to_owned(), ..opt_out(BERLIN, "o-1") };
        engine.record_opt_out(&permit(Role::WriteConsent), said, clock(OLD)).await.unwrap();
        if held {
            place(&engine, hold(&[Class::OptOuts], 0)).await;
        }
        sweep(&engine, DAY).await;
        assert_eq!(contact(&engine, BERLIN).await.opt_outs[0].wording.is_empty(), !held);
    }
}

/// A store after whose next scan something else happens.
struct AfterScan {
    inner: Arc<dyn Store>,
    then: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Store for AfterScan {
    forwarded!(all but scan);

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        Answer::waiting(async move {
            let met = self.inner.scan(after, limit).await;
            let then = self.then.lock().unwrap().take();
            if let Some(then) = then {
                then.await;
            }
            met
        })
    }

    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        self.inner.load(key)
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        self.inner.load_many(keys)
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        self.inner.swap(write)
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.inner.reseal(key, found, bytes)
    }

    fn confirm(&self, shard: Shard) -> Answer<'_, ()> {
        self.inner.confirm(shard)
    }
}

/// Once a hold was answered as placed nothing it reaches goes, though a sweep is in the middle of a page; nor does an opt-out
/// that came in meanwhile.
#[tokio::test]
async fn a_hold_and_an_opt_out_meet_a_sweep_under_way() {
    for what in ["hold", "opt-out"] {
        let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let [other, _] = pair(&memory, &keys).await;
        let gone = v1::Consent { withdrawn_at: stamp("2016-01-10T10:00:00Z"), ..consent(OLD, "1") };
        record(&other, BERLIN, gone, "r-1", OLD).await;
        let meanwhile = {
            let other = Arc::clone(&other);
            async move {
                if what == "hold" {
                    place(&other, hold(&[], 0)).await;
                } else {
                    let stop = opt_out(BERLIN, "o-1");
                    other.record_opt_out(&permit(Role::WriteConsent), stop, clock(DAY)).await.unwrap();
                }
            }
        };
        let between: Arc<dyn Store> = Arc::new(AfterScan { inner: memory, then: Mutex::new(Some(meanwhile.boxed())) });
        let [sweeping, _] = pair(&between, &keys).await;
        let (changed, _) = sweep(&sweeping, DAY).await;
        let left = contact(&other, BERLIN).await;
        let wording = left.consents[0].consent.as_ref().unwrap().wording.clone();
        if what == "hold" {
            assert_eq!((changed, wording.as_str()), (0, "Yes, acme may call me."));
        } else {
            assert_eq!((changed, left.opt_outs.len(), wording.as_str()), (1, 1, ""));
        }
    }
}

/// Nothing is removed by a clock that jumps, and a round that one left in the future keeps nobody from sweeping.
#[tokio::test]
async fn a_clock_that_jumps_removes_nothing() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = pair(&store, &folder.path().join("keys")).await;
    record(&one, BERLIN, consent("2026-01-10T10:00:00Z", "1"), "r-1", DAY).await;
    let sweeper = || Sweeper::new(SweeperSettings::default()).unwrap();
    let (jumps, right) = (sweeper(), sweeper());
    let years = |years: i64| at(DAY).plus(Millis::days(365 * years));
    while !matches!(jumps.turn(&one, at(DAY)).await.unwrap(), Turn::Last(_)) {}
    let ahead = jumps.turn(&one, years(9)).await;
    assert!(
        ahead.is_err_and(|error| error.to_string().contains("went") && error.to_string().contains("set the clock"))
    );
    assert_eq!(contact(&one, BERLIN).await.consents[0].consent.as_ref().unwrap().wording, "Yes, acme may call me.");
    // A host that began with a wrong clock ends its round in the future.
    let wrong = sweeper();
    while !matches!(wrong.turn(&one, years(1)).await.unwrap(), Turn::Last(_)) {}
    assert!(matches!(right.turn(&other, at(DAY)).await.unwrap(), Turn::Page(_)), "it does not wait for a year");
}

/// What was decided about a number without a record goes with the key of its day, when no law wants it any more; the chain
/// stays whole, and a hold keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_the_log_go_when_nothing_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    let audits = permit(Role::Audit);
    let old = check(engine, sale("acme"), OLD).await;
    let new = check(engine, v1::CheckRequest { number: FLORIDA.to_owned(), ..sale("acme") }, DAY).await;
    place(engine, hold(&[Class::Consents], 0)).await;
    assert_eq!(sweep(engine, DAY).await.1, 0, "nobody can look into the entries of a day");
    let holds = v1::ListRetentionHoldsRequest::default();
    let placed = engine.list_retention_holds(&permit(Role::Control), &holds, at(DAY)).await.unwrap().holds.remove(0);
    let release = v1::ReleaseRetentionHoldRequest {
        request_id: "x".to_owned(),
        hold_id: placed.hold_id,
        who: "bob".to_owned(),
        why: "Settled.".to_owned(),
    };
    engine.release_retention_hold(&permit(Role::Control), release, clock(DAY)).await.unwrap();
    let told = round(engine, true, DAY).await;
    let shown = engine.decision(&audits, &old.decision_id, at(DAY)).await.unwrap();
    assert_eq!((told.1, shown.decision.as_ref()), (1, Some(&old)));
    assert_eq!((sweep(engine, DAY).await.1, sweep(engine, DAY).await.1), (1, 0));
    let shown = engine.decision(&audits, &old.decision_id, at(DAY)).await.unwrap();
    assert!(shown.erased && shown.decision.is_none() && shown.request.is_none());
    assert_eq!(engine.decision(&audits, &new.decision_id, at(DAY)).await.unwrap().decision, Some(new));
    let report = audit::verify(&folder.path().join("data/audit"), &audit::Expect::default()).unwrap();
    assert!(report.bad.is_none(), "{report:?}");
}

/// After the end of a service nothing is collected; what stops contacts is taken all the same.
#[tokio::test]
async fn a_service_that_ended_collects_nothing() {
    let engine = engine();
    let request = v1::OffBoardRequest {
        request_id: "end".to_owned(),
        who: "ann".to_owned(),
        why: "acme closes.".to_owned(),
        contact: "privacy@example.com".to_owned(),
    };
    engine.off_board(&permit(Role::Control), request, clock(DAY)).await.unwrap();
    let request = v1::RecordConsentRequest {
        number: BERLIN.to_owned(),
        request_id: "r-1".to_owned(),
        consent: Some(consent(DAY, "1")),
        ..v1::RecordConsentRequest::default()
    };
    let refused = engine.record_consent(&permit(Role::WriteConsent), request, clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Precondition(Unmet::ServiceEnded, _))), "{refused:?}");
    let status = ringfence::service::status::of(refused.unwrap_err());
    let reason = tonic_types::StatusExt::get_details_error_info(&status).unwrap().reason;
    assert_eq!(reason, "SERVICE_ENDED", "no other cause is named");
    engine.record_opt_out(&permit(Role::WriteConsent), opt_out(BERLIN, "o-1"), clock(DAY)).await.unwrap();
}

/// A store that drops what has expired drops an emptied record once the log about it may go: no later sweep puts that off,
/// a hold does, and its release ends it.
#[tokio::test]
async fn an_emptied_record_expires_with_the_log_about_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    let [engine, _] = pair(&store, &folder.path().join("keys")).await;
    bought(&engine, "+5511987654321", "2020-06-15T15:00:00Z").await;
    let terms = async || {
        let all = store.scan(None, 10).await.unwrap();
        all.into_iter().filter_map(|(_, stored)| stored.expires).collect::<Vec<_>>()
    };
    assert_eq!(sweep(&engine, DAY).await.0, 1);
    let first = terms().await;
    assert!(first.len() == 1 && first[0] > at("2030-01-01T00:00:00Z"), "{first:?}");
    sweep(&engine, "2026-12-18T16:00:00Z").await;
    assert_eq!(terms().await, first, "a sweep by itself puts nothing off");
    place(&engine, hold(&[Class::Decisions], 0)).await;
    sweep(&engine, "2026-12-19T16:00:00Z").await;
    assert!(terms().await.is_empty(), "held");
    let holds = v1::ListRetentionHoldsRequest::default();
    let placed = engine.list_retention_holds(&permit(Role::Control), &holds, at(DAY)).await.unwrap().holds.remove(0);
    let release = v1::ReleaseRetentionHoldRequest {
        request_id: "x".to_owned(),
        hold_id: placed.hold_id,
        who: "bob".to_owned(),
        why: "Settled.".to_owned(),
    };
    engine.release_retention_hold(&permit(Role::Control), release, clock(DAY)).await.unwrap();
    sweep(&engine, "2026-12-20T16:00:00Z").await;
    let last = terms().await;
    assert!(last.len() == 1 && last >= first, "{last:?}");
}
