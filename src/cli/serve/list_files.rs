//! Own lists that stand in files: none of them is lost in silence with its file.

use std::collections::BTreeSet;

use crate::cli::now;
use crate::engine;

/// Records which own lists stand in files; what is missing is told once, and counted. `told` is what was missing before, as
/// `TENANT/LIST`, and then what is.
pub(super) async fn declare(tenants: &engine::Tenants, told: &mut BTreeSet<String>) {
    let mut missing = BTreeSet::new();
    let engines = tenants.all();
    for engine in &engines {
        let tenant = engine.tenant();
        match engine.declare_files(now()).await {
            Ok(found) => {
                for list in found.recorded {
                    tracing::info!(tenant, list, "recorded that a file of this list is in force");
                }
                for list in found.missing {
                    let name = format!("{tenant}/{list}");
                    if !told.contains(&name) {
                        tracing::error!(
                            tenant,
                            list,
                            "the file of this list was in force and is gone: nobody is contacted until it is back, or \
                             `ringfence registry put` says that it was withdrawn"
                        );
                    }
                    missing.insert(name);
                }
            }
            Err(error) => {
                tracing::warn!(tenant, %error, "which own lists stand in files could not be recorded");
                missing.extend(told.iter().filter(|name| name.starts_with(&format!("{tenant}/"))).cloned());
            }
        }
    }
    if let Some(engine) = engines.first() {
        engine.metrics().reload_refused("list_files", missing.len());
    }
    *told = missing;
}
