//! Where a Redis store is, and how it is to be used: the URL, credentials, certificates, acknowledgements.

use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::certificates::Tls;

/// Host and port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// Reads `host`, `host:port`, `[v6]` and `[v6]:port`.
    pub(super) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
            }
            None => text.split_once(':').unwrap_or((text, "")),
        };
        let port = if port.is_empty() { default_port } else { port.parse().ok().filter(|port| *port > 0)? };
        let sound = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/?#@".contains(c));
        sound.then(|| Self { host: host.to_owned(), port })
    }
}

/// The three shapes of a Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deployment {
    /// One primary at a fixed address; replicas, if any, are promoted by hand.
    Single(Address),
    /// Sentinels know the primary of this name.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<Address>,
        /// What they call the primary.
        name: String,
    },
    /// Some nodes of a cluster; the others are learnt from them.
    Cluster(Vec<Address>),
}

/// How many replicas must have a write before anybody is told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Acks {
    /// Every replica that is known, up or down: what was acknowledged survives any single failover.
    #[default]
    All,
    /// So many. Fewer than there are replicas: a failover may promote one that lacks an acknowledged write.
    AtLeast(usize),
}

impl Acks {
    /// Reads `all` or a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all" { Some(Self::All) } else { text.parse().ok().filter(|n| *n <= 32).map(Self::AtLeast) }
    }
}

/// Where replicas must have a write before they acknowledge it, and the server itself before it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AckedFrom {
    /// In memory (`WAIT`). The disk is written as `appendfsync` says.
    #[default]
    Memory,
    /// On disk, the server's own too (`WAITAOF`: Redis 7.2 or newer, or Valkey).
    Disk,
}

impl AckedFrom {
    /// Reads `memory` or `disk`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "memory" => Some(Self::Memory),
            "disk" => Some(Self::Disk),
            _ => None,
        }
    }
}

/// Who we say we are to a server. `Debug` shows no secret.
#[derive(Clone, Default, Debug)]
pub struct Login {
    /// The user of the server's access list; its default user if absent.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Where the password was read, and is read again for every connection: so it changes without a restart.
    pub file: Option<PathBuf>,
}

impl Login {
    /// Takes the password from this file, if there is one.
    fn load(&mut self, file: Option<&Path>) -> Result<(), String> {
        if let Some(file) = file {
            self.password = Some(Secret::read(file)?);
            self.file = Some(file.to_owned());
        }
        Ok(())
    }

    /// The password as its file has it now; as it was read at first where the file cannot be read.
    pub(super) fn password_now(&self) -> Option<Secret> {
        let Some(file) = &self.file else { return self.password.clone() };
        match Secret::read(file) {
            Ok(password) => Some(password),
            Err(fault) => {
                tracing::warn!(fault, "the password read before is used");
                self.password.clone()
            }
        }
    }
}

/// How long things may take. Every command ends within `patience` plus one answer, replicas or disks included, whatever
/// the server does.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For a connection to be made.
    pub connect: Duration,
    /// For the server to answer.
    pub answer: Duration,
    /// For replicas to acknowledge.
    pub replicas: Duration,
    /// For disks to have it, where those are waited for. With `appendfsync everysec` they take a second or two.
    pub disks: Duration,
    /// For a call as a whole, from then on it is not tried again.
    pub patience: Duration,
    /// Between two looks at who the primary is.
    pub look: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            answer: Duration::from_secs(1),
            replicas: Duration::from_secs(1),
            disks: Duration::from_secs(3),
            patience: Duration::from_secs(2),
            look: Duration::from_secs(1),
        }
    }
}

/// All there is to know before connecting. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where.
    pub deployment: Deployment,
    /// The number of the database; always 0 in a cluster.
    pub database: u32,
    /// Certificates; `None`: not encrypted.
    pub tls: Option<Tls>,
    /// Who we are to the servers that hold the data.
    pub login: Login,
    /// Who we are to the sentinels, which have users and passwords of their own.
    pub sentinel_login: Login,
    /// How many replicas must have a write.
    pub acks: Acks,
    /// Where they must have it.
    pub acked_from: AckedFrom,
    /// Over how many shards a tenant spreads, should the store be new.
    pub shards: u16,
    /// Connections to each primary that write.
    pub writers: usize,
    /// How long things may take.
    pub timing: Timing,
}

impl Settings {
    /// How long the answer to one question takes at the longest, replicas and disks waited for.
    pub(super) fn longest_answer(&self) -> Duration {
        let timing = &self.timing;
        timing.answer
            + match self.acked_from {
                AckedFrom::Memory => timing.replicas,
                AckedFrom::Disk => timing.disks,
            }
    }
}

/// Something never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Reads the first line of a file.
    ///
    /// # Errors
    /// It cannot be read, or holds nothing.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        match text.lines().next().map(str::trim) {
            Some(line) if !line.is_empty() => Ok(Self::new(line)),
            _ => Err(format!("{}: holds no password in its first line", path.display())),
        }
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Files that hold secrets and certificates.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Files {
    /// The password, in the first line.
    pub password: Option<PathBuf>,
    /// The password of the sentinels, in the first line.
    pub sentinel_password: Option<PathBuf>,
    /// Whom to trust, PEM.
    pub authority: Option<PathBuf>,
    /// Our certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
}

