//! Ringfence: may we call or text this number now?

pub mod contact;
pub mod decision;
pub mod law;
pub mod place;
pub mod proto;
pub mod registry;
pub mod time;
