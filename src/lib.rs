//! Ringfence: may we call or text this number now?

pub mod place;
pub mod time;
