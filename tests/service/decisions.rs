//! Listing decisions: every filter, pages that fit together, numbers that are never whole.

use std::collections::BTreeSet;

use super::*;

struct Listing {
    _folder: tempfile::TempDir,
    served: Served,
}

/// Twelve live notices to four numbers, then four dry runs, of which Florida denies what comes after its hours.
async fn asked() -> Listing {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(durable(folder.path()).await.engine).await;
    for n in 0..12 {
        let number = format!("+130555501{:02}", 20 + n % 4);
        let campaign = ["spring", "autumn", ""][n % 3].to_owned();
        let seller = if n < 6 { "acme" } else { "other" }.to_owned();
        served.decide(v1::CheckRequest { number, campaign, seller, ..notice() }).await;
    }
    for n in 0..4 {
        let at = stamp(["2026-11-18T16:00:00Z", "2026-11-19T04:00:00Z"][n % 2]);
        served.decide(v1::CheckRequest { at, ..pinned() }).await;
    }
    Listing { _folder: folder, served }
}

impl Listing {
    async fn page(&self, request: v1::ListDecisionsRequest) -> v1::ListDecisionsResponse {
        self.served.audit().list_decisions(request).await.unwrap().into_inner()
    }

    /// Every page of these, put together.
    async fn all(&self, mut request: v1::ListDecisionsRequest) -> Vec<v1::DecisionRecord> {
        let mut records = Vec::new();
        loop {
            let page = self.page(request.clone()).await;
            assert!(page.records.len() <= request.page_size.max(100) as usize);
            records.extend(page.records);
            if page.next_page_token.is_empty() {
                return records;
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn count(&self, request: v1::ListDecisionsRequest) -> usize {
        self.all(request).await.len()
    }
}

fn every() -> v1::ListDecisionsRequest {
    v1::ListDecisionsRequest { dry_runs: true, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_listed_by_every_filter() {
    let listing = asked().await;
    let count = async |request: v1::ListDecisionsRequest| listing.count(request).await;
    assert_eq!(count(every()).await, 16);
    assert_eq!(count(v1::ListDecisionsRequest::default()).await, 12, "live checks only");
    assert_eq!(count(v1::ListDecisionsRequest { number: "+13055550120".into(), ..every() }).await, 3);
    let national = v1::ListDecisionsRequest { number: "305-555-0120".into(), default_region: "US".into(), ..every() };
    assert_eq!(count(national).await, 3);
    assert_eq!(count(v1::ListDecisionsRequest { campaign: "spring".into(), ..every() }).await, 4);
    assert_eq!(count(v1::ListDecisionsRequest { campaign: "winter".into(), ..every() }).await, 0);
    let both = v1::ListDecisionsRequest { number: "+13055550120".into(), campaign: "spring".into(), ..every() };
    assert_eq!(count(both).await, 1);
    assert_eq!(count(v1::ListDecisionsRequest { seller: "other".into(), ..every() }).await, 6);
    let denied = v1::ListDecisionsRequest { verdict: v1::Verdict::Deny.into(), ..every() };
    assert_eq!(count(denied.clone()).await, 2);
    let family = v1::ListDecisionsRequest { family: v1::RuleFamily::QuietHours.into(), ..every() };
    assert_eq!(count(family).await, 2);
    let rule = listing.all(denied).await[0].decision.clone().unwrap().reasons[0].rule_id.clone();
    assert_eq!(count(v1::ListDecisionsRequest { rule_id: rule, ..every() }).await, 2);
    assert_eq!(count(v1::ListDecisionsRequest { jurisdiction: "US-FL".into(), ..every() }).await, 16);
    assert_eq!(count(v1::ListDecisionsRequest { jurisdiction: "FR".into(), ..every() }).await, 0);
    assert_eq!(count(v1::ListDecisionsRequest { channel: v1::Channel::Text.into(), ..every() }).await, 0);
    let marketing = v1::ListDecisionsRequest { purpose: v1::Purpose::Marketing.into(), ..every() };
    assert_eq!(count(marketing).await, 4);
    let reserved = v1::ListDecisionsRequest { kind: v1::DecisionKind::Reservation.into(), ..every() };
    assert_eq!(count(reserved).await, 12);
    assert_eq!(count(v1::ListDecisionsRequest { until: stamp("2001-01-01T00:00:00Z"), ..every() }).await, 0);
    assert_eq!(count(v1::ListDecisionsRequest { from: stamp("2001-01-01T00:00:00Z"), ..every() }).await, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_together_in_both_orders() {
    let listing = asked().await;
    let ids = |records: Vec<v1::DecisionRecord>| {
        records.into_iter().map(|record| record.position.unwrap().sequence).collect::<Vec<_>>()
    };
    let whole = ids(listing.all(every()).await);
    assert!(whole.is_sorted_by(|one, next| one > next));
    for page_size in [1, 3, 5, 16, 1_000] {
        assert_eq!(ids(listing.all(v1::ListDecisionsRequest { page_size, ..every() }).await), whole);
        let order = v1::ListOrder::OldestFirst.into();
        let mut oldest = ids(listing.all(v1::ListDecisionsRequest { page_size, order, ..every() }).await);
        oldest.reverse();
        assert_eq!(oldest, whole);
        let filtered = v1::ListDecisionsRequest { page_size, seller: "acme".into(), ..every() };
        let found: BTreeSet<_> = ids(listing.all(filtered).await).into_iter().collect();
        assert_eq!(found.len(), 10);
    }
    // What is decided meanwhile does not disturb the pages after the first.
    let first = listing.page(v1::ListDecisionsRequest { page_size: 4, ..every() }).await;
    listing.served.decide(notice()).await;
    let rest = v1::ListDecisionsRequest { page_token: first.next_page_token, page_size: 100, ..every() };
    assert_eq!(ids(listing.all(rest).await), whole[4..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_bound_to_its_filters() {
    let listing = asked().await;
    let first = listing.page(v1::ListDecisionsRequest { page_size: 2, ..every() }).await;
    let token = first.next_page_token;
    let mut flipped = token.clone().into_bytes();
    flipped[20] = if flipped[20] == b'0' { b'1' } else { b'0' };
    let wrong = [
        v1::ListDecisionsRequest { page_token: token.clone(), seller: "acme".into(), ..every() },
        v1::ListDecisionsRequest { page_token: token, ..Default::default() },
        v1::ListDecisionsRequest { page_token: String::from_utf8(flipped).unwrap(), ..every() },
        v1::ListDecisionsRequest { page_token: "ä".into(), ..every() },
    ];
    for request in wrong {
        let status = refusal(listing.served.audit().list_decisions(request).await);
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["page_token".to_owned()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_filters_are_named() {
    let listing = asked().await;
    let request = v1::ListDecisionsRequest {
        number: "not one".into(),
        seller: "x".repeat(200),
        jurisdiction: "nowhere".into(),
        family: 99,
        channel: 99,
        page_size: 1_001,
        from: stamp("2026-11-18T16:00:00Z"),
        until: stamp("2026-11-18T16:00:00Z"),
        ..every()
    };
    let status = refusal(listing.served.audit().list_decisions(request).await);
    let found: BTreeSet<_> = fields(&status).into_iter().collect();
    let expected = ["channel", "family", "jurisdiction", "number", "page_size", "seller", "until"];
    assert_eq!(found, expected.map(ToOwned::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_no_whole_number_and_get_decision_does() {
    let listing = asked().await;
    let records = listing.all(every()).await;
    for record in &records {
        let text = serde_json::to_string(record).unwrap();
        assert!(!text.contains("3055550") && text.contains("+1305555••"), "{text}");
        assert!(record.stored.is_none() && record.request.as_ref().unwrap().evidence.is_none());
    }
    let decision_id = records[0].decision.as_ref().unwrap().decision_id.clone();
    let found = listing.served.audit().get_decision(v1::GetDecisionRequest { decision_id }).await.unwrap();
    let record = found.into_inner().record.unwrap();
    assert_eq!(record.decision.unwrap().number, NUMBER);
    assert_eq!(record.position, records[0].position);
}
