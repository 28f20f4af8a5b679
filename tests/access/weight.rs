//! What is small on the wire and large in memory is refused before it is decoded, and what is sent by halves is not held.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use prost::bytes::{Buf as _, BufMut as _};
use ringfence::service::{CONTROL_BYTES, MESSAGE_BYTES, STREAMED_BYTES};
use serde_json::Value;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::credentials::{Folder, Server, ask, check, parse};
use super::health::resident;

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
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// Somebody who may ask, with a connection.
struct Asker {
    channel: Channel,
    key: String,
    http: SocketAddr,
}

impl Asker {
    async fn new(server: &Server, key: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
        Self { channel: endpoint.connect().await.unwrap(), key: key.to_owned(), http: server.http }
    }

    fn shows<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.key).parse().unwrap());
        request
    }

    async fn send(&self, path: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static(path);
        client.unary(self.shows(bytes), path, Raw).await.map(tonic::Response::into_inner)
    }

    /// Sends a stream: its answers.
    async fn stream(&self, path: &'static str, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static(path);
        let messages = self.shows(futures_util::stream::iter(messages));
        let mut answers = client.streaming(messages, path, Raw).await?.into_inner();
        let mut all = Vec::new();
        while let Some(answer) = answers.message().await? {
            all.push(answer);
        }
        Ok(all)
    }

    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        ask(self.http, "POST", path, Some(&self.key), body)
    }
}

/// A field that holds these bytes.
fn holding(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

/// Empty entries of the list with this number, below 16, in so many bytes.
fn empty(number: u8, bytes: usize) -> Vec<u8> {
    [number << 3 | 2, 0].repeat(bytes / 2)
}

const CHECK: &str = "/ringfence.v1.CheckService/Check";
const BATCH: &str = "/ringfence.v1.CheckService/CheckBatch";
const STREAM: &str = "/ringfence.v1.CheckService/CheckStream";
const IMPORT: &str = "/ringfence.v1.ConsentService/ImportContacts";
const EVIDENCE: u32 = 18;

/// What the messages of both wires are refused for.
async fn refused(asker: &Asker) {
    let room = MESSAGE_BYTES - 64;
    let row = holding(1, &holding(EVIDENCE, &empty(1, 16_000)));
    for (path, bytes, field) in [
        (BATCH, empty(1, room), "checks"),
        (CHECK, holding(EVIDENCE, &empty(1, room)), "evidence.consents"),
        (CHECK, holding(EVIDENCE, &empty(2, room)), "evidence.opt_outs"),
        // Each row has fewer entries than it may.
        (BATCH, row.repeat(1_000), "checks.evidence.consents"),
        // Within a group, which decoders pass over.
        (BATCH, [vec![0xfb, 0x3f, 0xfc, 0x3f], empty(1, room)].concat(), "checks"),
        ("/ringfence.v1.RegistryService/AddToList", empty(3, room), "numbers"),
    ] {
        let status = asker.send(path, bytes).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{path}: {status:?}");
        assert!(status.message().starts_with(&format!("{field}: ")), "{path}: {}", status.message());
    }
    let rows = |row: &str, end: &str| format!("[{}{end}]", format!("{row},").repeat((room - 100) / (row.len() + 1)));
    for (path, body, field) in [
        ("/v1/check:batch", format!("{{\"checks\":{}}}", rows("{}", "{}")), "checks"),
        ("/v1/check", format!("{{\"evidence\":{{\"consents\":{}}}}}", rows("{}", "{}")), "evidence.consents"),
        // What is read twice for its nulls.
        ("/v1/check", format!("{{\"colours\":{}}}", rows("[]", "null")), "the request cannot be read"),
        ("/v1/lists:add", format!("{{\"numbers\":{}}}", rows("\"\"", "\"\"")), "numbers"),
    ] {
        let (code, answer) = asker.post(path, &body);
        assert_eq!(code, 400, "{answer}");
        assert!(answer["message"].as_str().unwrap().starts_with(&format!("{field}: ")), "{path}: {answer}");
    }
    // Light enough to be read, for its spaces; and not known, which is seen only once it was read without its nulls.
    let objects = format!("{{\"number\":null,\"colours\":[{}{{}}]", "{\"a\":1},".repeat(585_000));
    let body = format!("{objects}{}}}", " ".repeat(room - objects.len()));
    let (code, answer) = asker.post("/v1/check", &body);
    assert_eq!((code, answer["message"].as_str().unwrap().contains("unknown field")), (400, true), "{answer}");
}

/// What the messages of streams are refused for: one that is too heavy is one error, one that is too long is the end.
async fn refused_in_streams(asker: &Asker) {
    let heavy = holding(1, &holding(EVIDENCE, &empty(1, STREAMED_BYTES - 64)));
    let answers = asker.stream(STREAM, vec![heavy; 8]).await.unwrap();
    let said: Vec<_> = answers.iter().map(|answer| String::from_utf8_lossy(answer).into_owned()).collect();
    assert!(said.len() == 8 && said.iter().all(|one| one.contains("evidence.consents")), "{said:?}");
    let consent = holding(3, &holding(4, &empty(7, STREAMED_BYTES - 64)));
    let status = asker.stream(IMPORT, vec![consent]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("consent.sellers"), "{status:?}");
    for path in [STREAM, IMPORT] {
        let status = asker.stream(path, vec![vec![0x0a; STREAMED_BYTES + 1]]).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{path}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_millions_of_empty_entries_are_refused_before_they_are_decoded() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check,write-consent,manage-lists");
    let server = folder.serve(&[]);
    let asker = Asker::new(&server, &key).await;
    assert_eq!(check(server.http, Some(&key)).0, 200);
    let before = resident(&server);
    refused(&asker).await;
    refused_in_streams(&asker).await;
    let grown = resident(&server).saturating_sub(before);
    println!("{grown} KiB more");
    // Bytes as they came, twice: from the connection, and in one piece. Decoded they would be gigabytes.
    assert!(grown < 160 << 10, "{grown} KiB");
    assert_eq!(check(server.http, Some(&key)).0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_of_control_that_is_long_is_refused_before_it_has_come() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = folder.serve(&[]);
    let asker = Asker::new(&server, &key).await;
    for path in ["/ringfence.v1.ControlService/Freeze", "/ringfence.v1.ControlService/DeclareEmergency"] {
        let status = asker.send(path, vec![0x0a; CONTROL_BYTES + 1]).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{path}: {status:?}");
    }
    // The rest of this one never comes.
    let mut stream = TcpStream::connect(server.http).unwrap();
    let head = format!("POST /v1/control:freeze HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
    let body = "x".repeat(CONTROL_BYTES + 100);
    stream.write_all(format!("{head}content-length: {MESSAGE_BYTES}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = vec![0; 4_096];
    let read = stream.read(&mut answer).unwrap();
    let (code, _) = parse(&String::from_utf8_lossy(&answer[..read]));
    assert_eq!(code, 413, "{}", String::from_utf8_lossy(&answer[..read]));
}
