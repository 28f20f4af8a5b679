//! `ringfence registry inspect`: what a list holds, and until when it may be used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::progress::grouped;
use super::super::settings::OfServer;
use super::super::{Error, Exit, Global, output, packs};
use super::age::{Stale, staleness};
use crate::access::DEFAULT_TENANT;
use crate::engine::ListTags;
use crate::registry::set::{Areas, Day, Header, Set, SetFault};
use crate::registry::{List, Mark, TENANTS, Tagger as _, areas_of};
use crate::store::Keys;
use crate::time::Instant;

/// What a list holds.
#[derive(Debug, clap::Args)]
#[command(
    about = "What a list holds, how old it is, and when it is too old",
    after_help = "Every byte is read and compared with the digest in the file, every number is counted. Exit status 1 if \
                  a rule finds the list too old, or the keys and the tenant are not those that its tags were made for. Whose \
                  list it should be says --tenant, or else the folder in which the file stands."
)]
pub struct InspectArgs {
    /// A set file, or a list as text
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A folder of packs that replace those built in, or add to them
    #[arg(long, value_name = "DIR")]
    packs: Option<PathBuf>,
    #[command(flatten)]
    of_server: OfServer,
}

/// Runs it.
///
/// # Errors
/// The file cannot be read, or is no list.
pub fn run(args: &InspectArgs, global: &Global, now: Instant) -> Result<Exit, Error> {
    let (header, spoken_for, areas) = looked_at(&args.file)?;
    let law = packs::read(args.packs.as_deref()).map_err(super::super::open::OpenError::from)?;
    let stale = staleness(&law, &header.registry, header.as_of, now);
    let made_for = header.tagged.map(|mark| MadeFor::of(mark, args, global));
    let sound =
        stale.iter().all(|stale| !stale.is_stale) && made_for.as_ref().is_none_or(|made| made.is_here != Some(false));
    if global.json {
        let areas: BTreeMap<_, _> = areas.iter().map(|(area, count)| (area.to_string(), *count)).collect();
        let rules = stale.iter().map(|one| {
            let from = one.from.map(|at| at.to_string());
            json!({ "rule": one.rule, "fresh": one.fresh, "stale": one.is_stale, "stale_from": from })
        });
        output::say_json(&json!({
            "registry": header.registry,
            "as_of": header.as_of.to_string(),
            "age_seconds": (now.millis() - header.as_of.millis()) / 1_000,
            "version": header.version(),
            "source": header.source,
            "sample": header.sample,
            "tagged": header.tagged.is_some(),
            "tenant": made_for.as_ref().filter(|made| made.is_here == Some(true)).map(|made| &made.tenant),
            "usable": made_for.as_ref().map_or(Some(true), |made| made.is_here),
            "built_by": header.built_by,
            "full_as_of": header.full_as_of.map(|full| full.to_string()),
            "areas": spoken_for.to_string(),
            "numbers": header.on_list(),
            "asked": header.listed.map(|_| header.count),
            "with_date": header.with_date(),
            "bytes": header.length,
            "by_area": areas,
            "rules": rules.collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::when(sound));
    }
    output::say(&text(&header, (&spoken_for, &areas), &stale, made_for.as_ref(), now))?;
    Ok(Exit::when(sound))
}

/// For whom the tags of a list were made, as far as the keys at hand tell.
struct MadeFor {
    /// Whose it should be.
    tenant: String,
    /// Whether it is; `None`: there are no keys to tell.
    is_here: Option<bool>,
    text: String,
}

impl MadeFor {
    fn of(mark: Mark, args: &InspectArgs, global: &Global) -> Self {
        let tenant = if global.tenant == DEFAULT_TENANT { owner(&args.file) } else { global.tenant.clone() };
        let keys = match args.of_server.keys(global) {
            Ok(keys) => keys,
            // The rest of the answer needs no keys.
            Err(error) => {
                let why = error.to_string().replace('\n', "; ");
                return Self { text: format!("not known: {why}"), tenant, is_here: None };
            }
        };
        let (opened, keys) = (Keys::open(&keys), keys.display());
        let Ok(opened) = opened else {
            return Self { text: format!("not known: {keys} cannot be read"), tenant, is_here: None };
        };
        let own = ListTags::of(opened, &tenant).mark();
        let text = match mark {
            mark if mark == own => format!("the tenant {tenant}, under {keys}"),
            mark if mark.keys == own.keys => format!("ANOTHER TENANT than {tenant}: import it anew, with --tenant"),
            _ => format!("OTHER KEYS than {keys}: import it anew, or name its keys with --keys"),
        };
        Self { tenant, is_here: Some(mark == own), text }
    }
}

/// The tenant in whose folder a file stands.
fn owner(file: &Path) -> String {
    // Links are not followed: a folder is a tenant's by its name among the others.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|folder| folder.parent().is_some_and(|above| above.ends_with(TENANTS)));
    let name = folder.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| DEFAULT_TENANT.to_owned())
}

type Looked = (Header, Areas, BTreeMap<u64, u64>);

fn looked_at(path: &Path) -> Result<Looked, Error> {
    let refused = |why: &dyn std::fmt::Display| Error::said(format!("{}: {why}", path.display()));
    if path.extension().is_some_and(|extension| extension == "txt") {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        let file = std::fs::File::open(path).map_err(|error| Error::at(path, "reading", &error))?;
        let list = List::read(&id, path, file).map_err(|fault| Error::said(fault.to_string()))?;
        return counted(list.set()).map_err(|why| refused(&why));
    }
    let set = Set::map(path).and_then(|set| set.verify().map(|()| set)).map_err(|why| refused(&why))?;
    counted(&set).map_err(|why| refused(&why))
}

/// Numbers by area: all but the last seven digits. They are counted one by one, which the digest alone does not.
fn counted(set: &Set) -> Result<Looked, SetFault> {
    let (mut areas, spoken_for) = (BTreeMap::new(), areas_of(set));
    if set.header().tagged.is_some() {
        let damaged = set.numbers().find_map(Result::err);
        return damaged.map_or_else(|| Ok((set.header().clone(), spoken_for, areas)), Err);
    }
    for number in set.numbers() {
        let (number, day) = number?;
        if set.header().listed.is_none() || day != Day::CLEAR {
            *areas.entry(number / 10_000_000).or_insert(0) += 1;
        }
    }
    Ok((set.header().clone(), spoken_for, areas))
}

fn text(
    header: &Header,
    (spoken_for, areas): (&Areas, &BTreeMap<u64, u64>),
    stale: &[Stale],
    made_for: Option<&MadeFor>,
    now: Instant,
) -> String {
    let days = (now.millis() - header.as_of.millis()) / 86_400_000;
    let mut text = format!(
        "{}: {} numbers, {} with a date of entry\nas of     {} ({days} days ago)\nversion   {}\nsource    {}\nbuilt by  {}\nbytes     {}{}\n",
        header.registry,
        grouped(header.on_list()),
        grouped(header.with_date()),
        header.as_of,
        header.version(),
        if header.source.is_empty() { "not said" } else { &header.source },
        header.built_by,
        grouped(header.length),
        if header.sample { "\nsample    yes: the numbers are made up" } else { "" },
    );
    if let Some(made_for) = made_for {
        text += &format!("made for  {}\n", made_for.text);
    }
    match header.full_as_of {
        Some(full) if full == header.as_of => {}
        Some(full) => text += &format!("full copy {full}; changes since\n"),
        None => text += "full copy not known of when; changes since\n",
    }
    if header.listed.is_some() {
        text += &format!("asked     about {} numbers; of any other it says nothing\n", grouped(header.count));
    } else if spoken_for.codes().next().is_none() && !spoken_for.is_all() {
        text += "areas     none; of whoever is not on it it says nothing\n";
    } else if !spoken_for.is_all() {
        text += &format!("areas     {spoken_for}; of a number elsewhere it says nothing\n");
    }
    for one in stale {
        let word = if one.is_stale { "TOO OLD" } else { "fresh" };
        let from = one.from.map(|at| format!("; too old from {at}")).unwrap_or_default();
        text += &format!("{word:<9} for {} ({}{from})\n", one.rule, one.fresh);
    }
    if stale.is_empty() {
        text += "no rule asks for this list now\n";
    }
    if header.tagged.is_some() {
        text += "numbers stand in it as keyed tags: by area they are not known\n";
        return text;
    }
    text += "\narea      numbers\n";
    for (area, count) in areas {
        text += &format!("+{area:<8} {:>12}\n", grouped(*count));
    }
    text
}
