//! Contacts met one after another, page by page, through the stores of all regions.

use super::super::find::Record;
use super::super::region::Kept;
use super::super::{Engine, Failure, Loaded};
use super::fault;
use crate::store::{Key, Shard};

/// Records on a page where the caller does not say, and the most there are.
const PAGE: usize = 256;
const MOST_ON_PAGE: u32 = 1_000;

/// A record that was met.
pub(in crate::engine) struct Met {
    pub key: Key,
    pub loaded: Loaded,
}

/// A page of the tenant's contacts, all of one region.
pub(in crate::engine) struct Walk<'a> {
    /// The region; `None`: it cannot be asked.
    pub kept: Option<&'a Kept>,
    pub records: Vec<Met>,
    /// Where to go on; empty: nowhere.
    pub next: String,
    /// Records looked at.
    pub seen: u32,
    /// Records that do not open, and why the first of them does not; a region that cannot be asked counts as one.
    pub unread: (u32, Option<Failure>),
}

impl Walk<'_> {
    /// The page, if every record of it could be opened: who is to be found must not be overlooked.
    pub fn whole(self) -> Result<Self, Failure> {
        match self.unread.1 {
            Some(failure) => Err(failure),
            None => Ok(self),
        }
    }
}

/// Opens a page of the tenant's contacts. The records of switches and of the index of requests are none; nor are pointers to
/// another region, and copies on their way from one as long as no pointer leads to them: the record in force is met where
/// it is.
pub(in crate::engine) async fn walk_page<'a>(engine: &'a Engine, size: u32, token: &str) -> Result<Walk<'a>, Failure> {
    if size > MOST_ON_PAGE {
        return Err(fault("page_size", "is more than 1,000"));
    }
    let size = if size == 0 { PAGE } else { usize::try_from(size).unwrap_or(PAGE) };
    let mut names: Vec<String> = engine.regions().map(|region| region.name.to_string()).collect();
    if names.is_empty() {
        names.push(engine.main.name.to_string());
    }
    let unknown = || fault("page_token", "is of no walk: begin with the first page");
    let (mut at, mut after) = (0, None);
    if !token.is_empty() {
        let (name, key) = token.split_once('/').ok_or_else(unknown)?;
        at = names.iter().position(|known| known == name).ok_or_else(unknown)?;
        if !key.is_empty() {
            after = Some(key_of(key).ok_or_else(unknown)?);
        }
    }
    loop {
        let Some(name) = names.get(at) else {
            return Ok(Walk { kept: None, records: Vec::new(), next: String::new(), seen: 0, unread: (0, None) });
        };
        let behind = names.get(at + 1).map(|name| format!("{name}/")).unwrap_or_default();
        let kept = match engine.kept(name) {
            Ok(kept) => kept,
            Err(failure) => return Ok(away(behind, failure)),
        };
        let met = match kept.ask(|store| store.scan(after, size)).await {
            Ok(met) => met,
            // The others go on without it.
            Err(error) if engine.has_regions() => return Ok(away(behind, error.into())),
            Err(error) => return Err(error.into()),
        };
        // A store may give fewer than were asked for; only nothing is the end.
        let Some((last, _)) = met.last() else {
            (at, after) = (at + 1, None);
            continue;
        };
        let next = format!("{name}/{}", super::super::policies::hex(&last.to_bytes()));
        let (own, others) = (kept.tenant.shard(0).tenant(), engine.keys_of_others(kept));
        let mut records = Vec::with_capacity(met.len());
        let (mut unread, mut why) = (0, None);
        for (key, stored) in met.iter().filter(|(key, _)| key.shard().tenant() == own && !others.contains(key)) {
            match engine.open(key, stored).await {
                Ok(Record::Here(loaded)) => records.push(Met { key: *key, loaded }),
                Ok(Record::Elsewhere(..)) => {}
                Ok(Record::Arriving(loaded, from)) => match engine.arrived(key, &from).await {
                    Ok(true) => records.push(Met { key: *key, loaded }),
                    Ok(false) => {}
                    Err(failure) => {
                        unread += 1;
                        why = why.or(Some(failure));
                    }
                },
                Err(failure) => {
                    unread += 1;
                    why = why.or(Some(failure));
                }
            }
        }
        let seen = u32::try_from(records.len()).unwrap_or(u32::MAX);
        return Ok(Walk { kept: Some(kept), seen, records, next, unread: (unread, why) });
    }
}

fn away<'a>(next: String, failure: Failure) -> Walk<'a> {
    Walk { kept: None, records: Vec::new(), next, seen: 0, unread: (1, Some(failure)) }
}

fn key_of(token: &str) -> Option<Key> {
    let bytes: Option<Vec<u8>> =
        (0..token.len()).step_by(2).map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok()).collect();
    let bytes: [u8; Shard::LEN + 32] = bytes?.try_into().ok()?;
    Key::from_bytes(&bytes)
}
