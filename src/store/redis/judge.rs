//! What the live settings of one server mean for what is stored.

use std::collections::HashMap;
use std::time::Duration;

use super::address::AckedFrom;
use super::reply::Role;
use super::survey::{Finding, Weight};

/// More than this is worth a warning: reservations and expiries are told by clocks.
const SKEW_WARNED: Duration = Duration::from_secs(1);
/// Far more than any clock that is kept at all.
const SKEW_REFUSED: Duration = Duration::from_secs(3_600);

/// The server options that matter.
pub(super) const OPTIONS: [&str; 8] = [
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "no-appendfsync-on-rewrite",
    "min-replicas-to-write",
    "replica-priority",
    "cluster-replica-no-failover",
];

/// What a server tells of itself.
pub(super) struct Told {
    pub(super) version: String,
    pub(super) role: Role,
    /// `None`: it keeps them to itself.
    pub(super) options: Option<HashMap<String, String>>,
    pub(super) info: HashMap<String, String>,
    pub(super) skew: Duration,
}

impl Told {
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.as_ref()?.get(name).map(String::as_str)
    }

    fn info(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    fn numbers(&self) -> (u32, u32) {
        let mut parts = self.version.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

/// Findings about one server, as they come.
pub(super) struct Judge {
    pub(super) server: String,
    pub(super) findings: Vec<Finding>,
}

impl Judge {
    pub(super) fn new(server: String) -> Self {
        Self { server, findings: Vec::new() }
    }

    pub(super) fn say(&mut self, weight: Weight, text: impl Into<String>) {
        self.findings.push(Finding { weight, server: self.server.clone(), text: text.into() });
    }

    /// What holds of every server that has the data or may come to have it.
    pub(super) fn server(&mut self, told: &Told, acked_from: AckedFrom) {
        self.version(told, acked_from);
        self.memory(told);
        self.durability(told);
        self.clock(told);
    }

    fn version(&mut self, told: &Told, acked_from: AckedFrom) {
        // Valkey keeps `redis_version` at the one it is compatible with.
        let version = &told.version;
        match told.numbers() {
            (..7, _) => {
                self.say(Weight::Refused, format!("version `{version}`: Redis 7 or newer, or Valkey, is needed"));
            }
            numbers if numbers < (7, 2) && acked_from == AckedFrom::Disk => self.say(
                Weight::Refused,
                format!("version {version} has no WAITAOF: acked_from = \"disk\" needs Redis 7.2 or newer, or Valkey"),
            ),
            _ => self.say(Weight::Fine, format!("version {version}")),
        }
    }

    fn memory(&mut self, told: &Told) {
        let either = |option, info| told.option(option).or_else(|| told.info(info));
        let policy = either("maxmemory-policy", "maxmemory_policy").unwrap_or("unknown");
        let limit = either("maxmemory", "maxmemory").unwrap_or("0");
        match (policy, limit) {
            ("noeviction", "0") => self.say(
                Weight::Warning,
                "noeviction, but maxmemory 0: the system may kill a server that outgrows the machine: set maxmemory",
            ),
            ("noeviction", limit) => self.say(Weight::Fine, format!("noeviction, maxmemory {limit}")),
            (policy, _) => self.say(
                Weight::Refused,
                format!(
                    "maxmemory-policy {policy} would drop opt-outs when memory is short: set maxmemory-policy noeviction"
                ),
            ),
        }
    }

    fn durability(&mut self, told: &Told) {
        let aof = match told.option("appendonly") {
            Some(value) => value == "yes",
            None => told.info("aof_enabled").is_some_and(|value| value == "1"),
        };
        if !aof {
            self.say(
                Weight::Refused,
                "appendonly no: a restart forgets acknowledged opt-outs: set appendonly yes, and appendfsync always or \
                 everysec",
            );
            return;
        }
        match told.option("appendfsync") {
            Some("always") => self.say(Weight::Fine, "appendonly, appendfsync always"),
            Some("everysec") => self.say(
                Weight::Warning,
                "appendfsync everysec: power loss, or a loss of the host, forgets up to two seconds of acknowledged \
                 writes unless a replica that has them is promoted: set appendfsync always where that is too much",
            ),
            Some(other) => self.say(
                Weight::Warning,
                format!(
                    "appendfsync {other}: power loss forgets what the system had not written: set appendfsync always"
                ),
            ),
            None => self.say(
                Weight::Warning,
                "the server does not tell its settings (CONFIG GET): see yourself that appendfsync is as you need it",
            ),
        }
        if told.option("appendfsync") == Some("always") && told.option("no-appendfsync-on-rewrite") == Some("yes") {
            self.say(
                Weight::Warning,
                "no-appendfsync-on-rewrite yes: nothing is synced during a rewrite: set it to no",
            );
        }
        if told.info("aof_last_write_status").is_some_and(|status| status != "ok") {
            self.say(Weight::Warning, "the last write of the append-only file failed: make room on its disk");
        }
        if told.info("rdb_last_bgsave_status").is_some_and(|status| status != "ok") {
            self.say(
                Weight::Warning,
                "the last dump (RDB) failed: make room on its disk; writes may be refused until then",
            );
        }
    }

    fn clock(&mut self, told: &Told) {
        let skew = told.skew.as_millis();
        if told.skew > SKEW_REFUSED {
            self.say(Weight::Refused, format!("its clock and ours are {skew} ms apart: set both by NTP"));
        } else if told.skew > SKEW_WARNED {
            self.say(Weight::Warning, format!("its clock and ours are {skew} ms apart: see to NTP on both"));
        } else {
            self.say(Weight::Fine, format!("clocks agree to {skew} ms"));
        }
    }

    /// A primary goes on alone unless it is told not to; so would a replica that is promoted.
    pub(super) fn least_replicas(&mut self, told: &Told) {
        if told.option("min-replicas-to-write") == Some("0") {
            self.say(
                Weight::Warning,
                "min-replicas-to-write 0: a primary that was cut off goes on taking writes that are lost later (none of \
                 them is acknowledged): set min-replicas-to-write 1",
            );
        }
    }

    /// A replica, beside the primary that it follows.
    pub(super) fn replica(&mut self, told: &Told, primary: &Told) {
        if told.info("master_link_status") != Some("up") {
            self.say(
                Weight::Warning,
                "a replica whose link to its primary is down: nothing is granted until it is back or taken out",
            );
        }
        if told.version != primary.version {
            self.say(
                Weight::Warning,
                format!(
                    "version {}, its primary {}: an older one may not read what a newer one sends: use one version",
                    told.version, primary.version
                ),
            );
        }
        let never =
            told.option("replica-priority") == Some("0") || told.option("cluster-replica-no-failover") == Some("yes");
        if never {
            self.say(
                Weight::Warning,
                "a replica that is never promoted (replica-priority 0, or cluster-replica-no-failover), yet waited for \
                 like the others: it cannot replace its primary",
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn told(version: &str, skew: Duration) -> Told {
        let options = [("maxmemory-policy", "noeviction"), ("maxmemory", "1gb"), ("appendonly", "yes")];
        let options = options.into_iter().chain([("appendfsync", "always"), ("min-replicas-to-write", "1")]);
        Told {
            version: version.to_owned(),
            role: Role::Other("replica".to_owned()),
            options: Some(options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()),
            info: HashMap::from([("master_link_status".to_owned(), "up".to_owned())]),
            skew,
        }
    }

    fn worst(judge: impl FnOnce(&mut Judge)) -> (Weight, String) {
        let mut found = Judge::new("x".to_owned());
        judge(&mut found);
        let worst = found.findings.into_iter().max_by_key(|finding| finding.weight);
        worst.map_or((Weight::Fine, String::new()), |finding| (finding.weight, finding.text))
    }

    #[test]
    fn clocks_and_versions() {
        let now = Duration::ZERO;
        for (version, skew, from, weight, says) in [
            ("7.0.15", now, AckedFrom::Memory, Weight::Fine, ""),
            ("6.2.14", now, AckedFrom::Memory, Weight::Refused, "Redis 7 or newer"),
            ("", now, AckedFrom::Memory, Weight::Refused, "Redis 7 or newer"),
            ("7.0.15", now, AckedFrom::Disk, Weight::Refused, "no WAITAOF"),
            ("7.2.4", now, AckedFrom::Disk, Weight::Fine, ""),
            ("8.0.2", now, AckedFrom::Disk, Weight::Fine, ""),
            ("7.0.15", Duration::from_secs(2), AckedFrom::Memory, Weight::Warning, "2000 ms apart"),
            ("7.0.15", Duration::from_secs(4_000), AckedFrom::Memory, Weight::Refused, "set both by NTP"),
        ] {
            let found = worst(|judge| judge.server(&told(version, skew), from));
            assert!(found.0 == weight && found.1.contains(says), "{version} {skew:?}: {found:?}");
        }
    }

    #[test]
    fn replicas_beside_their_primary() {
        let primary = told("8.0.2", Duration::ZERO);
        assert_eq!(worst(|judge| judge.replica(&told("8.0.2", Duration::ZERO), &primary)).0, Weight::Fine);
        let found = worst(|judge| judge.replica(&told("7.0.15", Duration::ZERO), &primary));
        assert!(found.0 == Weight::Warning && found.1.contains("use one version"), "{found:?}");
        let mut cut_off = told("8.0.2", Duration::ZERO);
        cut_off.info.insert("master_link_status".to_owned(), "down".to_owned());
        assert!(worst(|judge| judge.replica(&cut_off, &primary)).1.contains("link to its primary is down"));
        let mut never = told("8.0.2", Duration::ZERO);
        never.options.as_mut().unwrap().insert("cluster-replica-no-failover".to_owned(), "yes".to_owned());
        assert!(worst(|judge| judge.replica(&never, &primary)).1.contains("never promoted"));
    }

    /// A server that hides its settings is judged by what it tells everybody.
    #[test]
    fn settings_that_are_hidden() {
        let mut hidden = told("8.0.2", Duration::ZERO);
        hidden.options = None;
        assert_eq!(worst(|judge| judge.server(&hidden, AckedFrom::Memory)).0, Weight::Refused);
        for (name, value) in [("aof_enabled", "1"), ("maxmemory_policy", "noeviction"), ("maxmemory", "1000")] {
            hidden.info.insert(name.to_owned(), value.to_owned());
        }
        let found = worst(|judge| judge.server(&hidden, AckedFrom::Memory));
        assert!(found.0 == Weight::Warning && found.1.contains("does not tell its settings"), "{found:?}");
    }
}
