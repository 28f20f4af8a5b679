//! The JSON of the contract: what dialers write is read, what is misspelt is refused, what is answered is canonical.

use prost::Message as _;
use ringfence::proto::json;
use ringfence::proto::v1::{self, CheckRequest, Decision};
use ringfence::proto::well_known::Timestamp;
use serde_json::{Value, json};

/// A request that uses every field that acceptance cases use, in their spelling.
fn full_request() -> Value {
    json!({
        "number": "+8613800138045",
        "channel": "CHANNEL_TEXT",
        "technology": "TECHNOLOGY_AUTODIALER",
        "purpose": "PURPOSE_MARKETING",
        "recipient": "RECIPIENT_CONSUMER",
        "lineType": "LINE_TYPE_MOBILE",
        "seller": "acme",
        "subject": "renewal",
        "dryRun": true,
        "at": "2026-11-18T04:00:00Z",
        "location": {"residence": "CN", "timeZone": "Asia/Shanghai"},
        "processingRegion": "SG",
        "evidence": {
            "age": 34,
            "lastConversationAt": "2026-11-01T04:00:00Z",
            "consents": [{
                "grade": "CONSENT_GRADE_EXPRESS",
                "flags": ["CONSENT_FLAG_SEPARATE", "CONSENT_FLAG_CROSS_BORDER"],
                "channels": ["CHANNEL_CALL", "CHANNEL_TEXT"],
                "purposes": ["PURPOSE_MARKETING"],
                "sellers": ["acme"],
                "givenAt": "2026-06-01T02:00:00Z",
                "method": "CONSENT_METHOD_WEB_FORM",
                "evidenceRef": "form-1",
                "obtainedFrom": "third_party",
                "policyVersion": "2",
                "frequencyCap": {"count": 4, "period": "month"},
            }],
            "optOuts": [{
                "scope": {"everything": true},
                "at": "2025-02-01T10:00:00Z",
                "source": "OPT_OUT_SOURCE_PHONE",
            }],
            "registryChecks": [{
                "registry": "us.dnc.national",
                "listed": false,
                "checkedAt": "2026-11-17T13:00:00Z",
                "listedAt": "2025-01-10T00:00:00Z",
            }],
            "attempts": [{"at": "2026-11-02T02:00:00Z", "channel": "CHANNEL_TEXT", "seller": "acme", "subject": "renewal"}],
            "relationship": {"lastPurchaseAt": "2026-08-01T00:00:00Z", "contractActive": true},
            "policy": {"currentVersion": "3", "material": true, "effectiveAt": "2026-07-01T00:00:00Z"},
            "transfer": {"to": "SG", "mechanism": "TRANSFER_MECHANISM_STANDARD_CONTRACT", "personsSinceJanuary": 250000},
        },
    })
}

fn read(request: Value) -> Result<CheckRequest, String> {
    json::read(request.to_string().as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn a_request_is_read_as_acceptance_cases_spell_it() {
    let request = read(full_request()).unwrap();
    assert_eq!(request.channel(), v1::Channel::Text);
    assert_eq!(request.at.unwrap().to_millis(), Some(1_794_974_400_000));
    let evidence = request.evidence.as_ref().unwrap();
    assert_eq!(evidence.age, Some(34));
    assert_eq!(evidence.registry_checks[0].listed, Some(false));
    assert_eq!(evidence.consents[0].obtained_from, "third_party");
    assert_eq!(evidence.consents[0].frequency_cap.as_ref().unwrap().period, "month");
    assert_eq!(evidence.transfer.as_ref().unwrap().persons_since_january, Some(250_000));
    assert_eq!(evidence.relationship.as_ref().unwrap().contract_active, Some(true));
    assert!(evidence.opt_outs[0].scope.as_ref().unwrap().everything);
}

#[test]
fn what_is_read_is_written_the_same() {
    let request = read(full_request()).unwrap();
    assert_eq!(serde_json::to_value(&request).unwrap(), full_request());
    assert_eq!(CheckRequest::decode(request.encode_to_vec().as_slice()).unwrap(), request);
}

#[test]
fn what_is_absent_stays_apart_from_what_is_false() {
    let consent = |json: Value| serde_json::from_value::<v1::Consent>(json).unwrap();
    assert_eq!(consent(json!({})).notice_given, None);
    assert_eq!(consent(json!({"noticeGiven": false})).notice_given, Some(false));
    let check: v1::RegistryCheck = serde_json::from_value(json!({"registry": "uk.tps"})).unwrap();
    assert_eq!(check.listed, None);
    let evidence: v1::Evidence = serde_json::from_value(json!({"age": 0})).unwrap();
    assert_eq!(evidence.age, Some(0));
}

/// Puts a key into the object at a path of the full request.
fn with(pointer: &str, key: &str, value: Value) -> Value {
    let mut request = full_request();
    request.pointer_mut(pointer).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    request
}

#[test]
fn a_key_that_is_not_known_is_refused_wherever_it_stands() {
    for pointer in [
        "",
        "/location",
        "/evidence",
        "/evidence/consents/0",
        "/evidence/consents/0/frequencyCap",
        "/evidence/optOuts/0",
        "/evidence/optOuts/0/scope",
        "/evidence/registryChecks/0",
        "/evidence/attempts/0",
        "/evidence/relationship",
        "/evidence/policy",
        "/evidence/transfer",
    ] {
        let error = read(with(pointer, "lastPurchasedAt", json!("2026-08-01T00:00:00Z"))).unwrap_err();
        assert!(error.contains("lastPurchasedAt"), "{pointer}: {error}");
    }
}

#[test]
fn a_value_that_is_not_known_is_refused() {
    for (pointer, key, value) in [
        ("", "channel", json!("CALL")),
        ("", "channel", json!("CHANNEL_FAX")),
        ("", "dryRun", json!("yes")),
        ("", "at", json!("yesterday")),
        ("", "at", json!(1_794_974_400)),
        ("/evidence", "age", json!(-1)),
        ("/evidence/transfer", "personsSinceJanuary", json!(1e12)),
    ] {
        assert!(read(with(pointer, key, value.clone())).is_err(), "{key}: {value}");
    }
}

#[test]
fn a_decision_is_written_in_the_canonical_form() {
    let decision = Decision {
        decision_id: "019a9a3c-0000-7000-8000-000000000000".into(),
        verdict: v1::Verdict::Deny.into(),
        reasons: vec![v1::Reason {
            family: v1::RuleFamily::QuietHours.into(),
            rule_id: "us.fl.quiet_hours".into(),
            clears_at: Some(Timestamp::from_millis(1_795_006_800_000)),
            ..Default::default()
        }],
        retry_at: Some(Timestamp::from_millis(1_795_006_800_500)),
        number: "+18505550140".into(),
        ..Default::default()
    };
    let result = v1::CheckBatchResponse {
        results: vec![v1::CheckResult { result: Some(v1::check_result::Result::Decision(decision)) }],
    };
    assert_eq!(
        serde_json::to_value(&result).unwrap(),
        json!({"results": [{"decision": {
            "decisionId": "019a9a3c-0000-7000-8000-000000000000",
            "verdict": "VERDICT_DENY",
            "reasons": [{
                "family": "RULE_FAMILY_QUIET_HOURS",
                "ruleId": "us.fl.quiet_hours",
                "clearsAt": "2026-11-18T13:00:00Z",
            }],
            "retryAt": "2026-11-18T13:00:00.500Z",
            "number": "+18505550140",
        }}]})
    );
}

#[test]
fn a_row_that_failed_is_written_with_its_details() {
    use tonic_types::{ErrorDetails, StatusExt as _};
    let details = ErrorDetails::with_bad_request_violation("seller", "is required");
    let status = tonic::Status::with_error_details(tonic::Code::InvalidArgument, "seller is required", details);
    let error = ringfence::proto::rpc::Status::decode(status.details()).unwrap();
    let result = v1::CheckResult { result: Some(v1::check_result::Result::Error(error)) };
    assert_eq!(
        serde_json::to_value(&result).unwrap(),
        json!({"error": {
            "code": 3,
            "message": "seller is required",
            "details": [{
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "seller", "description": "is required"}],
            }],
        }})
    );
}

