//! Settings of the server: `ringfence.toml`, then `RINGFENCE_…` from the environment, then flags; the later wins.
//!
//! Promises: an unknown key is an error; every fault is reported at once, each with where it was written; a server
//! without authentication listens on loopback only. Must never read a clock or open anything but the file it is told to.

mod audit;
mod exposed;
mod file;
mod pinned;
mod sources;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use self::audit::{AuditConfig, resolve_archive};
pub use self::exposed::Exposed;
use crate::decision::Postures;
use crate::engine;
use crate::place::{Jurisdiction, LocationPosture};
use crate::time::Millis;

use file::File;
pub use pinned::{PINNED, Pinned};
pub use sources::{Origin, Setting, Sources, VARIABLES};
use sources::{Written, choice, shown, unknown_variables};
use store::store_at;
pub use store::{StoreAt, resolve_store};

/// Settings that name a file with a secret in it.
pub const SECRET_FILES: [&str; 6] =
    ["keys", "store_password_file", "store_key", "sentinel_password_file", "audit_archive_credentials", "tls_key"];

/// One setting: its key in the file, what it is, and its default as text. The variable in the environment is
/// `RINGFENCE_` and the key in upper case.
pub const KEYS: &[(&str, &str, &str)] = &[
    ("store", "where records are: `embedded` (a file in the data folder), or the URL of a Redis", "embedded"),
    ("store_user", "the user of the Redis", ""),
    ("store_password_file", "a file with its password; or RINGFENCE_STORE_PASSWORD in the environment", ""),
    ("store_ca", "the authority of its certificate, PEM; none: those of the system", ""),
    ("store_cert", "our certificate, PEM, where it asks for one", ""),
    ("store_key", "the key of that certificate, PEM", ""),
    ("acks", "replicas that must have a write before it is acknowledged: `all`, or a number", "all"),
    ("data", "the data folder: records, audit log and past law", "ringfence-data"),
    ("keys", "the keys file; never inside the data folder", "ringfence-keys"),
    ("registries", "the folder of do-not-call lists; none: no list is loaded", ""),
    ("packs", "a folder of packs that replace or add to the built-in ones", ""),
    ("emergencies", "the file of states of emergency, TOML or CSV; read again when it changes", ""),
    ("grpc", "the address of the gRPC listener; `off` for none", "127.0.0.1:50051"),
    ("http", "the address of the HTTP listener; `off` for none", "127.0.0.1:8080"),
    ("region", "where this server runs, as an ISO 3166 code; for cross-border rules", ""),
    (
        "location",
        "`strictest`: a residence adds its law to the number's own place; `residence`: it replaces it",
        "strictest",
    ),
    ("trust", "`asserted`: facts sent with a check count; `stored`: those that loosen do not", "asserted"),
    ("verified_only", "`true`: exemptions that rest on memory or dispute are not honoured", "false"),
    ("postures", "named postures of packs to choose, comma-separated", ""),
    ("reserve_seconds", "how long a reservation may be used, 1 to 3600", "300"),
    ("log", "`text` or `json`", "text"),
    ("shadow_packs", "a folder of packs to judge by beside those in force, without any effect", ""),
    (
        "acked_from",
        "`memory`: replicas acknowledge what they have in memory; `disk`: server and replicas, what is on their disks",
        "memory",
    ),
    ("sentinel_user", "the user of the sentinels", ""),
    (
        "sentinel_password_file",
        "a file with the password of the sentinels; or RINGFENCE_SENTINEL_PASSWORD in the environment",
        "",
    ),
    ("event_days", "days that events stay readable once they are in the audit log; 0: for ever", "7"),
    ("webhook_ca", "the authorities of processors' certificates, PEM; none: those of the system", ""),
    ("webhook_private", "`true`: processors may be at addresses that are not public", "false"),
    ("selfcheck_hours", "how often everybody who opted out is asked about, 1 to 720; 0: never", "24"),
    ("privacy_officer", "the person or team in charge of personal data; told in replies to requests", ""),
    ("privacy_contact", "how they are reached: an address, a telephone number, a page", ""),
    (
        "request_days",
        "days within which every request is answered, whatever the law allows, 1 to 90; none: the law's",
        "",
    ),
    (
        "audit_archive",
        "where closed parts of the audit log are kept: a folder, or s3://bucket/prefix; none: nowhere else",
        "",
    ),
    ("audit_archive_endpoint", "the address of an object store that is not AWS, such as http://127.0.0.1:9000", ""),
    ("audit_archive_region", "its region; none: that of AWS_REGION, or us-east-1", ""),
    (
        "audit_archive_credentials",
        "a file with its keys, as ~/.aws/credentials has them; none: AWS_ACCESS_KEY_ID and the like",
        "",
    ),
    ("audit_archive_virtual_hosts", "`true`: the bucket is part of the host's name, not of the path", "false"),
    ("audit_keep_days", "how long an archived part stays in the data folder after its newest entry, 0 to 3650", "30"),
    ("audit_segment_mib", "the size at which a part of the audit log is closed, 1 to 1024", "64"),
    ("audit_segment_hours", "the age at which it is closed, 1 to 8760", "24"),
    ("keep_months", "how long is kept what no law speaks of, once it is of no use, in months, 0 to 1200", "36"),
    ("sweep_hours", "how often records whose period is over are removed, in hours, 1 to 8760; `0`: never", "24"),
    ("access", "the file of those who may ask, made by `ringfence access`; none: whoever is on this machine", ""),
    (
        "tenant_packs",
        "a folder with a folder of packs for each tenant that has some, by its name: they hold for it beside those of all",
        "",
    ),
    ("tls_cert", "the certificate chain of both listeners, PEM; read again when it changes; none: no TLS", ""),
    ("tls_key", "the key of that certificate, PEM", ""),
    ("tls_client_ca", "the authorities of client certificates, PEM; none: no client certificate is asked for", ""),
    (
        "tls_client_crl",
        "lists of what those authorities have revoked, PEM or DER, comma-separated; none: that is not asked. One of each \
         authority, or every certificate of those without is refused",
        "",
    ),
    (
        "insecure_no_tls",
        "`true`: other addresses than loopback without TLS, where something before this server ends it: keys and numbers \
         travel readable, and limits by address hold for all callers together (set `connections_per_address` to 0)",
        "false",
    ),
    ("tenant_rate", "calls a second that a tenant may make, a batch counting as its rows; 0: no limit", "0"),
    ("tenant_at_once", "calls of a tenant under way at once, streams among them; 0: no limit", "1000"),
    (
        "connections",
        "connections open at once on each listener, 1 to 100000; with `access`, 16 more for whoever is not known yet",
        "4096",
    ),
    ("connections_per_address", "the same from one address (of IPv6: from one /64); 0: no limit", "256"),
    ("streams", "calls under way at once on one connection, 1 to 10000", "256"),
    ("header_bytes", "the most bytes of the headers of one request, 1024 to 1048576", "16384"),
    ("idle_seconds", "how long a connection may stay open with nothing under way, 1 to 86400", "300"),
    ("receive_seconds", "how long headers, and the rest of a request, may take to arrive, 1 to 600", "20"),
    (
        "checks_at_once",
        "checks under way at once, whatever they take, a batch being one; fewer where they would be slow; 0: no limit",
        "1024",
    ),
    (
        "slow_check_ms",
        "what a check may take, on average, before further ones are refused, in milliseconds, 5 to 10000",
        "100",
    ),
    (
        "otlp_endpoint",
        "the collector of traces, OTLP over gRPC, such as http://127.0.0.1:4317; none: no traces are made",
        "",
    ),
    ("otlp_percent", "calls traced whose callers say nothing of it, in a hundred, 0 to 100", "1"),
    (
        "webhook_loopback",
        "ports of this machine at which processors may be, comma-separated; none: no port where `access` is set, else every \
         port",
        "",
    ),
];

