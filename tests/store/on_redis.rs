//! The store on Redis: the backends of the suite, and what it promises beside.

use std::sync::{Arc, Mutex};

use ringfence::store::Store;
use ringfence::store::redis::{RedisStore, Settings};

use super::Backend;
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
