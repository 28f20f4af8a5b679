//! Ringfence: may we call or text this number now?
//!
//! The modules, in the order one check goes through them:
//!
//! - [`cli`], [`config`]: the command line and the settings of the server.
//! - [`http`], [`service`]: transport. Translate, authorise, nothing else. [`notify`]: transport outwards, opt-outs passed
//!   on to processors. [`listen`]: connections, TLS, and the limits of both.
//! - [`engine`]: the use cases; the only place that knows the order of things.
//! - [`access`]: who may do what.
//! - [`store`], [`audit`], [`registry`], [`telemetry`]: adapters. Sealed bytes with a version; the chained log; mapped
//!   lists; metrics.
//! - [`decision`]: the answer, a pure function of attempt, evidence, law and an instant.
//! - [`law`]: rules as data: packs, compiled into one immutable set.
//! - [`contact`]: what is known of a person, and how each write makes the next record.
//! - [`place`]: a number and a residence become every plausible place.
//! - [`proto`], [`time`]: the messages of the contract; instants and zones.
//!
//! A module may use what stands below it in that list, never above; `tests/layers.rs` holds them to it. `decision`,
//! `law`, `contact`, `place` and `time` do no I/O, read no clock and know no async runtime.
//!
//! What must never break, and the test that would fail:
//!
//! | | invariant | guarded by |
//! |---|---|---|
//! | I1 | an acknowledged opt-out, and a freeze, is seen by every later check | `tests/engine.rs`, `tests/control.rs`, `tests/faults.rs`, `tests/region.rs` |
//! | I2 | caps are exact, however many race | `tests/engine.rs`, `tests/faults.rs`, `tests/region.rs` |
//! | I3 | whatever fails, is unknown or stale is not an ALLOW | `tests/service.rs`, `tests/faults.rs` |
//! | I4 | same inputs, same bytes | `tests/twin.rs`, `tests/replay.rs` |
//! | I5 | every plausible place, zone and fact must allow | `tests/twin.rs` |
//! | I6 | more opt-outs never allow more; `retry_at` and `valid_until` are exact | `tests/twin.rs` |
//! | I7 | what rests on unverified text says so | `tests/law.rs`, `tests/twin.rs` |
//! | I8 | evidence is append-only and every answer is in a chained log | `tests/audit.rs`, `tests/archive.rs`, `tests/faults.rs` |
//! | I9 | no tenant finds what is another's; no log line, metric or error carries a whole number | `tests/access.rs`, `tests/service.rs`, `tests/cli.rs` |
//! | I10 | a second, naive implementation answers the same | `tests/twin.rs` |

/// A check makes many small things and drops them on other threads than made them: the system's allocator took a sixth of
/// its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod access;
pub mod audit;
pub mod cli;
pub mod config;
pub mod contact;
pub mod decision;
pub mod engine;
pub mod http;
pub mod law;
pub mod listen;
pub mod notify;
pub mod place;
pub mod proto;
pub mod registry;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod time;
