//! What operators meet at night, done to the real program: `kill -9`, a stopped process, a full disk, a folder that may
//! not be written, damaged, foreign and lost files, a log that somebody altered, a clock that was set back.
//!
//! `RINGFENCE_FAULT_ROUNDS` sets how often the server is killed under load (8), `RINGFENCE_FAULT_SEED` what the clients
//! choose.
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

mod support;

#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/opening.rs"]
mod opening;
#[path = "faults/rights.rs"]
mod rights;
#[path = "faults/server.rs"]
mod server;
#[path = "faults/stopped.rs"]
mod stopped;
#[path = "faults/switches.rs"]
mod switches;
#[path = "faults/tampered.rs"]
mod tampered;
