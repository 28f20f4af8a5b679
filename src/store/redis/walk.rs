//! Walking all records in the order of their keys, on a server that keeps no order.
//!
//! A walk takes the smallest keys there are, up to a window's worth, in one pass over the key space, and reads their
//! records page by page; then the next window. So a walk over many records costs few passes, in bounded memory. What is
//! written ahead of the walk within its window is met only if it was there when the window was taken.

use std::collections::{BTreeSet, VecDeque};

use ::redis::{Pipeline, Value};

use super::{RedisStore, reply, shape};
use crate::store::{Key, StoreError, Versioned};

/// Keys of a window: some 50 MB while it is taken.
const WINDOW: usize = 500_000;
/// How many keys the server looks at in one step of SCAN: long enough to be quick, short enough to stall nobody.
const STEP: usize = 1_000;

/// Where a walk is.
pub(super) struct Walk {
    /// The last key handed out.
    at: Option<Key>,
    ahead: VecDeque<Key>,
    /// There is none beyond those ahead.
    last: bool,
}

impl RedisStore {
    pub(super) async fn walk_on(&self, after: Option<Key>, limit: usize) -> Result<Vec<(Key, Versioned)>, StoreError> {
        self.sound()?;
        let mut walk = self.walk.lock().await;
        let mut found = Vec::new();
        let mut current = match walk.take() {
            Some(walk) if after.is_some() && walk.at == after => walk,
            _ => self.window(after).await?,
        };
        while found.len() < limit {
            let room = (limit - found.len()).min(current.ahead.len());
            let keys: Vec<_> = current.ahead.drain(..room).collect();
            let Some(newest) = keys.last().copied() else {
                if current.last {
                    break;
                }
                current = self.window(current.at).await?;
                continue;
            };
            current.at = Some(newest);
            let records = self.load_all(&keys).await?;
            found.extend(keys.into_iter().zip(records).filter_map(|(key, record)| record.map(|record| (key, record))));
        }
        // What is not a full page ends a walk; another one begins afresh.
        if found.len() == limit && found.last().map(|(key, _)| *key) == current.at {
            *walk = Some(current);
        }
        Ok(found)
    }

    /// The smallest keys after this one.
    async fn window(&self, after: Option<Key>) -> Result<Walk, StoreError> {
        let doing = "walking the records";
        let mut smallest = BTreeSet::new();
        let mut last = true;
        for node in self.link.nodes() {
            let mut cursor = "0".to_owned();
            loop {
                let mut pipe = Pipeline::new();
                pipe.cmd("SCAN").arg(&cursor).arg("MATCH").arg(shape::RECORDS).arg("COUNT").arg(STEP);
                pipe.arg("TYPE").arg("string");
                let answers = self.link.read_node(&node, &pipe, doing).await?;
                let trouble = self.trouble(doing);
                let step = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(&trouble)?;
                let mut step = step.into_iter();
                cursor = reply::text(step.next().unwrap_or(Value::Nil)).map_err(&trouble)?;
                for key in reply::list(step.next().unwrap_or(Value::Nil)).map_err(&trouble)? {
                    let key = reply::bytes(key).map_err(&trouble)?.unwrap_or_default();
                    let key = shape::parse_record_key(&key).filter(|key| Some(*key) > after);
                    smallest.extend(key);
                    if smallest.len() > WINDOW {
                        smallest.pop_last();
                        last = false;
                    }
                }
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(Walk { at: after, ahead: smallest.into_iter().collect(), last })
    }
}
