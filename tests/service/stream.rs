//! `CheckStream`: order, faults of single messages, a reader who is slow, streams that are cut or ended.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use ringfence::access::{Gate, GateSettings, Lane};
use ringfence::store::Store;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use v1::check_result::Result as Told;

use super::faulty::{Fault, Faulty};
use super::support::engine_over;
use super::*;

fn asked(check: v1::CheckRequest) -> v1::CheckStreamRequest {
    v1::CheckStreamRequest { check: Some(check) }
}

fn pinned_to(number: &str) -> v1::CheckStreamRequest {
    asked(v1::CheckRequest { number: number.to_owned(), ..pinned() })
}

fn live(number: &str, attempt_id: &str) -> v1::CheckStreamRequest {
    asked(v1::CheckRequest { number: number.to_owned(), attempt_id: attempt_id.to_owned(), ..notice() })
}

/// Asks all, and takes all answers.
async fn answers(served: &Served, asked: Vec<v1::CheckStreamRequest>) -> Vec<Told> {
    let stream = served.check().check_stream(stream::iter(asked)).await.unwrap().into_inner();
    stream.map(|answer| told(answer.unwrap())).collect().await
}

fn told(answer: v1::CheckStreamResponse) -> Told {
    answer.result.unwrap().result.unwrap()
}

#[track_caller]
fn decision(told: &Told) -> &v1::Decision {
    match told {
        Told::Decision(decision) => decision,
        Told::Error(status) => panic!("{status:?}"),
    }
}

#[track_caller]
fn code(told: &Told) -> Code {
    match told {
        Told::Decision(decision) => panic!("{decision:?}"),
        Told::Error(status) => Code::from_i32(status.code),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_stand_in_the_order_asked_and_are_those_of_check() {
    let folder = tempfile::tempdir().unwrap();
    let engine = durable(folder.path()).await.engine;
    let served = serve(Arc::clone(&engine)).await;
    let number = |row: usize| format!("+1305555{row:04}");
    let rows: Vec<_> = (0..2_000)
        .map(|row| match row % 100 {
            7 => asked(v1::CheckRequest { seller: String::new(), ..pinned() }),
            8 => v1::CheckStreamRequest::default(),
            9 => pinned_to("abc"),
            _ => pinned_to(&number(row)),
        })
        .collect();
    let told = answers(&served, rows).await;
    assert_eq!(told.len(), 2_000);
    let counted = r#"ringfence_check_seconds_count{tenant="default",method="CheckStream"} 2000"#;
    let text = engine.metrics().text();
    assert!(text.lines().any(|line| line == counted), "{text}");
    for (row, told) in told.iter().enumerate() {
        match row % 100 {
            7 | 8 => assert_eq!(code(told), Code::InvalidArgument, "{row}"),
            9 => assert_eq!(families(decision(told)), ["RULE_FAMILY_NUMBER"]),
            _ => assert_eq!(decision(told).number, number(row)),
        }
    }
    let alone = served.decide(v1::CheckRequest { number: number(1), ..pinned() }).await;
    let together = decision(&told[1]);
    assert_eq!(v1::Decision { decision_id: alone.decision_id.clone(), ..together.clone() }, alone);
    // Each is in the log like any other.
    let request = v1::GetDecisionRequest { decision_id: together.decision_id.clone() };
    let record = served.audit().get_decision(request).await.unwrap().into_inner().record.unwrap();
    assert_eq!(record.decision.as_ref(), Some(together));
}

#[tokio::test]
async fn a_stream_without_questions_ends_without_answers() {
    let served = serve(engine()).await;
    assert!(answers(&served, Vec::new()).await.is_empty());
}

#[tokio::test]
async fn one_answer_comes_while_the_stream_stays_open() {
    let served = serve(engine()).await;
    let (send, receive) = mpsc::channel(1);
    let mut stream = served.check().check_stream(ReceiverStream::new(receive)).await.unwrap().into_inner();
    for row in 0..3 {
        let number = format!("+1305555012{row}");
        send.send(pinned_to(&number)).await.unwrap();
        assert_eq!(decision(&told(stream.message().await.unwrap().unwrap())).number, number);
    }
    drop(send);
    assert_eq!(stream.message().await.unwrap(), None);
}

/// Later questions about a number see what earlier ones counted, in one stream as in many calls.
#[tokio::test(flavor = "multi_thread")]
async fn questions_about_one_number_are_answered_one_after_the_other() {
    let served = serve(engine()).await;
    let other = |id| {
        let Some(check) = live(NUMBER, id).check else { panic!() };
        asked(v1::CheckRequest { subject: "another".to_owned(), ..check })
    };
    let mut rows = vec![live(NUMBER, "a"), other("a"), live(NUMBER, "a"), other("b"), live(NUMBER, "b")];
    rows.extend((0..600).map(|row| live(&format!("+1305556{row:04}"), "x")));
    rows.push(other("a"));
    let told = answers(&served, rows).await;
    assert_eq!(decision(&told[0]).verdict(), Verdict::Allow, "{:?}", told[0]);
    assert_eq!(code(&told[1]), Code::AlreadyExists);
    assert_eq!(decision(&told[2]).attempt_id, "a");
    assert_eq!(decision(&told[3]).attempt_id, "b");
    assert_eq!(code(&told[4]), Code::AlreadyExists);
    assert!(told[5..605].iter().all(|told| decision(told).verdict() == Verdict::Allow));
    assert_eq!(code(&told[605]), Code::AlreadyExists);
    assert_eq!(attempts(&served, NUMBER).await, 2);
}

async fn attempts(served: &Served, number: &str) -> usize {
    let request = v1::GetContactRequest { number: number.to_owned(), ..Default::default() };
    match served.consent().get_contact(request).await {
        Ok(contact) => contact.into_inner().contact.unwrap().attempts.len(),
        Err(status) if status.code() == Code::NotFound => 0,
        Err(status) => panic!("{status:?}"),
    }
}

/// Messages as the bytes they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl tonic::codec::Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        *self
    }
    fn decoder(&mut self) -> Self {
        *self
    }
}

