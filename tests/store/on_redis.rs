//! The store on Redis: the backends of the suite, and what it promises beside.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use ringfence::store::Store;
use ringfence::store::redis::{RedisStore, Settings};

use super::Backend;
use super::groups::{Cluster, Trio};
use super::redis::Server;

/// Opens a store from a test that is not written to wait.
pub fn opened(settings: Settings) -> Arc<dyn Store> {
    let opening = RedisStore::open(settings);
    let opened = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(opening));
    Arc::new(opened.unwrap().0)
}

/// One server; killed and started again before it is opened a second time.
pub struct Standalone(Mutex<(Server, bool)>);

impl Backend for Standalone {
    fn new() -> Self {
        Self(Mutex::new((Server::start(&[]), false)))
    }

    fn open(&self) -> Arc<dyn Store> {
        let mut guard = self.0.lock().unwrap();
        let (server, opened_before) = &mut *guard;
        if std::mem::replace(opened_before, true) {
            server.restart();
        }
        opened(Settings::from_url(&server.url()).unwrap())
    }
}

/// One set of servers for all promises, one after the other, emptied in between. It ends with the test process.
pub struct OnSentinel(MutexGuard<'static, Trio>);

impl Backend for OnSentinel {
    fn new() -> Self {
        static ONE: LazyLock<Mutex<Trio>> = LazyLock::new(|| Mutex::new(Trio::start()));
        let trio = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let primary = trio.primary().unwrap();
        assert_eq!(trio.servers[primary].ask(&["FLUSHALL"]), "OK");
        Self(trio)
    }

    fn open(&self) -> Arc<dyn Store> {
        opened(Settings::from_url(&self.0.url()).unwrap())
    }
}

/// The same on a cluster.
pub struct OnCluster(MutexGuard<'static, Cluster>);

impl Backend for OnCluster {
    fn new() -> Self {
        static ONE: LazyLock<Mutex<Cluster>> = LazyLock::new(|| Mutex::new(Cluster::start()));
        let cluster = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        for primary in cluster.primaries() {
            assert_eq!(cluster.servers[primary].ask(&["FLUSHALL"]), "OK");
        }
        Self(cluster)
    }

    fn open(&self) -> Arc<dyn Store> {
        opened(Settings::from_url(&self.0.url()).unwrap())
    }
}
