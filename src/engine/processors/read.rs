//! A processor as asked for, read; and where it may be told.

use http::Uri;

use crate::contact::wire::Reader;
use crate::contact::{Channel, Seller};
use crate::engine::Clock;
use crate::engine::control::wire;
use crate::proto::v1;
use crate::time::Instant;

/// The most sellers that one is narrowed to.
const SELLERS: usize = 100;
/// The longest url.
const URL_BYTES: usize = 2_048;

/// Where a processor is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Encrypted, with a certificate that is verified.
    pub tls: bool,
    /// A name or an address, an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// As the `Host` header says it.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Reads a url.
///
/// # Errors
/// What is wrong with it.
pub fn target(url: &str) -> Result<Target, &'static str> {
    if url.len() > URL_BYTES {
        return Err("is longer than 2,048 bytes");
    }
    if url.contains('#') {
        return Err("has a fragment, which no server would see");
    }
    let uri: Uri = url.parse().map_err(|_| "is no url such as https://example.com/opt-outs")?;
    let authority = uri.authority().ok_or("names no host")?;
    if authority.as_str().contains('@') {
        return Err("holds a user or a password: requests are signed instead");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err("names no host");
    }
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if is_loopback(&host) => false,
        Some("http") => return Err("is not encrypted: http is for the loopback alone, use https"),
        _ => return Err("is neither https nor http"),
    };
    if authority.port().is_some() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("has no port that could be connected to");
    }
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(Target { tls, host, port, authority: authority.as_str().to_owned(), path })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A processor as it will be kept.
pub(super) fn processor(reader: &mut Reader, asked: Option<&v1::Processor>, clock: Clock) -> v1::Processor {
    let Some(asked) = asked else {
        reader.fault("", "is required");
        return v1::Processor::default();
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    if asked.name.is_empty() || asked.name.len() > 64 || !asked.name.chars().all(fits) {
        reader.fault("name", "is not 1 to 64 lower-case letters, digits, dots, underscores and hyphens");
    }
    if let Some(Err(why)) = Some(&asked.url).filter(|url| !url.is_empty()).map(|url| target(url)) {
        reader.fault("url", why);
    }
    if asked.sellers.len() > SELLERS {
        reader.fault("sellers", format!("names {}; at most {SELLERS} are accepted", asked.sellers.len()));
    }
    reader.each("sellers", &asked.sellers, |reader, name| {
        if name.is_empty() {
            reader.fault("", "is empty");
        }
        reader.name("", name, Seller::new)
    });
    reader.set::<Channel>("channels", &asked.channels);
    wire::sentence(reader, "purpose", &asked.purpose);
    if asked.contract_ref.is_empty() {
        reader.fault("contract_ref", "is required: the contract that binds it to honour opt-outs");
    }
    reader.name("contract_ref", &asked.contract_ref, |text| Some(text.len()));
    reader.name("contact", &asked.contact, |text| Some(text.len()));
    match Instant::from_rfc3339(&format!("{}T00:00:00Z", asked.assessed_on)) {
        // The day may have begun already where it was assessed.
        Some(day) if day.minus(crate::time::Millis::hours(14)) <= clock.now => {}
        Some(_) => reader.fault("assessed_on", "lies in the future"),
        None => reader.fault("assessed_on", "is required: the day of the last assessment, as YYYY-MM-DD"),
    }
    v1::Processor { registered_at: None, removed_at: None, ..asked.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_on_the_loopback() {
        let found = target("https://example.com/opt-outs?x=1").unwrap();
        assert_eq!((found.tls, found.host.as_str(), found.port), (true, "example.com", 443));
        assert_eq!(found.path, "/opt-outs?x=1");
        let found = target("http://127.0.0.1:8099").unwrap();
        assert_eq!((found.tls, found.host.as_str(), found.port, found.path.as_str()), (false, "127.0.0.1", 8099, "/"));
        assert_eq!(target("http://[::1]:80/x").unwrap().host, "::1");
        assert_eq!(target("https://[2001:db8::1]/x").unwrap().authority, "[2001:db8::1]");
        for bad in [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "ftp://example.com/",
            "example.com",
            "https://",
            "https://user:secret@example.com/",
            "https://example.com/#here",
            "https://example.com:0/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }
}
