//! Certificates towards a Redis that change while the store is open.
//!
//! The certificates in `tests/store/tls` and `tests/access/tls` are for tests alone; their keys are no secrets.

use std::path::{Path, PathBuf};

use ringfence::store::Store as _;
use ringfence::store::redis::{Files, Settings};

use super::redis::{Server, free_port};
use super::redis_faults::{impatient, open, recovered, refused};
use super::suite::{key, won, write};

fn of(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder).join("tls").join(name)
}

/// A folder with the certificates of the store, as settings name them.
struct Ours(tempfile::TempDir);

impl Ours {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, from: PathBuf, name: &str) {
        std::fs::copy(from, self.path(name)).unwrap();
    }

    fn settings(&self, port: u16) -> Settings {
        let mut settings = impatient(&format!("rediss://localhost:{port}"));
        let files = Files {
            authority: Some(self.path("ca.pem")),
            certificate: Some(self.path("our.pem")),
            key: Some(self.path("our.key")),
            ..Files::default()
        };
        settings.load(&files).unwrap();
        settings
    }
}

/// A server that speaks TLS, asks for a certificate, and lets go of its connections when told so.
fn server(port: u16) -> Server {
    let text = |name| of("store", name).display().to_string();
    Server::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-ca-cert-file",
        &text("authority.pem"),
        "--tls-cert-file",
        &text("server.pem"),
        "--tls-key-file",
        &text("server.key"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_hold_for_new_connections_and_bad_ones_change_nothing() {
    let (port, ours) = (free_port(), Ours(tempfile::tempdir().unwrap()));
    let server = server(port);
    for (from, name) in [("authority.pem", "ca.pem"), ("client.pem", "our.pem"), ("client.key", "our.key")] {
        ours.put(of("store", from), name);
    }
    let settings = ours.settings(port);
    let store = open(settings.clone()).await;
    won(&store, write(key(1), 0, "one")).await;
    let kill = || drop(server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]));

    // Files that do not read, do not go together, or with which the server is not trusted: the old ones serve on.
    let told = async |why: &str| {
        let error = settings.renew_certificates().await.unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
        kill();
        recovered(&store).await;
    };
    std::fs::write(ours.path("ca.pem"), "nothing\n").unwrap();
    told("ca.pem: holds no authority in PEM").await;
    ours.put(of("access", "authority.pem"), "ca.pem");
    told("no connection can be made with them").await;
    ours.put(of("store", "authority.pem"), "ca.pem");
    ours.put(of("access", "gateway.key"), "our.key");
    told("our.key: do not go together").await;
    ours.put(of("access", "gateway.pem"), "our.pem");
    told("no connection can be made with them").await;

    // The server changes to another authority, for both ends: with what was read before it cannot be reached.
    let text = |name: &str| of("access", name).display().to_string();
    assert_eq!(server.ask(&["CONFIG", "SET", "tls-ca-cert-file", &text("authority.pem")]), "OK");
    let pair = ["CONFIG", "SET", "tls-cert-file", &text("dialer.pem"), "tls-key-file", &text("dialer.key")];
    assert_eq!(server.ask(&pair), "OK");
    kill();
    let error = refused(&store, 1).await;
    assert!(error.contains("certificate") || error.contains("Certificate"), "{error}");
    ours.put(of("access", "authority.pem"), "ca.pem");
    settings.renew_certificates().await.unwrap();
    recovered(&store).await;
    let found = store.load(&key(1)).await.unwrap().unwrap();
    won(&store, write(key(1), found.version.0, "two")).await;
}
