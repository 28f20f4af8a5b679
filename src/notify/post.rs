//! One POST to a processor.
//!
//! Promises: certificates are verified, against the system's authorities or those given, which are read again when told so; a redirect is an answer like any
//! other and is not followed; plain http goes to the loopback alone, and where ports of it are listed to those alone; https
//! to no address that is not public unless the configuration says so, whatever a name resolves to at that instant;
//! everything ends in time. A connection carries one request: a receiver that answers twice must not have its second answer
//! taken for the confirmation of something else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::engine::processors::Target;

/// How long one address may take to take the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The most addresses of a name that are tried.
const ADDRESSES: usize = 3;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// The file of authorities.
    #[error("{path}: {why}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The TLS library.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a request was not answered. Names neither path nor query of the url, nor what was sent.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The name does not resolve.
    #[error("the name of the host does not resolve: {0}")]
    Name(std::io::ErrorKind),
    /// Every address is one that nothing is sent to.
    #[error(
        "the host has no address that may be sent to: it is not public, or a port of the server's own machine; see \
         webhook_private and webhook_loopback in the configuration"
    )]
    Address,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(std::io::ErrorKind),
    /// The certificate, or the encryption.
    #[error("TLS: {0}")]
    Tls(String),
    /// What came back is no answer.
    #[error("no answer: {0}")]
    Http(String),
    /// It took too long.
    #[error("no answer in time")]
    TooLate,
    /// Header or address that cannot be written.
    #[error("the request cannot be written")]
    Request,
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Posted {
    /// The status.
    pub status: u16,
    /// When to try again at the earliest, where the answer says so in seconds.
    pub retry_after: Option<Duration>,
}

/// What may be posted to beside the public internet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reach {
    /// Addresses of a network of one's own.
    pub private: bool,
    /// These ports of the server's own machine; `None`: every one, over https only with `private`.
    pub loopback: Option<Vec<u16>>,
}

impl Reach {
    /// Whether this may be posted to.
    fn has(&self, address: SocketAddr, tls: bool) -> bool {
        // An address of IPv4 in the clothes of IPv6 is that address.
        let ip = address.ip().to_canonical();
        match &self.loopback {
            _ if !ip.is_loopback() => tls && (is_public(ip) || self.private && may_be_private(ip)),
            None => !tls || self.private,
            Some(ports) => ports.contains(&address.port()),
        }
    }
}

/// Posts. Copies share whom they trust.
#[derive(Clone)]
pub struct Client {
    authorities: Option<PathBuf>,
    tls: Arc<ArcSwap<ClientConfig>>,
    reach: Reach,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that trusts the authorities in this file (PEM), or those of the system; and sends to addresses that are
    /// not public as far as told so.
    ///
    /// # Errors
    /// The file holds no certificate.
    pub fn new(authorities: Option<&Path>, reach: Reach) -> Result<Self, NoClient> {
        let tls = Arc::new(ArcSwap::from_pointee(trusting(authorities)?));
        Ok(Self { authorities: authorities.map(Path::to_owned), tls, reach })
    }

    /// Reads the authorities again: requests from now on trust those.
    ///
    /// # Errors
    /// As [`Client::new`]: then nothing changes.
    pub fn reload(&self) -> Result<(), NoClient> {
        self.tls.store(Arc::new(trusting(self.authorities.as_deref())?));
        Ok(())
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    /// No answer, in time or at all.
    pub async fn post(
        &self,
        target: &Target,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Posted, PostError> {
        let work = async {
            let mut request = Request::post(target.path.as_str())
                .header(header::HOST, target.authority.as_str())
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONNECTION, "close")
                .header(header::USER_AGENT, concat!("ringfence/", env!("CARGO_PKG_VERSION")));
            for (name, value) in headers {
                let value = HeaderValue::from_str(value).map_err(|_| PostError::Request)?;
                request = request.header(*name, value);
            }
            let request = request.body(Full::new(Bytes::from(body))).map_err(|_| PostError::Request)?;
            let stream = self.connect(target).await?;
            if !target.tls {
                return answer(stream, request).await;
            }
            let name = ServerName::try_from(target.host.clone()).map_err(|error| PostError::Tls(error.to_string()))?;
            let connector = TlsConnector::from(self.tls.load_full());
            let stream = connector.connect(name, stream).await.map_err(|error| PostError::Tls(error.to_string()))?;
            answer(stream, request).await
        };
        tokio::time::timeout(within, work).await.unwrap_or(Err(PostError::TooLate))
    }

    /// Connects to an address that was looked at: resolving again would let a name answer otherwise the second time.
    async fn connect(&self, target: &Target) -> Result<TcpStream, PostError> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|error| PostError::Name(error.kind()))?.collect();
        let mut last = PostError::Address;
        for address in found.into_iter().filter(|address| self.reach.has(*address, target.tls)).take(ADDRESSES) {
            last = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => PostError::Connect(error.kind()),
                Err(_) => PostError::Connect(std::io::ErrorKind::TimedOut),
            };
        }
        Err(last)
    }
}

