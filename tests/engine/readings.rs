//! Whoever reads about people leaves a trace: every call that reads is drawn from the descriptors.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use prost::Message as _;
use ringfence::proto::ALL_DESCRIPTOR_SET;

use super::*;

/// What these show names nobody: law, texts, switches, counts, and lists of ids.
const OF_NOBODY: [&str; 13] = [
    "GetIncident",
    "GetPolicy",
    "GetRule",
    // Numbers are masked.
    "GetSelfCheck",
    "ListEmergencies",
    "ListFreezes",
    "ListIncidents",
    "ListPacks",
    "ListPolicies",
    "ListProcessors",
    // Neither number nor words: those are shown by GetRequest.
    "ListRequests",
    "ListRegistries",
    "ListSellerTransfers",
];

/// The calls that read, by their names.
fn reading() -> BTreeSet<String> {
    let files = prost_types::FileDescriptorSet::decode(ALL_DESCRIPTOR_SET).unwrap().file;
    let ours = files.iter().filter(|file| file.package().starts_with("ringfence."));
    let methods = ours.flat_map(|file| &file.service).flat_map(|service| &service.method);
    let reads =
        |name: &str| ["Get", "List", "Watch", "Export"].iter().any(|verb| name.starts_with(verb)) || name == "Replay";
    let names = methods.map(|method| method.name().to_owned()).filter(|name| reads(name));
    names.filter(|name| !OF_NOBODY.contains(&name.as_str())).collect()
}

/// Makes each of those calls.
async fn read_all(engine: &Arc<Engine>) {
    let (reads, audits) = (permit(Role::ReadContacts), permit(Role::Audit));
    let (privacy, control) = (permit(Role::Privacy), permit(Role::Control));
    let (number, now) = (NUMBER.to_owned(), support::READ_AT);
    let decision_id = check(engine, florida(NUMBER), DAY).await.decision_id;
    engine.decision(&audits, &decision_id, now).await.unwrap();
    let list = v1::ListDecisionsRequest { number: number.clone(), ..Default::default() };
    engine.decisions(&audits, &list, clock(DAY)).await.unwrap();
    let replay = v1::ReplayRequest { decision_ids: vec![decision_id], ..Default::default() };
    engine.replay(&audits, &replay, now).await.unwrap();
    engine.contact(&reads, &v1::GetContactRequest { number: number.clone(), ..Default::default() }, now).await.unwrap();
    engine.overtaken_consents(&reads, &v1::ListOvertakenConsentsRequest::default(), now).await.unwrap();
    engine.export_contacts(&reads, v1::ExportContactsRequest::default(), clock(DAY)).await.unwrap();
    let watch = v1::WatchOptOutsRequest { sellers: vec!["acme".to_owned()], ..Default::default() };
    let wait = std::time::Duration::from_secs(1);
    let watched = engine.watch_opt_outs(&reads, watch, || support::READ_AT, wait).await.unwrap();
    std::pin::pin!(watched).next().await.unwrap().unwrap();
    let open = v1::OpenRequestRequest {
        number: number.clone(),
        request_id: "r".to_owned(),
        kind: v1::RightsRequestKind::Complaint.into(),
        ..Default::default()
    };
    let rights_request_id =
        engine.open_request(&privacy, open, clock(DAY)).await.unwrap().request.unwrap().rights_request_id;
    engine.get_request(&privacy, &v1::GetRequestRequest { rights_request_id }, now).await.unwrap();
    let export = v1::ExportContactRequest { number: number.clone(), request_id: "e".to_owned(), ..Default::default() };
    engine.export_contact(&privacy, export, clock(DAY)).await.unwrap();
    engine.list_retention_holds(&control, &v1::ListRetentionHoldsRequest::default(), now).await.unwrap();
    let status = v1::GetProcessorStatusRequest { number, ..Default::default() };
    engine.processor_status(&audits, &status, now).await.unwrap();
    let incident = v1::OpenIncidentRequest {
        request_id: "i".to_owned(),
        title: "Laptop".to_owned(),
        what_happened: "A laptop with call lists was stolen.".to_owned(),
        possible_effects: "Unwanted calls.".to_owned(),
        measures: "It was wiped from afar.".to_owned(),
        advice: "Be wary of callers who know your name.".to_owned(),
        contact: "privacy@example.com".to_owned(),
        discovered_at: support::stamp(DAY),
        places: vec!["US-FL".to_owned()],
        who: "ann".to_owned(),
        ..Default::default()
    };
    let incident_id = engine.open_incident(&control, incident, clock(DAY)).await.unwrap().incident.unwrap().incident_id;
    engine.list_notices(&reads, &v1::ListNoticesRequest { incident_id, ..Default::default() }, now).await.unwrap();
}

/// A call that is new and reads is either among those that show nobody, or leaves an entry that names it.
#[tokio::test]
async fn every_call_that_shows_people_leaves_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    read_all(&durable.engine).await;
    // Readings are safe a moment later: what waits for the disk comes behind them.
    check(&durable.engine, florida("+13055550188"), DAY).await;
    durable.reconciler.tick(at(DAY)).await.unwrap();
    let vault = Vault::new(Some(Arc::clone(&durable.store)), Keys::open(&folder.path().join("keys")).unwrap());
    let mut entries = Entries::open(&folder.path().join("data/audit"), None).unwrap();
    let mut told = BTreeSet::new();
    while let Some((found, _)) = entries.next_entry().unwrap() {
        let Ok(body) = vault.open(&found.entry).await.unwrap() else { continue };
        let Some(audit_body::Body::Write(write)) = AuditBody::decode(&*body).unwrap().body else { continue };
        let request = format!("{:?}", write.request.unwrap());
        assert!(found.entry.kind != READING || !request.contains(&NUMBER[1..]), "{request}");
        told.insert(request.split('(').next().unwrap().to_owned());
    }
    let reading = reading();
    assert!(reading.len() >= 12, "{reading:?}");
    assert_eq!(reading.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
}
