//! `ringfence registry list`: the official lists that are known; with `--loaded`, those that answer here or on a server.

use serde_json::json;

use super::super::keeper::{Keeper, ask, at};
use super::super::output::{say, say_json};
use super::super::progress::grouped;
use super::super::source::Kept;
use super::super::{Error, Exit, Global};
use super::own::Files;
use crate::proto::v1;
use crate::registry::ids::OFFICIAL;

/// Every id that a rule, a file or a question may name; or what is loaded.
#[derive(Debug, clap::Args)]
#[command(
    about = "The official lists that are known, by their ids; or those that are loaded",
    after_help = "With --loaded: how many numbers each has, how old it is and until when, for which area codes it speaks, \
                  and when its last full copy was made; with those that a rule in force asks for and that are missing. A \
                  server is asked with --server (role manage-lists).\n\n\
                  Example: ringfence registry list --loaded --server http://127.0.0.1:50051"
)]
pub struct ListArgs {
    /// Those that are loaded, that a rule asks for, or that you keep by API
    #[arg(long)]
    loaded: bool,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    kept: Kept,
}

/// Runs it.
///
/// # Errors
/// The server or the data folder cannot be asked.
pub async fn run(args: ListArgs, global: &Global) -> Result<Exit, Error> {
    if args.loaded { loaded(&args, global).await } else { known(global) }
}

fn known(global: &Global) -> Result<Exit, Error> {
    if global.json {
        let lists = OFFICIAL.iter().map(|list| json!({ "id": list.id, "title": list.title, "place": list.place }));
        say_json(&json!({ "registries": lists.collect::<Vec<_>>() }))?;
    } else {
        let lines = OFFICIAL.iter().map(|list| format!("{:<20} {:<6} {}\n", list.id, list.place, list.title));
        say(&lines.collect::<String>())?;
    }
    Ok(Exit::Yes)
}

async fn loaded(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open_with_lists(&args.kept, &args.files.lists(), global).await?;
    let answer = ask!(keeper, registries, list_registries, v1::ListRegistriesRequest {})?;
    if global.json {
        say_json(&answer)?;
    } else {
        say(&answer.registries.iter().map(told).collect::<String>())?;
    }
    Ok(Exit::Yes)
}

/// One list, with what it lacks on lines of its own.
fn told(one: &v1::Registry) -> String {
    let id = &one.registry;
    if !one.loaded {
        let rules = one.rule_ids.join(", ");
        return match (one.complete, one.rule_ids.is_empty()) {
            (true, _) => format!("{id:<20} no file; complete by what was added\n"),
            (false, true) => format!("{id:<20} NOT LOADED\n"),
            (false, false) => format!("{id:<20} NOT LOADED, and asked for by {rules}\n"),
        };
    }
    let stale = match &one.stale_at {
        Some(stale) => format!("; too old from {}", at(Some(stale))),
        None => String::new(),
    };
    let sample = if one.sample { "; a SAMPLE: the numbers are made up" } else { "" };
    let mut text =
        format!("{id:<20} {} numbers as of {}{stale}{sample}\n", grouped(one.numbers), at(one.as_of.as_ref()));
    match &one.full_as_of {
        Some(_) if one.full_as_of == one.as_of => {}
        Some(full) => text += &format!("{:<20} full copy {}; changes since\n", "", at(Some(full))),
        None => text += &format!("{:<20} full copy not known of when; changes since\n", ""),
    }
    // One of before does not say: then nothing is claimed.
    if !["", "all"].contains(&one.areas.as_str()) {
        text += &format!("{:<20} areas {}; of a number elsewhere it says nothing\n", "", one.areas);
    }
    text
}