#[test]
fn counts_of_64_bits_are_strings() {
    let registry = v1::Registry { registry: "us.dnc.national".into(), numbers: 258_000_000, ..Default::default() };
    assert_eq!(serde_json::to_value(&registry).unwrap()["numbers"], "258000000");
}

#[test]
fn what_a_copy_of_a_registry_covers_is_told() {
    let full_as_of = Some(Timestamp::from_millis(1_794_981_600_000));
    let registry = v1::Registry { areas: "202-205,305".into(), full_as_of, ..Default::default() };
    let told = json!({"areas": "202-205,305", "fullAsOf": "2026-11-18T06:00:00Z"});
    assert_eq!(serde_json::to_value(&registry).unwrap(), told);
    assert_eq!(serde_json::from_value::<v1::Registry>(told).unwrap(), registry);
}

#[test]
fn a_field_mask_is_read_from_json() {
    let update: v1::UpdateContactRequest = serde_json::from_value(json!({
        "number": "+12025550143",
        "requestId": "r-1",
        "facts": {"residence": "US-FL", "lineType": "LINE_TYPE_MOBILE"},
        "updateMask": "residence,lineType",
    }))
    .unwrap();
    assert_eq!(update.update_mask.unwrap().paths, ["residence", "line_type"]);
}

/// I9: a message in a log line gives no number away, nor what a person wrote.
#[test]
fn debug_masks_numbers_and_wordings() {
    let number = "+12025550143".to_owned();
    let request = CheckRequest { number: number.clone(), caller_id: "+12025550199".into(), ..Default::default() };
    let stream = v1::CheckStreamRequest { check: Some(request.clone()) };
    let batch = v1::CheckBatchRequest { checks: vec![request.clone()] };
    let decision = Decision { number: number.clone(), ..Default::default() };
    let contact = v1::Contact { number: number.clone(), ..Default::default() };
    let event = v1::OptOutEvent { number: number.clone(), ..Default::default() };
    let record = ringfence::proto::store::ContactRecord { number: 12_025_550_143, ..Default::default() };
    let inbound = v1::ProcessInboundRequest { number, text: "stop, this is 12025550143".into(), ..Default::default() };
    for text in [
        format!("{request:?}"),
        format!("{stream:#?}"),
        format!("{batch:?}"),
        format!("{decision:?}"),
        format!("{contact:?}"),
        format!("{event:?}"),
        format!("{record:?}"),
        format!("{inbound:?}"),
    ] {
        assert!(text.contains("+1202555••43"), "{text}");
        assert!(!text.contains("5550143") && !text.contains("5550199"), "{text}");
    }
    let odd = CheckRequest { number: "call 0043 on 1202555".into(), ..Default::default() };
    assert!(format!("{odd:?}").contains("number: <20 bytes>"), "{odd:?}");
}
