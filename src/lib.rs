//! Ringfence: may we call or text this number now?

pub mod audit;
pub mod store;
pub mod time;
