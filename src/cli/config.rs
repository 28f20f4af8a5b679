//! `ringfence config`: whether a server would start with these settings, and where each of them comes from.

pub(super) mod look;

use serde_json::json;

use super::settings::Flags;
use super::{Error, Exit, Global, output};
use crate::config::{Resolved, SECRET_FILES, Setting, VARIABLES};

/// Settings.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Say everything that is wrong with the settings and the files they name
    Check(Check),
    /// Every setting with its value and where that was written
    Show(Show),
}

/// `config check`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Say everything that is wrong with the settings and the files they name",
    after_help = "Takes what `serve` takes: file, environment and flags. Opens the files that settings name; asks no store and \
                  changes nothing: `ringfence doctor` looks at the store.\n\
                  Exit status: 0 a server can start with them, 1 it cannot, 2 error."
)]
pub struct Check {
    #[command(flatten)]
    flags: Flags,
}

/// `config show`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Every setting with its value and where that was written",
    after_help = "Takes what `serve` takes: file, environment and flags, the later before the earlier. No setting is a secret: \
                  those that are name files, whose contents are not shown; of variables with a secret is shown that they \
                  are set.\n\
                  Exit status: 0, or 1 where something is at fault: `ringfence config check` says more."
)]
pub struct Show {
    #[command(flatten)]
    flags: Flags,
    /// Leave out what has its default
    #[arg(long)]
    changed: bool,
}

/// Runs it.
///
/// # Errors
/// The output cannot be written.
pub fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Check(Check { flags }) => check(&flags.resolved_all(global), global),
        Command::Show(Show { flags, changed }) => show(&flags.resolved_all(global), changed, global),
    }
}

fn check(resolved: &Resolved, global: &Global) -> Result<Exit, Error> {
    let found = look::look(&resolved.config, &resolved.settings);
    let faults: Vec<_> = resolved.faults.iter().chain(&found.faults).collect();
    if global.json {
        output::say_json(&json!({ "faults": faults, "notes": found.notes }))?;
        return Ok(Exit::when(faults.is_empty()));
    }
    let mut lines = String::new();
    for (word, texts) in [("fault", faults.as_slice()), ("note", &found.notes.iter().collect::<Vec<_>>())] {
        for text in texts {
            lines.push_str(&format!("{word:5}  {text}\n"));
        }
    }
    lines.push_str(&match faults.len() {
        0 => "The settings are sound.\n".to_owned(),
        1 => "1 fault: a server would not start.\n".to_owned(),
        faults => format!("{faults} faults: a server would not start.\n"),
    });
    output::say(&lines)?;
    Ok(Exit::when(faults.is_empty()))
}

fn show(resolved: &Resolved, changed: bool, global: &Global) -> Result<Exit, Error> {
    let given = resolved.settings.iter().filter(|setting| !changed || setting.origin.word() != "default");
    let variables = VARIABLES.iter().filter_map(|(name, _, secret)| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((*name, if *secret { "(hidden)".to_owned() } else { value }))
    });
    if global.json {
        let settings: Vec<_> = given.map(in_json).collect();
        let variables: serde_json::Map<_, _> = variables.map(|(name, value)| (name.to_owned(), value.into())).collect();
        output::say_json(&json!({ "settings": settings, "variables": variables, "faults": resolved.faults }))?;
    } else {
        let row = |setting: &Setting| {
            let value = if setting.value.is_empty() { "-".to_owned() } else { setting.value.clone() };
            vec![setting.key.clone(), setting.origin.to_string(), value]
        };
        let mut rows: Vec<_> = given.map(row).collect();
        rows.extend(variables.map(|(name, value)| vec![name.to_owned(), "environment".to_owned(), value]));
        output::say(&output::table(&rows))?;
        for fault in &resolved.faults {
            output::note(&format!("fault: {fault}"));
        }
    }
    Ok(Exit::when(resolved.faults.is_empty()))
}

fn in_json(setting: &Setting) -> serde_json::Value {
    let written = match setting.origin.word() {
        "default" => serde_json::Value::Null,
        _ => setting.origin.to_string().into(),
    };
    let name = setting.key.rsplit('.').next().unwrap_or_default();
    json!({
        "key": setting.key,
        "value": setting.value,
        "origin": setting.origin.word(),
        "written": written,
        "namesSecretFile": SECRET_FILES.contains(&name),
        "what": setting.what,
    })
}
