//! Traces: a real collector gets the span of a call, as a child of its caller's; one that is gone costs nobody anything.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use ringfence::proto::v1;
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::Home;
use super::server::{Server, serve_with};

const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
const CALLER: [u8; 8] = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A check whose caller has a span of its own, and wants the call traced or not.
async fn ask(server: &Server, wanted: bool, dry_run: bool) -> v1::Decision {
    let mut request = Request::new(v1::CheckRequest {
        number: "+4930231250".to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Informational.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Landline.into(),
        seller: "acme".to_owned(),
        dry_run,
        ..v1::CheckRequest::default()
    });
    let context = format!("00-{}-{}-0{}", hex(&TRACE), hex(&CALLER), u8::from(wanted));
    request.metadata_mut().insert("traceparent", context.parse().unwrap());
    let mut client = CheckServiceClient::connect(server.url.clone()).await.unwrap();
    client.check(request).await.unwrap().into_inner().decision.unwrap()
}

/// A call of something that there is not, traced.
async fn ask_what_is_not(server: &Server) -> Status {
    let channel = tonic::transport::Endpoint::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(v1::CheckRequest::default());
    let context = format!("00-{}-{}-01", hex(&TRACE), hex(&CALLER));
    request.metadata_mut().insert("traceparent", context.parse().unwrap());
    let path = http::uri::PathAndQuery::from_static("/ringfence.v1.CheckService/AnnSmith");
    let codec = tonic_prost::ProstCodec::<v1::CheckRequest, v1::CheckResponse>::default();
    client.unary(request, path, codec).await.unwrap_err()
}

fn home(endpoint: &str) -> Home {
    let home = Home::new();
    home.write("ringfence.toml", format!("otlp_endpoint = \"{endpoint}\"\notlp_percent = 0\n"));
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_is_sent_as_the_child_of_its_callers_and_holds_no_number() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sent, mut got) = mpsc::unbounded_channel();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let collector = TraceServiceServer::new(Collector(sent));
    tokio::spawn(tonic::transport::Server::builder().add_service(collector).serve_with_incoming(incoming));
    let home = home(&endpoint);
    let server = tokio::task::block_in_place(|| serve_with(&home, &[]));
    for (wanted, dry_run) in [(true, false), (false, true), (true, true)] {
        assert_eq!(ask(&server, wanted, dry_run).await.verdict(), v1::Verdict::Allow);
    }
    assert_eq!(ask_what_is_not(&server).await.code(), tonic::Code::Unimplemented);
    assert!(tokio::task::block_in_place(|| server.stopped()), "it drains, and sends what is left");
    let mut spans: Vec<Span> = Vec::new();
    while let Ok(request) = got.try_recv() {
        let told = format!("{request:?}");
        assert!(!told.contains("30231250") && !told.contains("acme") && !told.contains("Smith"), "{told}");
        spans.extend(request.resource_spans.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans));
    }
    assert_eq!(spans.pop().map(|span| span.name).as_deref(), Some("unknown"));
    assert_eq!(spans.len(), 2, "those whose callers want it: {spans:?}");
    for span in &spans {
        assert_eq!((span.trace_id.as_slice(), span.parent_span_id.as_slice()), (&TRACE[..], &CALLER[..]));
        assert_eq!(span.name, "/ringfence.v1.CheckService/Check");
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    }
    let stages = |span: &Span| span.events.iter().map(|event| event.name.clone()).collect::<Vec<_>>();
    assert_eq!(stages(&spans[0]), ["read", "find", "decide", "compose", "write", "log"]);
    assert_eq!(stages(&spans[1]), ["read", "find", "decide", "compose", "log"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_is_nobodys_trouble() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let home = home(&endpoint);
    let server = tokio::task::block_in_place(|| serve_with(&home, &[]));
    for _ in 0..3 {
        assert_eq!(ask(&server, true, true).await.verdict(), v1::Verdict::Allow);
    }
    assert!(tokio::task::block_in_place(|| server.stopped()), "it ends as ever");
}

#[test]
fn an_address_that_is_none_or_has_a_password_is_refused() {
    let home = Home::new();
    for bad in ["https://collector:4317", "collector:4317", "http://me:hush@collector:4317"] {
        let ran = home.run_with(&["config", "check"], b"", &[("RINGFENCE_OTLP_ENDPOINT", bad)]).code(1);
        assert!(ran.out.contains("RINGFENCE_OTLP_ENDPOINT") && !ran.out.contains("hush"), "{}", ran.out);
    }
}
