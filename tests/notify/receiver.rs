//! A receiver of webhooks that answers as a test wants it to; plain or over TLS.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What to answer.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Status(u16),
    /// These bytes, whatever they are.
    Raw(&'static str),
    /// Nothing, and the connection stays.
    Hang,
    /// Nothing, and the connection ends.
    Close,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub id: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    /// How often this id came before.
    pub seen_before: usize,
    /// How often leniency was asked for.
    pub lenient: usize,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        &self.headers[name]
    }
}

type Judge = dyn Fn(&Got) -> Answer + Send + Sync;

struct Shared {
    got: Mutex<Vec<Got>>,
    taken: AtomicUsize,
    lenient: AtomicUsize,
    judge: Box<Judge>,
}

pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Receiver {
    pub async fn start(judge: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(judge)).await
    }

    /// With the certificate of the store's tests: for localhost and 127.0.0.1.
    pub async fn start_tls(judge: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = vec![CertificateDer::from_pem_file("tests/store/tls/server.pem").unwrap()];
        let key = PrivateKeyDer::from_pem_file("tests/store/tls/server.key").unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config))), Box::new(judge)).await
    }

    async fn listen(tls: Option<TlsAcceptor>, judge: Box<Judge>) -> Self {
        // All of 127.0.0.0/8, so that a test has another name for it.
        let host = if tls.is_some() { "0.0.0.0:0" } else { "127.0.0.1:0" };
        let listener = TcpListener::bind(host).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = match &tls {
            Some(_) => format!("https://localhost:{port}/opt-outs"),
            None => format!("http://127.0.0.1:{port}/opt-outs"),
        };
        let shared =
            Arc::new(Shared { got: Mutex::default(), taken: AtomicUsize::new(0), lenient: AtomicUsize::new(0), judge });
        let kept = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, shared) = (tls.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut stream: Pin<Box<dyn Stream>> = match tls {
                        None => Box::pin(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::pin(stream),
                            Err(_) => return,
                        },
                    };
                    let _ = shared.serve(&mut stream).await;
                });
            }
        });
        Self { url, shared, task }
    }

    /// The next request that no call of this returned before.
    pub async fn next(&self) -> Got {
        let begun = std::time::Instant::now();
        let at = self.shared.taken.fetch_add(1, Ordering::Relaxed);
        loop {
            if let Some(got) = self.shared.got.lock().unwrap().get(at) {
                return got.clone();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no request came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn all(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    pub fn be_lenient(&self) {
        self.shared.lenient.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    async fn serve(&self, stream: &mut Pin<Box<dyn Stream>>) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let head = loop {
            let mut more = [0; 4_096];
            let count = stream.read(&mut more).await?;
            if count == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&more[..count]);
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
        };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("POST /opt-outs HTTP/1.1"));
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers["content-length"].parse().unwrap();
        while bytes.len() < head + 4 + length {
            let mut more = [0; 4_096];
            let count = stream.read(&mut more).await?;
            bytes.extend_from_slice(&more[..count]);
        }
        let body = String::from_utf8(bytes[head + 4..].to_vec()).unwrap();
        let answer = {
            let mut all = self.got.lock().unwrap();
            let id = headers["webhook-id"].clone();
            let seen_before = all.iter().filter(|got| got.id == id).count();
            let lenient = self.lenient.load(Ordering::Relaxed);
            let got = Got { id, headers, body, seen_before, lenient };
            all.push(got.clone());
            (self.judge)(&got)
        };
        match answer {
            Answer::Status(status) => {
                let text = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(text.as_bytes()).await?;
            }
            Answer::Raw(text) => stream.write_all(text.as_bytes()).await?,
            Answer::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
            Answer::Close => return Ok(()),
        }
        stream.flush().await?;
        // Until the other side ends it.
        let mut rest = [0; 64];
        let _ = stream.read(&mut rest).await;
        Ok(())
    }
}
