//! What is too large, and bytes that are no message: refused by name, in answers that themselves stay small.

use prost::bytes::{Buf as _, BufMut as _};
use ringfence::contact::wire::LIST_ENTRIES;
use ringfence::proto::v1;
use ringfence::service::MESSAGE_BYTES;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

use super::support::{engine, families, opt_out};
use super::{NUMBER, Served, fields, pinned, refusal, serve};

/// Sends and receives bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length).to_vec()))
    }
}

async fn send(served: &Served, path: &'static str, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(served.channel.clone());
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(Request::new(bytes.to_vec()), path, Raw).await.map(tonic::Response::into_inner)
}

/// A field of text, number `tag` (below 16), that is not UTF-8.
fn not_utf_8(tag: u8) -> Vec<u8> {
    vec![tag << 3 | 2, 2, 0xff, 0xfe]
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused_by_its_field() {
    let served = serve(engine()).await;
    for (path, tag, field) in [
        ("/ringfence.v1.CheckService/Check", 1, "number"),
        ("/ringfence.v1.CheckService/Check", 6, "seller"),
        ("/ringfence.v1.CheckService/Check", 10, "household"),
        ("/ringfence.v1.CheckService/ReportOutcome", 3, "attempt_id"),
        ("/ringfence.v1.ConsentService/RecordConsent", 3, "request_id"),
        ("/ringfence.v1.ConsentService/RecordOptOut", 7, "wording"),
        ("/ringfence.v1.ConsentService/GetContact", 1, "number"),
        ("/ringfence.v1.ConsentService/UpdateContact", 2, "default_region"),
        ("/ringfence.v1.ConsentService/ProcessInbound", 4, "text"),
        ("/ringfence.v1.AuditService/GetDecision", 1, "decision_id"),
        ("/ringfence.v1.LawService/GetRule", 1, "rule_id"),
        ("/ringfence.v1.LawService/Calendar", 2, "time_zone"),
    ] {
        let status = refusal(send(&served, path, &not_utf_8(tag)).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{path}: {status:?}");
        assert_eq!(fields(&status), [field], "{path}: {status:?}");
        assert!(status.message().contains("UTF-8"), "{path}: {status:?}");
    }
    // Within a row of a batch: the bytes of the whole are no message, so the whole is refused.
    let row = not_utf_8(6);
    let batch = [&[0x0a, u8::try_from(row.len()).unwrap()], row.as_slice()].concat();
    let status = refusal(send(&served, "/ringfence.v1.CheckService/CheckBatch", &batch).await);
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, vec!["checks.seller".to_owned()]),
        "{status:?}"
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let served = serve(engine()).await;
    for bytes in [&[0x0a, 0x7f, 0x41][..], &[0xff; 16], &[0x0d, 0, 0, 0, 0], &[0x00, 0x01]] {
        let status = refusal(send(&served, "/ringfence.v1.CheckService/Check", bytes).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{bytes:?}: {status:?}");
    }
    // A field that this release does not know says nothing to it.
    let unknown = [0xfa, 0x3f, 0x01, 0x41];
    let status = refusal(send(&served, "/ringfence.v1.CheckService/Check", &unknown).await);
    assert_eq!(fields(&status), ["channel", "purpose", "seller"]);
}

#[tokio::test]
async fn a_field_of_ten_megabytes_is_refused_by_name() {
    type Change = fn(&mut v1::CheckRequest, String);
    let changes: [(&str, Change); 14] = [
        ("default_region", |r, t| r.default_region = t),
        ("seller", |r, t| r.seller = t),
        ("subject", |r, t| r.subject = t),
        ("campaign", |r, t| r.campaign = t),
        ("person", |r, t| r.person = t),
        ("household", |r, t| r.household = t),
        ("caller_id", |r, t| r.caller_id = t),
        ("attempt_id", |r, t| r.attempt_id = t),
        ("processing_region", |r, t| r.processing_region = t),
        ("location.residence", |r, t| r.location.get_or_insert_default().residence = t),
        ("location.postal_code", |r, t| r.location.get_or_insert_default().postal_code = t),
        ("location.time_zone", |r, t| r.location.get_or_insert_default().time_zone = t),
        ("evidence.birth_date", |r, t| r.evidence.get_or_insert_default().birth_date = t),
        ("evidence.consents[0].wording", |r, t| {
            let consent = v1::Consent { wording: t, ..Default::default() };
            r.evidence.get_or_insert_default().consents = vec![consent];
        }),
    ];
    let served = serve(engine()).await;
    let large = "7".repeat(10 << 20);
    for (field, change) in changes {
        let mut request = pinned();
        change(&mut request, large.clone());
        let status = served.refused(request).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        assert_eq!(fields(&status), [field], "{status:?}");
        assert!(status.message().len() < 300, "{status:?}");
    }
    let request = v1::CheckRequest { number: large.clone(), ..pinned() };
    assert_eq!(families(&served.decide(request).await), ["RULE_FAMILY_NUMBER"]);

    let mut consent = served.consent().max_encoding_message_size(MESSAGE_BYTES);
    let request = v1::RecordOptOutRequest { wording: large.clone(), ..opt_out(NUMBER, "s") };
    assert_eq!(fields(&refusal(consent.record_opt_out(request).await)), ["wording"]);
    let request = opt_out(NUMBER, &large);
    assert_eq!(fields(&refusal(consent.record_opt_out(request).await)), ["request_id"]);
    let request = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u".to_owned(),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec![large.clone()] }),
        ..Default::default()
    };
    assert_eq!(fields(&refusal(consent.update_contact(request).await)), ["update_mask"]);
    let request = v1::GetDecisionRequest { decision_id: large.clone() };
    let mut audit = served.audit().max_encoding_message_size(MESSAGE_BYTES);
    assert_eq!(refusal(audit.get_decision(request).await).code(), Code::NotFound);
    let mut law = served.law().max_encoding_message_size(MESSAGE_BYTES);
    let request = v1::GetRuleRequest { rule_id: large.clone() };
    assert_eq!(refusal(law.get_rule(request).await).code(), Code::NotFound);
    let request = v1::CalendarRequest { place: large, purpose: 1, channel: 1, ..Default::default() };
    assert_eq!(fields(&refusal(law.calendar(request).await)), ["place"]);
}

/// A status travels in headers, of which clients take a few kilobytes: thousands of faults must not make it unreadable.
#[tokio::test]
async fn thousands_of_faults_fit_into_one_readable_status() {
    let served = serve(engine()).await;
    let mut request = pinned();
    let consent = v1::Consent { grade: 99, channels: vec![77; 5], ..Default::default() };
    request.evidence.get_or_insert_default().consents = vec![consent; LIST_ENTRIES];
    let status = served.refused(request).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(fields(&status)[0], "evidence.consents[0].grade");
    assert!(status.details().len() < 6_000, "{} bytes of details", status.details().len());
    assert!(status.message().ends_with("(and 59999 more)"), "{}", status.message());
    let request = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u".to_owned(),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["colour".to_owned(); 5_000] }),
        ..Default::default()
    };
    let status = refusal(served.consent().update_contact(request).await);
    assert_eq!((status.code(), fields(&status)[0].as_str()), (Code::InvalidArgument, "update_mask"), "{status:?}");
}

