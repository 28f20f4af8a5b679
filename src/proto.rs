//! The messages of `proto/`: the public contract ([`v1`]), what is stored ([`store`]), and the JSON of the contract.
//!
//! Promises: JSON is the canonical proto3 mapping, and a key it does not know is an error; `Debug` of no message shows
//! a whole number. Must never be changed by hand: the files in `proto/` are the source. Guarded by `tests/contract.rs`.

pub mod codec;
pub mod json;
pub mod room;
pub mod weigh;
pub mod well_known;

use std::fmt;

pub use generated::google::rpc;
pub use generated::ringfence::store::v1 as store;
pub use generated::ringfence::v1;

/// The encoded `FileDescriptorSet` of the public contract with all that it imports and its comments: what reflection
/// serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/api.bin"));

/// The same, with what is stored beside it. Not for reflection.
pub const ALL_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/all.bin"));

/// Shows text that may hold a number, or what a person wrote, without giving it away.
struct Masked<'a, T: ?Sized>(&'a T);

impl fmt::Debug for Masked<'_, String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_str();
        let is_number = (8..=16).contains(&text.len()) && text.bytes().all(|b| b == b'+' || b.is_ascii_digit());
        match (text.get(..text.len().saturating_sub(4)), text.get(text.len().saturating_sub(2)..)) {
            (Some(head), Some(tail)) if is_number => write!(f, "\"{head}••{tail}\""),
            _ if text.is_empty() => f.write_str("\"\""),
            _ => write!(f, "<{} bytes>", text.len()),
        }
    }
}

impl<T> fmt::Debug for Masked<'_, Vec<T>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} numbers>", self.0.len())
    }
}

impl fmt::Debug for Masked<'_, u64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Masked(&format!("+{}", self.0)).fmt(f)
    }
}

// The nesting is that of the packages: generated code refers to other packages by `super`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    rustdoc::all,
    reason = "generated"
)]
mod generated {
    pub mod google {
        pub mod rpc {
            include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
            include!(concat!(env!("OUT_DIR"), "/google.rpc.serde.rs"));
        }
    }
    pub mod ringfence {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/ringfence.v1.rs"));
            include!(concat!(env!("OUT_DIR"), "/ringfence.v1.serde.rs"));
            include!(concat!(env!("OUT_DIR"), "/ringfence.v1.debug.rs"));
        }
        pub mod store {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/ringfence.store.v1.rs"));
                include!(concat!(env!("OUT_DIR"), "/ringfence.store.v1.debug.rs"));
            }
        }
    }
}