/// Settings, ready for use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where records are.
    pub store: StoreAt,
    /// The data folder.
    pub data: PathBuf,
    /// The keys file.
    pub keys: PathBuf,
    /// The folder of lists.
    pub registries: Option<PathBuf>,
    /// The folder of packs.
    pub packs: Option<PathBuf>,
    /// The file of states of emergency.
    pub emergencies: Option<PathBuf>,
    /// The gRPC listener.
    pub grpc: Option<SocketAddr>,
    /// The HTTP listener.
    pub http: Option<SocketAddr>,
    /// What the engine is told.
    pub engine: engine::Settings,
    /// JSON log lines.
    pub log_json: bool,
    /// Regions beside the default store, each with contacts that live there and nowhere else.
    pub pinned: Vec<Pinned>,
    /// The folder of packs to judge by beside those in force.
    pub shadow_packs: Option<PathBuf>,
    /// How long events stay readable; `None`: for ever.
    pub keep_events: Option<Millis>,
    /// The authorities of processors' certificates.
    pub webhook_ca: Option<PathBuf>,
    /// Whether processors may be at addresses that are not public.
    pub webhook_private: bool,
    /// The ports of this machine at which they may be; `None`: every port.
    pub webhook_loopback: Option<Vec<u16>>,
    /// How often everybody who opted out is asked about.
    pub self_check: engine::selfcheck::Settings,
    /// The audit log.
    pub audit: AuditConfig,
    /// When records whose period is over are removed.
    pub sweeper: engine::SweeperSettings,
    /// Who may ask, how they reach the listeners, and how much of them they may use.
    pub exposed: Exposed,
}

