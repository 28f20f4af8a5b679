//! Ringfence: may we call or text this number now?

pub mod access;
pub mod audit;
pub mod cli;
pub mod config;
pub mod contact;
pub mod decision;
pub mod engine;
pub mod http;
pub mod law;
pub mod place;
pub mod proto;
pub mod registry;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod time;
