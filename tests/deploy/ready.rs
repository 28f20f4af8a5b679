//! `ringfence ready`, which health checks rest on: yes only to a server that says so.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{program, root};

const READY: &str = "{\"ready\":true,\"notReady\":{},\"regionsDown\":{\"cn\":\"no answer\"}}\n";

fn answer(code: &str, body: &str) -> String {
    format!("HTTP/1.1 {code}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Exit status, and what was said.
fn asked(address: &str) -> (Option<i32>, String) {
    let output = program().args(["ready", "--http", address]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Asks a listener that answers each connection with this.
fn answered(text: &str) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let text = text.to_owned();
    std::thread::spawn(move || {
        for wire in listener.incoming() {
            let mut wire = wire.unwrap();
            let mut lines = BufReader::new(wire.try_clone().unwrap()).lines();
            // What is no HTTP has no empty line; such a peer goes away.
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            if first == "GET /readyz HTTP/1.1" {
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                let _ = wire.write_all(text.as_bytes());
            }
        }
    });
    asked(&address)
}

#[test]
fn only_a_server_that_says_so_is_ready() {
    assert_eq!(answered(&answer("200 OK", READY)), (Some(0), "ready\n  region cn: no answer\n".to_owned()));
    let body = "{\"ready\":false,\"notReady\":{\"store\":\"no answer\"}}";
    let not = (Some(1), "not ready\n  store: no answer\n".to_owned());
    assert_eq!(answered(&answer("503 Service Unavailable", body)), not);
    // To whoever has no role for more.
    let body = "{\"ready\":false,\"notReady\":[\"store\"]}";
    assert_eq!(answered(&answer("503 Service Unavailable", body)), (Some(1), "not ready\n  store\n".to_owned()));
    // One of them is not enough.
    assert_eq!(answered(&answer("503 Service Unavailable", READY)).0, Some(1));
    assert_eq!(answered(&answer("200 OK", "{\"ready\":false,\"notReady\":{}}")).0, Some(1));
    for other in [answer("200 OK", "ok\n"), answer("200 OK", "{\"ready\":\"true\"}"), "220 mail ESMTP\r\n".to_owned()] {
        let (code, said) = answered(&other);
        assert_eq!(code, Some(2), "{other}: {said}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, said) = asked(&free);
    assert!(code == Some(2) && said.contains(&free) && said.contains("ringfence serve"), "{said}");
    let (code, said) = asked("off");
    assert!(code == Some(2) && said.contains("http is off"), "{said}");
}

/// Issued for another name than the address it is asked at, by an authority that nobody here knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_with_tls_is_asked_by_tls() {
    let chain = vec![CertificateDer::from_pem_file(root().join("tests/store/tls/server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(root().join("tests/store/tls/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (wire, _) = listener.accept().await.unwrap();
            // The first is asked in clear.
            let Ok(mut wire) = acceptor.accept(wire).await else { continue };
            let mut request = [0; 1024];
            let _ = wire.read(&mut request).await;
            let _ = wire.write_all(answer("200 OK", READY).as_bytes()).await;
            let _ = wire.shutdown().await;
        }
    });
    let (code, said) = tokio::task::spawn_blocking(move || asked(&address)).await.unwrap();
    assert_eq!((code, said.as_str()), (Some(0), "ready\n  region cn: no answer\n"));
}
