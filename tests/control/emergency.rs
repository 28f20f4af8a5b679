//! States of emergency: whom they reach, when, and where they come from.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::{Failure, Feed};
use ringfence::law::read_declared;
use ringfence::proto::v1::{self, Verdict};

use super::support::{DAY, at, clock, engine, law, permit, stamp};
use super::{check, declare, new_york, rules, snow};

#[tokio::test]
async fn an_emergency_of_a_county_reaches_whoever_may_live_there() {
    let engine = engine();
    assert_eq!(check(&engine, new_york(), DAY).await.verdict(), Verdict::Allow);
    let declared = declare(&engine, snow("e-1", &["erie county", "Erie", "Saint Lawrence"])).await;
    assert_eq!(declared.counties, ["Erie", "St. Lawrence"]);
    assert_eq!(declared.rule_ids, ["us.ny.emergency"]);
    let living = |county: &str, residence: &str| v1::CheckRequest {
        location: Some(v1::Location {
            county: county.to_owned(),
            residence: residence.to_owned(),
            ..Default::default()
        }),
        ..new_york()
    };
    let denied = check(&engine, new_york(), DAY).await;
    assert_eq!(rules(&denied), ["us.ny.emergency"]);
    let message = &denied.reasons[0].message;
    assert!(message.contains("Lake snow (Executive Order 60) for Erie, St. Lawrence"), "{message}");
    for (county, residence, denies) in [
        ("ERIE", "US-NY", true),
        ("Kings County", "US-NY", false),
        ("Brooklyn", "US-NY", true),
        ("", "US-NY", true),
        // Of which state is it a county? The number may be of any in New York.
        ("Kings", "", true),
        ("Kings", "US-CA", true),
    ] {
        let decision = check(&engine, living(county, residence), DAY).await;
        assert_eq!(rules(&decision).contains(&"us.ny.emergency"), denies, "{county} in {residence}");
    }
    let request = v1::EndEmergencyRequest {
        request_id: "end".to_owned(),
        emergency_id: declared.emergency_id,
        who: "bob".to_owned(),
        why: "The roads are clear.".to_owned(),
    };
    let ended = engine.end_emergency(&permit(Role::Control), request.clone(), clock(DAY)).await.unwrap();
    assert_eq!(engine.end_emergency(&permit(Role::Control), request, clock(DAY)).await.unwrap(), ended);
    assert_eq!(check(&engine, new_york(), "2026-11-18T16:00:01Z").await.verdict(), Verdict::Allow);
}

#[tokio::test]
async fn an_announced_emergency_ends_what_is_allowed_and_says_when_it_is_over() {
    let engine = engine();
    let (from, until) = (stamp("2026-11-18T17:00:00Z"), stamp("2026-11-18T19:00:00Z"));
    declare(&engine, v1::DeclareEmergencyRequest { from, until, ..snow("e-1", &[]) }).await;
    let allowed = check(&engine, new_york(), DAY).await;
    assert_eq!(allowed.verdict(), Verdict::Allow);
    assert_eq!(allowed.valid_until, from);
    let denied = check(&engine, new_york(), "2026-11-18T17:00:00Z").await;
    assert_eq!((rules(&denied), denied.retry_at), (vec!["us.ny.emergency"], until));
    assert_eq!(check(&engine, new_york(), "2026-11-18T19:00:00Z").await.verdict(), Verdict::Allow);
}

#[tokio::test]
async fn a_file_declares_beside_what_was_recorded_and_is_ended_in_the_file() {
    let engine = engine();
    let text = "[[emergency]]\nid = \"eo-60\"\njurisdiction = \"US-NY\"\ntitle = \"Snow\"\nsource = \"EO 60\"\n\
                from = 2026-11-18\n";
    let declared = read_declared("emergencies.toml", text, &law()).unwrap();
    let emergencies = declared.into_iter().map(Arc::new).collect();
    engine.change_feed(Arc::new(Feed { digest: "abc".to_owned(), emergencies }));
    assert_eq!(rules(&check(&engine, new_york(), DAY).await), ["us.ny.emergency"]);
    let listed = engine.list_emergencies(&permit(Role::Control), &v1::ListEmergenciesRequest::default(), at(DAY)).await;
    let listed = listed.unwrap().emergencies;
    assert_eq!((listed[0].emergency_id.as_str(), &*listed[0].who, listed[0].declared_at), ("eo-60", "", None));
    let request = v1::EndEmergencyRequest {
        request_id: "end".to_owned(),
        emergency_id: "eo-60".to_owned(),
        who: "bob".to_owned(),
        why: "Over.".to_owned(),
    };
    let refused = engine.end_emergency(&permit(Role::Control), request, clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Invalid(_))), "{refused:?}");
    engine.change_feed(Arc::new(Feed::default()));
    assert_eq!(check(&engine, new_york(), DAY).await.verdict(), Verdict::Allow);
}
