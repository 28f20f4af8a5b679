//! The keys in use, exchanged while they are used.
//!
//! Promises: who asks for the keys gets one whole set, and keeps it as long as the operation lasts; a file that is at fault
//! changes nothing; a key is said to be out of use only once no operation holds a set that seals with it. A record under a
//! key that is not known makes the file be read again at once, so that a rotation begun on another host heals itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant as Monotonic};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::instances::{self, Instance};
use super::{Keys, KeysError, Ledger};
use crate::store::{DataKey, Key, Purpose, SealError, Store, StoreError, WriterId};
use crate::time::Instant;

/// A file that did not have a missing key is not read for it again before this: whoever asks thousands of times a second
/// must not read thousands of times.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a write may still be under way that nobody waits for any more: longer than a store lets any call take.
const REST: Duration = Duration::from_secs(5);
/// How often a process that has nothing new to say says that it is there.
const AGAIN: Duration = Duration::from_secs(60);

/// What a look at the file and the store changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    /// The key that seals now.
    pub sealing: u32,
    /// All keys known now.
    pub known: Vec<u32>,
}

/// See the module.
pub struct KeyRing {
    current: ArcSwap<Keys>,
    store: Arc<dyn Store>,
    /// The number of a key that the store needs and the file does not have; 0: none.
    lacking: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Sets that operations may still hold, and since when none does.
    earlier: Vec<(Arc<Keys>, Option<Monotonic>)>,
    ledger: Option<Ledger>,
    /// Who we are, where several share the store; and what was said last.
    writer: Option<WriterId>,
    said: Option<(Instance, Monotonic)>,
    /// When a missing key was last not found.
    missed: Option<Monotonic>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.current.load()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// With these keys, which were admitted by this store.
    #[must_use]
    pub fn new(keys: Keys, store: Arc<dyn Store>) -> Self {
        Self { current: ArcSwap::from_pointee(keys), store, lacking: AtomicU32::new(0), state: Mutex::default() }
    }

    /// The keys as they are now. Whoever seals with them holds them until what was sealed is stored.
    #[must_use]
    pub fn now(&self) -> Arc<Keys> {
        self.current.load_full()
    }

    /// What is wrong while the store needs a key that the file does not have: what others write cannot be read.
    #[must_use]
    pub fn lacks(&self) -> Option<StoreError> {
        match self.lacking.load(Ordering::Relaxed) {
            0 => None,
            key => Some(StoreError::UnknownKey { key }),
        }
    }

    /// Opens a record ([`Keys::open_record`]), if need be with a key that the file has only now.
    ///
    /// # Errors
    /// As [`Keys::open_bytes`].
    pub async fn open_record(&self, key: &Key, sealed: &[u8]) -> Result<(DataKey, Vec<u8>), SealError> {
        match self.now().open_record(key, sealed) {
            Err(SealError::UnknownKey(id)) => self.with_key(id).await?.open_record(key, sealed),
            opened => opened,
        }
    }

    /// Opens bytes ([`Keys::open_bytes`]), if need be with a key that the file has only now.
    ///
    /// # Errors
    /// As [`Keys::open_bytes`].
    pub async fn open_bytes(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        match self.now().open_bytes(purpose, context, sealed) {
            Err(SealError::UnknownKey(id)) => self.with_key(id).await?.open_bytes(purpose, context, sealed),
            opened => opened,
        }
    }

    /// The keys, with one of this number: the file is read again if it is not among those known.
    ///
    /// # Errors
    /// The file does not have it either, or is at fault.
    pub async fn with_key(&self, id: u32) -> Result<Arc<Keys>, SealError> {
        let mut state = self.state.lock().await;
        let missed = state.missed.is_some_and(|at| at.elapsed() < PAUSE);
        if !self.now().knows(id) && !missed {
            if let Err(error) = self.exchange(&mut state).await {
                tracing::error!(%error, key = id, "a record is sealed under a key that is not known");
            }
            if !self.now().knows(id) {
                state.missed = Some(Monotonic::now());
            }
        }
        let keys = self.now();
        if keys.knows(id) { Ok(keys) } else { Err(SealError::UnknownKey(id)) }
    }