impl Settings {
    /// Takes secrets and certificates from these files. Where no file is named, a password that was set stays.
    ///
    /// # Errors
    /// Which file cannot be read, or what does not belong together.
    pub fn load(&mut self, files: &Files) -> Result<(), String> {
        self.login.load(files.password.as_deref())?;
        self.sentinel_login.load(files.sentinel_password.as_deref())?;
        let Some(tls) = &mut self.tls else {
            let named = [&files.authority, &files.certificate, &files.key].into_iter().flatten().next();
            return named.map_or(Ok(()), |path| {
                Err(format!("{}: a certificate, but the store's URL does not begin with rediss", path.display()))
            });
        };
        *tls = Tls::load(files)?;
        Ok(())
    }
}

const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;
/// Slices of a tenant in a new cluster: enough to spread over as many primaries, few enough to ask each in turn.
const CLUSTER_SHARDS: u16 = 64;

impl Settings {
    /// Reads a URL: `redis://host:port/database`, `redis+sentinel://host:port,host:port/name`,
    /// `redis+cluster://host:port,host:port`; each with `rediss` in place of `redis` for TLS. Without credentials: those
    /// would show in the list of processes, so they come from a file or the environment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_url(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("is no URL such as redis://host:6379")?;
        let (kind, shape) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match kind {
            "redis" => None,
            "rediss" => Some(Tls::default()),
            _ => return Err("is not `embedded`, redis://… or rediss://…"),
        };
        if rest.contains('@') {
            return Err("must not carry a user or password: give store_user, and store_password_file or \
                        RINGFENCE_STORE_PASSWORD");
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let addresses = |port| -> Result<Vec<Address>, &'static str> {
            hosts.split(',').map(|text| Address::parse(text, port).ok_or("names no host:port")).collect()
        };
        let mut database = 0;
        let deployment = match shape {
            "" => {
                if !path.is_empty() {
                    database = path.parse().map_err(|_| "ends in something that is no number of a database")?;
                }
                match addresses(PORT)?.as_slice() {
                    [one] => Deployment::Single(one.clone()),
                    _ => return Err("names several hosts: say redis+sentinel:// or redis+cluster://"),
                }
            }
            "sentinel" => {
                if path.is_empty() || path.contains(|c: char| c.is_whitespace() || c == '/') {
                    return Err("must end in the name that the sentinels give the primary, such as /mymaster");
                }
                Deployment::Sentinel { sentinels: addresses(SENTINEL_PORT)?, name: path.to_owned() }
            }
            "cluster" if path.is_empty() => Deployment::Cluster(addresses(PORT)?),
            "cluster" => return Err("must not name a database: a cluster has one"),
            _ => return Err("is neither redis://, redis+sentinel:// nor redis+cluster://"),
        };
        let shards = if matches!(deployment, Deployment::Cluster(_)) { CLUSTER_SHARDS } else { 1 };
        Ok(Self {
            deployment,
            database,
            tls,
            login: Login::default(),
            sentinel_login: Login::default(),
            acks: Acks::All,
            acked_from: AckedFrom::Memory,
            shards,
            writers: 2,
            timing: Timing::default(),
        })
    }

    /// The address for people: no credentials.
    #[must_use]
    pub fn place(&self) -> String {
        let list = |addresses: &[Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let tls = if self.tls.is_some() { "s" } else { "" };
        match &self.deployment {
            Deployment::Single(address) if self.database == 0 => format!("redis{tls}://{address}"),
            Deployment::Single(address) => format!("redis{tls}://{address}/{}", self.database),
            Deployment::Sentinel { sentinels, name } => format!("redis{tls}+sentinel://{}/{name}", list(sentinels)),
            Deployment::Cluster(seeds) => format!("redis{tls}+cluster://{}", list(seeds)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn urls_read_back() {
        for url in [
            "redis://localhost:6379",
            "redis://[::1]:7000/3",
            "rediss://db.example:6380",
            "redis+sentinel://a:26379,b:26379,c:1/mymaster",
            "rediss+cluster://10.0.0.1:7000,10.0.0.2:7000",
        ] {
            assert_eq!(Settings::from_url(url).unwrap().place(), url);
        }
        assert_eq!(Settings::from_url("redis://db").unwrap().place(), "redis://db:6379");
        assert_eq!(Settings::from_url("redis+sentinel://s/m").unwrap().place(), "redis+sentinel://s:26379/m");
    }

    #[test]
    fn what_is_wrong_is_said_and_secrets_are_not_shown() {
        for url in [
            "localhost",
            "postgres://x",
            "redis://",
            "redis://a,b",
            "redis://a:0",
            "redis://a:x",
            "redis://a/b",
            "redis+sentinel://a:1",
            "redis+cluster://a/1",
            "redis+other://a",
            "redis://me:hush@a",
        ] {
            assert!(Settings::from_url(url).is_err(), "{url}");
        }
        let mut settings = Settings::from_url("rediss://a").unwrap();
        settings.login.password = Some(Secret::new("hush"));
        settings.sentinel_login.password = Some(Secret::new("hush"));
        let file = |name: &str| Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/tls").join(name));
        let files = Files { certificate: file("client.pem"), key: file("client.key"), ..Files::default() };
        settings.load(&files).unwrap();
        let shown = format!("{settings:?}");
        assert!(shown.contains("client: true") && !shown.contains("hush"), "{shown}");
        // `---`, as bytes and as text.
        assert!(!shown.contains("45, 45, 45") && !shown.contains("---"), "{shown}");
    }

    #[test]
    fn acks_are_all_or_a_number() {
        assert_eq!(Acks::parse("all"), Some(Acks::All));
        assert_eq!(Acks::parse("2"), Some(Acks::AtLeast(2)));
        assert_eq!(Acks::parse("most"), None);
        assert_eq!(Acks::parse("-1"), None);
    }
}
