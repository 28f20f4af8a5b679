//! Ringfence: may we call or text this number now?

pub mod proto;
pub mod time;
