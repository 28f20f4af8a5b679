//! Who may ask, and how they reach the listeners.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Written, choice};
use crate::access::{GateSettings, Limits};
use crate::listen::{self, TlsFiles};

/// See the module.
#[derive(Clone, Debug)]
pub struct Exposed {
    /// The file of those who may ask; `None`: whoever is on this machine.
    pub access: Option<PathBuf>,
    /// The folder with a folder of packs for each tenant that has some.
    pub tenant_packs: Option<PathBuf>,
    /// What the listeners show, and ask for; `None`: no TLS.
    pub tls: Option<TlsFiles>,
    /// Whether other addresses than loopback may do without TLS.
    pub no_tls: bool,
    /// What a tenant may use.
    pub tenant: Limits,
    /// What a connection may use.
    pub listen: listen::Settings,
    /// What all together may use.
    pub gate: GateSettings,
    /// Where spans go, and how many in a hundred are made where the caller says nothing; `None`: none is made.
    pub traces: Option<(String, u32)>,
}

type Read<'a> = dyn Fn(&str) -> Written + 'a;
type Fault<'a> = dyn FnMut(&Written, &str) + 'a;

pub(super) fn exposed(read: &Read<'_>, fault: &mut Fault<'_>) -> Exposed {
    let path = |key: &str| Some(read(key).text).filter(|text| !text.is_empty()).map(PathBuf::from);
    let (certificate, key, authority) = (path("tls_cert"), path("tls_key"), path("tls_client_ca"));
    let lacking = |one: bool, other: &str| one && read(other).text.is_empty();
    if lacking(certificate.is_some(), "tls_key") {
        fault(&read("tls_cert"), "needs its key: set tls_key");
    }
    if lacking(key.is_some(), "tls_cert") {
        fault(&read("tls_key"), "needs its certificate: set tls_cert");
    }
    if lacking(authority.is_some(), "tls_cert") {
        fault(&read("tls_client_ca"), "asks for client certificates, which needs TLS: set tls_cert and tls_key");
    }
    let text = read("tls_client_crl").text;
    let revoked: Vec<_> = text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    if !revoked.is_empty() && authority.is_none() {
        fault(
            &read("tls_client_crl"),
            "says what authorities revoked, and nothing says which those are: set tls_client_ca",
        );
    }
    let access = path("access");
    let tenant_packs = path("tenant_packs");
    if tenant_packs.is_some() && access.is_none() {
        fault(&read("tenant_packs"), "holds packs of tenants, and nothing says who they are: set access");
    }
    if authority.is_some() && access.is_none() {
        fault(
            &read("tls_client_ca"),
            "says whose certificates are good, and nothing says what they may do: set access",
        );
    }
    let tls = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key, authority, revoked });
    let mut number = |key: &str, least: u32, most: u32| {
        let written = read(key);
        match written.text.parse::<u32>().ok().filter(|number| (least..=most).contains(number)) {
            Some(number) => number,
            None => {
                fault(&written, &format!("is not a number, {least} to {most}"));
                least
            }
        }
    };
    let tenant = Limits { rate: number("tenant_rate", 0, 10_000_000), at_once: number("tenant_at_once", 0, 1_000_000) };
    let listen = listen::Settings {
        connections: number("connections", 1, 100_000),
        per_address: number("connections_per_address", 0, 100_000),
        streams: number("streams", 1, 10_000),
        header_bytes: number("header_bytes", 1_024, 1 << 20),
        idle: Duration::from_secs(number("idle_seconds", 1, 86_400).into()),
        receive: Duration::from_secs(number("receive_seconds", 1, 600).into()),
        ..listen::Settings::default()
    };
    let gate = GateSettings {
        checks: number("checks_at_once", 0, 1_000_000),
        slow: Duration::from_millis(number("slow_check_ms", 5, 10_000).into()),
    };
    let percent = number("otlp_percent", 0, 100);
    let collector = read("otlp_endpoint");
    if !collector.text.is_empty() && (!collector.text.starts_with("http://") || collector.text.contains('@')) {
        // What stands before an @ may be a password.
        let text = collector.text.rsplit('@').next().unwrap_or_default().to_owned();
        let what = "is not the address of a collector such as http://127.0.0.1:4317: one that wants TLS or a password is \
                    reached by way of one on this machine";
        fault(&Written { text, origin: collector.origin.clone() }, what);
    }
    let traces = Some((collector.text, percent)).filter(|(endpoint, _)| !endpoint.is_empty());
    let no_tls = choice(&read("insecure_no_tls"), &["false", "true"], fault) == 1;
    Exposed { access, tenant_packs, tls, no_tls, tenant, listen, gate, traces }
}

