//! What the live settings of the servers mean for what is stored: read at the start and by `ringfence doctor`.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::{Pipeline, Value};

use super::address::{Acks, Deployment};
use super::link::Link;
use super::node::Node;
use super::reply::{self, Role};
use super::trouble::Trouble;
use crate::store::StoreError;

/// What a finding means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Something is given away; the text says what.
    Warning,
    /// Not to be used so.
    Refused,
}

/// One thing found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it means.
    pub weight: Weight,
    /// Which server.
    pub server: String,
    /// What was found, what that gives away, and what to set.
    pub text: String,
}

/// More than this is worth a warning: reservations and expiries are told by clocks.
const SKEW_WARNED: Duration = Duration::from_secs(1);
/// Far more than any clock that is kept at all.
const SKEW_REFUSED: Duration = Duration::from_secs(3_600);
/// The server options that matter.
const OPTIONS: [&str; 6] = [
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "min-replicas-to-write",
];

/// What is found of a server that syncs each write before it answers.
const SYNCED: &str = "appendonly, appendfsync always";
/// What is found besides of one that does so only at times.
const UNSYNCED_AT_TIMES: &str = "no-appendfsync-on-rewrite yes: nothing is synced during a rewrite: set it to no";

/// Whether every server that was looked at syncs each write before it answers.
pub(super) fn all_synced(findings: &[Finding]) -> bool {
    let servers: HashSet<_> = findings.iter().map(|finding| finding.server.as_str()).collect();
    let with = |text: &str| findings.iter().filter(|finding| finding.text == text).count();
    !servers.is_empty() && with(SYNCED) == servers.len() && with(UNSYNCED_AT_TIMES) == 0
}

/// The error that the worst findings amount to, if any.
pub(super) fn refusal(place: &str, findings: &[Finding]) -> Option<StoreError> {
    let refused: Vec<_> = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Refused)
        .map(|finding| format!("{}: {}", finding.server, finding.text))
        .collect();
    (!refused.is_empty()).then(|| StoreError::Unsafe { place: place.to_owned(), why: refused.join("; ") })
}

/// Looks at every primary.
pub(super) async fn survey(link: &Link) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    for node in link.nodes() {
        let found = look(link, &node).await;
        findings.extend(found.map_err(|trouble| trouble.error(link.place(), "reading the server's settings"))?);
    }
    Ok(findings)
}

/// What a server tells of itself.
struct Told {
    version: String,
    role: Role,
    options: Option<HashMap<String, String>>,
    info: HashMap<String, String>,
    skew: Duration,
}

async fn look(link: &Link, node: &Node) -> Result<Vec<Finding>, Trouble> {
    let told = ask(node).await?;
    let server = node.shared.address().map_or_else(|| link.place().to_owned(), |address| address.to_string());
    let mut findings = Vec::new();
    let mut say = |weight, text: String| findings.push(Finding { weight, server: server.clone(), text });
    judge_version(&told, &mut say);
    judge_memory(&told, &mut say);
    judge_durability(&told, &mut say);
    judge_replicas(link, node, &told, &mut say);
    judge_clock(&told, &mut say);
    Ok(findings)
}

async fn ask(node: &Node) -> Result<Told, Trouble> {
    let mut pipe = Pipeline::new();
    pipe.cmd("INFO").cmd("ROLE").cmd("CONFIG").arg("GET");
    OPTIONS.iter().for_each(|option| {
        pipe.arg(*option);
    });
    let mut answers = node.read(&pipe, false).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let info = reply::text(next())?;
    let role = reply::role(&next())?;
    let options = match reply::list(next()) {
        Ok(list) => {
            let mut options = HashMap::new();
            let mut list = list.into_iter();
            while let (Some(name), Some(value)) = (list.next(), list.next()) {
                options.insert(reply::text(name)?, reply::text(value)?);
            }
            Some(options)
        }
        // A hosted server may keep its settings to itself.
        Err(Trouble::Refused(_)) => None,
        Err(trouble) => return Err(trouble),
    };
    let info: HashMap<_, _> = info
        .lines()
        .filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect();
    // Valkey keeps `redis_version` at the one it is compatible with.
    let version = info.get("redis_version").cloned().unwrap_or_default();
    Ok(Told { version, role, options, info, skew: skew(node).await? })
}

/// How far the server's clock is from ours, by its answer and the middle of the trip.
async fn skew(node: &Node) -> Result<Duration, Trouble> {
    let mut pipe = Pipeline::new();
    pipe.cmd("TIME");
    let ours = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = ours();
    let answers = node.read(&pipe, false).await?;
    let middle = before + ours().saturating_sub(before) / 2;
    let mut time = reply::list(answers.into_iter().next().unwrap_or(Value::Nil))?.into_iter();
    let mut part = || reply::text(time.next().unwrap_or(Value::Nil)).map(|text| text.parse().unwrap_or(0_u64));
    let theirs = Duration::from_secs(part()?) + Duration::from_micros(part()?);
    Ok(theirs.abs_diff(middle))
}

