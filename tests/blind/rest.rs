//! What is recorded beside a contact's own record: requests of the person, holds, incidents, policies, processors.

use std::net::SocketAddr;

use ringfence::proto::v1;
use ringfence::proto::v1::incident_service_client::IncidentServiceClient;
use ringfence::proto::v1::policy_service_client::PolicyServiceClient;
use ringfence::proto::v1::privacy_service_client::PrivacyServiceClient;
use ringfence::proto::v1::processor_service_client::ProcessorServiceClient;
use ringfence::proto::v1::retention_service_client::RetentionServiceClient;
use ringfence::proto::well_known::Timestamp;
use tonic::transport::Endpoint;

use super::NUMBER;

/// Words that stand in it, and must stand nowhere else.
pub const WORDS: [&str; 9] = [
    "zyx-details",
    "zyx-passport",
    "zyx-claim",
    "zyx-retained",
    "zyx-stolen",
    "zyx-partner",
    "zyx-dialer",
    "zyx-contract",
    "zyx-reason",
];

const YESTERDAY: i64 = 86_400_000;

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

pub async fn record(address: SocketAddr) {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(super::clients::PATIENCE);
    let channel = channel.connect_lazy();
    let (later, earlier) = (Timestamp::from_millis(now() + 40 * YESTERDAY), Timestamp::from_millis(now() - YESTERDAY));
    let mut privacy = PrivacyServiceClient::new(channel.clone());
    let request = v1::OpenRequestRequest {
        number: NUMBER.to_owned(),
        request_id: "zyx-request-6".to_owned(),
        kind: v1::RightsRequestKind::Access.into(),
        requester: v1::RequesterRole::Person.into(),
        identity_verified_by: "zyx-passport".to_owned(),
        identity_verified_at: Some(earlier),
        details: "zyx-details: all of it".to_owned(),
        ..Default::default()
    };
    privacy.open_request(request).await.unwrap();
    let hold = v1::PlaceHoldRequest {
        number: NUMBER.to_owned(),
        request_id: "zyx-request-7".to_owned(),
        record_class: "consents".to_owned(),
        reason: "zyx-claim in court".to_owned(),
        who: "zyx-who".to_owned(),
        ..Default::default()
    };
    privacy.place_hold(hold).await.unwrap();
    let hold = v1::PlaceRetentionHoldRequest {
        request_id: "zyx-request-8".to_owned(),
        number: NUMBER.to_owned(),
        record_classes: vec![v1::RecordClass::Consents.into()],
        until: Some(later),
        why: "zyx-retained".to_owned(),
        who: "zyx-who".to_owned(),
        ..Default::default()
    };
    RetentionServiceClient::new(channel.clone()).place_retention_hold(hold).await.unwrap();
    let mut incidents = IncidentServiceClient::new(channel.clone());
    let incident = v1::OpenIncidentRequest {
        request_id: "zyx-request-9".to_owned(),
        title: "zyx-stolen".to_owned(),
        what_happened: "zyx-stolen laptop".to_owned(),
        possible_effects: "zyx-stolen".to_owned(),
        measures: "zyx-stolen".to_owned(),
        advice: "zyx-stolen".to_owned(),
        contact: "zyx-stolen@example.com".to_owned(),
        discovered_at: Some(earlier),
        places: vec!["US-FL".to_owned()],
        who: "zyx-who".to_owned(),
        ..Default::default()
    };
    let opened = incidents.open_incident(incident).await.unwrap().into_inner().incident.unwrap();
    let affected = v1::AddAffectedContactsRequest {
        request_id: "zyx-request-10".to_owned(),
        incident_id: opened.incident_id,
        numbers: vec![NUMBER.to_owned()],
        ..Default::default()
    };
    incidents.add_affected_contacts(affected).await.unwrap();
    let mut policies = PolicyServiceClient::new(channel.clone());
    let policy = v1::PublishPolicyRequest {
        request_id: "zyx-request-11".to_owned(),
        version: "zyx-policy-3".to_owned(),
        effective_at: Some(later),
        kind: v1::PolicyChangeKind::Material.into(),
        reasons: vec![v1::PolicyChangeReason::Recipients.into()],
        texts: vec![v1::PolicyText {
            language: "en".to_owned(),
            text: "zyx-policy: partners may call.".to_owned(),
            digest: String::new(),
        }],
        summary: "zyx-policy".to_owned(),
        who: "zyx-who".to_owned(),
        ..Default::default()
    };
    policies.publish_policy(policy).await.unwrap();
    let transfer = v1::TransferSellerRequest {
        request_id: "zyx-request-12".to_owned(),
        from_seller: "zyx-seller".to_owned(),
        to_seller: "zyx-partner".to_owned(),
        recipient_name: "zyx-partner Ltd".to_owned(),
        recipient_contact: "zyx-partner@example.com".to_owned(),
        keeps_terms: true,
        who: "zyx-who".to_owned(),
        why: "zyx-reason".to_owned(),
    };
    policies.transfer_seller(transfer).await.unwrap();
    let processor = v1::PutProcessorRequest {
        request_id: "zyx-request-13".to_owned(),
        processor: Some(v1::Processor {
            name: "zyx-dialer".to_owned(),
            purpose: "zyx-dialer calls".to_owned(),
            contract_ref: "zyx-contract".to_owned(),
            assessed_on: "2026-05-01".to_owned(),
            contact: "zyx-dialer@example.com".to_owned(),
            ..Default::default()
        }),
        who: "zyx-who".to_owned(),
        ..Default::default()
    };
    ProcessorServiceClient::new(channel).put_processor(processor).await.unwrap();
}
