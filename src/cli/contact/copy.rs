//! `ringfence contact copy`: all records into another store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::cli::open::{self, OpenSettings};
use crate::cli::progress::Progress;
use crate::cli::settings::OfServer;
use crate::cli::{Error, Exit, Global, now, output, source};
use crate::config;
use crate::engine::copy::{Copied, Copier, Rest, Side};
use crate::store::redis::{self, RedisStore};
use crate::store::{KeyRing, Keys, Store};

/// Where the log of the copy stands beside a Redis, where no folder is named.
const DATA: &str = "ringfence-copy";

/// Copy every record into another store.
#[derive(Debug, clap::Args)]
#[command(
    about = "Copy every record into another store",
    after_help = "May run while a service serves from the source, if that is a Redis: it copies until nothing newer is \
                  found, and never overwrites what was written in the target since. What the source is told later is not \
                  in the target, so: copy; stop every service on the source; copy again, which is quick; and only if that \
                  ended with 0, start them on the target. Interrupted, run it again.\n\n\
                  Exit status: 0 the target has everything, 1 not yet or not all, 2 error.\n\n\
                  Example: ringfence contact copy --from ringfence-data --to redis://10.0.0.5:6379"
)]
pub struct CopyArgs {
    /// The store to copy from: a data folder that no server holds, or redis://host:port and the like
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// The store to copy into, made where it is absent
    #[arg(long, value_name = "DIR|URL")]
    to: String,
    /// The keys of the target, made where target and file are both new [default: those of the source: --keys, or as the settings say]
    #[arg(long, value_name = "FILE")]
    to_keys: Option<PathBuf>,
    /// The folder for the audit log of the copy, where the target is a Redis [default: ringfence-copy]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    of_server: OfServer,
}

/// How a copy ended.
struct Ended {
    all: Copied,
    last: Copied,
    rest: Rest,
    passes: u64,
}

impl Ended {
    const fn complete(&self) -> bool {
        self.last.copied == 0 && self.last.parted == 0 && self.rest.waiting == 0
    }
}

/// Runs it.
///
/// # Errors
/// A store, its keys or the log cannot be opened, read or written.
pub async fn run(args: CopyArgs, global: &Global) -> Result<Exit, Error> {
    let (from_redis, to_redis) = (redis_at(&args.from)?, redis_at(&args.to)?);
    let data = match &to_redis {
        None => PathBuf::from(&args.to),
        Some(_) => args.data.clone().unwrap_or_else(|| PathBuf::from(DATA)),
    };
    if args.from == args.to || from_redis.is_none() && same_folder(Path::new(&args.from), &data) {
        let what = "the copy would write into the folder or store that it reads";
        return Err(Error::said(format!("{}: {what}: name another one with --to or --data", args.from)));
    }
    let keys = args.of_server.keys(global)?;
    let (source, _source_log) = opened_source(&args.from, from_redis, &keys).await?;
    let keys = args.to_keys.clone().unwrap_or(keys);
    let settings = OpenSettings { data: Some(data), keys, redis: to_redis, ..OpenSettings::nothing(now()) };
    let target = open::keep(&settings).await?;
    let audit = target.audit.ok_or_else(|| Error::said("the target has no audit log"))?;
    let ring = KeyRing::new(target.keys, Arc::clone(&target.store));
    ring.join(audit.log.writer(), now()).await?;
    let side = Side { store: target.store, keys: (*ring.now()).clone() };
    let mut copier = Copier::new(source, side, Arc::clone(&audit.log)).await?;
    if !copier.same_hash_key() {
        output::note(
            "note: the target has another hash key: logs beside the source open only with the source and its keys; keep both",
        );
    }
    let ended = until_nothing_newer(&mut copier).await;
    drop(copier);
    ring.leave().await?;
    let ended = ended?;
    let _ = audit.log.sync().await?;
    audit.reconciler.tick(now()).await?;
    say(&ended, global)?;
    Ok(Exit::when(ended.complete()))
}