pub(super) fn listener(written: &Written, exposed: &Exposed, fault: &mut Fault<'_>) -> Option<SocketAddr> {
    if written.text == "off" {
        return None;
    }
    let Ok(address) = written.text.parse::<SocketAddr>() else {
        fault(written, "is not an address and port such as 127.0.0.1:50051, or off");
        return None;
    };
    if !address.ip().is_loopback() {
        if exposed.access.is_none() {
            fault(
                written,
                "is not a loopback address, and no authentication is configured: whoever reached it could do anything; \
                 use 127.0.0.1 or [::1], or set access",
            );
            return None;
        }
        if exposed.tls.is_none() && !exposed.no_tls {
            fault(
                written,
                "is not a loopback address, and there is no TLS: keys and numbers would travel readable; set tls_cert and \
                 tls_key, or insecure_no_tls where something before this server ends TLS",
            );
            return None;
        }
    }
    Some(address)
}

/// The ports of this machine at which processors may be; `None`: every port. Where callers are told apart, none of them may
/// have the server post to what listens beside it unless it is said so.
pub(super) fn loopback(written: &Written, exposed: &Exposed, fault: &mut Fault<'_>) -> Option<Vec<u16>> {
    if written.text.is_empty() {
        return exposed.access.is_some().then(Vec::new);
    }
    let ports: Result<Vec<u16>, _> = written.text.split(',').map(|port| port.trim().parse()).collect();
    match ports {
        Ok(ports) if !ports.contains(&0) => Some(ports),
        _ => {
            fault(written, "is not a list of ports such as 9000,9001");
            Some(Vec::new())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use crate::config::{Config, Sources, resolve};

    fn with(set: &[(&str, &str)]) -> Result<Config, Vec<String>> {
        let flag = |key: &str| set.iter().find(|(name, _)| *name == key).map(|(_, text)| (*text).to_owned());
        resolve(&Sources { file: None, env: &|_| None, flag: &flag })
    }

    #[test]
    fn other_addresses_than_loopback_need_authentication_and_tls() {
        let outside = ("grpc", "0.0.0.0:50051");
        let (access, tls) = (("access", "a.toml"), [("tls_cert", "c.pem"), ("tls_key", "c.key")]);
        assert!(with(&[outside]).unwrap_err()[0].contains("no authentication"));
        assert!(with(&[outside, tls[0], tls[1]]).unwrap_err()[0].contains("no authentication"));
        assert!(with(&[outside, access]).unwrap_err()[0].contains("no TLS"));
        assert!(with(&[outside, ("insecure_no_tls", "true")]).unwrap_err()[0].contains("no authentication"));
        assert!(with(&[outside, access, ("insecure_no_tls", "true")]).is_ok());
        let config = with(&[outside, access, tls[0], tls[1]]).unwrap();
        assert_eq!(config.grpc.unwrap().port(), 50_051);
    }

    #[test]
    fn half_of_tls_is_a_fault_and_client_certificates_need_callers() {
        assert!(with(&[("tls_cert", "c.pem")]).unwrap_err()[0].contains("tls_key"));
        assert!(with(&[("tls_key", "c.key")]).unwrap_err()[0].contains("tls_cert"));
        let faults = with(&[("tls_client_ca", "ca.pem"), ("access", "a")]).unwrap_err();
        assert!(faults[0].contains("tls_cert"), "{faults:?}");
        let faults = with(&[("tls_client_ca", "ca.pem"), ("tls_cert", "c"), ("tls_key", "k")]).unwrap_err();
        assert!(faults[0].contains("set access"), "{faults:?}");
    }

    #[test]
    fn with_callers_no_port_of_this_machine_is_posted_to_unless_it_is_named() {
        let access = ("access", "a.toml");
        assert_eq!(with(&[]).unwrap().webhook_loopback, None);
        assert_eq!(with(&[access]).unwrap().webhook_loopback, Some(vec![]));
        let named = with(&[access, ("webhook_loopback", "9000, 9001")]).unwrap();
        assert_eq!(named.webhook_loopback, Some(vec![9_000, 9_001]));
        for bad in ["0", "99999", "any", "9000;9001"] {
            assert!(with(&[("webhook_loopback", bad)]).unwrap_err()[0].contains("list of ports"), "{bad}");
        }
    }

    #[test]
    fn limits_have_bounds() {
        for (key, bad) in [("connections", "0"), ("header_bytes", "10"), ("tenant_rate", "-1"), ("streams", "many")] {
            let faults = with(&[(key, bad)]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(&key.replace('_', "-")), "{faults:?}");
        }
    }
}
