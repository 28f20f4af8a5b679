//! `ringfence doctor`: whether store and keys are set up so that what is acknowledged is kept, the lists young enough, and
//! certificates good for a while.
//! Changes nothing.

mod certificates;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::regions::{self, PinnedSettings};
use super::source;
use super::{Error, Exit, Global, output, settings};
use crate::config::Config;
use crate::store::redis::{Finding, RedisStore, Weight};
use crate::store::{Keys, StoreError};

/// What to look at; what is not given comes from the environment, the file of settings, or the default.
#[derive(Debug, clap::Args)]
#[command(
    about = "Whether the store is set up so that it keeps what it acknowledges",
    after_help = "Reads the live settings of a Redis and its replicas, and compares clocks; changes nothing.\n\
                  Exit status: 0 nothing found wanting, 1 a warning or worse, 2 error."
)]
pub struct Args {
    /// The file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The data folder [default: ringfence-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Faulty settings; a store that cannot be reached.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let given = |key: &str| match key {
        "store" => args.store.clone(),
        "data" => args.data.clone(),
        _ => None,
    };
    let config = settings::resolved(args.config.as_deref(), &given, global)?;
    let mut findings = vec![keys(&config)];
    match source::loaded(&config.store)? {
        Some(redis) => {
            let store = RedisStore::connect(redis).await?;
            findings.extend(store.survey().await?);
        }
        None => findings.push(folder(&config.data)),
    }
    for region in regions::loaded(&config)? {
        findings.extend(pinned(region).await);
    }
    findings.extend(super::registry::age::look(&config, super::now()));
    findings.extend(certificates::look(&config, super::now()));
    let worst = findings.iter().map(|finding| finding.weight).max().unwrap_or(Weight::Fine);
    if global.json {
        let rows: Vec<_> = findings
            .iter()
            .map(|found| json!({ "weight": word(found.weight), "where": found.server, "text": found.text }))
            .collect();
        output::say_json(&rows)?;
    } else {
        let row = |found: &Finding| vec![word(found.weight).to_owned(), found.server.clone(), found.text.clone()];
        output::say(&output::table(&findings.iter().map(row).collect::<Vec<_>>()))?;
    }
    Ok(Exit::when(worst == Weight::Fine))
}

const fn word(weight: Weight) -> &'static str {
    match weight {
        Weight::Fine => "fine",
        Weight::Warning => "warning",
        Weight::Refused => "refused",
    }
}

fn keys(config: &Config) -> Finding {
    let server = config.keys.display().to_string();
    match Keys::open(&config.keys) {
        Ok(_) => Finding { weight: Weight::Fine, server, text: "the keys can be read, by few enough".to_owned() },
        Err(error) => Finding { weight: Weight::Warning, server, text: error.to_string() },
    }
}

/// What there is to say of a pinned region; that it cannot be reached is a finding, as the others are answered.
async fn pinned(region: PinnedSettings) -> Vec<Finding> {
    let name = format!("region {}", region.region.name);
    let findings = match region.redis {
        None => Ok(vec![folder(&region.data)]),
        Some(redis) => match RedisStore::connect(redis).await {
            Ok(store) => store.survey().await,
            Err(error) => Err(error),
        },
    };
    let unreachable =
        |error: StoreError| vec![Finding { weight: Weight::Refused, server: String::new(), text: error.to_string() }];
    let mut findings = findings.unwrap_or_else(unreachable);
    for finding in &mut findings {
        finding.server = format!("{name} {}", finding.server).trim_end().to_owned();
    }
    findings
}

fn folder(data: &Path) -> Finding {
    let server = data.display().to_string();
    let (weight, text) = if data.join("store.id").exists() {
        (Weight::Fine, "holds an embedded store, which is on disk before it answers; no other machine can share it")
    } else {
        (Weight::Warning, "holds no store yet: `ringfence serve` makes one")
    };
    Finding { weight, server, text: text.to_owned() }
}
