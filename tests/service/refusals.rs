//! What is wrong with a request is told by field; what is wrong with a number is a decision.

use ringfence::contact::wire::{LIST_ENTRIES, NAME_BYTES, TEXT_BYTES};
use ringfence::proto::v1::{self, Verdict};
use ringfence::proto::well_known::{FieldMask, Timestamp};
use tonic::Code;

use super::support::{engine, families, opt_out, stamp};
use super::{NUMBER, fields, pinned, reason, refusal, serve};

type Change = fn(&mut v1::CheckRequest);

fn evidence(request: &mut v1::CheckRequest) -> &mut v1::Evidence {
    request.evidence.get_or_insert_default()
}

fn location(request: &mut v1::CheckRequest) -> &mut v1::Location {
    request.location.get_or_insert_default()
}

const YEAR_1969: Option<Timestamp> = Some(Timestamp { seconds: -1, nanos: 0 });
const YEAR_9999: Option<Timestamp> = Some(Timestamp { seconds: 253_402_300_799, nanos: 999_000_000 });

/// Each fault of a check, and the field that is named for it.
const FAULTS: &[(&str, Change)] = &[
    ("channel", |r| r.channel = 0),
    ("channel", |r| r.channel = 99),
    ("channel", |r| r.channel = -1),
    ("purpose", |r| r.purpose = 0),
    ("purpose", |r| r.purpose = 99),
    ("seller", |r| r.seller.clear()),
    ("seller", |r| r.seller = "a\nb".to_owned()),
    ("technology", |r| r.technology = 99),
    ("recipient", |r| r.recipient = 99),
    ("legal_form", |r| r.legal_form = 99),
    ("line_type", |r| r.line_type = 99),
    ("offer_category", |r| r.offer_category = 999),
    ("default_region", |r| (r.number, r.default_region) = ("3055550123".to_owned(), "XX".to_owned())),
    ("processing_region", |r| r.processing_region = "nowhere".to_owned()),
    ("location.residence", |r| location(r).residence = "ZZ".to_owned()),
    ("location.residence", |r| location(r).residence = "Florida".to_owned()),
    ("location.time_zone", |r| location(r).time_zone = "EST5EDT4".to_owned()),
    ("location.time_zone", |r| location(r).time_zone = "../../etc/passwd".to_owned()),
    ("at", |r| r.dry_run = false),
    ("at", |r| r.at = YEAR_1969),
    ("at", |r| r.at = YEAR_9999),
    ("at", |r| r.at = Some(Timestamp { seconds: i64::MAX, nanos: i32::MAX })),
    ("at", |r| r.at = Some(Timestamp { seconds: 1_800_000_000, nanos: -1 })),
    ("legally_required", |r| r.legally_required = true),
    ("evidence.age", |r| evidence(r).age = Some(151)),
    ("evidence.birth_date", |r| evidence(r).birth_date = "31.12.1990".to_owned()),
    ("evidence.birth_date", |r| evidence(r).birth_date = "1990-02-30".to_owned()),
    ("evidence.last_conversation_at", |r| evidence(r).last_conversation_at = YEAR_9999),
    ("evidence.consents[0].grade", |r| {
        evidence(r).consents = vec![v1::Consent { grade: 99, ..Default::default() }];
    }),
    ("evidence.consents[0].channels", |r| {
        evidence(r).consents = vec![v1::Consent { channels: vec![0], ..Default::default() }];
    }),
    ("evidence.consents[1].given_at", |r| {
        evidence(r).consents = vec![v1::Consent::default(), v1::Consent { given_at: YEAR_9999, ..Default::default() }];
    }),
    ("evidence.consents[0].frequency_cap.period", |r| {
        let cap = v1::FrequencyCap { count: 1, period: "fortnight".to_owned() };
        evidence(r).consents = vec![v1::Consent { frequency_cap: Some(cap), ..Default::default() }];
    }),
    ("evidence.consents[0].preferred_slot", |r| {
        evidence(r).consents = vec![v1::Consent { preferred_slot: Some(v1::Slot::default()), ..Default::default() }];
    }),
    ("evidence.opt_outs[0].scope", |r| evidence(r).opt_outs = vec![v1::OptOut::default()]),
    ("evidence.registry_checks[0].registry", |r| {
        evidence(r).registry_checks = vec![v1::RegistryCheck::default()];
    }),
    ("evidence.attempts[0].at", |r| evidence(r).attempts = vec![v1::Attempt::default()]),
    ("evidence.inconvenient_times[0].start", |r| {
        let window = v1::WeeklyWindow { start: "25:00".to_owned(), end: "12:00".to_owned(), ..Default::default() };
        evidence(r).inconvenient_times = vec![window];
    }),
    ("evidence.transfer.to", |r| {
        evidence(r).transfer = Some(v1::Transfer { to: "the moon".to_owned(), ..Default::default() });
    }),
    ("evidence.reassigned.answer", |r| {
        evidence(r).reassigned = Some(v1::Reassigned { answer: 99, ..Default::default() });
    }),
];