impl tonic::codec::Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[tokio::test]
async fn a_message_that_does_not_decode_is_one_error_and_not_the_end() {
    let served = serve(engine()).await;
    let good = Bytes::from(pinned_to(NUMBER).encode_to_vec());
    // A seller that is no UTF-8, in a check; a wire type that is none, with more behind it; a length beyond the message.
    let bad = [&b"\x0a\x04\x32\x02\xff\xfe"[..], b"\x0f\x00\x00\x00\x00\x00\x00\x00\x00", b"\x0a\x7f\x00"];
    let messages: Vec<_> =
        bad.into_iter().flat_map(|bad| [good.clone(), Bytes::from_static(bad)]).chain([good.clone()]).collect();
    let mut grpc = tonic::client::Grpc::new(served.channel.clone());
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/ringfence.v1.CheckService/CheckStream");
    let request = tonic::Request::new(stream::iter(messages));
    let answers = grpc.streaming(request, path, Raw).await.unwrap().into_inner();
    let told: Vec<_> =
        answers.map(|bytes| told(v1::CheckStreamResponse::decode(bytes.unwrap()).unwrap())).collect().await;
    assert_eq!(told.len(), 7);
    for (row, told) in told.iter().enumerate() {
        match row % 2 {
            0 => assert_eq!(decision(told).number, NUMBER),
            _ => assert_eq!(code(told), Code::InvalidArgument),
        }
    }
    let Told::Error(status) = &told[1] else { panic!() };
    assert!(status.message.contains("check.seller"), "{status:?}");
}

