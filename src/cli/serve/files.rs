//! How many files the process may have open: as many as its connections need, and its own besides. Where those run out, no list,
//! segment of the log or certificate can be opened, and whoever connects in silence has stopped the server.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::listen::Settings;

/// Listeners that take connections, each up to its limit.
const LISTENERS: u64 = 2;
/// Those of the server itself: lists, log, store, certificates, sockets to processors.
const OWN: u64 = 512;

/// Raises the limit to what it may be, and says so where that is too few.
pub(super) fn raise(settings: &Settings) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    if let Some(why) = short(getrlimit(Resource::Nofile).current, settings.connections) {
        tracing::warn!("{why}");
    }
}

/// What to do where so many files are too few for so many connections; `None` of files: there is no limit.
fn short(files: Option<u64>, connections: u32) -> Option<String> {
    let needed = LISTENERS * u64::from(connections) + OWN;
    let files = files.filter(|files| *files < needed)?;
    let fit = files.saturating_sub(OWN) / LISTENERS;
    Some(format!(
        "this process may open {files} files, and {connections} connections on each of two listeners may need {needed}: give it \
         more (LimitNOFILE of systemd, --ulimit nofile of a container), or set connections to {fit} at most"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn too_few_files_are_told_with_what_fits() {
        assert_eq!(short(None, u32::MAX), None);
        assert_eq!(short(Some(8_704), 4_096), None);
        let told = short(Some(1_024), 4_096).unwrap();
        assert!(told.contains("8704") && told.contains("set connections to 256 at most"), "{told}");
        assert_eq!(short(Some(1_024), 256), None);
    }

    #[test]
    fn the_limit_is_what_it_may_be() {
        raise(&Settings::default());
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
