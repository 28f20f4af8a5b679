//! Incidents: recorded, whom they touch, by when whom they are reported to, and the words of the notices.

use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1::{self, Verdict};

use super::support::{DAY, at, clock, engine, florida, permit, stamp};
use super::{BERLIN, FLORIDA, check, consent, record, sale};

fn stolen() -> v1::OpenIncidentRequest {
    v1::OpenIncidentRequest {
        request_id: "i-1".to_owned(),
        title: "Laptop".to_owned(),
        what_happened: "A laptop with call lists was stolen.".to_owned(),
        possible_effects: "Unwanted calls.".to_owned(),
        measures: "It was wiped from afar.".to_owned(),
        advice: "Be wary of callers who know your name.".to_owned(),
        contact: "privacy@example.com".to_owned(),
        discovered_at: stamp("2026-11-18T10:00:00Z"),
        places: ["DE", "GB", "CN", "US-FL", "CH"].map(str::to_owned).to_vec(),
        who: "ann".to_owned(),
        ..v1::OpenIncidentRequest::default()
    }
}

async fn open(engine: &Engine) -> v1::Incident {
    engine.open_incident(&permit(Role::Control), stolen(), clock(DAY)).await.unwrap().incident.unwrap()
}

async fn add(engine: &Engine, request: v1::AddAffectedContactsRequest) -> v1::AddAffectedContactsResponse {
    engine.add_affected_contacts(&permit(Role::Control), request, clock(DAY)).await.unwrap()
}

async fn notices(engine: &Engine, id: &str, history: bool) -> Vec<v1::IncidentNotice> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListNoticesRequest { incident_id: id.to_owned(), history, page_size: 1, page_token };
        let page = engine.list_notices(&permit(Role::ReadContacts), &request, at(DAY)).await.unwrap();
        all.extend(page.notices);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

#[tokio::test]
async fn a_report_is_due_when_the_tables_say_and_no_date_is_made_up() {
    let engine = engine();
    let incident = open(&engine).await;
    let due: Vec<_> = incident.reports.iter().map(|one| (one.place.as_str(), one.due_at)).collect();
    let three_days = stamp("2026-11-21T10:00:00Z");
    let hour = stamp("2026-11-18T11:00:00Z");
    assert_eq!(due, [("DE", three_days), ("GB", three_days), ("CN", hour), ("US-FL", None), ("CH", None)]);
    let report = v1::RegulatorReport {
        place: "DE".to_owned(),
        reported_at: stamp(DAY),
        reference: "BLN-7".to_owned(),
        ..v1::RegulatorReport::default()
    };
    let request = v1::UpdateIncidentRequest {
        request_id: "u-1".to_owned(),
        incident_id: incident.incident_id.clone(),
        remedies: "A new number, free of charge.".to_owned(),
        report: Some(report),
        close: true,
        who: "bob".to_owned(),
        ..v1::UpdateIncidentRequest::default()
    };
    let update = async |request| engine.update_incident(&permit(Role::Control), request, clock(DAY)).await;
    let changed = update(request.clone()).await.unwrap().incident.unwrap();
    assert_eq!((changed.reports.len(), changed.reports[0].reference.as_str()), (5, "BLN-7"));
    assert_eq!((changed.state(), changed.closed_at), (v1::IncidentState::Closed, stamp(DAY)));
    assert_eq!(update(request.clone()).await.unwrap().incident.unwrap(), changed, "the same request");
    let other = v1::UpdateIncidentRequest { request_id: "u-2".to_owned(), incident_id: "x".to_owned(), ..request };
    assert!(matches!(update(other).await, Err(Failure::NotFound(_))));
}

