//! Client certificates whose time is over: on a new connection, on one that is open, and in a session taken up again.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use ringfence::proto::v1;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use super::certificates::pem;
use super::credentials::{Folder, QUESTION, Server, parse, until, written};
use super::issued::Authority;

const NAME: &str = "dialer.acme.example";

/// A server that knows one caller, by the certificates that this authority issues to it.
fn served(folder: &Folder, authority: Option<&Authority>) -> Server {
    let roles = "check,read-contacts";
    folder.run(&["access", "new", "dialer", "--tenant", "acme", "--role", roles, "--certificate", NAME]);
    let (certificate, key) = (pem("server.pem"), pem("server.key"));
    let mut settings = vec![("tls_cert", certificate.to_str().unwrap()), ("tls_key", key.to_str().unwrap())];
    if let Some(authority) = authority {
        fs::write(folder.path("clients.pem"), authority.pem()).unwrap();
        settings.push(("tls_client_ca", "clients.pem"));
    }
    folder.serve(&settings)
}

/// A client that remembers its sessions, and shows this certificate.
fn client(
    (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem("authority.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = builder.with_root_certificates(roots).with_client_auth_cert(vec![certificate], key).unwrap();
    TlsConnector::from(Arc::new(config))
}

async fn connected(server: SocketAddr, with: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    with.connect(ServerName::try_from("localhost").unwrap(), TcpStream::connect(server).await?).await
}

/// The answer to a check on a connection that stays open; `None`: it ended.
async fn asks(stream: &mut TlsStream<TcpStream>) -> Option<(u16, Value)> {
    let request = written("POST", "/v1/check", None, QUESTION).replace("connection: close\r\n", "");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        answer.extend(&part[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(parse(&text));
        }
    }
}

/// On a connection of its own.
async fn asks_anew(server: &Server, with: &TlsConnector) -> Option<u16> {
    let mut stream = connected(server.http, with).await.ok()?;
    Some(asks(&mut stream).await?.0)
}

/// Follows opt-outs until that ends; why.
async fn follows(server: SocketAddr, with: TlsConnector) -> (Code, String) {
    let dial = tower::service_fn(move |_: http::Uri| {
        let with = with.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(connected(server, &with).await?)) }
    });
    let told = async {
        let channel = Endpoint::from_static("http://localhost").connect_with_connector(dial).await;
        let channel = channel.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut client = ConsentServiceClient::new(channel);
        let mut events = client.watch_opt_outs(v1::WatchOptOutsRequest::default()).await?.into_inner();
        while events.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    };
    let told = tokio::time::timeout(Duration::from_secs(120), told).await.expect("it ends in time");
    let status = told.expect_err("it ends with a reason");
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_on_an_open_connection_is_nobodys_from_then_on() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let server = served(&folder, Some(&authority));
    // On a busy machine a short one may be over before anything was asked.
    for seconds in [4, 20, 60] {
        let with = client(authority.client(NAME, seconds), rustls::ALL_VERSIONS);
        let following = tokio::spawn(follows(server.grpc, with.clone()));
        let Ok(mut open) = connected(server.http, &with).await else { continue };
        if asks(&mut open).await.is_none_or(|(code, _)| code != 200) {
            continue;
        }
        assert_eq!(following.await.unwrap(), (Code::Unauthenticated, "CREDENTIALS_EXPIRED".to_owned()));
        let (code, body) = asks(&mut open).await.unwrap();
        assert_eq!((code, &body["details"][0]["reason"]), (401, &Value::from("CREDENTIALS_EXPIRED")), "{body}");
        // TLS takes it to the end of its last second (RFC 5280, 4.1.2.5), and a call to the beginning of that.
        assert!(matches!(asks_anew(&server, &with).await, None | Some(401)));
        return;
    }
    panic!("no certificate was used in its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_over_ends_the_handshake() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let server = served(&folder, Some(&authority));
    let asked = async |seconds| {
        let with = client(authority.client(NAME, seconds), rustls::ALL_VERSIONS);
        asks_anew(&server, &with).await
    };
    assert_eq!((asked(600).await, asked(-5).await), (Some(200), None));
    until("it is told", || folder.said().contains("a connection was ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_taken_up_again_whose_certificate_would_not_be_looked_at() {
    let authority = Authority::new();
    for (clients, kind) in [(Some(&authority), HandshakeKind::Full), (None, HandshakeKind::Resumed)] {
        let folder = Folder::new();
        let server = served(&folder, clients);
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let with = client(authority.client(NAME, 600), &[version]);
            let mut first = connected(server.http, &with).await.unwrap();
            // What a session is taken up with comes after the handshake, with the answer at the latest.
            assert!(asks(&mut first).await.is_some());
            let second = connected(server.http, &with).await.unwrap();
            assert_eq!(second.get_ref().1.handshake_kind(), Some(kind), "{version:?}");
        }
    }
}
