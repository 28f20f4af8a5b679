//! `ringfence keys list`: which keys there are, and what is under them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::place::{Place, Where};
use crate::cli::{Error, Exit, Global, output, progress};
use crate::store::{Instance, KeyAbout, Keys, Ledger, Mark, counted, instances};

/// The sealing keys of the file.
#[derive(Debug, clap::Args)]
#[command(
    about = "The sealing keys of the file, and what is still under each; never the keys themselves",
    after_help = "Two files hold the same key if its mark is the same. With --store or --data every record is looked at, \
                  and the processes that use a Redis are named."
)]
pub struct ListArgs {
    #[command(flatten)]
    place: Where,
}

/// What a store says of keys.
struct Found {
    under: BTreeMap<u32, u64>,
    ledger: Option<Ledger>,
    instances: Vec<Instance>,
}

/// Runs it.
///
/// # Errors
/// The file cannot be read; the store cannot be asked.
pub async fn run(args: ListArgs, global: &Global) -> Result<Exit, Error> {
    let keys = Keys::open(&args.place.keys(global)?)?;
    let asked = args.place.store.is_some() || args.place.data.is_some();
    let found = if asked { found(&args.place, &keys).await? } else { None };
    if global.json {
        return machine(&keys, found.as_ref()).map(|()| Exit::Yes);
    }
    let mut rows = vec![["key", "state", "since", "mark"].map(str::to_owned).to_vec()];
    if let (Some(_), Some(head)) = (&found, rows.first_mut()) {
        head.extend(["records", "the store"].map(str::to_owned));
    }
    for key in keys.about() {
        let since = key.since.map_or_else(|| "-".to_owned(), |since| since.to_string());
        let mut row = vec![key.id.to_string(), key.state.word().to_owned(), since, hex(key.mark)];
        if let Some(found) = &found {
            row.push(progress::grouped(found.under.get(&key.id).copied().unwrap_or(0)));
            row.push(standing(found, key).to_owned());
        }
        rows.push(row);
    }
    let mut text = output::table(&rows);
    if let Some(found) = &found {
        for (id, count) in found.under.iter().filter(|(id, _)| !keys.knows(**id)) {
            let _ = writeln!(
                text,
                "{} records are under key {id}, which this file does not have.",
                progress::grouped(*count)
            );
        }
        for one in &found.instances {
            let _ = writeln!(text, "process {}", instance(one, &keys));
        }
    }
    output::say(&text)?;
    Ok(Exit::Yes)
}

async fn found(place: &Where, keys: &Keys) -> Result<Option<Found>, Error> {
    let store = match Place::find(place).await? {
        Place::Open(store) => store,
        Place::Served(folder, _) => {
            let what = "a running server holds it: what is under each key is not counted";
            output::note(&format!("note: {}: {what}", folder.display()));
            return Ok(None);
        }
        Place::Nothing => {
            return Err(Error::said("no records there: name the data folder with --data, or a Redis with --store"));
        }
    };
    let ledger = keys.ledger(&*store).await?;
    Ok(Some(Found { under: counted(&*store).await?, ledger, instances: instances(&*store).await? }))
}

fn standing(found: &Found, key: KeyAbout) -> &'static str {
    match &found.ledger {
        Some(ledger) if ledger.sealing == key.id => "seals with it",
        Some(ledger) if ledger.needed.contains(&key.id) => "needs it",
        _ => "needs it not",
    }
}

/// A process, in a line.
pub(super) fn instance(one: &Instance, keys: &Keys) -> String {
    let knows: Vec<_> = keys.about().iter().filter(|key| one.has(keys, key.id)).map(|key| key.id.to_string()).collect();
    let doing = if one.sealing == 0 { "is starting".to_owned() } else { format!("seals with key {}", one.sealing) };
    format!("of log {}: {doing}, knows {} of this file, heard of at {}", one.writer, knows.join(" and "), one.at)
}

/// A process, for machines.
pub(super) fn instance_json(one: &Instance) -> serde_json::Value {
    json!({
        "writer": one.writer.to_string(), "sealing": one.sealing, "at": one.at.to_rfc3339(),
        "knows": one.knows.iter().map(|(id, mark)| json!({ "key": id, "mark": hex(*mark) })).collect::<Vec<_>>(),
    })
}

fn machine(keys: &Keys, found: Option<&Found>) -> Result<(), Error> {
    let rows = keys.about().into_iter().map(|key| {
        json!({
            "key": key.id, "state": key.state.word(), "since": key.since.and_then(|since| since.to_rfc3339()),
            "mark": hex(key.mark),
            "records": found.map(|found| found.under.get(&key.id).copied().unwrap_or(0)),
        })
    });
    output::say_json(&json!({
        "keys": rows.collect::<Vec<_>>(),
        "store": found.map(|found| json!({
            "sealing": found.ledger.as_ref().map(|ledger| ledger.sealing),
            "needed": found.ledger.as_ref().map(|ledger| &ledger.needed),
            "recordsUnderUnknownKeys": found.under.iter().filter(|(id, _)| !keys.knows(**id)).map(|(_, n)| n).sum::<u64>(),
            "processes": found.instances.iter().map(instance_json).collect::<Vec<_>>(),
        })),
    }))
}

fn hex(mark: Mark) -> String {
    mark.iter().map(|byte| format!("{byte:02x}")).collect()
}
