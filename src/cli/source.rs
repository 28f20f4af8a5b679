//! The options that say where facts, lists and rules are: in a data folder, or with a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::open::{self, OpenSettings, Opened};
use super::{Error, Global, now, output, settings};
use crate::audit::{self, ArchiveSettings};
use crate::config::{self, Config, Origin, Resolved, Setting, StoreAt};
use crate::store::redis;

/// The data folder where none is named.
pub const DATA: &str = "ringfence-data";

/// What to know of an answer where there is no data folder: an opt-out may be stored in another.
pub(super) const FROM_NOTHING: &str =
    "\nNothing stored was looked at: no data folder is here. Name one with --data, or ask with --server.\n";

/// Where contacts are stored.
#[derive(Clone, Debug, Args)]
pub struct Kept {
    /// Ask the service at this address, such as http://127.0.0.1:50051
    #[arg(long, value_name = "URL", env = "RINGFENCE_SERVER", hide_env_values = true)]
    pub server: Option<String>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL", env = "RINGFENCE_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// The data folder, while no server holds it [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    pub data: Option<PathBuf>,
}

impl Kept {
    /// The folder named, which must be there, or the usual one if it is there.
    pub(super) fn folder(&self) -> Result<Option<PathBuf>, Error> {
        self.folder_by(settings::file_of_environment().as_deref())
    }

    /// The same, by this file of settings.
    pub(super) fn folder_by(&self, config: Option<&Path>) -> Result<Option<PathBuf>, Error> {
        data_of(&self.resolved(config)?)
    }

    /// The folder of data by this file of settings, whether it is there or not: of a copy there may be the log alone.
    pub(super) fn data_by(&self, config: Option<&Path>) -> Result<PathBuf, Error> {
        match &self.data {
            Some(data) => Ok(data.clone()),
            None => Ok(self.resolved(config)?.config.data),
        }
    }

    /// The Redis that holds the records, if one does.
    pub(super) fn redis(&self) -> Result<Option<redis::Settings>, Error> {
        self.redis_by(settings::file_of_environment().as_deref())
    }

    /// The same, by this file of settings.
    pub(super) fn redis_by(&self, config: Option<&Path>) -> Result<Option<redis::Settings>, Error> {
        loaded(&self.resolved(config)?.config.store)
    }

    fn resolved(&self, config: Option<&Path>) -> Result<Resolved, Error> {
        settings::resolved_here(config, &|key| self.flag(key), None)
    }

    fn flag(&self, key: &str) -> Option<String> {
        match key {
            "store" => self.store.clone(),
            "data" => self.data.as_ref().map(|path| path.display().to_string()),
            _ => None,
        }
    }

    /// The folder, which must be there: a command that writes must not begin a new store where a path was mistyped.
    pub(super) fn existing_folder(&self) -> Result<PathBuf, Error> {
        self.folder()?.ok_or_else(|| missing(Path::new(DATA)))
    }
}

/// The data folder of these settings, which must be there where it is named; the usual one if it is there.
fn data_of(resolved: &Resolved) -> Result<Option<PathBuf>, Error> {
    let data = resolved.config.data.clone();
    let is_named = |setting: &Setting| setting.key == "data" && setting.origin != Origin::Default;
    match &resolved.config.store {
        // Beside a Redis it holds only this machine's log, and is made where it is absent.
        StoreAt::Redis(..) => Ok(Some(data)),
        StoreAt::Embedded if data.is_dir() => Ok(Some(data)),
        StoreAt::Embedded if resolved.settings.iter().any(is_named) => Err(missing(&data)),
        StoreAt::Embedded => Ok(None),
    }
}

/// The settings of a Redis with what its files hold.
pub(super) fn loaded(store: &StoreAt) -> Result<Option<redis::Settings>, Error> {
    with_passwords(store, |name| std::env::var(name).ok().filter(|text| !text.is_empty()))
}

/// The same of a pinned region: the password in the environment is that of the default store.
pub(super) fn loaded_without_environment(store: &StoreAt) -> Result<Option<redis::Settings>, Error> {
    with_passwords(store, |_| None)
}

fn with_passwords(store: &StoreAt, written: impl Fn(&str) -> Option<String>) -> Result<Option<redis::Settings>, Error> {
    let StoreAt::Redis(settings, files) = store else { return Ok(None) };
    let mut settings = settings.as_ref().clone();
    let secret = |name| written(name).map(|text| redis::Secret::new(&text));
    settings.login.password = secret(PASSWORD);
    settings.sentinel_login.password = secret(SENTINEL_PASSWORD);
    settings.load(files).map_err(Error::said)?;
    Ok(Some(settings))
}

/// The variable that may hold the password of a Redis.
const PASSWORD: &str = "RINGFENCE_STORE_PASSWORD";
/// The variable that may hold the password of the sentinels.
const SENTINEL_PASSWORD: &str = "RINGFENCE_SENTINEL_PASSWORD";

fn missing(folder: &Path) -> Error {
    Error::said(format!(
        "{}: no such folder: name the data folder with --data, or a server with --server (`ringfence serve` makes one)",
        folder.display()
    ))
}

/// How long a server is waited for that is sent rows.
#[derive(Clone, Copy, Debug, Args)]
pub struct Within {
    /// How long a server may take before rows are sent again, fewer at a time: no limit to the whole file
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    answer_timeout: u32,
}

impl Within {
    /// The time.
    pub(super) fn time(self) -> Duration {
        Duration::from_secs(self.answer_timeout.into())
    }
}

