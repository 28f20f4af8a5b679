//! Ringfence: may we call or text this number now?

pub mod registry;
pub mod time;
