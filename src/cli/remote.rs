//! Asking a server instead of the data folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;
use zeroize::Zeroizing;

use super::{Error, error};
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::proto::v1::check_service_client::CheckServiceClient;
use crate::proto::v1::consent_service_client::ConsentServiceClient;
use crate::proto::v1::control_service_client::ControlServiceClient;
use crate::proto::v1::incident_service_client::IncidentServiceClient;
use crate::proto::v1::policy_service_client::PolicyServiceClient;
use crate::proto::v1::privacy_service_client::PrivacyServiceClient;
use crate::proto::v1::processor_service_client::ProcessorServiceClient;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::retention_service_client::RetentionServiceClient;

/// How long a server may take to take the connection, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(60);

/// The variable that holds the API key, that which names a file of it, and that which names the authorities of a server's
/// certificate.
const KEY: &str = "RINGFENCE_API_KEY";
const KEY_FILE: &str = "RINGFENCE_API_KEY_FILE";
const CA: &str = "RINGFENCE_SERVER_CA";

/// The largest answer read: that to a batch of questions about numbers that could be anywhere.
const ANSWER_BYTES: usize = 64 << 20;

/// Asks for checks.
///
/// # Errors
/// As [`connect`].
pub(super) async fn checks(url: &str) -> Result<CheckServiceClient<Wire>, Error> {
    Ok(CheckServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// The same, where each answer may take so long: for rows, of which there are always more.
///
/// # Errors
/// As [`connect`].
pub(super) async fn checks_within(url: &str, answer: Duration) -> Result<CheckServiceClient<Wire>, Error> {
    Ok(CheckServiceClient::new(connect_within(url, answer).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about contacts.
///
/// # Errors
/// As [`connect`].
pub(super) async fn contacts(url: &str) -> Result<ConsentServiceClient<Wire>, Error> {
    Ok(ConsentServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// The same, where each answer may take so long.
///
/// # Errors
/// As [`connect`].
pub(super) async fn contacts_within(url: &str, answer: Duration) -> Result<ConsentServiceClient<Wire>, Error> {
    Ok(ConsentServiceClient::new(connect_within(url, answer).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Lists decisions.
///
/// # Errors
/// As [`connect`].
pub(super) async fn audit(url: &str) -> Result<AuditServiceClient<Wire>, Error> {
    Ok(AuditServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Throws switches.
///
/// # Errors
/// As [`connect`].
pub(super) async fn control(url: &str) -> Result<ControlServiceClient<Wire>, Error> {
    Ok(ControlServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about processors.
///
/// # Errors
/// As [`connect`].
pub(super) async fn processors(url: &str) -> Result<ProcessorServiceClient<Wire>, Error> {
    Ok(ProcessorServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Serves the rights of people.
///
/// # Errors
/// As [`connect`].
pub(super) async fn privacy(url: &str) -> Result<PrivacyServiceClient<Wire>, Error> {
    Ok(PrivacyServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// A connection on which every request shows who asks.
pub(super) type Wire = InterceptedService<Channel, Bearer>;

/// The key that a server is shown.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}

impl Bearer {
    /// The key in the environment, or in the file that it names.
    ///
    /// # Errors
    /// The file cannot be read; what it holds is no key.
    fn of_environment() -> Result<Self, Error> {
        let file = std::env::var_os(KEY_FILE).map(PathBuf::from);
        let key = match file {
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|error| Error::at(&path, "reading", &error))?;
                Some(Zeroizing::new(text))
            }
            None => std::env::var(KEY).ok().map(Zeroizing::new),
        };
        let Some(key) = key.filter(|key| !key.trim().is_empty()) else { return Ok(Self(None)) };
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", key.trim())
            .parse()
            .map_err(|_| Error::said(format!("{KEY} or {KEY_FILE}: holds no API key")))?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

/// Tells whoever shows this key from others, and says nothing of the key: what is kept under this name outlives the command.
///
/// # Errors
/// As [`Bearer::of_environment`].
pub(super) fn asker() -> Result<String, Error> {
    let bearer = Bearer::of_environment()?;
    let key = bearer.0.as_ref().map(MetadataValue::as_encoded_bytes).unwrap_or_default();
    Ok(digest(&SHA256, key).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Asks about policies.
///
/// # Errors
/// As [`connect`].
pub(super) async fn policies(url: &str) -> Result<PolicyServiceClient<Wire>, Error> {
    Ok(PolicyServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about retention.
///
/// # Errors
/// As [`connect`].
pub(super) async fn retention(url: &str) -> Result<RetentionServiceClient<Wire>, Error> {
    Ok(RetentionServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about incidents.
///
/// # Errors
/// As [`connect`].
pub(super) async fn incidents(url: &str) -> Result<IncidentServiceClient<Wire>, Error> {
    Ok(IncidentServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about lists.
///
/// # Errors
/// As [`connect`].
pub(super) async fn registries(url: &str) -> Result<RegistryServiceClient<Wire>, Error> {
    Ok(RegistryServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Connects to a server.
///
/// # Errors
/// The address is none, or nobody answers there.
async fn connect(url: &str) -> Result<Wire, Error> {
    connect_within(url, ANSWER).await
}

async fn connect_within(url: &str, answer: Duration) -> Result<Wire, Error> {
    let bad = || Error::said(format!("--server {url}: not an address such as http://127.0.0.1:50051"));
    let tls = match url.split_once("://") {
        Some(("http", _)) => None,
        Some(("https", _)) => Some(tls()?),
        _ => return Err(bad()),
    };
    let bearer = Bearer::of_environment()?;
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| bad())?;
    let local = endpoint.uri().host().is_some_and(is_local);
    if bearer.0.is_some() && tls.is_none() && !local {
        let why = "the API key would travel readable: give an address that begins with https://";
        return Err(Error::said(format!("--server {url}: {why}")));
    }
    let endpoint = endpoint.connect_timeout(CONNECT).timeout(answer).user_agent("ringfence-cli").map_err(|_| bad())?;
    let connected = match tls {
        None => endpoint.connect().await,
        Some(tls) => endpoint.connect_with_connector(tower::service_fn(move |uri| dial(uri, tls.clone()))).await,
    };
    let channel = connected.map_err(|error| {
        let mut why: &dyn std::error::Error = &error;
        while let Some(inner) = why.source() {
            why = inner;
        }
        Error::said(format!("{url}: no answer ({why}): is `ringfence serve` running there, and is this its gRPC port?"))
    })?;
    Ok(InterceptedService::new(channel, bearer))
}

fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// TLS that trusts the authorities in the file that the environment names, or those of the system.
fn tls() -> Result<TlsConnector, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = std::env::var_os(CA).map(PathBuf::from) {
        let bad = |why: String| Error::said(format!("{CA}: {}: holds no certificate in PEM ({why})", path.display()));
        for authority in CertificateDer::pem_file_iter(&path).map_err(|error| bad(error.to_string()))? {
            let authority = authority.map_err(|error| bad(error.to_string()))?;
            roots.add(authority).map_err(|error| bad(error.to_string()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::said(format!("TLS cannot be set up: {error}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn dial(uri: http::Uri, tls: TlsConnector) -> std::io::Result<TokioIo<TlsStream<TcpStream>>> {
    let bad = |what: &'static str| std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
    let host = uri.host().ok_or_else(|| bad("no host"))?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| bad("no name of a host"))?;
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(tls.connect(name, stream).await?))
}

/// What a server refused, in the words of the command line.
pub(super) fn refused(status: &tonic::Status) -> Error {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    if violations.is_empty() {
        let code = format!("{:?}", status.code());
        return Error::said(format!("the server refused ({code}): {}", status.message()));
    }
    Error::said(error::faults(violations.iter().map(|v| (v.field.as_str(), v.description.as_str()))))
}
