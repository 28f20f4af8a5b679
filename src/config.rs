//! Settings of the server: `ringfence.toml`, then `RINGFENCE_…` from the environment, then flags; the later wins.
//!
//! Promises: an unknown key is an error; every fault is reported at once, each with where it was written; a server
//! without authentication listens on loopback only. Must never read a clock or open anything but the file it is told to.

mod audit;
mod pinned;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use self::audit::{AuditConfig, resolve_archive};
use crate::decision::Postures;
use crate::engine;
use crate::place::{Jurisdiction, LocationPosture};
use crate::store::redis;
use crate::time::Millis;

pub use pinned::{PINNED, Pinned};

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
];

/// Where records are.
#[derive(Clone, Debug)]
pub enum StoreAt {
    /// In a file in the data folder.
    Embedded,
    /// In a Redis; what the files hold is still to be read.
    Redis(Box<redis::Settings>, redis::Files),
}

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
    /// How often everybody who opted out is asked about.
    pub self_check: engine::selfcheck::Settings,
    /// The audit log.
    pub audit: AuditConfig,
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
            _ => None,
        }
    }
}

/// Where settings come from, so that tests give their own.
pub struct Sources<'a> {
    /// The file named with `--config`, or `ringfence.toml` where there is one.
    pub file: Option<&'a Path>,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A flag of the command line, by key.
    pub flag: &'a dyn Fn(&str) -> Option<String>,
}

/// A setting as written, and where.
struct Written {
    text: String,
    origin: String,
}

/// Puts the settings together.
///
/// # Errors
/// Every fault: which setting, where it was written, what is wrong with it.
pub fn resolve(sources: &Sources<'_>) -> Result<Config, Vec<String>> {
    let file = match sources.file {
        None => FileText::default(),
        Some(path) => read_file(path).map_err(|fault| vec![fault])?,
    };
    let mut faults = unknown_variables();
    let read = |key: &str| -> Written {
        let variable = format!("RINGFENCE_{}", key.to_uppercase());
        let default = KEYS.iter().find(|(known, ..)| *known == key).map_or("", |(.., default)| default);
        (sources.flag)(key)
            .map(|text| Written { text, origin: format!("--{}", key.replace('_', "-")) })
            .or_else(|| (sources.env)(&variable).map(|text| Written { text, origin: variable }))
            .or_else(|| {
                let path = sources.file.map(|path| path.display().to_string()).unwrap_or_default();
                file.get(key).map(|text| Written { text, origin: format!("{path}: {key}") })
            })
            .unwrap_or_else(|| Written { text: default.to_owned(), origin: format!("the default of {key}") })
    };
    let path = sources.file.map(|path| path.display().to_string()).unwrap_or_default();
    let tables = file.pinned.as_deref().unwrap_or_default();
    let mut fault = |written: &Written, what: &str| {
        faults.push(format!("{}: `{}` {what}", written.origin, shown(&written.text)));
    };
    let store = store_at(&read, &mut fault);
    let audit = audit::audit(&read, &mut fault);
    let grpc = listener(&read("grpc"), &mut fault);
    let http = listener(&read("http"), &mut fault);
    let location = choice(&read("location"), &["strictest", "residence"], &mut fault);
    let trust = choice(&read("trust"), &["asserted", "stored"], &mut fault);
    let verified = choice(&read("verified_only"), &["false", "true"], &mut fault);
    let log = choice(&read("log"), &["text", "json"], &mut fault);
    let private = choice(&read("webhook_private"), &["false", "true"], &mut fault);
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
    let chosen = read("postures").text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(Into::into).collect();
    let data = PathBuf::from(read("data").text);
    let pinned = pinned::read(tables, &path, (&store, &data), &mut fault);
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
        },
        log_json: log == 1,
        pinned,
        shadow_packs: path(read("shadow_packs")),
        keep_events: event_days.filter(|days| *days > 0).map(|days| Millis::days(i64::from(days))),
        webhook_ca: path(read("webhook_ca")),
        webhook_private: private == 1,
        self_check: engine::selfcheck::Settings {
            every: Duration::from_secs(3_600 * u64::from(every.unwrap_or(24))),
            ..engine::selfcheck::Settings::default()
        },
        audit,
    };
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Where a command that is not the server finds the records: its flag, or the environment.
///
/// # Errors
/// Every fault.
pub fn resolve_store(flag: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<StoreAt, Vec<String>> {
    let mut faults = Vec::new();
    let read = |key: &str| {
        let variable = format!("RINGFENCE_{}", key.to_uppercase());
        let default = KEYS.iter().find(|(known, ..)| *known == key).map_or("", |(.., default)| default);
        match flag.filter(|_| key == "store") {
            Some(text) => Written { text: text.to_owned(), origin: "--store".to_owned() },
            None => Written { text: env(&variable).unwrap_or_else(|| default.to_owned()), origin: variable },
        }
    };
    let store = store_at(&read, &mut |written: &Written, what: &str| {
        faults.push(format!("{}: `{}` {what}", written.origin, shown(&written.text)));
    });
    if faults.is_empty() { Ok(store) } else { Err(faults) }
}

fn store_at(read: &dyn Fn(&str) -> Written, fault: &mut dyn FnMut(&Written, &str)) -> StoreAt {
    let store = read("store");
    if store.text == "embedded" {
        return StoreAt::Embedded;
    }
    let mut settings = match redis::Settings::from_url(&store.text) {
        Ok(settings) => settings,
        Err(why) => {
            // What stands before an @ may be a password.
            let text = store.text.rsplit('@').next().unwrap_or_default().to_owned();
            fault(&Written { text, ..store }, why);
            return StoreAt::Embedded;
        }
    };
    let acks = read("acks");
    match redis::Acks::parse(&acks.text) {
        Some(number) => settings.acks = number,
        None => fault(&acks, "is neither `all` nor a number of replicas"),
    }
    let acked_from = read("acked_from");
    match redis::AckedFrom::parse(&acked_from.text) {
        Some(place) => settings.acked_from = place,
        None => fault(&acked_from, "is neither `memory` nor `disk`"),
    }
    let user = |key: &str| Some(read(key).text).filter(|user| !user.is_empty());
    settings.login.user = user("store_user");
    settings.sentinel_login.user = user("sentinel_user");
    let file = |key: &str| Some(read(key).text).filter(|path| !path.is_empty()).map(PathBuf::from);
    let files = redis::Files {
        password: file("store_password_file"),
        sentinel_password: file("sentinel_password_file"),
        authority: file("store_ca"),
        certificate: file("store_cert"),
        key: file("store_key"),
    };
    StoreAt::Redis(Box::new(settings), files)
}

fn read_file(path: &Path) -> Result<FileText, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
        format!("{}:{line}: {}", path.display(), error.message())
    })
}

