//! What the listeners show, and whose certificates they take: read again when the files change.
//!
//! Promises: files that do not read, do not belong together or lack something change nothing; with authorities of clients
//! configured, a certificate that none of them issued ends the handshake, and none at all is a client without one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Protocol;
use crate::access::ShownCertificate;

/// Where they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// Our certificate, and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The authorities of client certificates, PEM; `None`: none is asked for.
    pub authority: Option<PathBuf>,
}

/// Why they cannot be used: which file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file does not read as what it should be.
    #[error("{}: {why}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Certificate and key do not go together, or the provider has no use for them.
    #[error("{}, {}: {why}", .certificate.display(), .key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong with them.
        why: String,
    },
}

impl TlsFiles {
    fn load(&self, protocol: Protocol) -> Result<ServerConfig, TlsFault> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| fault(&self.key, format!("holds no private key in PEM ({error})")))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = |why: String| TlsFault::Pair { certificate: self.certificate.clone(), key: self.key.clone(), why };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| pair(error.to_string()))?;
        let builder = match &self.authority {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| fault(path, format!("holds no authority ({error})")))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| fault(path, format!("cannot be verified by ({error})")))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| pair(format!("do not go together ({error})")))?;
        if self.authority.is_some() {
            // A session that is taken up again has its client's certificate from the one before, and nothing looks whether it
            // is good still.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = match protocol {
            Protocol::Grpc => vec![b"h2".to_vec()],
            Protocol::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(config)
    }
}

fn fault(path: &Path, why: String) -> TlsFault {
    TlsFault::File { path: path.to_owned(), why }
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let none = |why: String| fault(path, format!("holds no certificate in PEM ({why})"));
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| none(error.to_string()))?.collect();
    let found = read.map_err(|error| none(error.to_string()))?;
    if found.is_empty() { Err(none("it has none".to_owned())) } else { Ok(found) }
}

/// A client's certificate, with its end: whoever cannot be told when that is, is not taken.
fn certificate_of(shown: &CertificateDer<'_>) -> io::Result<Arc<ShownCertificate>> {
    let no_end = || io::Error::other("the end of the client's certificate cannot be read");
    let ends = super::expiry::expires(shown).ok_or_else(no_end)?;
    Ok(Arc::new(ShownCertificate::new(shown.clone().into_owned(), ends)))
}

/// TLS of one listener.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    protocol: Protocol,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them does not read; they do not go together.
    pub fn load(files: TlsFiles, protocol: Protocol) -> Result<Self, TlsFault> {
        let config = ArcSwap::from_pointee(files.load(protocol)?);
        Ok(Self { files, protocol, config })
    }

    /// Reads the files again: from now on new connections get what they say. Those open keep what they have, and no session
    /// of before is taken up again.
    ///
    /// # Errors
    /// As [`Tls::load`]: then nothing changes.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.config.store(Arc::new(self.files.load(self.protocol)?));
        Ok(())
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Arc<ShownCertificate>>)> {
        let stream = TlsAcceptor::from(self.config.load_full()).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(certificate_of).transpose()?;
        Ok((stream, certificate))
    }
}
