//! TLS on both listeners: certificates read again while serving, and client certificates as callers.
//!
//! The certificates in `tests/store/tls` are for tests alone; their keys are no secrets.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use ringfence::listen::{Protocol, Tls, TlsFiles};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::credentials::{Folder, QUESTION, Server, parse, until, written};

pub fn pem(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/store/tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pem(name)).unwrap()
}

/// A client that trusts the authority, and shows this certificate.
fn connector(shown: Option<&str>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("authority.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![certificate(&format!("{name}.pem"))], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// What a client begins with.
pub fn hello() -> Vec<u8> {
    let config = Arc::clone(connector(None).config());
    let mut client = rustls::ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

pub async fn connected(server: SocketAddr, shown: Option<&str>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server).await?;
    connector(shown).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// The status of an answer over TLS; `None`: there was none.
pub async fn ask(server: SocketAddr, shown: Option<&str>, request: &str) -> Option<(u16, serde_json::Value)> {
    let mut stream = connected(server, shown).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    // An end without TLS's own is one all the same.
    let _ = stream.read_to_end(&mut answer).await;
    Some(parse(&String::from_utf8(answer).unwrap())).filter(|(code, _)| *code != 0)
}

pub fn question(key: Option<&str>) -> String {
    written("POST", "/v1/check", key, QUESTION)
}

/// The certificate that a listener shows.
async fn shown(server: SocketAddr) -> CertificateDer<'static> {
    let stream = connected(server, None).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn copy(folder: &Folder, name: &str) {
    fs::copy(pem(&format!("{name}.pem")), folder.path("tls.pem")).unwrap();
    fs::copy(pem(&format!("{name}.key")), folder.path("tls.key")).unwrap();
}

pub fn serve(folder: &Folder, clients: bool) -> Server {
    copy(folder, "server");
    let authority = pem("authority.pem");
    let mut settings = vec![("tls_cert", "tls.pem"), ("tls_key", "tls.key")];
    if clients {
        settings.push(("tls_client_ca", authority.to_str().unwrap()));
    }
    folder.serve(&settings)
}

pub fn fingerprint(name: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate(&format!("{name}.pem")));
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Whoever can change the key can put one there that they know.
#[test]
fn a_key_that_everybody_may_change_is_refused() {
    let folder = Folder::new();
    copy(&folder, "server");
    let (certificate, key) = (folder.path("tls.pem"), folder.path("tls.key"));
    let files = TlsFiles { certificate, key: key.clone(), authority: None, revoked: Vec::new() };
    for (mode, good) in [(0o600, true), (0o640, true), (0o644, true), (0o646, false), (0o602, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let why = Tls::load(files.clone(), Protocol::Grpc).err().map(|fault| fault.to_string());
        assert_eq!(why.is_none(), good, "{mode:o}: {why:?}");
        if let Some(why) = why {
            let say = [key.display().to_string(), format!("mode {mode:o}"), "chmod 600".to_owned()];
            assert!(say.iter().all(|word| why.contains(word)), "{why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_listeners_speak_tls_and_take_a_new_certificate_while_serving() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = serve(&folder, false);
    assert_eq!(ask(server.http, None, &question(Some(&key))).await.unwrap().0, 200);
    assert_eq!(ask(server.http, None, &question(None)).await.unwrap().0, 401);
    for listener in [server.grpc, server.http] {
        assert_eq!(shown(listener).await, certificate("server.pem"));
    }
    // Without TLS nothing is said.
    let mut plain = TcpStream::connect(server.http).await.unwrap();
    plain.write_all(question(Some(&key)).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // A file that does not read changes nothing.
    fs::write(folder.path("tls.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    until("the fault is told", || folder.said().contains("the changed certificate is refused"));
    assert_eq!(shown(server.http).await, certificate("server.pem"));
    // One connection from before stays.
    let mut before = connected(server.http, None).await.unwrap();
    copy(&folder, "client");
    for listener in [server.grpc, server.http] {
        while shown(listener).await != certificate("client.pem") {
            tokio::task::yield_now().await;
        }
    }
    before.write_all(question(Some(&key)).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = before.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_its_caller() {
    let folder = Folder::new();
    let by_print = fingerprint("client");
    folder.run(&["access", "new", "dialer", "--tenant", "acme", "--role", "check", "--certificate", &by_print]);
    let key = folder.admit("other", "beta", "read-contacts");
    let server = serve(&folder, true);
    // Without a key: the certificate alone.
    assert_eq!(ask(server.http, Some("client"), &question(None)).await.unwrap().0, 200);
    // A good certificate of nobody.
    let (code, body) = ask(server.http, Some("server"), &question(None)).await.unwrap();
    assert!(code == 401 && body.to_string().contains("CREDENTIALS_UNKNOWN"), "{body}");
    // A wrong key is not made good by a certificate; a right one decides.
    assert_eq!(ask(server.http, Some("client"), &question(Some("rfk_wrong"))).await.unwrap().0, 401);
    assert_eq!(ask(server.http, Some("client"), &question(Some(&key))).await.unwrap().0, 403, "it may not ask");
    // None at all: as without client certificates.
    assert_eq!(ask(server.http, None, &question(None)).await.unwrap().0, 401);
    assert_eq!(ask(server.http, None, &question(Some(&key))).await.unwrap().0, 403);
    folder.run(&["access", "revoke", "dialer"]);
    loop {
        let (code, body) = ask(server.http, Some("client"), &question(None)).await.unwrap();
        if code == 401 {
            assert!(body.to_string().contains("CREDENTIALS_REVOKED"), "{body}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_a_certificate_is_its_caller_and_a_key_may_be_asked_for_beside_it() {
    let folder = Folder::new();
    let new = ["access", "new", "dialer", "--tenant", "acme", "--role", "check", "--certificate", "localhost"];
    let key = folder.run(&[&new[..], &["--with-key"]].concat()).trim().to_owned();
    let server = serve(&folder, true);
    let (code, body) = ask(server.http, Some("client"), &question(None)).await.unwrap();
    assert!(code == 401 && body.to_string().contains("API key"), "{body}");
    let (code, body) = ask(server.http, None, &question(Some(&key))).await.unwrap();
    assert!(code == 401 && body.to_string().contains("CERTIFICATE_MISSING"), "{body}");
    assert_eq!(ask(server.http, Some("client"), &question(Some(&key))).await.unwrap().0, 200);
    // Two callers whom the same certificate could be: neither is it.
    folder.run(&["access", "revoke", "dialer"]);
    folder.run(&["access", "new", "one", "--tenant", "acme", "--role", "check", "--certificate", "127.0.0.1"]);
    loop {
        let (code, body) = ask(server.http, Some("client"), &question(None)).await.unwrap();
        if body.to_string().contains("several") {
            assert_eq!(code, 401);
            break;
        }
    }
    // Named whole it is one caller's, whatever stands in the file before that.
    let print = fingerprint("client");
    folder.run(&["access", "new", "pinned", "--tenant", "acme", "--role", "check", "--certificate", &print]);
    let asked = async || ask(server.http, Some("client"), &question(None)).await.unwrap();
    while asked().await.1.to_string().contains("several") {}
    assert_eq!(asked().await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_ends_the_handshake() {
    let folder = Folder::new();
    folder.admit("dialer", "acme", "check");
    copy(&folder, "server");
    // The clients' authority is one that issued none of them: a certificate that is its own.
    let own = pem("client.pem");
    let server =
        folder.serve(&[("tls_cert", "tls.pem"), ("tls_key", "tls.key"), ("tls_client_ca", own.to_str().unwrap())]);
    assert!(ask(server.http, Some("server"), &question(None)).await.is_none());
    assert_eq!(ask(server.http, None, &question(None)).await.unwrap().0, 401, "without one it is agreed on");
    let told = |line: &str| line.contains("handshake") && line.contains("from=127.0.0.1") && line.contains("error=");
    until("it is told, and why", || folder.said().lines().filter(|line| told(line)).count() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_over_tls() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    fs::write(folder.path("key"), &key).unwrap();
    let server = serve(&folder, false);
    let address = format!("https://localhost:{}", server.grpc.port());
    let run = |ca: Option<PathBuf>| {
        let mut command = folder.program();
        command.args([
            "check",
            "+13055550123",
            "--channel=call",
            "--purpose=survey",
            "--seller=acme",
            "--server",
            &address,
        ]);
        command.env("RINGFENCE_API_KEY_FILE", "key");
        if let Some(ca) = ca {
            command.env("RINGFENCE_SERVER_CA", ca);
        }
        command.output().unwrap()
    };
    let answered = run(Some(pem("authority.pem")));
    assert!(matches!(answered.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&answered.stderr));
    assert_eq!(run(None).status.code(), Some(2), "an authority that is not trusted");
    // A key is not sent where it can be read on the way.
    let mut command = folder.program();
    command.args(["check", "+13055550123", "--channel=call", "--purpose=survey", "--seller=acme"]);
    let output = command.args(["--server", "http://192.0.2.1:1"]).env("RINGFENCE_API_KEY", &key).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("travel readable"));
}