/// `acks = "all"` or `acks = 1`.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Acks {
    Number(u32),
    Text(String),
}

impl std::fmt::Display for Acks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What the file holds.
#[derive(Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
struct FileText {
    store: Option<String>,
    store_user: Option<String>,
    store_password_file: Option<String>,
    store_ca: Option<String>,
    store_cert: Option<String>,
    store_key: Option<String>,
    acks: Option<Acks>,
    data: Option<String>,
    keys: Option<String>,
    registries: Option<String>,
    packs: Option<String>,
    emergencies: Option<String>,
    grpc: Option<String>,
    http: Option<String>,
    region: Option<String>,
    location: Option<String>,
    trust: Option<String>,
    verified_only: Option<bool>,
    postures: Option<Vec<String>>,
    reserve_seconds: Option<u32>,
    log: Option<String>,
    pinned: Option<Vec<pinned::Text>>,
    shadow_packs: Option<String>,
    acked_from: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password_file: Option<String>,
    event_days: Option<u32>,
    webhook_ca: Option<String>,
    webhook_private: Option<bool>,
    selfcheck_hours: Option<u32>,
    privacy_officer: Option<String>,
    privacy_contact: Option<String>,
    request_days: Option<u16>,
    audit_archive: Option<String>,
    audit_archive_endpoint: Option<String>,
    audit_archive_region: Option<String>,
    audit_archive_credentials: Option<String>,
    audit_archive_virtual_hosts: Option<bool>,
    audit_keep_days: Option<u32>,
    audit_segment_mib: Option<u32>,
    audit_segment_hours: Option<u32>,
    keep_months: Option<u32>,
    sweep_hours: Option<u32>,
    access: Option<String>,
    tenant_packs: Option<String>,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    tls_client_ca: Option<String>,
    tls_client_crl: Option<Vec<String>>,
    insecure_no_tls: Option<bool>,
    tenant_rate: Option<u32>,
    tenant_at_once: Option<u32>,
    connections: Option<u32>,
    connections_per_address: Option<u32>,
    streams: Option<u32>,
    header_bytes: Option<u32>,
    idle_seconds: Option<u32>,
    receive_seconds: Option<u32>,
    checks_at_once: Option<u32>,
    slow_check_ms: Option<u32>,
    otlp_endpoint: Option<String>,
    otlp_percent: Option<u32>,
    webhook_loopback: Option<Vec<u16>>,
}

