//! The shape of the API and of what is stored, as text: one line for all that a client or an old record depends on.

use std::fmt::Write as _;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};
use ringfence::proto::{ALL_DESCRIPTOR_SET, FILE_DESCRIPTOR_SET};

#[test]
fn the_api_is_as_it_was() {
    super::frozen("api.txt", &shape(&decode(FILE_DESCRIPTOR_SET), &["ringfence.v1", "google.rpc"]));
}

#[test]
fn what_is_stored_is_as_it_was() {
    super::frozen("stored.txt", &shape(&decode(ALL_DESCRIPTOR_SET), &["ringfence.store.v1"]));
}

#[test]
fn what_is_stored_is_not_served_by_reflection() {
    let api = decode(FILE_DESCRIPTOR_SET);
    assert!(api.file.iter().all(|file| !file.package().starts_with("ringfence.store")));
    for name in ["google/protobuf/timestamp.proto", "google/protobuf/field_mask.proto", "google/protobuf/any.proto"] {
        assert!(api.file.iter().any(|file| file.name() == name), "reflection needs {name}");
    }
}

/// Every service of the design, with its methods: nothing promised is missing, nothing is there that is not promised.
#[test]
fn the_services_are_those_of_the_design() {
    let promised = "AuditService: GetDecision ListDecisions Replay GetSelfCheck\n\
                    CheckService: Check CheckBatch CheckStream> ReportOutcome\n\
                    ConsentService: RecordConsent RecordOptOut GetContact UpdateContact ProcessInbound ImportContacts \
                    WatchOptOuts>\n\
                    ControlService: Freeze Unfreeze ListFreezes DeclareEmergency EndEmergency ListEmergencies\n\
                    IncidentService: OpenIncident UpdateIncident AddAffectedContacts MarkContactsTold GetIncident \
                    ListIncidents ListNotices\n\
                    LawService: ListPacks GetRule Calendar\n\
                    PolicyService: PublishPolicy GetPolicy ListPolicies ListOvertakenConsents TransferSeller \
                    ListSellerTransfers\n\
                    PrivacyService: OpenRequest ExportContact EraseContact ListRequests GetRequest ResolveRequest \
                    PlaceHold LiftHold\n\
                    ProcessorService: PutProcessor RemoveProcessor ResumeProcessor ListProcessors GetProcessorStatus \
                    ConfirmOptOuts\n\
                    RegistryService: ListRegistries LookUp PutList AddToList RemoveFromList\n\
                    RetentionService: SweepContacts PlaceRetentionHold ReleaseRetentionHold ListRetentionHolds OffBoard ExportContacts\n";
    let mut found: Vec<String> = decode(FILE_DESCRIPTOR_SET)
        .file
        .iter()
        .flat_map(|file| &file.service)
        .map(|service| {
            let methods = service.method.iter().map(|m| match m.server_streaming() {
                true => format!(" {}>", m.name()),
                false => format!(" {}", m.name()),
            });
            format!("{}:{}\n", service.name(), methods.collect::<String>())
        })
        .collect();
    found.sort();
    assert_eq!(found.concat(), promised);
}