#[tokio::test]
async fn each_fault_of_a_check_is_told_by_its_field() {
    let served = serve(engine()).await;
    assert_eq!(served.decide(pinned()).await.verdict(), Verdict::Allow);
    for (field, change) in FAULTS {
        let mut request = pinned();
        change(&mut request);
        let status = served.refused(request).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        assert_eq!(fields(&status), [*field], "{status:?}");
        assert!(status.message().starts_with(&format!("{field}: ")), "{status:?}");
        assert_eq!(reason(&status), "INVALID_REQUEST");
    }
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let served = serve(engine()).await;
    let status = served.refused(v1::CheckRequest { number: NUMBER.to_owned(), ..Default::default() }).await;
    assert_eq!(fields(&status), ["channel", "purpose", "seller"]);
    assert!(status.message().ends_with("(and 2 more)"), "{status:?}");
}

#[tokio::test]
async fn each_fault_of_a_write_is_told_by_its_field() {
    let served = serve(engine()).await;
    let mut consent = served.consent();
    let good = v1::Consent {
        grade: v1::ConsentGrade::Express.into(),
        given_at: stamp("2026-01-01T00:00:00Z"),
        ..Default::default()
    };
    let request = |consent: Option<v1::Consent>| v1::RecordConsentRequest {
        number: NUMBER.to_owned(),
        request_id: "c".to_owned(),
        consent,
        ..Default::default()
    };
    let consents = [
        ("consent", request(None)),
        ("request_id", v1::RecordConsentRequest { request_id: String::new(), ..request(Some(good.clone())) }),
        ("number", v1::RecordConsentRequest { number: "911".to_owned(), ..request(Some(good.clone())) }),
        ("consent.grade", request(Some(v1::Consent { grade: 0, ..good.clone() }))),
        ("consent.grade", request(Some(v1::Consent { grade: 99, ..good.clone() }))),
        ("consent.given_at", request(Some(v1::Consent { given_at: None, ..good.clone() }))),
        ("consent.given_at", request(Some(v1::Consent { given_at: stamp("2190-01-01T00:00:00Z"), ..good.clone() }))),
        ("consent.forced", request(Some(v1::Consent { forced: Some(true), ..good.clone() }))),
        ("consent.method", request(Some(v1::Consent { method: v1::ConsentMethod::Silence.into(), ..good.clone() }))),
    ];
    for (field, request) in consents {
        let status = refusal(consent.record_consent(request).await);
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{status:?}");
    }
    let opt_outs = [
        ("request_id", opt_out(NUMBER, "")),
        ("number", opt_out("", "s")),
        ("number", opt_out("call me maybe", "s")),
        ("scope", v1::RecordOptOutRequest { scope: None, ..opt_out(NUMBER, "s") }),
        ("source", v1::RecordOptOutRequest { source: 99, ..opt_out(NUMBER, "s") }),
        ("at", v1::RecordOptOutRequest { at: YEAR_9999, ..opt_out(NUMBER, "s") }),
    ];
    for (field, request) in opt_outs {
        let status = refusal(consent.record_opt_out(request).await);
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{status:?}");
    }
    let update = |paths: &[&str], facts: v1::ContactFacts| v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u".to_owned(),
        facts: Some(facts),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    };
    let updates = [
        ("update_mask", update(&[], v1::ContactFacts::default())),
        ("update_mask", update(&["colour"], v1::ContactFacts::default())),
        (
            "facts.residence",
            update(&["residence"], v1::ContactFacts { residence: "ZZ".to_owned(), ..Default::default() }),
        ),
        ("facts.age", update(&["age"], v1::ContactFacts { age: Some(500), ..Default::default() })),
    ];
    for (field, request) in updates {
        let status = refusal(consent.update_contact(request).await);
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{status:?}");
    }
    let get = v1::GetContactRequest { number: "letters".to_owned(), ..Default::default() };
    assert_eq!(fields(&refusal(consent.get_contact(get).await)), ["number"]);
    let report = v1::ReportOutcomeRequest { number: NUMBER.to_owned(), outcome: 99, ..Default::default() };
    assert_eq!(fields(&refusal(served.check().report_outcome(report).await)), ["attempt_id", "outcome"]);
    let calendar = v1::CalendarRequest { days: 63, ..Default::default() };
    let status = refusal(served.law().calendar(calendar).await);
    assert_eq!(fields(&status), ["place", "purpose", "days"], "{status:?}");
}

