//! An exact set of numbers, small on disk and in memory, asked in place: what stands behind every list.
//!
//! A set file is a page of readable lines ([`header`]) and a body ([`layout`]) that is mapped, never copied: instances on
//! one machine share its pages. Promises: a look-up is exact, a hit or a miss, and touches a few cache lines; a file that
//! was cut, changed, or is of another kind is refused with the reason; a file is written beside its name and renamed, so
//! that whoever kills the writer leaves the old one. Guarded by `tests/lists.rs` and `fuzz/`; measured by `benches/lists.rs`.

mod areas;
mod body;
mod builder;
mod file;
mod header;
mod layout;
mod tags;

pub use areas::Areas;
pub use body::Found;
pub use builder::{Added, Builder};
pub use file::{Draft, Set, SetFault, tidy, write};
pub use header::Header;
pub use layout::Day;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