#[tokio::test]
async fn a_list_that_is_too_long_is_refused_by_name() {
    let served = serve(engine()).await;
    let mut request = pinned();
    request.evidence.get_or_insert_default().opt_outs = vec![v1::OptOut::default(); LIST_ENTRIES + 1];
    let status = served.refused(request).await;
    assert_eq!(fields(&status), ["evidence.opt_outs"], "{status:?}");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let served = serve(engine()).await;
    let request = v1::CheckRequest { subject: "s".repeat(MESSAGE_BYTES), ..pinned() };
    let status = served.refused(request).await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("limit"), "{status:?}");
    // The connection is as good as before.
    served.decide(pinned()).await;
}

/// An unknown area code may be any state, and each says why not: the largest answers there are, a thousand at once.
#[tokio::test]
async fn the_largest_batch_is_answered_whole() {
    let served = serve(engine()).await;
    let opted_out = v1::OptOut { scope: opt_out(NUMBER, "").scope, ..Default::default() };
    let unknown = v1::CheckRequest {
        number: "+12325550123".to_owned(),
        technology: 0,
        recipient: 0,
        line_type: 0,
        attempt_id: "a".repeat(128),
        evidence: Some(v1::Evidence { opt_outs: vec![opted_out], age: Some(10), ..Default::default() }),
        ..pinned()
    };
    let checks = vec![unknown; 1_000];
    let mut client = served.check().max_decoding_message_size(usize::MAX);
    let results = client.check_batch(v1::CheckBatchRequest { checks }).await.unwrap().into_inner().results;
    assert_eq!(results.len(), 1_000);
    let length: usize = results.iter().map(prost::Message::encoded_len).sum();
    assert!(length > MESSAGE_BYTES, "too small to prove anything: {length}");
}
