//! `WatchOptOuts`: each event with the token that comes after it, and signs of life between.
//!
//! Nothing is made before it is asked for: a reader that is slow holds one page of events and no more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;

use super::token::Good;
use super::{Follower, Now, Place, Start, Step, Token, Told};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::engine::control::wire;
use crate::engine::{Engine, Failure};
use crate::proto::store::audited_write;
use crate::proto::v1;
use crate::time::Instant;

/// How often an idle watcher hears from us.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// One watcher.
struct Watch {
    engine: Arc<Engine>,
    follower: Follower,
    store: u64,
    sellers: Vec<String>,
    lowered: Vec<String>,
    /// Where the reader of the stream stands.
    places: Vec<Place>,
    /// Read, and not told yet.
    waiting: VecDeque<Arc<Told>>,
    shard: u16,
    to: Place,
    heartbeat: Duration,
    now: Now,
    /// The next thing to say is where we stand.
    greet: bool,
    ended: bool,
}

impl Engine {
    /// Streams opt-outs, withdrawals and what reopens them.
    ///
    /// # Errors
    /// A faulty request; a token that is too old; an unknown watcher; the store cannot be asked. The stream itself ends
    /// with the first error.
    pub async fn watch_opt_outs(
        self: &Arc<Self>,
        permit: &Permit,
        request: v1::WatchOptOutsRequest,
        now: Now,
        heartbeat: Duration,
    ) -> Result<impl Stream<Item = Result<v1::WatchOptOutsResponse, Failure>> + Send + use<>, Failure> {
        self.is_of(permit)?;
        self.one_store_only(super::ONE_STORE)?;
        let mut reader = Reader::new();
        let from = reader.instant("from", request.from.as_ref());
        if from.is_some() && !request.resume_token.is_empty() {
            reader.fault("from", "is given beside resume_token: give one of them");
        }
        watched_sellers(&mut reader, &request.sellers);
        reader.name("watcher", &request.watcher, |name| Some(name.len()));
        wire::sound(reader)?;
        let token = match request.resume_token.as_str() {
            "" => None,
            text => Some(self.open_token(permit, text, &request.sellers).await?),
        };
        if !request.watcher.is_empty() {
            self.watcher_is_known(&request.watcher).await?;
            if let Some(token) = &token {
                self.confirm_watched(&request.watcher, token, now()).await?;
            }
        }
        let start = match (token, from) {
            (Some(token), _) => Start::After(token.places, token.current),
            (None, None) => Start::Now,
            (None, Some(at)) if at.millis() <= 0 => Start::Oldest,
            (None, Some(at)) => Start::Since(at),
        };
        let store = self.store_name().await?;
        let follower = self.follow(start, now).await?;
        let asked = v1::WatchOptOutsRequest { resume_token: String::new(), ..request.clone() };
        self.note_reading(permit, &self.main, None, audited_write::Request::WatchOptOuts(asked), now()).await?;
        let watch = Watch {
            engine: Arc::clone(self),
            store,
            lowered: request.sellers.iter().map(|seller| seller.to_lowercase()).collect(),
            sellers: request.sellers,
            places: follower.places().to_vec(),
            follower,
            waiting: VecDeque::new(),
            shard: 0,
            to: Place::default(),
            heartbeat,
            now,
            greet: true,
            ended: false,
        };
        Ok(futures_util::stream::unfold(watch, |mut watch| async move {
            if watch.ended {
                return None;
            }
            let next = watch.next().await;
            watch.ended = next.is_err();
            Some((next, watch))
        }))
    }

    /// Opens a token of this caller's tenant.
    pub(in crate::engine) async fn open_token(
        &self,
        permit: &Permit,
        text: &str,
        sellers: &[String],
    ) -> Result<Token, Failure> {
        self.is_of(permit)?;
        self.one_store_only(super::ONE_STORE)?;
        let good = Good { tenant: permit.tenant(), store: self.store_name().await?, sellers };
        Token::open(text, &self.keys.now(), &good, usize::from(self.main.store.shard_count().max(1)))
    }
}

pub(in crate::engine) fn watched_sellers(reader: &mut Reader, sellers: &[String]) {
    reader.each("sellers", sellers, |reader, seller| {
        if seller.is_empty() {
            reader.fault("", "is empty");
        }
        reader.name("", seller, |text| Some(text.len()))
    });
}

impl Watch {
    async fn next(&mut self) -> Result<v1::WatchOptOutsResponse, Failure> {
        if std::mem::take(&mut self.greet) {
            return self.response(None);
        }
        let silent_at = tokio::time::Instant::now() + self.heartbeat;
        loop {
            while let Some(told) = self.waiting.pop_front() {
                self.stand(told.shard, told.place);
                if told.concerns(&self.lowered) {
                    return self.response(Some(told.event.clone()));
                }
            }
            self.stand(self.shard, self.to);
            match tokio::time::timeout_at(silent_at, self.follower.next()).await {
                Err(_) => return self.response(None),
                Ok(step) => {
                    let Step { shard, to, events } = step?;
                    (self.shard, self.to, self.waiting) = (shard, to, events);
                }
            }
        }
    }

    fn stand(&mut self, shard: u16, at: Place) {
        if let Some(place) = self.places.get_mut(usize::from(shard)).filter(|_| at != Place::default()) {
            *place = at;
        }
    }

    fn response(&self, event: Option<v1::OptOutEvent>) -> Result<v1::WatchOptOutsResponse, Failure> {
        let issued_at: Instant = (self.now)();
        // While the store cannot be asked the one stands still: a failover meanwhile is read again from there.
        let current = self.follower.current().min(issued_at);
        let token = Token { issued_at, current, places: self.places.clone() };
        let good = Good { tenant: self.engine.main.tenant.name(), store: self.store, sellers: &self.sellers };
        let resume_token = token.seal(&self.engine.keys.now(), &good)?;
        Ok(v1::WatchOptOutsResponse { event, resume_token })
    }
}
