//! Following what is recorded: opt-outs, withdrawals, and what reopens them, as they happen.
//!
//! Promises: every event is told at least once to everybody who follows, those of one contact in order, also after a
//! failover; nobody who is slow holds memory: what fell out of the ring is read from the store again. One reader an
//! instance asks the store for what is new, some tens of times a second and only while somebody follows; what this
//! instance wrote itself is told at once. Guarded by `tests/watch.rs`.
//!
//! An event is passed on only once it is as safe as what was acknowledged, so that a place handed out in a token is not
//! given to another event by a failover that the deployment is documented for. For the others see [`place`].

mod follower;
mod place;
mod stream;
mod token;
mod told;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant as Monotonic;
use tracing::Instrument as _;

pub use follower::{Follower, Start, Step};
pub use place::Place;
pub(in crate::engine) use place::{REWIND, kept_from, oldest, seek};
pub use stream::HEARTBEAT;
pub(in crate::engine) use stream::watched_sellers;
pub use token::Token;
pub use told::Told;
pub(in crate::engine) use told::consent_event;

use self::place::{newest, read_on};
use super::{Engine, Failure};
use crate::store::{MetaSwapped, Shard, Version};
use crate::time::Instant;

/// How often the store is asked for what other instances wrote: an event is told within this and two round trips.
const POLL: Duration = Duration::from_millis(40);
/// How long to wait before asking a store again that could not be asked.
const PAUSE: Duration = Duration::from_millis(250);
/// Events read at once. With [`RING`] it bounds what those who follow hold: some ten megabytes, however many they are.
const PAGE: usize = 128;
const RING: usize = 128;
/// How long places may lag behind events that nobody is told of.
const REFRESH: Duration = Duration::from_secs(5);
/// The named value that tells stores apart in tokens: random, made when a store is first followed.
const NAME: &str = "watch/name";

/// Why nobody follows where there are several stores: those who follow would not be told of opt-outs in the others.
pub(in crate::engine) const ONE_STORE: &str = "regions are configured ([[pinned]]): opt-outs are in several stores, and following reads one. Instead check \
     each contact just before it is made: every check sees the opt-outs of every region; see deploy/regions.md";

/// The wall clock, as its caller reads it.
pub type Now = fn() -> Instant;

/// Events of one shard, told to all who follow.
#[derive(Debug)]
struct Batch {
    shard: u16,
    /// They come right after this.
    from: Place,
    /// The place after them.
    to: Place,
    /// The store lost what was told before: they begin earlier.
    rewound: bool,
    events: Vec<Arc<Told>>,
    /// When they had been read.
    read_at: Monotonic,
    /// When all of the shard had last been read.
    current: Instant,
}

/// Where those who follow meet what is recorded.
#[derive(Debug)]
pub(super) struct Hub {
    live: broadcast::Sender<Arc<Batch>>,
    written: Notify,
    /// Whether somebody reads the store for all.
    reading: Mutex<bool>,
    store: OnceLock<u64>,
    stopping: watch::Sender<bool>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            live: broadcast::Sender::new(RING),
            written: Notify::new(),
            reading: Mutex::new(false),
            store: OnceLock::new(),
            stopping: watch::Sender::new(false),
        }
    }
}

impl Hub {
    /// Something was recorded here.
    pub(super) fn nudge(&self) {
        self.written.notify_one();
    }
}

impl Engine {
    /// Ends every stream: those who follow get [`Failure::Stopping`].
    pub fn stop_following(&self) {
        self.hub.stopping.send_replace(true);
    }

