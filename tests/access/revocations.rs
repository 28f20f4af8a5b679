//! Client certificates that their authority has revoked: refused by new connections and on those that are open, and lists
//! that cannot be gone by refused themselves.
//!
//! The certificates in `tests/access/tls` are for tests alone; their keys are no secrets. The list in `dialer.crl` revokes that
//! of the dialer.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use ringfence::proto::v1;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use super::credentials::{Folder, QUESTION, Server, parse, written};

fn of(folder: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join("tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(of("access", &format!("{name}.pem"))).unwrap()
}

/// A client that shows this certificate each time anew, as far as its keeper of sessions remembers one.
fn client(name: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(of("store", "authority.pem")).unwrap()).unwrap();
    let key = PrivateKeyDer::from_pem_file(of("access", &format!("{name}.key"))).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate(name)], key)
        .unwrap();
    TlsConnector::from(Arc::new(config))
}

async fn connect(server: SocketAddr, with: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    with.connect(ServerName::try_from("localhost").unwrap(), TcpStream::connect(server).await?).await
}

/// The answer to a check on a connection of its own; `None`: there was none.
async fn asks(server: &Server, with: &TlsConnector) -> Option<u16> {
    let mut stream = connect(server.http, with).await.ok()?;
    stream.write_all(written("POST", "/v1/check", None, QUESTION).as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Some(parse(&String::from_utf8(answer).unwrap()).0).filter(|code| *code != 0)
}

/// Asks again on a connection that stays open.
async fn asks_on(stream: &mut TlsStream<TcpStream>) -> (u16, Value) {
    let request = written("POST", "/v1/check", None, QUESTION).replace("connection: close\r\n", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "the connection stays open");
        answer.extend(&part[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return parse(&text);
        }
    }
}

const ROLES: &str = "check,write-consent,read-contacts,operate";

/// Two callers by their certificates, an authority of both, and its list.
fn served(folder: &Folder) -> Server {
    for name in ["dialer", "gateway"] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate(name));
        let print: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let print = format!("sha256:{print}");
        folder.run(&["access", "new", name, "--tenant", "acme", "--role", ROLES, "--certificate", &print]);
    }
    put(folder, "none.crl");
    let settings = settings(folder);
    folder.serve(&settings.each_ref().map(|(key, value)| (*key, value.as_str())))
}

fn settings(folder: &Folder) -> [(&'static str, String); 4] {
    let text = |path: PathBuf| path.display().to_string();
    [
        ("tls_cert", text(of("store", "server.pem"))),
        ("tls_key", text(of("store", "server.key"))),
        ("tls_client_ca", text(of("access", "authority.pem"))),
        ("tls_client_crl", text(folder.path("clients.crl"))),
    ]
}

/// In the place of the list: renamed there, as half a list is none.
fn put(folder: &Folder, name: &str) {
    fs::copy(of("access", name), folder.path("new.crl")).unwrap();
    fs::rename(folder.path("new.crl"), folder.path("clients.crl")).unwrap();
}

/// How many certificates are refused, by the metric that the gateway reads.
async fn refused(server: &Server) -> String {
    metric(server, "ringfence_reload_refused{what=\"tls\"} ").await.unwrap()
}

async fn metric(server: &Server, name: &str) -> Option<String> {
    let mut stream = connect(server.http, &client("gateway")).await.unwrap();
    stream.write_all(written("GET", "/metrics", None, "").as_bytes()).await.unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned))
}

/// Looks again and again until it is so, and not for ever.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
    }
}