fn trusting(authorities: Option<&Path>) -> Result<ClientConfig, NoClient> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = authorities {
        let fault = |why: String| NoClient::Authorities { path: path.display().to_string(), why };
        let read = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
        for certificate in read {
            let certificate = certificate.map_err(|error| fault(error.to_string()))?;
            roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(fault("holds no certificate in PEM".to_owned()));
        }
    } else {
        let (good, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if good == 0 {
            tracing::warn!("the system has no certificate authorities: no https processor can be told");
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

async fn answer<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Posted, PostError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let fault = |error: hyper::Error| PostError::Http(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(fault)?;
    let asking = sender.send_request(request);
    tokio::pin!(connection, asking);
    // The connection is driven here and dropped with the answer: what else comes on it is nobody's.
    let answer = tokio::select! {
        biased;
        answer = &mut asking => answer,
        _ = &mut connection => asking.await,
    };
    let answer = answer.map_err(fault)?;
    let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Posted { status: answer.status().as_u16(), retry_after: seconds.map(Duration::from_secs) })
}

/// Whether an address is one of the public internet (IANA's registries of special-purpose addresses).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => public_v4(mapped),
            None => public_v6(address),
        },
    }
}

fn public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, loopback, private use, multicast and what is reserved.
        (0 | 10 | 127 | 224..=255, ..) => true,
        // Shared by carriers; link-local, where clouds keep credentials; private use.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, documentation, benchmarks.
        (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast, without documentation, and without what carries an IPv4 address inside (Teredo, 6to4).
    (0x2000..0x4000).contains(&a) && a != 0x2002 && !(a == 0x2001 && (b == 0 || b == 0x0db8))
}

/// Of addresses that are not public: those of a network of one's own. Never the link-local ones, where clouds keep
/// credentials.
fn may_be_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_loopback() || address.is_private() || (a == 100 && (64..=127).contains(&b))
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => may_be_private(IpAddr::V4(mapped)),
            None => address.is_loopback() || address.is_unique_local(),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_public_is_known_as_such_in_every_guise() {
        for special in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "2002:0a00:0001::1",
            "2001:0::1",
            "2001:db8::1",
            "64:ff9b::a00:1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for never in ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254"] {
            assert!(!may_be_private(never.parse().unwrap()), "{never}");
        }
        let (web, listed) = (Reach::default(), Reach { loopback: Some(vec![9_000]), ..Reach::default() });
        let private = Reach { private: true, ..listed.clone() };
        for (address, tls, by_default, by_list, in_private) in [
            ("127.0.0.1:9000", false, true, true, true),
            ("127.0.0.1:15000", false, true, false, false),
            ("127.0.0.1:15000", true, false, false, false),
            ("[::1]:15000", true, false, false, false),
            ("[::ffff:127.0.0.1]:15000", true, false, false, false),
            ("[::1]:9000", true, false, true, true),
            ("10.0.0.1:443", true, false, false, true),
            ("8.8.8.8:443", true, true, true, true),
            ("8.8.8.8:80", false, false, false, false),
            ("169.254.169.254:443", true, false, false, false),
        ] {
            let found = [&web, &listed, &private].map(|reach| reach.has(address.parse().unwrap(), tls));
            assert_eq!(found, [by_default, by_list, in_private], "{address} {tls}");
        }
        assert!(may_be_private("192.168.0.7".parse().unwrap()) && may_be_private("fd00::7".parse().unwrap()));
    }
}