    /// Comes when every stream is to end.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.hub.stopping.subscribe();
        // The sender lives as long as the engine; its end is a signal as well.
        async move { drop(stopping.wait_for(|stop| *stop).await) }
    }

    pub(in crate::engine) fn shards(&self) -> impl Iterator<Item = Shard> + use<'_> {
        (0..self.main.store.shard_count().max(1)).map(|index| self.main.tenant.shard(index))
    }

    /// The places of the newest events.
    async fn heads(&self) -> Result<Vec<Place>, Failure> {
        let places = self.shards().map(|shard| newest(&*self.main.store, shard));
        futures_util::future::try_join_all(places).await
    }

    /// The random name of the store.
    async fn store_name(&self) -> Result<u64, Failure> {
        if let Some(name) = self.hub.store.get() {
            return Ok(*name);
        }
        let read = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let found = match self.main.store.meta_get(NAME).await? {
            Some(found) => found.bytes,
            None => {
                let made = uuid::Uuid::new_v4().as_bytes().to_vec();
                match self.main.store.meta_swap(NAME, Version::ABSENT, made.clone()).await? {
                    MetaSwapped::Won(_) => made,
                    MetaSwapped::Lost(found) => found.map(|found| found.bytes).unwrap_or_default(),
                }
            }
        };
        let name = read(&found).ok_or_else(|| Failure::Internal(format!("{NAME} is no name of a store")))?;
        Ok(*self.hub.store.get_or_init(|| name))
    }

    /// Makes sure that somebody reads the store for all who follow.
    fn keep_reading(self: &Arc<Self>, now: Now) {
        let mut reading = self.hub.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reading {
            *reading = true;
            tokio::spawn(Arc::clone(self).read_for_all(now).instrument(self.meter.span()));
        }
    }

    /// Whether nobody follows any more; then the next one starts a reader anew.
    fn nobody_follows(&self) -> bool {
        let mut reading = self.hub.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = self.hub.live.receiver_count() > 0;
        !*reading
    }

    async fn read_for_all(self: Arc<Self>, now: Now) {
        let mut stopping = self.hub.stopping.subscribe();
        let work = async {
            let mut reader = None;
            let mut troubled = false;
            while !self.nobody_follows() {
                match self.read_once(&mut reader, now).await {
                    Ok(more) => {
                        troubled = false;
                        if !more {
                            let _ = tokio::time::timeout(POLL, self.hub.written.notified()).await;
                        }
                    }
                    Err(error) => {
                        // Once, not four times a second.
                        if !std::mem::replace(&mut troubled, true) {
                            tracing::warn!(%error, "events cannot be read: those who follow wait");
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }

    /// Reads what is new in every shard and tells it. Whether there may be more already.
    async fn read_once(&self, reader: &mut Option<Reader>, now: Now) -> Result<bool, Failure> {
        let reader = match reader {
            Some(reader) => reader,
            None => {
                let begun = now();
                let reader = reader.insert(Reader::at(self.heads().await?, begun));
                // Whoever follows already has read up to somewhere before: this tells them where.
                reader.refresh(&self.hub, true);
                reader
            }
        };
        let begun = now();
        let reads = self.shards().zip(reader.heads.iter().zip(&reader.current)).map(|(shard, (head, current))| {
            // However long the store could not be read: what it lost was written since it could.
            let (store, head, since) = (&*self.main.store, *head, current.minus(REWIND));
            async move {
                let read = read_on(store, shard, head, since, PAGE).await;
                let read = match read {
                    // Cut off for as long as events are kept: each one who follows finds out for itself.
                    Err(Failure::TooOld(_)) => return Ok(News::Gap(shard.index(), newest(store, shard).await?)),
                    other => other?,
                };
                let told = self.told(&read.events).await?;
                if !told.is_empty() {
                    store.confirm(shard).await?;
                }
                Ok::<_, Failure>(News::Read(shard.index(), read, told))
            }
        });
        let (mut more, mut failed) = (false, None);
        // A shard that cannot be read keeps none of the others waiting.
        for done in futures_util::future::join_all(reads).await {
            match done {
                Ok(News::Read(shard, read, told)) => {
                    let full = read.events.len() >= PAGE;
                    more |= full;
                    if !full {
                        reader.is_current(shard, begun);
                    }
                    reader.tell(&self.hub, shard, &read, told);
                }
                Ok(News::Gap(shard, place)) => {
                    reader.is_current(shard, begun);
                    reader.jump(&self.hub, shard, place);
                }
                Err(error) => failed = Some(error),
            }
        }
        reader.refresh(&self.hub, false);
        failed.map_or(Ok(more), Err)
    }
}

/// What a look at one shard found.
enum News {
    Read(u16, place::Read, Vec<Told>),
    Gap(u16, Place),
}

/// How far the one who reads for all has come.
struct Reader {
    heads: Vec<Place>,
    /// Up to where those who follow were told.
    told: Vec<Place>,
    /// When all of a shard had last been read.
    current: Vec<Instant>,
    refreshed: Monotonic,
}

impl Reader {
    fn at(heads: Vec<Place>, now: Instant) -> Self {
        Self { told: heads.clone(), current: vec![now; heads.len()], heads, refreshed: Monotonic::now() }
    }

    fn is_current(&mut self, shard: u16, at: Instant) {
        if let Some(current) = self.current.get_mut(usize::from(shard)) {
            *current = at;
        }
    }

    fn tell(&mut self, hub: &Hub, shard: u16, read: &place::Read, told: Vec<Told>) {
        let at = usize::from(shard);
        let (Some(head), Some(before)) = (self.heads.get_mut(at), self.told.get_mut(at)) else { return };
        *head = read.place;
        if told.is_empty() && !read.rewound {
            return;
        }
        let from = std::mem::replace(before, read.place);
        let current = self.current.get(at).copied().unwrap_or(Instant::NEVER);
        let events = told.into_iter().map(Arc::new).collect();
        // Nobody left to hear it is no fault.
        let (to, rewound, read_at) = (read.place, read.rewound, Monotonic::now());
        let _ = hub.live.send(Arc::new(Batch { shard, from, to, rewound, events, read_at, current }));
    }

    /// Goes on from a place that nobody was told the way to.
    fn jump(&mut self, hub: &Hub, shard: u16, place: Place) {
        let at = usize::from(shard);
        let (Some(head), Some(told)) = (self.heads.get_mut(at), self.told.get_mut(at)) else { return };
        (*head, *told) = (place, place);
        let (rewound, events, read_at) = (false, Vec::new(), Monotonic::now());
        let current = self.current.get(at).copied().unwrap_or(Instant::NEVER);
        let _ = hub.live.send(Arc::new(Batch { shard, from: place, to: place, rewound, events, read_at, current }));
    }

    /// Tells the places that moved past events nobody is told of.
    fn refresh(&mut self, hub: &Hub, all: bool) {
        if !all && self.refreshed.elapsed() < REFRESH {
            return;
        }
        let read_at = Monotonic::now();
        self.refreshed = read_at;
        for (((shard, head), told), current) in (0..).zip(&self.heads).zip(&mut self.told).zip(&self.current) {
            // Also where nothing moved: up to when all is known goes into resume tokens.
            let from = std::mem::replace(told, *head);
            let batch =
                Batch { shard, from, to: *head, rewound: false, events: Vec::new(), read_at, current: *current };
            let _ = hub.live.send(Arc::new(batch));
        }
    }
}
