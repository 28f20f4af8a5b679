//! Every way in which a Redis fails, done to a service that is in use: what callers are told, how soon, and that nothing
//! was lost, doubled or allowed by accident once it is over. `deploy/redis.md` has the table.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "support/redis.rs"]
mod redis;
mod support;
#[path = "support/wire.rs"]
mod wire;

#[path = "outages/house.rs"]
mod house;
#[path = "outages/server.rs"]
mod server;
#[path = "outages/told.rs"]
mod told;
#[path = "outages/trips.rs"]
mod trips;