#[tokio::test]
async fn contacts_come_from_lists_and_from_what_is_stored_and_each_is_told_once() {
    let engine = engine();
    let id = open(&engine).await.incident_id;
    let base = |request_id: &str| v1::AddAffectedContactsRequest {
        request_id: request_id.to_owned(),
        incident_id: id.clone(),
        ..v1::AddAffectedContactsRequest::default()
    };
    let numbers = vec![BERLIN.to_owned(), "+8613800138000".to_owned(), BERLIN.to_owned()];
    let named = v1::AddAffectedContactsRequest { numbers, ..base("a-1") };
    assert_eq!(add(&engine, named.clone()).await.added, 2);
    assert_eq!(add(&engine, named).await.incident.unwrap().affected, 2, "the same request");
    // A call of a campaign, and a child.
    let call = v1::CheckRequest { campaign: "spring".to_owned(), attempt_id: "x".to_owned(), ..florida(FLORIDA) };
    assert_eq!(check(&engine, call, DAY).await.verdict(), Verdict::Allow);
    let child = v1::UpdateContactRequest {
        number: FLORIDA.to_owned(),
        request_id: "c-1".to_owned(),
        facts: Some(v1::ContactFacts { birth_date: "2014-05-01".to_owned(), ..v1::ContactFacts::default() }),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["birth_date".to_owned()] }),
        ..v1::UpdateContactRequest::default()
    };
    engine.update_contact(&permit(Role::WriteConsent), child, clock(DAY)).await.unwrap();
    for (campaign, found) in [("autumn", 0), ("spring", 1)] {
        let request = v1::AddAffectedContactsRequest { campaign: campaign.to_owned(), ..base(campaign) };
        assert_eq!(add(&engine, request).await.added, found, "{campaign}");
    }
    let late = v1::AddAffectedContactsRequest { from: stamp("2026-11-19T00:00:00Z"), ..base("late") };
    assert_eq!(add(&engine, late).await.added, 0);
    let wrong = engine.add_affected_contacts(&permit(Role::Control), base("none"), clock(DAY)).await;
    assert!(matches!(wrong, Err(Failure::Invalid(_))), "{wrong:?}");
    let told = notices(&engine, &id, false).await;
    let languages: Vec<_> =
        told.iter().map(|one| (one.number.as_str(), one.language.as_str(), one.to_guardian)).collect();
    assert_eq!(languages, [(BERLIN, "de", false), (FLORIDA, "en", true), ("+8613800138000", "zh-Hans", false)]);
    assert!(told[1].text.contains("child") && told[0].text.contains("A laptop with call lists was stolen."));
    let mark = |numbers: &[&str], request_id: &str| v1::MarkContactsToldRequest {
        request_id: request_id.to_owned(),
        incident_id: id.clone(),
        numbers: numbers.iter().map(|one| (*one).to_owned()).collect(),
        told_at: None,
    };
    let marked = engine.mark_contacts_told(&permit(Role::Control), mark(&[BERLIN], "m-1"), clock(DAY)).await.unwrap();
    let incident = marked.incident.unwrap();
    assert_eq!((incident.affected, incident.told), (3, 1));
    assert_eq!(notices(&engine, &id, false).await.len(), 2);
    assert_eq!(notices(&engine, &id, true).await[0].told_at, stamp(DAY));
    let stranger = mark(&["+4930231299"], "m-2");
    let stranger = engine.mark_contacts_told(&permit(Role::Control), stranger, clock(DAY)).await.unwrap_err();
    let Failure::Invalid(faults) = stranger else { panic!("{stranger:?}") };
    assert!(faults[0].message.contains("••") && !faults[0].message.contains("30231299"), "{faults:?}");
}

/// A notice of a breach is no marketing: no opt-out from marketing stops it, and one from everything only where no law
/// demands the notice.
#[tokio::test]
async fn a_breach_notice_reaches_who_opted_out() {
    let engine = engine();
    record(&engine, BERLIN, consent("2026-01-10T10:00:00Z", ""), "r-1", "2026-01-10T10:00:00Z").await;
    let stop = async |scope, id: &str| {
        let request = v1::RecordOptOutRequest {
            number: BERLIN.to_owned(),
            request_id: id.to_owned(),
            scope: Some(scope),
            source: v1::OptOutSource::Phone.into(),
            ..v1::RecordOptOutRequest::default()
        };
        engine.record_opt_out(&permit(Role::WriteConsent), request, clock(DAY)).await.unwrap();
    };
    let marketing = vec![v1::Purpose::Marketing.into()];
    stop(v1::OptOutScope { purposes: marketing, ..v1::OptOutScope::default() }, "o-1").await;
    assert_eq!(check(&engine, sale("acme"), DAY).await.verdict(), Verdict::Deny);
    let notice = v1::CheckRequest { purpose: v1::Purpose::Informational.into(), ..sale("acme") };
    assert_eq!(check(&engine, notice.clone(), DAY).await.verdict(), Verdict::Allow);
    stop(v1::OptOutScope { everything: true, ..v1::OptOutScope::default() }, "o-2").await;
    assert_eq!(check(&engine, notice.clone(), DAY).await.verdict(), Verdict::Deny);
    let demanded = v1::CheckRequest { legally_required: true, ..notice };
    assert_eq!(check(&engine, demanded, DAY).await.verdict(), Verdict::Allow);
}
