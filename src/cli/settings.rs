//! Settings as the command line has them: their flags, and the file where none is named.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Error, Global};
use crate::config::{self, Config, Resolved, Sources};

/// The file of settings that is read where none is named.
const CONFIG: &str = "ringfence.toml";

/// Flags of `serve`, which `config` takes as well. What is not given comes from the environment, the file, or the default.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// The file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port,
    /// redis+sentinel://host:port,…/name, redis+cluster://host:port,… (rediss for TLS)
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// The folder of records and audit log [default: ringfence-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// The folder of do-not-call lists
    #[arg(long, value_name = "DIR")]
    pub registries: Option<String>,
    /// A folder of packs that replace those built in, or add to them
    #[arg(long, value_name = "DIR")]
    pub packs: Option<String>,
    /// The file of states of emergency, TOML or CSV; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub emergencies: Option<String>,
    /// A folder of packs to judge by beside those in force, without any effect: what they would answer is counted
    #[arg(long, value_name = "DIR")]
    pub shadow_packs: Option<String>,
    /// The address of the gRPC listener, or off [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR:PORT")]
    pub grpc: Option<String>,
    /// The address of the HTTP listener, or off [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub http: Option<String>,
    /// Where this server runs, as an ISO 3166 code
    #[arg(long, value_name = "CODE")]
    pub region: Option<String>,
    /// The file of those who may ask, made by `ringfence access`; without one, only this machine is listened to
    #[arg(long, value_name = "FILE")]
    pub access: Option<String>,
    /// The certificate chain of both listeners, PEM; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// The authorities of client certificates, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<String>,
}

/// Which settings say what a server has.
#[derive(Clone, Debug, clap::Args)]
pub struct OfServer {
    /// The server's file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

impl OfServer {
    /// The keys file of that server.
    ///
    /// # Errors
    /// As [`file_of_server`].
    pub(super) fn keys(&self, global: &Global) -> Result<PathBuf, Error> {
        keys_of_server(self.config.as_deref(), global)
    }

    /// The file itself, as an argument for another run of this program.
    pub(super) fn argument(&self) -> Option<OsString> {
        let config = self.config.as_ref()?;
        let mut argument = OsString::from("--config=");
        argument.push(config);
        Some(argument)
    }
}

impl Flags {
    fn flag(&self, key: &str) -> Option<String> {
        match key {
            "store" => self.store.clone(),
            "data" => self.data.clone(),
            "registries" => self.registries.clone(),
            "packs" => self.packs.clone(),
            "emergencies" => self.emergencies.clone(),
            "shadow_packs" => self.shadow_packs.clone(),
            "grpc" => self.grpc.clone(),
            "http" => self.http.clone(),
            "region" => self.region.clone(),
            "access" => self.access.clone(),
            "tls_cert" => self.tls_cert.clone(),
            "tls_key" => self.tls_key.clone(),
            "tls_client_ca" => self.tls_client_ca.clone(),
            _ => None,
        }
    }

    /// The file of settings, whether it is there or not.
    pub(super) fn file(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(CONFIG))
    }

    /// The settings of a server with these flags, and everything there is to say of them.
    pub(super) fn resolved_all(&self, global: &Global) -> Resolved {
        with_sources(self.config.as_deref(), &|key| self.flag(key), Some(global), config::resolve_all)
    }
}

/// The settings of a server with these flags, by key.
///
/// # Errors
/// Every fault.
pub(super) fn resolved(
    file: Option<&Path>,
    flag: &dyn Fn(&str) -> Option<String>,
    global: &Global,
) -> Result<Config, Error> {
    let resolved = with_sources(file, flag, Some(global), config::resolve);
    resolved.map_err(|faults| Error::said(faults.join("\n")))
}

/// The same with where each was written, for commands that do not listen: what is at fault with listeners is not theirs to
/// refuse. Without `global` the keys are not asked for.
///
/// # Errors
/// Every other fault.
pub(super) fn resolved_here(
    file: Option<&Path>,
    flag: &dyn Fn(&str) -> Option<String>,
    global: Option<&Global>,
) -> Result<Resolved, Error> {
    let silent = |key: &str| if matches!(key, "grpc" | "http") { Some("off".to_owned()) } else { flag(key) };
    let mut resolved = with_sources(file, &silent, global, config::resolve_all);
    // Nor what is at fault between regions: a folder that is named here may be that of one of them.
    resolved.faults.retain(|fault| !fault.contains(": [[pinned]] "));
    if resolved.faults.is_empty() { Ok(resolved) } else { Err(Error::said(resolved.faults.join("\n"))) }
}

/// A file that a command changes for servers: the one that is named, else the one that the settings of a server name in this
/// folder, or in the file given. Settings with a fault name none: another file than the server's would be changed in silence.
///
/// # Errors
/// Every fault of the settings, and how to do without them.
pub(super) fn file_of_server(
    key: &str,
    given: Option<&Path>,
    config: Option<&Path>,
    usual: &str,
) -> Result<PathBuf, Error> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let settings = resolved_here(config, &|_| None, None)
        .map_err(|error| {
            Error::said(format!("{error}\nso which file a server has is not known: mend it, or give --{key}"))
        })?
        .config;
    // Not as it is shown: a part of a name may look like a password, and is hidden there.
    let written = match key {
        "keys" => Some(settings.keys),
        "access" => settings.exposed.access,
        _ => None,
    };
    let path = written.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from(usual));
    let elsewhere = || config.is_some_and(|config| !is_here(config));
    if path.is_relative() && elsewhere() {
        return Err(Error::said(format!(
            "{}: {key} is named from the folder that the server runs in, and that is not known here: go there, or give --{key}",
            path.display()
        )));
    }
    Ok(path)
}

/// Whether a file lies in the folder that this runs in.
fn is_here(file: &Path) -> bool {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (folder, here) = (std::fs::canonicalize(folder), std::fs::canonicalize("."));
    matches!((folder, here), (Ok(folder), Ok(here)) if folder == here)
}

/// The keys file of a server, by the same rule.
///
/// # Errors
/// As [`file_of_server`].
pub(super) fn keys_of_server(config: Option<&Path>, global: &Global) -> Result<PathBuf, Error> {
    // Without a variable and a flag, what it has is its default.
    let given = global.keys_typed || std::env::var_os("RINGFENCE_KEYS").is_some();
    file_of_server("keys", given.then_some(&*global.keys), config, "ringfence-keys")
}

/// The file of settings that the environment names.
pub(super) fn file_of_environment() -> Option<PathBuf> {
    std::env::var_os("RINGFENCE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn with_sources<T>(
    file: Option<&Path>,
    flag: &dyn Fn(&str) -> Option<String>,
    global: Option<&Global>,
    resolve: impl FnOnce(&Sources<'_>) -> T,
) -> T {
    let beside = Path::new(CONFIG);
    let file = file.or_else(|| beside.exists().then_some(beside));
    let env = |name: &str| std::env::var(name).ok();
    // It has a flag of its own, for all commands.
    let typed = global.filter(|global| global.keys_typed).map(|global| global.keys.display().to_string());
    let flag = |key: &str| if key == "keys" { typed.clone() } else { flag(key) };
    resolve(&Sources { file, env: &env, flag: &flag })
}