/// Passes until one copies nothing, or no fewer records than the one before: then the source is written as fast as it is
/// copied.
async fn until_nothing_newer(copier: &mut Copier) -> Result<Ended, Error> {
    let progress = Progress::new(None, "copying");
    let mut ended = Ended { all: Copied::default(), last: Copied::default(), rest: Rest::default(), passes: 0 };
    loop {
        let mut pass = Copied::default();
        let mut after = None;
        loop {
            let (last, done) = copier.page(after, now()).await?;
            pass.add(done);
            progress.advance(0, done.records());
            if last.is_none() {
                break;
            }
            after = last;
        }
        ended.rest = copier.finish().await?;
        ended.passes += 1;
        ended.all.add(pass);
        let before = std::mem::replace(&mut ended.last, pass);
        if pass.copied == 0 || ended.passes > 1 && pass.copied >= before.copied {
            progress.finish("done");
            return Ok(ended);
        }
    }
}

fn say(ended: &Ended, global: &Global) -> Result<(), Error> {
    let Ended { all, last, rest, passes } = ended;
    if global.json {
        return output::say_json(&json!({
            "complete": ended.complete(), "passes": passes, "copied": all.copied, "copiedByLastPass": last.copied,
            "same": last.same, "newerInTarget": last.ahead, "parted": last.parted, "daysParted": rest.days_parted,
            "logsWaiting": rest.waiting,
        }));
    }
    let mut text = format!("{} records copied in {passes} passes; {} in the source.\n", all.copied, last.records());
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            text.push_str(&format!("{count} {what}\n"));
        }
    };
    line(last.ahead, "were written in the target since they were copied, and left so.");
    line(
        last.parted,
        "were written in the target apart from the source, and left so: what the source has of them is missing there.",
    );
    line(rest.days_parted, "days have another key in the target: what was logged then opens only with the source.");
    line(
        rest.waiting,
        "logs beside the source have entries under way: stop their services (start those that crashed once, then stop them), and copy again.",
    );
    line(
        last.copied,
        "were still newer in the last pass: the source is being written; stop its services, and copy again.",
    );
    text.push_str(if ended.complete() {
        "Complete: the target has all that the source has. Nothing may be served from the source any more.\n"
    } else {
        "Not complete: do not serve from the target yet.\n"
    });
    output::say(&text)
}

fn redis_at(place: &str) -> Result<Option<redis::Settings>, Error> {
    if !place.contains("://") {
        return Ok(None);
    }
    let env = |name: &str| std::env::var(name).ok();
    let store = config::resolve_store(Some(place), &env).map_err(|faults| Error::said(faults.join("\n")))?;
    source::loaded(&store)
}

/// The source, which must hold a store; beside a folder, its log as well, which brings both in step and holds them.
async fn opened_source(
    place: &str,
    redis: Option<redis::Settings>,
    keys: &Path,
) -> Result<(Side, Option<crate::audit::Opened>), Error> {
    if let Some(redis) = redis {
        let (store, _) = RedisStore::open(redis).await?;
        // Asked before the keys are: an empty store would take these as its own.
        if store.scan(None, 1).await?.is_empty() {
            return Err(Error::said(format!(
                "{}: holds no records: name the store to copy with --from",
                store.place()
            )));
        }
        let keys = Keys::open(keys)?;
        keys.check(&store).await?;
        return Ok((Side { store: Arc::new(store), keys }, None));
    }
    if !Path::new(place).join("store.id").exists() {
        let what = "holds no store: name the data folder to copy, or the URL of a Redis, with --from";
        return Err(Error::said(format!("{place}: {what}")));
    }
    let settings =
        OpenSettings { data: Some(PathBuf::from(place)), keys: keys.to_owned(), ..OpenSettings::nothing(now()) };
    let kept = open::keep(&settings).await?;
    Ok((Side { store: kept.store, keys: kept.keys }, kept.audit))
}

fn same_folder(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
