//! Ringfence: may we call or text this number now?

pub mod store;
pub mod time;