fn reason(body: &Value) -> &str {
    body["details"][0]["reason"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_revoked_is_refused_on_new_connections_and_on_open_ones() {
    let folder = Folder::new();
    let server = served(&folder);
    let (dialer, gateway) = (client("dialer"), client("gateway"));
    assert_eq!((asks(&server, &dialer).await, asks(&server, &gateway).await), (Some(200), Some(200)));
    let mut open = connect(server.http, &dialer).await.unwrap();
    assert_eq!(asks_on(&mut open).await.0, 200);
    let mut others = connect(server.http, &gateway).await.unwrap();
    let (address, shows) = (server.grpc, dialer.clone());
    let dial = tower::service_fn(move |_: http::Uri| {
        let shows = shows.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(connect(address, &shows).await?)) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(dial).await.unwrap();
    let mut events = ConsentServiceClient::new(channel)
        .watch_opt_outs(v1::WatchOptOutsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(events.message().await.unwrap().is_some(), "it has begun");

    put(&folder, "dialer.crl");
    // The stream hears of it without anything being asked.
    let ended = loop {
        match events.message().await {
            Ok(event) => assert!(event.is_some(), "it ends with a reason"),
            Err(status) => break status,
        }
    };
    let why = ended.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!((ended.code(), why.as_deref()), (Code::Unauthenticated, Some("CERTIFICATE_DISTRUSTED")), "{ended:?}");
    let (code, body) = asks_on(&mut open).await;
    assert_eq!((code, reason(&body)), (401, "CERTIFICATE_DISTRUSTED"), "{body}");
    // A session of before is not taken up again either.
    assert_eq!((asks(&server, &dialer).await, asks(&server, &client("dialer")).await), (None, None));
    assert_eq!((asks(&server, &gateway).await, asks_on(&mut others).await.0), (Some(200), 200));

    // Lists that cannot be gone by change nothing: who is revoked stays so.
    for (name, why) in [
        ("expired.crl", "a revocation list ran out 2026-11-08"),
        ("forged.crl", "is not signed by the authority"),
        ("authority.pem", "holds no revocation list"),
    ] {
        put(&folder, name);
        until(why, async || folder.said().contains(why) && refused(&server).await == "1").await;
        assert_eq!((asks(&server, &dialer).await, asks(&server, &gateway).await), (None, Some(200)), "{name}");
        let end = metric(&server, "ringfence_certificate_expires_timestamp_seconds{file=\"tls_client_crl\"} ").await;
        assert_eq!(end.as_deref(), Some("4948979823"), "of the list in force");
    }
    put(&folder, "none.crl");
    until("it is let in again", async || asks(&server, &dialer).await == Some(200)).await;
    assert_eq!((refused(&server).await, asks_on(&mut others).await.0), ("0".to_owned(), 200));
}

#[test]
fn no_server_starts_with_a_list_that_cannot_be_gone_by() {
    let folder = Folder::new();
    folder.admit("dialer", "acme", "check");
    let start = ["serve", "--grpc", "127.0.0.1:0", "--http", "off", "--access", "ringfence-access.toml"];
    let refusal = |change: &dyn Fn(&mut std::process::Command)| {
        let mut command = folder.program();
        for (key, value) in settings(&folder) {
            command.env(format!("RINGFENCE_{}", key.to_uppercase()), value);
        }
        change(&mut command);
        let output = command.args(start).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let says = |why: &str, told: String| assert!(told.contains(why), "{why}: {told}");
    says("clients.crl: cannot be read", refusal(&|_| ()));
    put(&folder, "expired.crl");
    says("put a newer one there", refusal(&|_| ()));
    put(&folder, "none.crl");
    // An authority beside it of which there is no list: all of its clients would be refused.
    let both = fs::read_to_string(of("access", "authority.pem")).unwrap()
        + &fs::read_to_string(of("store", "authority.pem")).unwrap();
    fs::write(folder.path("both.pem"), both).unwrap();
    says(
        "of certificate 2 no list is in tls_client_crl",
        refusal(&|command| {
            command.env("RINGFENCE_TLS_CLIENT_CA", "both.pem");
        }),
    );
    says(
        "set tls_client_ca",
        refusal(&|command| {
            command.env_remove("RINGFENCE_TLS_CLIENT_CA");
        }),
    );
}