/// Which lists and rules hold, where no server has its own.
#[derive(Clone, Debug, Args)]
pub struct Lists {
    /// The folder with the do-not-call lists
    #[arg(long, value_name = "DIR", env = "RINGFENCE_REGISTRIES", hide_env_values = true)]
    pub registries: Option<PathBuf>,
    /// Use the made-up sample lists, as copies of this instant; never dial on them
    #[arg(long)]
    pub sample: bool,
    /// A folder of packs that replace those built in, or add to them
    #[arg(long, value_name = "DIR", env = "RINGFENCE_PACKS", hide_env_values = true)]
    pub packs: Option<PathBuf>,
    /// The file of states of emergency, TOML or CSV
    #[arg(long, value_name = "FILE", env = "RINGFENCE_EMERGENCIES", hide_env_values = true)]
    pub emergencies: Option<PathBuf>,
    /// The server's file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

/// None of them: for commands that judge nothing.
pub(super) const NO_LISTS: Lists =
    Lists { registries: None, sample: false, packs: None, emergencies: None, config: None };

/// What is opened by the settings of a server: the same for the server and for a command that answers in its place.
pub(super) fn of_config(config: &Config, redis: Option<redis::Settings>) -> OpenSettings {
    OpenSettings {
        data: Some(config.data.clone()),
        keys: config.keys.clone(),
        registries: config.registries.clone(),
        packs: config.packs.clone(),
        tenant_packs: config.exposed.tenant_packs.clone(),
        emergencies: config.emergencies.clone(),
        engine: config.engine.clone(),
        redis,
        log: audit::Settings {
            segment_bytes: config.audit.segment_bytes,
            segment_age: config.audit.segment_age,
            ..audit::Settings::default()
        },
        archive: config.audit.archive.clone(),
        ..OpenSettings::nothing(now())
    }
}

/// The archive of the audit log: by flags, or by the environment.
pub(super) fn archive(flag: &dyn Fn(&str) -> Option<String>) -> Result<Option<ArchiveSettings>, Error> {
    let env = |name: &str| std::env::var(name).ok();
    config::resolve_archive(flag, &env).map_err(|faults| Error::said(faults.join("\n")))
}

/// Opens what a server with these settings would answer from, by file, environment and flags, as the server reads them; and
/// whether that is nothing stored, since no folder is named and the usual one is not there. To count, a folder must be there.
///
/// # Errors
/// The settings are at fault; a folder that is named is not there; something does not open.
pub(super) async fn answering(
    kept: &Kept,
    lists: &Lists,
    counts: bool,
    global: &Global,
) -> Result<(Opened, bool), Error> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let flag = |key: &str| match key {
        "registries" => path(&lists.registries),
        "packs" => path(&lists.packs),
        "emergencies" => path(&lists.emergencies),
        _ => kept.flag(key),
    };
    let resolved = settings::resolved_here(lists.config.as_deref(), &flag, Some(global))?;
    let (config, data) = (&resolved.config, data_of(&resolved)?);
    if counts && data.is_none() {
        return Err(missing(&config.data));
    }
    let from_nothing = data.is_none();
    let of_server = of_config(config, loaded(&config.store)?);
    let settings = OpenSettings {
        data,
        registries: of_server.registries.clone().filter(|_| !lists.sample),
        sample: lists.sample,
        ..of_server
    };
    let opened = opened_by(&settings, global).await?;
    if counts {
        declare_files(&opened).await;
    }
    Ok((opened, from_nothing))
}

/// Records which own lists stand in files, as a server does whenever it has looked at them: what a command answered by is missed
/// when it is gone. Not for a check that leaves nothing, which may try a folder that no server has.
pub(super) async fn declare_files(opened: &Opened) {
    if let Err(error) = opened.engine.declare_files(now()).await {
        output::note(&format!("warning: which own lists stand in files could not be recorded: {error}"));
    }
}

/// Opens what the options name; `data` is the folder, or nothing stored. For commands that judge nothing.
pub(super) async fn opened(
    data: Option<PathBuf>,
    kept: &Kept,
    lists: &Lists,
    global: &Global,
) -> Result<Opened, Error> {
    opened_with(data, kept, lists, global, archive(&|_| None)?).await
}

/// The same, with this archive of the audit log.
pub(super) async fn opened_with(
    data: Option<PathBuf>,
    kept: &Kept,
    lists: &Lists,
    global: &Global,
    archive: Option<ArchiveSettings>,
) -> Result<Opened, Error> {
    let file = lists.config.clone().or_else(settings::file_of_environment);
    let config = settings::resolved_here(file.as_deref(), &|_| None, Some(global))?.config;
    let settings = OpenSettings {
        redis: if data.is_some() { kept.redis()? } else { None },
        data,
        keys: config.keys,
        registries: lists.registries.clone().filter(|_| !lists.sample),
        sample: lists.sample,
        packs: lists.packs.clone(),
        emergencies: lists.emergencies.clone(),
        engine: config.engine,
        archive,
        ..OpenSettings::nothing(now())
    };
    opened_by(&settings, global).await
}

async fn opened_by(settings: &OpenSettings, global: &Global) -> Result<Opened, Error> {
    let mut opened = open::open(settings).await?;
    opened.for_tenant(&global.tenant).await?;
    for fault in opened.registries.faults().iter() {
        output::note(&format!("warning: list not loaded: {fault}"));
    }
    Ok(opened)
}
