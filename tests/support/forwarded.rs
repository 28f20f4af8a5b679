//! What a store around another leaves to it: written once for all of them.

/// Of a store with a field `inner`: events, the outbox, scans and named values, and whether it is ready.
macro_rules! forwarded {
    () => {
        fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
            self.inner.events(shard, after, limit)
        }

        fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
            self.inner.last_event(shard)
        }

        fn shards(&self) -> Answer<'_, Vec<Shard>> {
            self.inner.shards()
        }

        fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
            self.inner.unsettled(writer, after, limit)
        }

        fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
            self.inner.settle(writer, events)
        }

        fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
            self.inner.scan(after, limit)
        }

        fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
            self.inner.meta_get(name)
        }

        fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
            self.inner.meta_swap(name, expected, bytes)
        }

        fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
            self.inner.meta_list(prefix)
        }

        fn ready(&self) -> Answer<'_, ()> {
            self.inner.ready()
        }
    };
}
pub(crate) use forwarded;
