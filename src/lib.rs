//! Ringfence: may we call or text this number now?

pub mod contact;
pub mod law;
pub mod place;
pub mod time;