impl FileText {
    fn get(&self, key: &str) -> Option<String> {
        match key {
            "store" => self.store.clone(),
            "store_user" => self.store_user.clone(),
            "store_password_file" => self.store_password_file.clone(),
            "store_ca" => self.store_ca.clone(),
            "store_cert" => self.store_cert.clone(),
            "store_key" => self.store_key.clone(),
            "acks" => self.acks.as_ref().map(ToString::to_string),
            "data" => self.data.clone(),
            "keys" => self.keys.clone(),
            "registries" => self.registries.clone(),
            "packs" => self.packs.clone(),
            "emergencies" => self.emergencies.clone(),
            "grpc" => self.grpc.clone(),
            "http" => self.http.clone(),
            "region" => self.region.clone(),
            "location" => self.location.clone(),
            "trust" => self.trust.clone(),
            "verified_only" => self.verified_only.map(|value| value.to_string()),
            "postures" => self.postures.as_ref().map(|names| names.join(",")),
            "reserve_seconds" => self.reserve_seconds.map(|value| value.to_string()),
            "log" => self.log.clone(),
            "shadow_packs" => self.shadow_packs.clone(),
            "acked_from" => self.acked_from.clone(),
            "sentinel_user" => self.sentinel_user.clone(),
            "sentinel_password_file" => self.sentinel_password_file.clone(),
            "event_days" => self.event_days.map(|value| value.to_string()),
            "webhook_ca" => self.webhook_ca.clone(),
            "webhook_private" => self.webhook_private.map(|value| value.to_string()),
            "selfcheck_hours" => self.selfcheck_hours.map(|value| value.to_string()),
            "privacy_officer" => self.privacy_officer.clone(),
            "privacy_contact" => self.privacy_contact.clone(),
            "request_days" => self.request_days.map(|value| value.to_string()),
            "audit_archive" => self.audit_archive.clone(),
            "audit_archive_endpoint" => self.audit_archive_endpoint.clone(),
            "audit_archive_region" => self.audit_archive_region.clone(),
            "audit_archive_credentials" => self.audit_archive_credentials.clone(),
            "audit_archive_virtual_hosts" => self.audit_archive_virtual_hosts.map(|value| value.to_string()),
            "audit_keep_days" => self.audit_keep_days.map(|value| value.to_string()),
            "audit_segment_mib" => self.audit_segment_mib.map(|value| value.to_string()),
            "audit_segment_hours" => self.audit_segment_hours.map(|value| value.to_string()),
            "keep_months" => self.keep_months.map(|value| value.to_string()),
            "sweep_hours" => self.sweep_hours.map(|value| value.to_string()),
            "access" => self.access.clone(),
            "tenant_packs" => self.tenant_packs.clone(),
            "tls_cert" => self.tls_cert.clone(),
            "tls_key" => self.tls_key.clone(),
            "tls_client_ca" => self.tls_client_ca.clone(),
            "tls_client_crl" => self.tls_client_crl.as_ref().map(|paths| paths.join(",")),
            "insecure_no_tls" => self.insecure_no_tls.map(|value| value.to_string()),
            "tenant_rate" => self.tenant_rate.map(|value| value.to_string()),
            "tenant_at_once" => self.tenant_at_once.map(|value| value.to_string()),
            "connections" => self.connections.map(|value| value.to_string()),
            "connections_per_address" => self.connections_per_address.map(|value| value.to_string()),
            "streams" => self.streams.map(|value| value.to_string()),
            "header_bytes" => self.header_bytes.map(|value| value.to_string()),
            "idle_seconds" => self.idle_seconds.map(|value| value.to_string()),
            "receive_seconds" => self.receive_seconds.map(|value| value.to_string()),
            "checks_at_once" => self.checks_at_once.map(|value| value.to_string()),
            "slow_check_ms" => self.slow_check_ms.map(|value| value.to_string()),
            "otlp_endpoint" => self.otlp_endpoint.clone(),
            "otlp_percent" => self.otlp_percent.map(|value| value.to_string()),
            "webhook_loopback" => {
                let ports = self.webhook_loopback.as_ref()?.iter().map(ToString::to_string);
                Some(ports.collect::<Vec<_>>().join(","))
            }
            _ => None,
        }
    }
}

