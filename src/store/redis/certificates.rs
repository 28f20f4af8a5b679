//! Certificates of TLS connections to a store: read from files, and read again while they are in use.
//!
//! Promises: files that do not read, do not go together, or with which no connection can be made change nothing. What
//! changes holds for connections made from then on.

use std::path::Path;
use std::sync::Arc;

use ::redis::{ClientTlsConfig, Pipeline, TlsCertificates};
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::address::{Deployment, Files, Settings};
use super::node::{Connector, trip};
use super::reply;
use super::sentinel;
use super::trouble::Trouble;

/// See the module. Copies share what is in force. `Debug` shows no secret.
#[derive(Clone, Default)]
pub struct Tls {
    files: Files,
    in_force: Arc<ArcSwap<Pem>>,
}

/// What the files hold, as PEM.
#[derive(Clone, Default)]
struct Pem {
    /// Whom to trust; the system's authorities if absent.
    authority: Option<Vec<u8>>,
    /// Our certificate and key, where the server asks for one.
    client: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pem = self.in_force.load();
        let own = pem.authority.is_some();
        f.debug_struct("Tls").field("own_authority", &own).field("client", &pem.client.is_some()).finish()
    }
}

impl Tls {
    /// What these files hold.
    ///
    /// # Errors
    /// Which file cannot be used, or what does not belong together.
    pub(super) fn load(files: &Files) -> Result<Self, String> {
        Ok(Self { files: files.clone(), in_force: Arc::new(ArcSwap::from_pointee(Pem::read(files)?)) })
    }

    /// For a new connection.
    pub(super) fn now(&self) -> TlsCertificates {
        let pem = self.in_force.load();
        let client_tls = pem
            .client
            .as_ref()
            .map(|(certificate, key)| ClientTlsConfig { client_cert: certificate.clone(), client_key: key.to_vec() });
        TlsCertificates { client_tls, root_cert: pem.authority.clone() }
    }
}

impl Pem {
    fn read(files: &Files) -> Result<Self, String> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()));
        let authority = files.authority.as_deref().map(read).transpose()?;
        let client = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, Zeroizing::new(read(key)?))),
            (None, None) => None,
            _ => return Err("store_cert and store_key belong together: name both".to_owned()),
        };
        let pem = Self { authority, client };
        pem.check(files)?;
        Ok(pem)
    }

    /// The library that connects would say less of what is wrong, and only then.
    fn check(&self, files: &Files) -> Result<(), String> {
        let at = |path: &Option<_>| path.as_deref().map(Path::display).map(|path| path.to_string()).unwrap_or_default();
        let mut roots = RootCertStore::empty();
        if let Some(authority) = &self.authority {
            let fault = |why: String| format!("{}: holds no authority in PEM ({why})", at(&files.authority));
            for certificate in certificates(authority).map_err(fault)? {
                roots.add(certificate).map_err(|error| fault(error.to_string()))?;
            }
        }
        let Some((certificate, key)) = &self.client else { return Ok(()) };
        let chain = certificates(certificate)
            .map_err(|why| format!("{}: holds no certificate in PEM ({why})", at(&files.certificate)))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| format!("{}: holds no private key in PEM ({error})", at(&files.key)))?;
        let apart = |error: rustls::Error| {
            format!("{}, {}: do not go together ({error})", at(&files.certificate), at(&files.key))
        };
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(apart)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map(drop)
            .map_err(apart)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("it has none".to_owned()),
        found => found.map_err(|error| error.to_string()),
    }
}

impl Settings {
    /// Reads the files of certificates again. Once a connection was made with what they hold, further ones are made with it;
    /// those that are open stay.
    ///
    /// # Errors
    /// Which file cannot be used; no connection can be made with them. Then nothing changes.
    pub async fn renew_certificates(&self) -> Result<(), String> {
        let Some(tls) = &self.tls else { return Ok(()) };
        let new = Tls::load(&tls.files)?;
        let tried = Connector(Arc::new(Self { tls: Some(new.clone()), ..self.clone() })).try_out().await;
        tried.map_err(|trouble| format!("no connection can be made with them: {}", trouble.why()))?;
        tls.in_force.store(new.in_force.load_full());
        Ok(())
    }
}

impl Connector {
    /// Makes a connection to a server, and asks it something: only then it is known that our certificate is taken.
    async fn try_out(&self) -> Result<(), Trouble> {
        let addresses = match &self.0.deployment {
            Deployment::Single(address) => vec![address.clone()],
            Deployment::Sentinel { .. } => vec![sentinel::find(self).await?.primary],
            Deployment::Cluster(seeds) => seeds.clone(),
        };
        let mut last = Trouble::Cut { sent: false, why: "no server is named".to_owned() };
        for address in &addresses {
            match self.ask_at(address).await {
                Ok(()) => return Ok(()),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    async fn ask_at(&self, address: &super::address::Address) -> Result<(), Trouble> {
        let mut connection = self.open(address).await?;
        let mut pipe = Pipeline::new();
        pipe.cmd("ROLE");
        reply::sound(&trip(&mut connection, &pipe, self.0.timing.answer).await?)
    }
}
