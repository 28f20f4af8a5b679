//! The sweep that a server does by itself: a round a day, a page at a time, by one instance of many.
//!
//! Who sweeps, and how far, stands in a named value of the store: an instance that goes away leaves its place to another,
//! which goes on where it stopped. That two sweep at once does no harm, since each removal is a compare-and-set; the lease
//! only spares the work.

use std::sync::OnceLock;
use std::time::Instant as Monotonic;

use prost::Message as _;

use super::super::{Clock, Engine, Failure};
use crate::access::{Caller, Role};
use crate::proto::store::SweepLease;
use crate::proto::v1;
use crate::store::{MetaSwapped, Version};
use crate::time::{Instant, Millis};

/// For how long an instance that was not heard of is held to be alive.
const LEASE: Millis = Millis::seconds(120);
/// For how long after the end of a tenant's service its own copy may still be made, before its contacts go by themselves.
const GRACE: Millis = Millis::days(30);
/// How far a clock may be set ahead, as after a night asleep, before it is not believed.
const JUMP: Millis = Millis::days(7);
/// Records of one turn.
const PAGE: u32 = 64;
/// What the names of the leases begin with.
const NAME: &str = "retention";

/// How a server sweeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweeperSettings {
    /// How long after a round the next one begins; `None`: the server does not sweep.
    pub every: Option<Millis>,
}

impl Default for SweeperSettings {
    fn default() -> Self {
        Self { every: Some(Millis::hours(24)) }
    }
}

/// One instance's part in the sweeping.
#[derive(Debug)]
pub struct Sweeper {
    holder: u64,
    every: Millis,
    /// The clock at the first turn, and what does not jump beside it.
    began: OnceLock<(Instant, Monotonic)>,
}

/// What a turn came to.
#[derive(Clone, PartialEq, Debug)]
pub enum Turn {
    /// Nothing to do now: another sweeps, or the next round has not begun.
    Idle,
    /// A page was swept; the round goes on.
    Page(Box<v1::SweepContactsResponse>),
    /// A page was swept, the last of its round.
    Last(Box<v1::SweepContactsResponse>),
}

impl Sweeper {
    /// A sweeper under a name of its own; `None` where none is wanted.
    #[must_use]
    pub fn new(settings: SweeperSettings) -> Option<Self> {
        let (_, holder) = uuid::Uuid::new_v4().as_u64_pair();
        settings.every.map(|every| Self { holder: holder.max(1), every, began: OnceLock::new() })
    }

    /// How far the clock went ahead of the time that passed since the first turn, where that is too far: what a sweep
    /// removes by a wrong clock does not come back.
    fn ahead(&self, now: Instant) -> Option<Millis> {
        let (began, passed) = self.began.get_or_init(|| (now, Monotonic::now()));
        let passed = Millis(i64::try_from(passed.elapsed().as_millis()).unwrap_or(i64::MAX));
        let ahead = Millis(now.millis().saturating_sub(began.plus(passed).millis()));
        (ahead > JUMP).then_some(ahead)
    }

    /// Sweeps a page, if it is this instance's turn.
    ///
    /// # Errors
    /// Store or log unavailable: the next turn tries again.
    pub async fn turn(&self, engine: &Engine, now: Instant) -> Result<Turn, Failure> {
        let name = format!("{NAME}/{}", engine.main.tenant.name());
        let found = engine.main.store.meta_get(&name).await?;
        let (version, lease) = match &found {
            None => (Version::ABSENT, SweepLease::default()),
            // What does not read is begun anew: it holds nothing but a place.
            Some(value) => (value.version, SweepLease::decode(value.bytes.as_slice()).unwrap_or_default()),
        };
        let anothers = lease.holder != 0 && lease.holder != self.holder && lease.until > now.millis();
        if let Some(ahead) = self.ahead(now) {
            let why = format!(
                "the clock of this host went {} hours ahead while the server ran; what is past its period by it may not be: set \
                 the clock, then start the server anew",
                ahead.0 / Millis::hours(1).0
            );
            return Err(Failure::Internal(why));
        }
        // A round that ended in the future was of a clock that went ahead.
        let ended = Instant::from_millis(lease.finished_at);
        let resting = lease.after.is_empty() && lease.finished_at != 0 && ended <= now && ended.plus(self.every) > now;
        if anothers || resting {
            return Ok(Turn::Idle);
        }
        let mine = SweepLease { holder: self.holder, until: now.plus(LEASE).millis(), ..lease };
        let MetaSwapped::Won(version) = engine.main.store.meta_swap(&name, version, mine.encode_to_vec()).await? else {
            return Ok(Turn::Idle);
        };
        let ended = engine.standing(&engine.main).await?.off_boarded_at();
        let permit = Caller::local_of(engine.tenant()).permit(Role::Administer)?;
        let request = v1::SweepContactsRequest {
            dry_run: false,
            all_periods_over: ended.is_some_and(|ended| ended.plus(GRACE) <= now),
            page_size: PAGE,
            page_token: String::from_utf8(mine.after.clone()).unwrap_or_default(),
        };
        let response = match engine.sweep_contacts(&permit, &request, Clock::at(now)).await {
            // A place of another configuration, or of another build: the round begins anew.
            Err(Failure::Invalid(_)) if !mine.after.is_empty() => {
                let anew = SweepLease { after: Vec::new(), finished_at: 0, ..mine };
                let _ = engine.main.store.meta_swap(&name, version, anew.encode_to_vec()).await?;
                return Ok(Turn::Idle);
            }
            response => response?,
        };
        let last = response.next_page_token.is_empty();
        let next = if last {
            SweepLease { finished_at: now.millis(), ..SweepLease::default() }
        } else {
            SweepLease { after: response.next_page_token.clone().into_bytes(), ..mine }
        };
        // Lost to another that thought this one gone: it goes on from where it read.
        let _ = engine.main.store.meta_swap(&name, version, next.encode_to_vec()).await?;
        Ok(if last { Turn::Last(Box::new(response)) } else { Turn::Page(Box::new(response)) })
    }
}