/// Variables of the environment that look like settings and are none: a misspelt one must not be silently unused.
fn unknown_variables() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("RINGFENCE_"))
        .filter(|name| !KNOWN_BESIDE.contains(&name.as_str()))
        .filter(|name| !KEYS.iter().any(|(key, ..)| *name == format!("RINGFENCE_{}", key.to_uppercase())))
        .map(|name| format!("{name}: no setting goes by this name"))
        .collect()
}

/// Variables that are no settings of the server.
const KNOWN_BESIDE: &[&str] = &[
    "RINGFENCE_STORE_PASSWORD",
    "RINGFENCE_SENTINEL_PASSWORD",
    "RINGFENCE_REDIS_SERVER",
    "RINGFENCE_REDIS_LOGS",
    "RINGFENCE_REDIS_OPERATIONS",
    "RINGFENCE_LOG_FILTER",
    "RINGFENCE_FAULT_ROUNDS",
    "RINGFENCE_FAULT_SEED",
    "RINGFENCE_CONFIG",
    "RINGFENCE_SERVER",
    "RINGFENCE_BLESS",
    "RINGFENCE_TWIN_QUESTIONS",
    "RINGFENCE_BENCH_SECONDS",
    "RINGFENCE_PYTHON",
    "RINGFENCE_TWIN_SEED",
    "RINGFENCE_REPLAY_DECISIONS",
];

fn listener(written: &Written, fault: &mut dyn FnMut(&Written, &str)) -> Option<SocketAddr> {
    if written.text == "off" {
        return None;
    }
    match written.text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Some(address),
        Ok(_) => {
            fault(
                written,
                "is not a loopback address, and no authentication is configured: whoever reached it could do anything; \
                 use 127.0.0.1 or [::1]",
            );
            None
        }
        Err(_) => {
            fault(written, "is not an address and port such as 127.0.0.1:50051, or off");
            None
        }
    }
}

fn choice(written: &Written, values: &[&str], fault: &mut dyn FnMut(&Written, &str)) -> usize {
    values.iter().position(|value| *value == written.text).unwrap_or_else(|| {
        fault(written, &format!("is not one of {}", values.join(", ")));
        0
    })
}

fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

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
