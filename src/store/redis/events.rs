//! Events, and the outbox of audit entries.

use std::collections::{BTreeMap, BTreeSet};

use ::redis::{Cmd, Pipeline, Value};

use super::script::Command;
use super::{CHUNK, RedisStore, reply, shape};
use crate::store::{EventId, Shard, StoreError, StoredEvent, Unsettled, WriterId, trim};
use crate::time::Instant;

/// A limit as Redis takes it.
fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl RedisStore {
    pub(super) async fn entries(&self, stream: &[u8], pipe: &Pipeline) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let doing = "reading events";
        let answers = self.link.read(shape::slot(stream), pipe, doing).await?;
        let list = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        list.into_iter().map(reply::stream_entry).collect::<Result<_, _>>().map_err(self.trouble(doing))
    }

    pub(super) async fn events_of(
        &self,
        shard: Shard,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let stream = shape::events_key(shard);
        let mut pipe = Pipeline::new();
        pipe.cmd("XRANGE").arg(stream.as_slice()).arg(format!("0-{first}")).arg("+").arg("COUNT").arg(count(limit));
        let entries = self.entries(&stream, &pipe).await?.into_iter().take(limit);
        trim::whole(shard, after, self.parsed(shard, entries)?)
    }

    fn parsed(
        &self,
        shard: Shard,
        entries: impl Iterator<Item = (u64, Vec<u8>)>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        entries
            .map(|(seq, bytes)| shape::parse_event(EventId { shard, seq }, &bytes).ok_or_else(|| self.corrupt("event")))
            .collect()
    }

    /// Looks first at the events and then at what is unsettled of them: what was settled once stays so, and what is new
    /// stands behind all that is looked at. So nothing needs to stand still meanwhile, and any instance may do the same.
    pub(super) async fn trim_oldest(&self, shard: Shard, before: Instant, keep: u64) -> Result<u64, StoreError> {
        self.sound()?;
        let stream = shape::events_key(shard);
        let mut pipe = Pipeline::new();
        pipe.cmd("XRANGE").arg(stream.as_slice()).arg("-").arg("+").arg("COUNT").arg(trim::PAGE);
        let oldest = self.entries(&stream, &pipe).await?.into_iter();
        let mut oldest = self.parsed(shard, oldest)?;
        let last = trim::last_to_go(self.newest_event(shard).await?, keep);
        let old = oldest.iter().take_while(|event| event.at < before && event.id.seq <= last).count();
        oldest.truncate(old);
        let writers: BTreeSet<_> = oldest.iter().map(|event| event.writer).collect();
        let mut end = oldest.last().map_or(0, |event| event.id.seq.saturating_add(1));
        for writer in writers {
            if let Some(unsettled) = self.first_unsettled(shard, writer).await? {
                end = end.min(unsettled);
            }
        }
        if oldest.first().is_none_or(|first| end <= first.id.seq) {
            return Ok(0);
        }
        let mut command = Cmd::new();
        command.arg("XTRIM").arg(stream.as_slice()).arg("MINID").arg(format!("0-{end}"));
        let done = self.link.write(shape::slot(&stream), Command::Plain(command), "trimming events").await?;
        let gone = reply::count(done.value).map_err(self.trouble("trimming events"))?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    async fn first_unsettled(&self, shard: Shard, writer: WriterId) -> Result<Option<u64>, StoreError> {
        let outbox = shape::outbox_key(shard, writer);
        let mut pipe = Pipeline::new();
        pipe.cmd("XRANGE").arg(outbox.as_slice()).arg("-").arg("+").arg("COUNT").arg(1);
        Ok(self.entries(&outbox, &pipe).await?.first().map(|(seq, _)| *seq))
    }

    pub(super) async fn newest_event(&self, shard: Shard) -> Result<u64, StoreError> {
        let stream = shape::events_key(shard);
        let mut pipe = Pipeline::new();
        pipe.cmd("XREVRANGE").arg(stream.as_slice()).arg("+").arg("-").arg("COUNT").arg(1);
        Ok(self.entries(&stream, &pipe).await?.first().map_or(0, |(seq, _)| *seq))
    }

    pub(super) async fn known_shards(&self) -> Result<Vec<Shard>, StoreError> {
        let doing = "reading the list of shards";
        let mut pipe = Pipeline::new();
        pipe.cmd("SMEMBERS").arg(shape::SHARDS);
        let answers = self.link.read(shape::slot(shape::SHARDS), &pipe, doing).await?;
        let members = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        let mut shards = Vec::with_capacity(members.len());
        for member in members {
            let bytes = reply::bytes(member).map_err(self.trouble(doing))?.unwrap_or_default();
            let bytes = bytes.as_slice().try_into().map_err(|_| self.corrupt("list of shards"))?;
            shards.push(Shard::from_bytes(bytes));
        }
        shards.sort_unstable();
        Ok(shards)
    }

    pub(super) async fn shards_with_events(&self) -> Result<Vec<Shard>, StoreError> {
        let mut shards = self.known_shards().await?;
        let lengths = self.lengths(shards.iter().map(|shard| shape::events_key(*shard)).collect()).await?;
        let mut lengths = lengths.into_iter();
        shards.retain(|_| lengths.next().is_some_and(|length| length > 0));
        Ok(shards)
    }

    /// How long these streams are.
    pub(super) async fn lengths(&self, streams: Vec<Vec<u8>>) -> Result<Vec<usize>, StoreError> {
        let trips = streams.into_iter().map(|stream| async move { self.length(&stream).await });
        futures_util::future::join_all(trips).await.into_iter().collect()
    }

    pub(super) async fn length(&self, stream: &[u8]) -> Result<usize, StoreError> {
        let doing = "reading the length of a stream";
        let mut pipe = Pipeline::new();
        pipe.cmd("XLEN").arg(stream);
        let answers = self.link.read(shape::slot(stream), &pipe, doing).await?;
        reply::count(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))
    }

    pub(super) async fn open_entries(
        &self,
        writer: WriterId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<Unsettled>, StoreError> {
        let mut shards = self.known_shards().await?;
        shards.retain(|shard| after.is_none_or(|after| *shard >= after.shard));
        let lengths = self.lengths(shards.iter().map(|shard| shape::outbox_key(*shard, writer)).collect()).await?;
        let mut found = Vec::new();
        for (shard, _) in shards.into_iter().zip(lengths).filter(|(_, length)| *length > 0) {
            if found.len() >= limit {
                break;
            }
            let after = after.filter(|after| after.shard == shard).map_or(0, |after| after.seq);
            let Some(first) = after.checked_add(1) else { continue };
            let stream = shape::outbox_key(shard, writer);
            let room = limit - found.len();
            let mut pipe = Pipeline::new();
            pipe.cmd("XRANGE").arg(stream.as_slice()).arg(format!("0-{first}")).arg("+").arg("COUNT").arg(count(room));
            let entries = self.entries(&stream, &pipe).await?.into_iter();
            found.extend(entries.map(|(seq, entry)| Unsettled { id: EventId { shard, seq }, entry }));
        }
        Ok(found)
    }

    pub(super) async fn drop_entries(&self, writer: WriterId, events: Vec<EventId>) -> Result<(), StoreError> {
        self.sound()?;
        let mut by_shard: BTreeMap<Shard, Vec<u64>> = BTreeMap::new();
        for id in events {
            by_shard.entry(id.shard).or_default().push(id.seq);
        }
        for (shard, places) in by_shard {
            let stream = shape::outbox_key(shard, writer);
            for chunk in places.chunks(CHUNK) {
                let mut command = Cmd::new();
                command.arg("XDEL").arg(stream.as_slice());
                chunk.iter().for_each(|seq| {
                    command.arg(format!("0-{seq}"));
                });
                self.link.write(shape::slot(&stream), Command::Plain(command), "settling").await?;
            }
        }
        Ok(())
    }
}
