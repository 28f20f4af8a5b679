//! What the listeners show, and whose certificates they take: read again when the files change.
//!
//! Promises: files that do not read, do not belong together or lack something change nothing; with authorities of clients
//! configured, a certificate that none of them issued, or that was revoked, ends the handshake, and none at all is a client
//! without one. With lists of what was revoked, a certificate of whose chain any part is in no list that is good now is
//! refused. A certificate on an open connection is trusted only while a new one that shows it would be taken, as of the last
//! look.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Protocol, revoked};
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
    /// What those authorities have revoked, PEM or DER; none: that is not asked.
    pub revoked: Vec<PathBuf>,
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
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let named = [Some(&self.certificate), Some(&self.key), self.authority.as_ref()];
        named.into_iter().flatten().chain(&self.revoked).map(PathBuf::as_path)
    }

    fn load(&self, protocol: Protocol) -> Result<InForce, TlsFault> {
        let chain = certificates(&self.certificate)?;
        self.key_is_ours()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| fault(&self.key, format!("holds no private key in PEM ({error})")))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = |why: String| TlsFault::Pair { certificate: self.certificate.clone(), key: self.key.clone(), why };
        let clients = self.authority.as_deref().map(|path| self.clients(path, &provider)).transpose()?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| pair(error.to_string()))?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
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
        Ok(InForce { config: Arc::new(config), clients })
    }

    /// Whoever can change the key can put one there that they know.
    fn key_is_ours(&self) -> Result<(), TlsFault> {
        let about = std::fs::metadata(&self.key);
        let about = about.map_err(|error| fault(&self.key, format!("cannot be read: {error}")))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        if mode & 0o002 == 0 {
            return Ok(());
        }
        Err(fault(&self.key, format!("everybody may change this key (mode {mode:03o}): run `chmod 600` on it")))
    }

    /// Who judges the certificates of clients.
    fn clients(&self, path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
        let authorities = certificates(path)?;
        let lists = revoked::lists(&self.revoked)?;
        if !lists.is_empty() {
            revoked::check(&lists, (path, &authorities), provider)?;
        }
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|error| fault(path, format!("holds no authority ({error})")))?;
        }
        // Whole chains, and whatever is in no list is refused: so the library has it where it is not told otherwise.
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .with_crls(lists.into_iter().map(|list| list.der))
            .enforce_revocation_expiration()
            .allow_unauthenticated()
            .build()
            .map_err(|error| fault(path, format!("with the lists of tls_client_crl, cannot be gone by ({error})")))
    }
}

pub(super) fn fault(path: &Path, why: String) -> TlsFault {
    TlsFault::File { path: path.to_owned(), why }
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let none = |why: String| fault(path, format!("holds no certificate in PEM ({why})"));
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| none(error.to_string()))?.collect();
    let found = read.map_err(|error| none(error.to_string()))?;
    if found.is_empty() { Err(none("it has none".to_owned())) } else { Ok(found) }
}

/// What holds for new connections.
#[derive(Debug)]
struct InForce {
    config: Arc<ServerConfig>,
    /// Judges the certificates of clients, where they are asked for.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl InForce {
    fn trusts(&self, of: &Chain) -> Result<(), rustls::Error> {
        let clients = self.clients.as_ref().ok_or_else(|| rustls::Error::General("none is asked for".to_owned()))?;
        clients.verify_client_cert(&of.first, &of.between, UnixTime::now()).map(drop)
    }
}

/// What a client showed: its certificate, and those between it and its authority.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Chain {
    first: CertificateDer<'static>,
    between: Vec<CertificateDer<'static>>,
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
    in_force: ArcSwap<InForce>,
    /// Certificates of clients on connections, until those end.
    shown: Mutex<Vec<(Weak<ShownCertificate>, Arc<Chain>)>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them does not read; they do not go together.
    pub fn load(files: TlsFiles, protocol: Protocol) -> Result<Self, TlsFault> {
        let in_force = ArcSwap::from_pointee(files.load(protocol)?);
        Ok(Self { files, protocol, in_force, shown: Mutex::default() })
    }

    /// Reads the files again: from now on new connections get what they say. Those open keep what they have, and no session
    /// of before is taken up again.
    ///
    /// # Errors
    /// As [`Tls::load`]: then nothing changes.
    pub fn reload(&self) -> Result<(), TlsFault> {
        self.in_force.store(Arc::new(self.files.load(self.protocol)?));
        Ok(())
    }

    /// Holds the certificates of open connections against what is in force now; whether one of them is trusted no longer,
    /// or again.
    pub fn look_again(&self) -> bool {
        let (mut changed, mut known) = (false, HashMap::new());
        let mut held = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(certificate, _)| certificate.strong_count() > 0);
        let shown = held.clone();
        drop(held);
        let in_force = self.in_force.load_full();
        for (certificate, chain) in &shown {
            let Some(certificate) = certificate.upgrade() else { continue };
            // Many connections of one caller show the same.
            let trusted = *known.entry(chain).or_insert_with(|| in_force.trusts(chain).is_ok());
            changed |= certificate.trust(trusted) != trusted;
        }
        changed
    }

    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Arc<ShownCertificate>>)> {
        let used = self.in_force.load_full();
        let stream = TlsAcceptor::from(Arc::clone(&used.config)).accept(stream).await?;
        let Some([first, between @ ..]) = stream.get_ref().1.peer_certificates() else { return Ok((stream, None)) };
        let whole = |certificate: &CertificateDer<'_>| certificate.clone().into_owned();
        let chain = Arc::new(Chain { first: whole(first), between: between.iter().map(whole).collect() });
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let certificate = certificate_of(&chain.first)?;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // What changed while it was agreed on holds for it; what changes from here on finds it among the others. A session that
        // is taken up is not asked for its certificate again.
        let now = self.in_force.load_full();
        if is_resumed || !Arc::ptr_eq(&used, &now) {
            now.trusts(&chain).map_err(io::Error::other)?;
        }
        if shown.len() == shown.capacity() {
            shown.retain(|(certificate, _)| certificate.strong_count() > 0);
        }
        shown.push((Arc::downgrade(&certificate), chain));
        drop(shown);
        Ok((stream, Some(certificate)))
    }
}