/// Puts the settings together.
///
/// # Errors
/// Every fault: which setting, where it was written, what is wrong with it.
pub fn resolve(sources: &Sources<'_>) -> Result<Config, Vec<String>> {
    let Resolved { config, faults, .. } = resolve_all(sources);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Settings with all that can be said of them.
#[derive(Debug)]
pub struct Resolved {
    /// What is sound of them; for what is not, something in its place.
    pub config: Config,
    /// Every setting, and where it was written.
    pub settings: Vec<Setting>,
    /// Every fault: which setting, where it was written, what is wrong with it.
    pub faults: Vec<String>,
}

/// Puts the settings together and says everything about them. A server starts from [`resolve`]: from sound ones alone.
#[must_use]
pub fn resolve_all(sources: &Sources<'_>) -> Resolved {
    let mut faults = unknown_variables();
    let file = sources.file.map_or_else(File::default, |path| File::read(path, &mut faults));
    let read = |key: &str| sources.written(&file, key);
    let mut fault = |written: &Written, what: &str| {
        faults.push(format!("{}: `{}` {what}", written.origin, shown(&written.text)));
    };
    let store = store_at(&read, &mut fault);
    let audit = audit::audit(&read, &mut fault);
    let exposed = exposed::exposed(&read, &mut fault);
    let grpc = exposed::listener(&read("grpc"), &exposed, &mut fault);
    let http = exposed::listener(&read("http"), &exposed, &mut fault);
    let location = choice(&read("location"), &["strictest", "residence"], &mut fault);
    let trust = choice(&read("trust"), &["asserted", "stored"], &mut fault);
    let verified = choice(&read("verified_only"), &["false", "true"], &mut fault);
    let log = choice(&read("log"), &["text", "json"], &mut fault);
    let private = choice(&read("webhook_private"), &["false", "true"], &mut fault);
    let webhook_loopback = exposed::loopback(&read("webhook_loopback"), &exposed, &mut fault);
    let hours = read("selfcheck_hours");
    let every = hours.text.parse::<u32>().ok().filter(|hours| *hours <= 720);
    if every.is_none() {
        fault(&hours, "is not a number of hours, 0 to 720");
    }
    let region = read("region");
    let server_region = match region.text.as_str() {
        "" => None,
        code => match code.parse::<Jurisdiction>() {
            Ok(place) => Some(place),
            Err(_) => {
                fault(&region, "is not an ISO 3166 code such as DE or US-VA");
                None
            }
        },
    };
    let seconds = read("reserve_seconds");
    let reserve = seconds.text.parse::<u32>().ok().filter(|seconds| (1..=3_600).contains(seconds));
    if reserve.is_none() {
        fault(&seconds, "is not a number of seconds, 1 to 3600");
    }
    let days = read("event_days");
    let event_days = days.text.parse::<u32>().ok().filter(|days| *days <= 36_500);
    if event_days.is_none() {
        fault(&days, "is not a number of days, 0 to 36500");
    }
    let days = read("request_days");
    let promised = days.text.parse::<u16>().ok().filter(|days| (1..=90).contains(days));
    if promised.is_none() && !days.text.is_empty() {
        fault(&days, "is not a number of days, 1 to 90");
    }
    let months = read("keep_months");
    let keep_months = months.text.parse::<i32>().ok().filter(|months| (0..=1_200).contains(months));
    if keep_months.is_none() {
        fault(&months, "is not a number of months, 0 to 1200");
    }
    let hours = read("sweep_hours");
    let sweep_hours = hours.text.parse::<i64>().ok().filter(|hours| (0..=8_760).contains(hours));
    if sweep_hours.is_none() {
        fault(&hours, "is not a number of hours, 0 to 8760");
    }
    let chosen = read("postures").text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(Into::into).collect();
    let data = PathBuf::from(read("data").text);
    let pinned = pinned::read(&file, (&store, &data), &mut fault);
    let path = |written: Written| (!written.text.is_empty()).then(|| PathBuf::from(written.text));
    let config = Config {
        store,
        data,
        keys: PathBuf::from(read("keys").text),
        registries: path(read("registries")),
        packs: path(read("packs")),
        emergencies: path(read("emergencies")),
        grpc,
        http,
        engine: engine::Settings {
            server_region,
            postures: Postures {
                location: if location == 1 { LocationPosture::Residence } else { LocationPosture::Strictest },
                stored_facts_only: trust == 1,
                verified_only: verified == 1,
                chosen,
            },
            reserve_for: Millis::seconds(i64::from(reserve.unwrap_or(300))),
            rights: engine::rights::Settings {
                officer: read("privacy_officer").text,
                contact: read("privacy_contact").text,
                days: promised,
            },
            periods: engine::Periods { months: keep_months.unwrap_or(36) },
        },
        log_json: log == 1,
        pinned,
        shadow_packs: path(read("shadow_packs")),
        keep_events: event_days.filter(|days| *days > 0).map(|days| Millis::days(i64::from(days))),
        webhook_ca: path(read("webhook_ca")),
        webhook_private: private == 1,
        webhook_loopback,
        self_check: engine::selfcheck::Settings {
            every: Duration::from_secs(3_600 * u64::from(every.unwrap_or(24))),
            ..engine::selfcheck::Settings::default()
        },
        sweeper: engine::SweeperSettings { every: sweep_hours.filter(|hours| *hours > 0).map(Millis::hours) },
        audit,
        exposed,
    };
    Resolved { config, settings: sources.all(&file), faults }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::redis;

    fn with(
        flag: &dyn Fn(&str) -> Option<String>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<String>> {
        resolve(&Sources { file: None, env, flag })
    }

    #[test]
    fn defaults_are_loopback_and_embedded() {
        let config = with(&|_| None, &|_| None).unwrap();
        assert!(config.grpc.unwrap().ip().is_loopback() && config.http.unwrap().ip().is_loopback());
        assert_eq!(config.data, PathBuf::from("ringfence-data"));
    }

    #[test]
    fn flags_win_over_the_environment_and_all_faults_come_at_once() {
        let env = |name: &str| (name == "RINGFENCE_DATA").then(|| "from-env".to_owned());
        let flag = |key: &str| (key == "data").then(|| "from-flag".to_owned());
        assert_eq!(with(&flag, &env).unwrap().data, PathBuf::from("from-flag"));
        let bad = |key: &str| match key {
            "grpc" => Some("0.0.0.0:50051".to_owned()),
            "store" => Some("postgres://x".to_owned()),
            "reserve_seconds" => Some("0".to_owned()),
            _ => None,
        };
        let faults = with(&bad, &|_| None).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("--grpc") && fault.contains("authentication")));
    }

    #[test]
    fn a_redis_is_read_and_its_password_never_shown() {
        let flag = |key: &str| match key {
            "store" => Some("rediss+sentinel://a,b:7/main".to_owned()),
            "acks" => Some("1".to_owned()),
            "store_ca" => Some("ca.pem".to_owned()),
            _ => None,
        };
        let StoreAt::Redis(settings, files) = with(&flag, &|_| None).unwrap().store else { unreachable!() };
        assert_eq!(settings.place(), "rediss+sentinel://a:26379,b:7/main");
        assert_eq!((settings.acks, files.authority), (redis::Acks::AtLeast(1), Some("ca.pem".into())));
        let flag = |key: &str| (key == "store").then(|| "redis://me:hush@a".to_owned());
        let faults = with(&flag, &|_| None).unwrap_err();
        assert!(faults.len() == 1 && !faults[0].contains("hush") && faults[0].contains("--store"), "{faults:?}");
        assert!(resolve_store(Some("redis://a"), &|_| None).is_ok());
        assert!(resolve_store(None, &|name| (name == "RINGFENCE_STORE").then(|| "x".to_owned())).is_err());
    }

    #[test]
    fn an_unknown_key_names_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ringfence.toml");
        std::fs::write(&path, "data = \"d\"\nregistry = \"x\"\n").unwrap();
        let faults = resolve(&Sources { file: Some(&path), env: &|_| None, flag: &|_| None }).unwrap_err();
        assert!(faults[0].contains("ringfence.toml:2") && faults[0].contains("registry"), "{faults:?}");
    }
}