/// Counts how many questions were taken from the caller.
fn endless(taken: Arc<AtomicUsize>) -> impl Stream<Item = v1::CheckStreamRequest> + Send {
    stream::repeat_with(move || {
        taken.fetch_add(1, Ordering::Relaxed);
        pinned_to(NUMBER)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_is_slow_stops_what_is_read_from_him() {
    let served = serve(engine()).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let mut stream = served.check().check_stream(endless(Arc::clone(&taken))).await.unwrap().into_inner();
    let mut got = 0;
    for _ in 0..5_000 {
        stream.message().await.unwrap().unwrap();
        got += 1;
    }
    // The server has time for much more, and nobody reads.
    let other = serve(engine()).await;
    for _ in 0..3 {
        let before = taken.load(Ordering::Relaxed);
        for _ in 0..200 {
            other.decide(pinned()).await;
        }
        if taken.load(Ordering::Relaxed) == before {
            break;
        }
    }
    let ahead = taken.load(Ordering::Relaxed) - got;
    assert!(ahead < 20_000, "{ahead} questions were taken that nobody read the answers to");
    // And goes on where it stopped.
    for _ in 0..5_000 {
        stream.message().await.unwrap().unwrap();
    }
}

/// I2 through a cut: what was answered is counted, what is asked again is counted once.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_loses_nothing_answered_and_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let served = serve(Arc::clone(&durable.engine)).await;
    let number = |row: usize| format!("+1305555{row:04}");
    let rows: Vec<_> = (0..700).map(|row| live(&number(row), &format!("call-{row}"))).collect();
    for (cut, done) in [(1, 0), (300, 1), (699, 300)] {
        let mut stream = served.check().check_stream(stream::iter(rows.clone())).await.unwrap().into_inner();
        for row in 0..cut {
            let answer = told(stream.message().await.unwrap().unwrap());
            assert_eq!(decision(&answer).attempt_id, format!("call-{row}"));
        }
        drop(stream);
        for row in done..cut {
            assert_eq!(attempts(&served, &number(row)).await, 1, "{row} was answered, and is not counted");
        }
    }
    let told = answers(&served, rows).await;
    assert!(told.iter().all(|told| decision(told).verdict() == Verdict::Allow));
    for row in 0..700 {
        assert_eq!(attempts(&served, &number(row)).await, 1, "{row}");
    }
    durable.reconciler.tick(support::at(DAY)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_answers_what_was_asked_and_says_so() {
    let engine = engine();
    let served = serve(Arc::clone(&engine)).await;
    let (send, receive) = mpsc::channel(8);
    let mut stream = served.check().check_stream(ReceiverStream::new(receive)).await.unwrap().into_inner();
    send.send(pinned_to(NUMBER)).await.unwrap();
    decision(&told(stream.message().await.unwrap().unwrap()));
    engine.stop_following();
    let status = refusal(stream.message().await);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STOPPING"));
    assert!(status.get_error_details().retry_info().is_some());
    let text = engine.metrics().text();
    assert!(text.contains("method=\"CheckStream\",code=\"UNAVAILABLE\""), "{text}");
    drop(send);
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let served = serve(engine()).await;
    let (send, receive) = mpsc::channel(8);
    let mut request = tonic::Request::new(ReceiverStream::new(receive));
    request.set_timeout(Duration::from_millis(200));
    let mut stream = served.check().check_stream(request).await.unwrap().into_inner();
    send.send(pinned_to(NUMBER)).await.unwrap();
    decision(&told(stream.message().await.unwrap().unwrap()));
    let status = refusal(stream.message().await);
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()), "{status:?}");
}

/// I3: a store that fails fails the questions, each with its own error, and the stream goes on once it is back.
#[tokio::test]
async fn a_store_that_is_away_is_an_error_of_each_question() {
    let store = Arc::new(Faulty::new());
    let served = serve(engine_over(Arc::clone(&store) as Arc<dyn Store>)).await;
    let (send, receive) = mpsc::channel(8);
    let mut stream = served.check().check_stream(ReceiverStream::new(receive)).await.unwrap().into_inner();
    let emergency = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..notice() };
    for fault in [Fault::Away, Fault::None, Fault::Full, Fault::LostAnswer, Fault::None] {
        store.set(fault);
        for row in [pinned_to(NUMBER), live(NUMBER, "a"), asked(emergency.clone())] {
            send.send(row).await.unwrap();
        }
        let [pinned, live, emergency] =
            [stream.message().await, stream.message().await, stream.message().await].map(|m| told(m.unwrap().unwrap()));
        match fault {
            Fault::Away => assert_eq!(code(&pinned), Code::Unavailable),
            _ => assert_eq!(decision(&pinned).number, NUMBER),
        }
        match fault {
            Fault::None => assert_eq!(decision(&live).verdict(), Verdict::Allow),
            _ => assert_eq!(code(&live), Code::Unavailable, "{fault:?}"),
        }
        assert_eq!(decision(&emergency).degraded, fault != Fault::None, "{fault:?}");
    }
}

/// What was answered is handed out before the refusal of what came after it.
#[tokio::test(flavor = "multi_thread")]
async fn questions_that_are_refused_for_want_of_room_take_no_answers_with_them() {
    let store = Arc::new(Faulty::new());
    let gate = Arc::new(Gate::new(GateSettings { checks: 1, ..GateSettings::default() }));
    let engine = engine_over(Arc::clone(&store) as Arc<dyn Store>);
    let served = serve_calls(Calls::new(engine).behind(Arc::clone(&gate))).await;
    let (send, receive) = mpsc::channel(8);
    let mut stream = served.check().check_stream(ReceiverStream::new(receive)).await.unwrap().into_inner();
    store.set(Fault::Held);
    send.send(live(NUMBER, "a")).await.unwrap();
    while store.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    // The second is read while the first is under way: what is sent after it on the connection is answered.
    send.send(live("+13055550124", "b")).await.unwrap();
    served.law().list_packs(v1::ListPacksRequest::default()).await.unwrap();
    let others = gate.enter_anyway(Lane::Check, None);
    store.set(Fault::None);
    assert_eq!(decision(&told(stream.message().await.unwrap().unwrap())).attempt_id, "a");
    assert_eq!(code(&told(stream.message().await.unwrap().unwrap())), Code::ResourceExhausted);
    drop(others);
    send.send(live("+13055550124", "b")).await.unwrap();
    assert_eq!(decision(&told(stream.message().await.unwrap().unwrap())).attempt_id, "b");
}

/// A row with evidence of more than a mebibyte once it is read.
fn wide(number: &str) -> v1::CheckStreamRequest {
    let consent = v1::Consent { wording: "x".repeat(200), ..v1::Consent::default() };
    let evidence = v1::Evidence { consents: vec![consent; 2_000], ..v1::Evidence::default() };
    asked(v1::CheckRequest { number: number.to_owned(), evidence: Some(evidence), ..pinned() })
}

/// What the row lacks is room: that is what its caller and the log are told. One in an emergency lacks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_for_which_there_is_no_room_says_so_and_one_in_an_emergency_is_answered() {
    let calls = Calls::new(support::engine()).behind(Arc::new(Gate::default()));
    let served = serve_calls(calls.clone()).await;
    let mut others = calls.gate().arrival(Lane::Check, None);
    others.brought((256 << 20) + (1 << 20)).unwrap();
    let mut emergency = wide("+13055550125");
    emergency.check.as_mut().unwrap().purpose = v1::Purpose::Emergency.into();
    let rows = || vec![wide(NUMBER), pinned_to("+13055550124"), emergency.clone()];
    let told = answers(&served, rows()).await;
    assert_eq!(code(&told[0]), Code::ResourceExhausted);
    assert_eq!(decision(&told[1]).number, "+13055550124");
    // It was judged: what stands in its evidence may be at fault all the same.
    assert!(!matches!(&told[2], Told::Error(status) if status.code == Code::ResourceExhausted as i32), "{:?}", told[2]);
    let metrics = calls.server().metrics().text();
    let refused = |reason: &str| {
        let label = format!("reason=\"{reason}\"}} ");
        let line = metrics.lines().find(|line| line.starts_with("ringfence_refusals_total") && line.contains(&label));
        line.map_or("0".to_owned(), |line| line.rsplit(' ').next().unwrap().to_owned())
    };
    assert_eq!((refused("OVERLOADED"), refused("MALFORMED_REQUEST")), ("1".to_owned(), "0".to_owned()), "{metrics}");
    drop(others);
    assert!(
        !matches!(&answers(&served, rows()).await[0], Told::Error(status) if status.code == Code::ResourceExhausted as i32)
    );
    assert_eq!(calls.gate().state().arriving, (0, 0));
}
