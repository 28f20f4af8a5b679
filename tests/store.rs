//! The promises of a store, run on every backend; what the embedded one promises about its folder, its file and the disk
//! below; and what the one on Redis promises while its servers fail. Starts its own redis-servers and stops them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "store/crash.rs"]
mod crash;
#[path = "store/disk.rs"]
mod disk;
#[path = "support/groups.rs"]
mod groups;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/model.rs"]
mod model;
#[path = "support/net.rs"]
mod net;
#[path = "store/on_redis.rs"]
mod on_redis;
#[path = "store/power.rs"]
mod power;
#[path = "support/power.rs"]
mod power_cut;
#[path = "support/redis.rs"]
mod redis;
#[path = "store/redis_acks.rs"]
mod redis_acks;
#[path = "store/redis_certificates.rs"]
mod redis_certificates;
#[path = "store/redis_doctor.rs"]
mod redis_doctor;
#[path = "store/redis_failover.rs"]
mod redis_failover;
#[path = "store/redis_faults.rs"]
mod redis_faults;
#[path = "store/suite.rs"]
mod suite;

use std::sync::Arc;

use ringfence::store::{EmbeddedStore, MemoryStore, Store, embedded};

/// A backend under test: how to open it, and to open what it kept again.
trait Backend {
    fn new() -> Self;
    fn open(&self) -> Arc<dyn Store>;
}

struct Memory;

impl Backend for Memory {
    fn new() -> Self {
        Self
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

struct Embedded(tempfile::TempDir);

impl Backend for Embedded {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(self.0.path(), embedded::Settings::default()).unwrap())
    }
}

/// Runs promises on a backend, one test each.
macro_rules! run {
    ($name:ident, $backend:ty, [$($promise:ident),* $(,)?]) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    let backend = <$backend as super::Backend>::new();
                    super::suite::$promise(&backend).await;
                }
            )*
        }
    };
}

/// The promises every backend keeps; the extra ones are those some backend is excused from.
macro_rules! promises {
    ($name:ident, $backend:ty $(, and [$($extra:ident),* $(,)?])?) => {
        run!($name, $backend, [
            nothing_is_there_at_first,
            a_first_write_is_read_back,
            a_lost_swap_changes_nothing_and_names_the_winner,
            racing_swaps_lose_nothing_and_versions_are_consecutive,
            every_write_leaves_its_event_in_order,
            streams_of_shards_are_apart,
            many_records_load_in_the_order_asked,
            a_record_beside_another_is_told_when_it_changed,
            a_walk_meets_every_record_once,
            named_values_are_compared_and_set,
            named_values_are_listed_by_prefix,
            settling_empties_the_outbox_and_keeps_the_event,
            outboxes_of_writers_are_apart,
            old_events_are_trimmed_and_a_late_reader_is_told,
            trimming_races_with_everything_and_hides_nothing,
            what_is_too_large_is_refused,
            a_caller_that_goes_away_breaks_nothing,
            other_bytes_for_a_record_change_nothing_else,
            $($($extra,)*)?
        ]);
    };
}

// Excused from `a_restart_keeps_everything`: it is the model, kept in memory on purpose.
promises!(on_memory, super::Memory);
promises!(on_embedded, super::Embedded, and[a_restart_keeps_everything]);
promises!(on_standalone, super::on_redis::Standalone, and[a_restart_keeps_everything]);
// Excused from `a_restart_keeps_everything`, where opening again is a restart of the server: what they promise through
// restarts and failovers is more, and stands in `redis_failover`.
promises!(on_sentinel, super::on_redis::OnSentinel);
promises!(on_cluster, super::on_redis::OnCluster);