#[tokio::test]
async fn a_string_that_is_no_number_is_a_decision() {
    let served = serve(engine()).await;
    let forty = "1234567890".repeat(4);
    for number in [
        "",
        " ",
        "+",
        "call me maybe",
        "\u{0}\u{7f}",
        "٠١٢",
        &forty,
        &format!("+{forty}"),
        "+9991234567",
        "+0",
        "911",
        "112",
        "+1911",
        "22000",
        "+19005550123",
        "+449098790123",
    ] {
        for default_region in ["", "US"] {
            let request =
                v1::CheckRequest { number: number.to_owned(), default_region: default_region.to_owned(), ..pinned() };
            let decision = served.decide(request).await;
            assert_eq!(decision.verdict(), Verdict::Deny, "{number}");
            assert_eq!(families(&decision), ["RULE_FAMILY_NUMBER"], "{number} in {default_region}: {decision:?}");
            assert_eq!((decision.retry_at, decision.use_by), (None, None), "{number}");
            if !number.starts_with("+1") && !number.starts_with("+4") {
                let given: String = number.chars().take(64).collect();
                assert_eq!(decision.number, given, "as it was given");
            }
            assert!(!decision.reasons[0].message.is_empty());
        }
    }
}

/// The class of a number that is not to be contacted is told where it is known.
#[tokio::test]
async fn the_class_of_an_unusable_number_is_told() {
    let served = serve(engine()).await;
    for (number, class) in [
        ("911", v1::NumberType::Emergency),
        ("22000", v1::NumberType::Short),
        ("+19005550123", v1::NumberType::Premium),
        ("letters", v1::NumberType::Unspecified),
    ] {
        let request = v1::CheckRequest { number: number.to_owned(), default_region: "US".to_owned(), ..pinned() };
        assert_eq!(served.decide(request).await.number_type(), class, "{number}");
    }
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_a_bad_row_is_one_error() {
    let served = serve(engine()).await;
    let mut checks: Vec<_> = (0..1_000)
        .map(|i| v1::CheckRequest { number: format!("+1305555{i:04}"), attempt_id: i.to_string(), ..pinned() })
        .collect();
    checks[7].seller.clear();
    checks[8].number = "nonsense".to_owned();
    let answer = served.check().check_batch(v1::CheckBatchRequest { checks: checks.clone() }).await.unwrap();
    let results = answer.into_inner().results;
    assert_eq!(results.len(), 1_000);
    for (i, result) in results.into_iter().enumerate() {
        match (i, result.result.unwrap()) {
            (7, v1::check_result::Result::Error(status)) => {
                assert_eq!(status.code, i32::from(Code::InvalidArgument));
                assert!(status.message.starts_with("seller: ") && status.details.len() == 2, "{status:?}");
            }
            (8, v1::check_result::Result::Decision(decision)) => {
                assert_eq!(families(&decision), ["RULE_FAMILY_NUMBER"]);
            }
            (_, v1::check_result::Result::Decision(decision)) => {
                assert_eq!(decision.number, format!("+1305555{i:04}"));
                assert_eq!(decision.attempt_id, i.to_string());
            }
            (_, other) => panic!("row {i}: {other:?}"),
        }
    }
    checks.push(pinned());
    let status = refusal(served.check().check_batch(v1::CheckBatchRequest { checks }).await);
    assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec!["checks".to_owned()]));
    assert!(status.message().contains("1001") && status.message().contains("1000"), "{status:?}");
    let none = served.check().check_batch(v1::CheckBatchRequest::default()).await.unwrap().into_inner();
    assert!(none.results.is_empty());
}

/// The limits of the contract, exactly: what just fits is taken.
#[tokio::test]
async fn what_just_fits_is_taken() {
    let served = serve(engine()).await;
    let mut request = pinned();
    request.seller = "s".repeat(NAME_BYTES);
    request.attempt_id = "a".repeat(NAME_BYTES);
    let consent = v1::Consent { wording: "w".repeat(TEXT_BYTES), ..Default::default() };
    evidence(&mut request).consents = vec![consent; 10];
    evidence(&mut request).attempts =
        vec![v1::Attempt { at: stamp("2020-01-01T00:00:00Z"), ..Default::default() }; LIST_ENTRIES];
    assert_eq!(served.decide(request).await.verdict(), Verdict::Allow);
}