/// One consent, one opt-out and three reported attempts leave room for seal and key within 500 bytes of Redis.
#[test]
fn a_usual_record_is_small() {
    use ringfence::proto::{store, v1};
    let at = 1_794_974_400_000;
    let write = |n: u8| {
        let (request_hash, content_hash) = (u64::MAX, u32::MAX);
        Some(store::StoredWrite { request_hash, content_hash, recorded_at: at, receipt_id: vec![n; 16] })
    };
    let consent = v1::Consent {
        grade: v1::ConsentGrade::ExpressWritten.into(),
        channels: vec![v1::Channel::Call.into(), v1::Channel::Text.into()],
        purposes: vec![v1::Purpose::Marketing.into()],
        sellers: vec!["acme".into()],
        given_at: Some(ringfence::proto::well_known::Timestamp::from_millis(at)),
        method: v1::ConsentMethod::WebForm.into(),
        evidence_ref: "form-1".into(),
        ..Default::default()
    };
    let scope = v1::OptOutScope { purposes: vec![v1::Purpose::Marketing.into()], ..Default::default() };
    let opt_out = v1::OptOut { scope: Some(scope), source: v1::OptOutSource::Phone.into(), ..Default::default() };
    let attempt = |n: u8| store::StoredAttempt {
        attempt_id: Some(store::stored_attempt::AttemptId::Uuid(vec![n; 16])),
        granted_at: at,
        reported_after: Some(95_000),
        started_after: Some(2_000),
        lasted: Some(90_000),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Marketing.into(),
        outcome: v1::Outcome::Conversation.into(),
        seller: 1,
        subject: 2,
        ..Default::default()
    };
    let record = store::ContactRecord {
        format: 1,
        number: 12_025_550_143,
        created_at: at,
        words: vec!["acme".into(), "renewal".into()],
        consents: vec![store::StoredConsent { consent: Some(consent), write: write(1), ..Default::default() }],
        opt_outs: vec![store::StoredOptOut { opt_out: Some(opt_out), write: write(2), ..Default::default() }],
        attempts: vec![attempt(3), attempt(4), attempt(5)],
        ..Default::default()
    };
    assert!(record.encoded_len() <= 320, "{} bytes", record.encoded_len());
}

pub fn decode(set: &[u8]) -> FileDescriptorSet {
    FileDescriptorSet::decode(set).unwrap()
}

/// One block a service, message or enumeration, by full name.
fn shape(set: &FileDescriptorSet, packages: &[&str]) -> String {
    let mut blocks = Vec::new();
    for file in set.file.iter().filter(|file| packages.contains(&file.package())) {
        let package = file.package();
        blocks.extend(file.service.iter().map(|service| block_of_service(package, service)));
        blocks.extend(file.message_type.iter().map(|message| block_of_message(package, message)));
        blocks.extend(file.enum_type.iter().map(|enumeration| block_of_enum(package, enumeration)));
        assert!(
            file.message_type.iter().all(|m| m.nested_type.is_empty() && m.enum_type.is_empty()),
            "render nested types"
        );
    }
    blocks.sort();
    blocks.join("\n")
}

fn block_of_service(package: &str, service: &ServiceDescriptorProto) -> String {
    let mut text = format!("service {package}.{}\n", service.name());
    for method in &service.method {
        let stream = |streaming: bool| if streaming { "stream " } else { "" };
        let (input, output) = (method.input_type(), method.output_type());
        let (asks, answers) = (stream(method.client_streaming()), stream(method.server_streaming()));
        writeln!(text, "  {}({asks}{}) -> {answers}{}", method.name(), short(input), short(output)).unwrap();
    }
    text
}

fn block_of_message(package: &str, message: &DescriptorProto) -> String {
    let mut text = format!("message {package}.{}\n", message.name());
    for field in &message.field {
        writeln!(text, "  {} {}: {}", field.number(), field.name(), type_of(message, field)).unwrap();
    }
    for range in &message.reserved_range {
        writeln!(text, "  {}..{} reserved", range.start(), range.end()).unwrap();
    }
    text
}

fn block_of_enum(package: &str, enumeration: &EnumDescriptorProto) -> String {
    let mut text = format!("enum {package}.{}\n", enumeration.name());
    for value in &enumeration.value {
        writeln!(text, "  {} {}", value.number(), value.name()).unwrap();
    }
    for range in &enumeration.reserved_range {
        writeln!(text, "  {}..={} reserved", range.start(), range.end()).unwrap();
    }
    text
}

fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let scalar = match field.r#type() {
        Type::Message | Type::Enum => short(field.type_name()).to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match field.oneof_index {
        _ if field.label() == Label::Repeated => format!("repeated {scalar}"),
        _ if field.proto3_optional() => format!("optional {scalar}"),
        Some(index) => format!("{scalar}, one of {}", message.oneof_decl[index as usize].name()),
        None => scalar,
    }
}

fn short(type_name: &str) -> &str {
    let name = type_name.trim_start_matches('.');
    name.strip_prefix("ringfence.v1.").or_else(|| name.strip_prefix("ringfence.store.v1.")).unwrap_or(name)
}
