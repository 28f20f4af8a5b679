//! `ringfence contact place`: every record into the store of the region where it belongs.

use std::path::PathBuf;

use serde_json::json;

use crate::access::{Caller, Role};
use crate::cli::open::{self, OpenSettings};
use crate::cli::{Error, Exit, Global, now, output, regions, settings, source};
use crate::engine::{Clock, Engine, Failure, Placed};
use crate::proto::v1;

/// Put every record where the configured regions say.
#[derive(Debug, clap::Args)]
#[command(
    about = "Put every record into the store of the region where it belongs, after regions were changed",
    after_help = "Stop every server first: what one of them writes meanwhile would not be found. From its beginning until it \
                  ended with 0 no server starts on these stores, and one that still runs answers nothing. Interrupted, run \
                  it again.\n\n\
                  To give up a region, first set its places to [] and run this; then take its table out.\n\n\
                  Where a contact was erased, nothing tells where its record belongs: then no regions can be changed, and \
                  nothing is begun.\n\n\
                  Exit status: 0 every record is where it belongs, 1 not all, 2 error."
)]
pub struct PlaceArgs {
    /// The file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The store of this region is a new one: what the one before held, opt-outs too, is given up
    #[arg(long = "new-store", value_name = "REGION")]
    new_stores: Vec<String>,
}

/// How often all records are looked at: what a server that was forgotten wrote meanwhile is found by the next time.
const PASSES: usize = 16;

/// Runs it.
///
/// # Errors
/// A store, its keys or its log cannot be opened, read or written.
pub async fn run(args: PlaceArgs, global: &Global) -> Result<Exit, Error> {
    let config = settings::resolved(args.config.as_deref(), &|_| None, global)?;
    let settings = OpenSettings {
        data: Some(config.data.clone()),
        keys: config.keys.clone(),
        redis: source::loaded(&config.store)?,
        pinned: Some(regions::loaded(&config)?),
        placing: true,
        engine: config.engine.clone(),
        ..OpenSettings::nothing(now())
    };
    let opened = open::open(&settings).await?;
    let engine = &opened.engine;
    if let Some((region, why)) = engine.regions_down().into_iter().next() {
        let fault = opened.regions.iter().find(|keeper| *keeper.name() == *region).and_then(|keeper| keeper.fault());
        return Err(Error::said(format!("region {region}: {}: nothing was moved", fault.unwrap_or(why))));
    }
    if let Some(region) = unconfigured(engine).await? {
        let what =
            format!("region {region} has contacts and is not configured: give it its table again, with places = []");
        return Err(Error::said(format!("{what}, so that they can move out: nothing was moved")));
    }
    own_stores(engine, &args.new_stores).await?;
    let unmoved = engine.unmoved().await?;
    if !unmoved {
        no_nameless(engine).await?;
    }
    engine.begin_placing().await?;
    tokio::time::sleep(engine.until_noticed()).await;
    let mut all = Placed::default();
    for _ in 0..PASSES {
        let before = all.moved;
        all = Placed { moved: before, ..Placed::default() };
        for region in engine.regions() {
            all.add(walk(engine, &region.name).await?);
        }
        if all.moved == before {
            break;
        }
    }
    list_anew(engine).await?;
    let complete = all.complete(unmoved);
    if complete {
        engine.end_placing().await?;
    }
    engine.drop_erased(true).await?;
    opened.settle(now()).await?;
    if global.json {
        output::say_json(&json!({
            "complete": complete, "records": all.records, "moved": all.moved,
            "nameless": all.nameless, "parted": all.parted,
        }))?;
    } else {
        output::say(&told(&all, unmoved))?;
    }
    Ok(Exit::when(complete))
}

/// Refuses a store that is not the one its region had: it would be filled with what is left, and the rest forgotten.
async fn own_stores(engine: &Engine, new: &[String]) -> Result<(), Error> {
    for region in engine.with_other_stores().await? {
        if !new.contains(&region) {
            return Err(Error::said(format!(
                "region {region}: {} Only if what that one held may be forgotten, opt-outs too: --new-store {region}. \
                 Nothing was moved",
                regions::OTHER_STORE
            )));
        }
        engine.forget(&region).await?;
    }
    Ok(())
}

/// Refuses before anything is begun: half done it could not be ended.
async fn no_nameless(engine: &Engine) -> Result<(), Error> {
    let mut nameless = 0;
    for region in engine.regions() {
        let mut after = None;
        loop {
            let (last, found) = engine.count_nameless(&region.name, after).await?;
            nameless += found;
            if last.is_none() {
                break;
            }
            after = last;
        }
    }
    match nameless {
        0 => Ok(()),
        _ => Err(Error::said(format!(
            "{nameless} records are of contacts that were erased, so that nothing tells where they belong: by other regions \
             they would not be found, and what keeps those people from being contacted would be forgotten. Nothing was \
             moved: put the regions back as they were"
        ))),
    }
}

/// A region that had contacts and that the settings do not name.
async fn unconfigured(engine: &Engine) -> Result<Option<String>, Error> {
    let known = engine.known_regions().await?;
    let pinned = known.into_iter().filter(|region| !region.places.is_empty());
    let mut names = pinned.map(|region| region.name);
    Ok(names.find(|name| engine.regions().all(|other| other.name != *name)).map(String::from))
}

async fn walk(engine: &Engine, region: &str) -> Result<Placed, Error> {
    let (mut after, mut all) = (None, Placed::default());
    loop {
        let (last, done) = engine.place_page(region, after, now()).await?;
        all.add(done);
        match last {
            Some(last) => after = Some(last),
            None => return Ok(all),
        }
    }
}

/// Requests about rights are listed in the region of their contact: reading the list puts right what is listed elsewhere.
async fn list_anew(engine: &Engine) -> Result<(), Error> {
    let permit = Caller::local_of(engine.tenant()).permit(Role::Privacy).map_err(Failure::from)?;
    let mut asked = v1::ListRequestsRequest { page_size: 1_000, ..v1::ListRequestsRequest::default() };
    loop {
        let page = engine.list_requests(&permit, &asked, Clock::at(now())).await?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        asked.page_token = page.next_page_token;
    }
}

fn told(all: &Placed, unmoved: bool) -> String {
    let mut text = format!("{} records looked at, {} moved.\n", all.records, all.moved);
    if all.nameless > 0 && unmoved {
        text.push_str(&format!("{} are of contacts that were erased: they stay where they lay.\n", all.nameless));
    } else if all.nameless > 0 {
        text.push_str(&format!(
            "{} are of contacts that were erased meanwhile, so that nothing tells where they belong: they stay. No server \
             starts with these regions; put them back as they were, and run this again.\n",
            all.nameless
        ));
    }
    if all.parted > 0 {
        text.push_str(&format!(
            "{} stand in two regions, written apart: they stay. No server starts with these regions; put them back as they \
             were, and ask which of the two stores was filled by another server.\n",
            all.parted
        ));
    }
    text
}