    /// Says that a process is there which writes this log, where several share the store: before it seals anything.
    ///
    /// # Errors
    /// The store cannot be asked; it needs a key that the file does not have.
    pub async fn join(&self, writer: WriterId, now: Instant) -> Result<(), KeysError> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        // First that it is starting, then a look at which key seals: whoever retires a key does it the other way round,
        // so one of the two sees the other.
        instances::announce(&*self.store, &Instance::of(writer, 0, &self.now(), now)).await?;
        state.writer = Some(writer);
        let joined = match self.exchange(&mut state).await {
            Ok(_) => self.say(&mut state, now).await.map_err(KeysError::from),
            Err(error) => Err(error),
        };
        if joined.is_err() {
            // It does not start: nobody is to wait for it. Should this fail too, the next start takes it back.
            state.writer = None;
            let _ = instances::withdraw(&*self.store, writer).await;
        }
        joined
    }

    /// Takes back what [`KeyRing::join`] said, when nothing is sealed any more.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        match state.writer.take() {
            Some(writer) => instances::withdraw(&*self.store, writer).await,
            None => Ok(()),
        }
    }

    /// Looks at file and store, puts changed keys in force, and says so: to be asked every few seconds while serving.
    ///
    /// # Errors
    /// The file is at fault, or lacks what the store needs: the keys in use stay. Or the store cannot be asked.
    pub async fn look(&self, now: Instant) -> Result<Option<KeyChange>, KeysError> {
        let mut state = self.state.lock().await;
        let exchanged = self.exchange(&mut state).await;
        // Whatever became of the file: what earlier sets are still held is told.
        self.say(&mut state, now).await?;
        exchanged
    }

    /// What the store remembers of the keys, as of the last look.
    pub async fn ledger(&self) -> Option<Ledger> {
        self.state.lock().await.ledger.clone()
    }

    /// Whether nothing is or will be sealed by this process with an older key than the one that seals now.
    pub async fn is_settled(&self) -> bool {
        let mut state = self.state.lock().await;
        self.oldest(&mut state) == self.now().sealing_id() && state.earlier.is_empty()
    }

    async fn exchange(&self, state: &mut State) -> Result<Option<KeyChange>, KeysError> {
        let old = self.now();
        let path = old.path().to_owned();
        if old.ephemeral {
            return Ok(None);
        }
        let found = tokio::task::spawn_blocking(move || Keys::open(&path)).await.unwrap_or_else(|error| {
            let why = std::io::Error::other(error);
            Err(KeysError::Io { path: old.path().into(), doing: "reading", why })
        });
        // A file at fault must not keep the process from going on to the key that the store wants.
        let (keys, fault) = match found {
            Ok(keys) if keys.same_hash(&old) => (keys, None),
            Ok(_) => ((*old).clone(), Some(KeysError::OtherHash(old.path().into()))),
            Err(fault) => ((*old).clone(), Some(fault)),
        };
        let admitted = keys.admitted_again(&*self.store).await;
        let lacking = match &admitted {
            Err(KeysError::Lacks { key, .. }) => *key,
            _ => 0,
        };
        // A file that lost a key is refused, and the key stays in force.
        self.lacking.store(if old.knows(lacking) { 0 } else { lacking }, Ordering::Relaxed);
        let (keys, ledger) = match admitted {
            Err(error) => return Err(fault.unwrap_or(error)),
            Ok(admitted) => admitted,
        };
        state.ledger = Some(ledger);
        let changed = keys.sealing_id() != old.sealing_id() || keys.about() != old.about();
        let change = changed.then(|| {
            let known = keys.about().iter().map(|key| key.id).collect();
            let change = KeyChange { sealing: keys.sealing_id(), known };
            let before = self.current.swap(Arc::new(keys));
            state.earlier.push((before, None));
            state.missed = None;
            change
        });
        fault.map_or(Ok(change), Err)
    }

    /// The number of the oldest key with which something of this process may still come.
    fn oldest(&self, state: &mut State) -> u32 {
        for (keys, free) in &mut state.earlier {
            // One is ours.
            if Arc::strong_count(keys) == 1 {
                free.get_or_insert_with(Monotonic::now);
            }
        }
        state.earlier.retain(|(_, free)| free.is_none_or(|at| at.elapsed() < REST));
        let held = state.earlier.iter().map(|(keys, _)| keys.sealing_id());
        held.fold(self.now().sealing_id(), u32::min)
    }

    async fn say(&self, state: &mut State, now: Instant) -> Result<(), StoreError> {
        let Some(writer) = state.writer else { return Ok(()) };
        let sealing = self.oldest(state);
        let instance = Instance::of(writer, sealing, &self.now(), now);
        let new = state.said.as_ref().is_none_or(|(said, at)| {
            (said.sealing, &said.knows) != (instance.sealing, &instance.knows) || at.elapsed() >= AGAIN
        });
        if new {
            instances::announce(&*self.store, &instance).await?;
            state.said = Some((instance, Monotonic::now()));
        }
        Ok(())
    }
}
