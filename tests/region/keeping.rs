//! Policies, holds and sweeps where there are several stores.

use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1;

use super::house::{CHINA, FLORIDA, House, NOON};
use super::support::{clock, permit, stamp};

const OLD: &str = "2015-01-10T10:00:00Z";

async fn consent(engine: &Engine, number: &str, withdrawn_at: &str) {
    let consent = v1::Consent {
        grade: v1::ConsentGrade::ExpressWritten.into(),
        sellers: vec!["acme".to_owned()],
        given_at: stamp(OLD),
        withdrawn_at: (!withdrawn_at.is_empty()).then(|| stamp(withdrawn_at).unwrap()),
        wording: "Yes, acme may call me.".to_owned(),
        ..v1::Consent::default()
    };
    let request = v1::RecordConsentRequest {
        number: number.to_owned(),
        request_id: format!("{number} {withdrawn_at}"),
        consent: Some(consent),
        ..v1::RecordConsentRequest::default()
    };
    engine.record_consent(&permit(Role::WriteConsent), request, clock(OLD)).await.unwrap();
}

/// What a sweep comes to: records seen, changed, passed over.
async fn sweep(engine: &Engine, dry_run: bool) -> (u32, u32, u32) {
    let (mut all, mut page_token) = ((0, 0, 0), String::new());
    loop {
        let request = v1::SweepContactsRequest { dry_run, page_size: 1, page_token, ..Default::default() };
        let page = engine.sweep_contacts(&permit(Role::Control), &request, clock(NOON)).await.unwrap();
        all = (all.0 + page.records_seen, all.1 + page.records_changed, all.2 + page.records_passed_over);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// The numbers of all contacts, page by page.
pub async fn walked(engine: &Engine) -> Vec<String> {
    let (mut numbers, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ExportContactsRequest { page_size: 1, page_token, ..v1::ExportContactsRequest::default() };
        let page = engine.export_contacts(&permit(Role::ReadContacts), request, clock(NOON)).await.unwrap();
        numbers.extend(page.contacts.into_iter().map(|contact| contact.number));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return numbers;
        }
    }
}

fn hold(number: &str) -> v1::PlaceRetentionHoldRequest {
    v1::PlaceRetentionHoldRequest {
        request_id: "h".to_owned(),
        number: number.to_owned(),
        why: "Doe v. acme".to_owned(),
        who: "ann".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_sweep_goes_through_every_region_and_a_hold_holds_in_each() {
    let house = House::new();
    for number in [CHINA, FLORIDA] {
        consent(&house.engine, number, "2016-01-10T10:00:00Z").await;
    }
    assert_eq!(sweep(&house.engine, true).await, (2, 2, 0));
    // Whose records they are would be told to every region.
    let refused = house.engine.place_retention_hold(&permit(Role::Control), hold(CHINA), clock(NOON)).await;
    assert!(matches!(refused, Err(Failure::Invalid(_))), "{refused:?}");
    let placed = house.engine.place_retention_hold(&permit(Role::Control), hold(""), clock(NOON)).await.unwrap();
    assert_eq!(sweep(&house.engine, false).await, (2, 0, 0));
    let release = v1::ReleaseRetentionHoldRequest {
        request_id: "x".to_owned(),
        hold_id: placed.hold.unwrap().hold_id,
        who: "bob".to_owned(),
        why: "Settled.".to_owned(),
    };
    house.engine.release_retention_hold(&permit(Role::Control), release, clock(NOON)).await.unwrap();
    assert_eq!(sweep(&house.engine, false).await, (2, 2, 0));
    assert_eq!(sweep(&house.engine, false).await, (2, 0, 0));
}

#[tokio::test]
async fn a_region_that_is_away_is_passed_over_and_the_others_are_swept() {
    let house = House::closed();
    consent(&house.engine, FLORIDA, "2016-01-10T10:00:00Z").await;
    assert_eq!(sweep(&house.engine, false).await, (1, 1, 1));
    let all = v1::ExportContactsRequest::default();
    let exported = house.engine.export_contacts(&permit(Role::ReadContacts), all, clock(NOON)).await;
    assert!(matches!(exported, Err(Failure::Store(_))), "a copy that is not whole: {exported:?}");
}

#[tokio::test]
async fn a_policy_holds_in_every_region_and_its_texts_are_in_one() {
    let house = House::new();
    for number in [CHINA, FLORIDA] {
        consent(&house.engine, number, "").await;
    }
    let request = v1::PublishPolicyRequest {
        request_id: "p".to_owned(),
        version: "2".to_owned(),
        effective_at: stamp(NOON),
        kind: v1::PolicyChangeKind::Material.into(),
        reasons: vec![v1::PolicyChangeReason::Recipients.into()],
        texts: vec![v1::PolicyText { language: "en".to_owned(), text: "Policy 2.".to_owned(), digest: String::new() }],
        summary: "Partners may call you.".to_owned(),
        who: "ann".to_owned(),
        ..v1::PublishPolicyRequest::default()
    };
    let published = house.engine.publish_policy(&permit(Role::Control), request.clone(), clock(NOON)).await.unwrap();
    let again = house.engine.publish_policy(&permit(Role::Control), request, clock(NOON)).await.unwrap();
    assert_eq!(again, published, "asked again it is the same");
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListOvertakenConsentsRequest { page_token, ..Default::default() };
        let page = house
            .engine
            .overtaken_consents(&permit(Role::ReadContacts), &request, crate::support::READ_AT)
            .await
            .unwrap();
        listed.extend(page.consents.into_iter().map(|one| one.number));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    listed.sort();
    assert_eq!(listed, [FLORIDA, CHINA]);
    for number in [CHINA, FLORIDA] {
        assert_eq!(super::contact(&house.engine, number).await.consents[0].overtaken_by, "2");
    }
    let counted = async |side: &super::house::Side| side.store.meta_list("policy/").await.unwrap().len();
    assert_eq!((counted(&house.main).await, counted(&house.cn).await), (1, 0));
    let get = v1::GetPolicyRequest { version: "2".to_owned(), language: "en".to_owned() };
    let read = house.engine.policy(&permit(Role::ReadLaw), &get, super::at(NOON)).await.unwrap();
    assert_eq!(read.texts[0].text, "Policy 2.");
}