impl Told {
    fn option(&self, name: &str) -> Option<&str> {
        self.options.as_ref()?.get(name).map(String::as_str)
    }
}

fn judge_version(told: &Told, say: &mut impl FnMut(Weight, String)) {
    let major = told.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= 7 => say(Weight::Fine, format!("version {}", told.version)),
        _ => say(Weight::Refused, format!("version `{}`: Redis 7 or newer, or Valkey, is needed", told.version)),
    }
}

fn judge_memory(told: &Told, say: &mut impl FnMut(Weight, String)) {
    let info = |name: &str| told.info.get(name).map(String::as_str);
    let policy = told.option("maxmemory-policy").or_else(|| info("maxmemory_policy")).unwrap_or("unknown");
    let limit = told.option("maxmemory").or_else(|| info("maxmemory")).unwrap_or("0");
    match (policy, limit) {
        ("noeviction", "0") => say(
            Weight::Warning,
            "noeviction, but maxmemory 0: the system may kill a server that outgrows the machine: set maxmemory".into(),
        ),
        ("noeviction", limit) => say(Weight::Fine, format!("noeviction, maxmemory {limit}")),
        (policy, _) => say(
            Weight::Refused,
            format!(
                "maxmemory-policy {policy} would drop opt-outs when memory is short: set maxmemory-policy noeviction"
            ),
        ),
    }
}

fn judge_durability(told: &Told, say: &mut impl FnMut(Weight, String)) {
    let aof = match told.option("appendonly") {
        Some(value) => value == "yes",
        None => told.info.get("aof_enabled").is_some_and(|value| value == "1"),
    };
    if !aof {
        say(
            Weight::Refused,
            "appendonly no: a restart forgets acknowledged opt-outs: set appendonly yes, and appendfsync always or \
             everysec"
                .into(),
        );
        return;
    }
    match told.option("appendfsync") {
        Some("always") => say(Weight::Fine, SYNCED.into()),
        Some("everysec") => say(
            Weight::Warning,
            "appendfsync everysec: power loss, or a loss of the host, forgets up to two seconds of acknowledged writes \
             unless a replica that has them is promoted: set appendfsync always where that is too much"
                .into(),
        ),
        Some(other) => say(
            Weight::Warning,
            format!("appendfsync {other}: power loss forgets what the system had not written: set appendfsync always"),
        ),
        None => say(
            Weight::Warning,
            "the server does not tell its settings (CONFIG GET): see yourself that appendfsync is as you need it".into(),
        ),
    }
    if told.option("appendfsync") == Some("always") && told.option("no-appendfsync-on-rewrite") == Some("yes") {
        say(Weight::Warning, UNSYNCED_AT_TIMES.into());
    }
    if told.info.get("aof_last_write_status").is_some_and(|status| status != "ok") {
        say(Weight::Warning, "the last write of the append-only file failed: make room on its disk".into());
    }
}

fn judge_replicas(link: &Link, node: &Node, told: &Told, say: &mut impl FnMut(Weight, String)) {
    let connected = match &told.role {
        Role::Primary { replicas } => *replicas,
        Role::Other(role) => {
            say(Weight::Refused, format!("a {role}: name the primary, or the sentinels that know it"));
            return;
        }
    };
    let (need, acks) = (node.shared.need(), link.settings.acks);
    let single = matches!(link.settings.deployment, Deployment::Single(_));
    if connected < need {
        say(
            Weight::Warning,
            format!(
                "{connected} of {need} replicas are connected: nothing is granted and nothing recorded until they are back"
            ),
        );
    } else if need == 0 && !single {
        say(
            Weight::Warning,
            "no acknowledgement of a replica is waited for: a failover forgets acknowledged writes: add replicas, or set \
             acks"
                .into(),
        );
    } else if acks != Acks::All && need < connected {
        say(
            Weight::Warning,
            format!(
                "acks {need}, {connected} replicas: a failover to one that was not waited for forgets acknowledged writes"
            ),
        );
    } else {
        say(Weight::Fine, format!("primary, {connected} replicas connected, {need} waited for"));
    }
    let least = told.option("min-replicas-to-write").and_then(|least| least.parse::<usize>().ok());
    if connected > 0 && least == Some(0) {
        say(
            Weight::Warning,
            "min-replicas-to-write 0: a primary that was cut off goes on taking writes that are lost later (none of them \
             is acknowledged): set min-replicas-to-write 1"
                .into(),
        );
    }
}

fn judge_clock(told: &Told, say: &mut impl FnMut(Weight, String)) {
    let skew = told.skew.as_millis();
    if told.skew > SKEW_REFUSED {
        say(Weight::Refused, format!("its clock and ours are {skew} ms apart: set both by NTP"));
    } else if told.skew > SKEW_WARNED {
        say(Weight::Warning, format!("its clock and ours are {skew} ms apart: see to NTP on both"));
    } else {
        say(Weight::Fine, format!("clocks agree to {skew} ms"));
    }
}
