//! Named values that are sealed under a sealing key: each under its own name as context, for [`Purpose::Meta`].
//!
//! Whoever adds a kind of them adds how their names begin to [`SEALED`]: what is not listed is not sealed anew, and is lost
//! with the key that it is under. `tests/rotate.rs` looks for any that was forgotten.
//!
//! Not among them: `policy/` and `incident/` are sealed under the key of the record of switches, which is sealed anew with
//! that record; `retention/` says who sweeps, in the clear.

use super::{Keys, key_id};
use crate::store::{DayKeyError, MetaSwapped, Purpose, Store, StoreError};

/// How the names of sealed values begin: how far each processor was told, and the report of the self-check.
pub(crate) const SEALED: [&str; 2] = ["deliver/", "self-check/"];

/// Seals all of them anew under the key that seals: how many there are, and how many were sealed anew.
pub(super) async fn rewrap(store: &dyn Store, keys: &Keys) -> Result<(u64, u64), DayKeyError> {
    let (mut met, mut anew) = (0, 0);
    for prefix in SEALED {
        for (name, value) in store.meta_list(prefix).await? {
            let mut found = Some(value);
            met += 1;
            while let Some(value) = found.take() {
                if key_id(&value.bytes) >= keys.sealing_id() {
                    break;
                }
                let plain = keys.open_bytes(Purpose::Meta, name.as_bytes(), &value.bytes)?;
                let sealed = keys.seal_bytes(Purpose::Meta, name.as_bytes(), &plain)?;
                match store.meta_swap(&name, value.version, sealed).await? {
                    MetaSwapped::Won(_) => anew += 1,
                    MetaSwapped::Lost(there) => found = there,
                }
            }
        }
    }
    Ok((met, anew))
}

/// All of them, as they are sealed.
pub(super) async fn sealed(store: &dyn Store) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut all = Vec::new();
    for prefix in SEALED {
        all.extend(store.meta_list(prefix).await?.into_iter().map(|(_, value)| value.bytes));
    }
    Ok(all)
}
