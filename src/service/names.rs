//! What calls are named in traces and in the log: by what the server knows, never by what somebody wrote. Every path it does
//! not know has the same name, so names are few, and nothing that was put into a path by mistake is one.

use std::collections::HashSet;
use std::sync::{LazyLock, OnceLock};

use prost::Message;

use crate::proto;

/// The name of whatever is not known.
const UNKNOWN: &str = "unknown";

/// The same in the log.
const UNKNOWN_PATH: &str = "unknown path";

static METHODS: LazyLock<Names> = LazyLock::new(Names::of_methods);
/// All routers have the same routes; before the first is made no path is asked for.
static ROUTES: OnceLock<Names> = OnceLock::new();

/// What a call is named in the log, over whichever wire it came.
pub(super) fn told(path: &str) -> &'static str {
    let known = |names: &'static Names| Some(names.of(path)).filter(|name| *name != UNKNOWN);
    known(&METHODS).or_else(|| known(ROUTES.get()?)).unwrap_or(UNKNOWN_PATH)
}

/// The names of one listener's calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    known: HashSet<String>,
    /// Paths with a part that differs: what comes before it, and the name.
    open: Vec<(&'static str, &'static str)>,
}

/// As much of `google.protobuf.FileDescriptorSet` as names methods.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
}

impl Names {
    /// Of all methods that are served over gRPC.
    pub fn of_methods() -> Self {
        let sets = [
            proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut known = HashSet::new();
        // They are ours, and the libraries': a test reads them all.
        for file in sets.iter().filter_map(|set| Files::decode(*set).ok()).flat_map(|set| set.files) {
            for service in &file.services {
                let path = |method: &Method| format!("/{}.{}/{}", file.package, service.name, method.name);
                known.extend(service.methods.iter().map(path));
            }
        }
        Self { known, open: Vec::new() }
    }

    /// Of these routes of HTTP.
    pub fn of_routes(routes: &[&'static str]) -> Self {
        let mut names = Self::default();
        for route in routes {
            match route.split_once('{') {
                Some((before, _)) => names.open.push((before, route)),
                None => drop(names.known.insert((*route).to_owned())),
            }
        }
        ROUTES.get_or_init(|| names.clone());
        names
    }

    /// Of a path.
    pub fn of(&self, path: &str) -> &str {
        if let Some(name) = self.known.get(path) {
            return name;
        }
        let open = self
            .open
            .iter()
            .find(|(before, _)| path.strip_prefix(before).is_some_and(|part| !part.is_empty() && !part.contains('/')));
        open.map_or(UNKNOWN, |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_served_has_its_name_and_all_else_has_one() {
        let names = Names::of_methods();
        for name in [
            "/ringfence.v1.CheckService/Check",
            "/ringfence.v1.RegistryService/AddToList",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(names.of(name), name);
        }
        for path in ["", "/", "/ringfence.v1.CheckService/Ann", "/ringfence.v1.CheckService/Check/", "/ann@example.org"]
        {
            assert_eq!(names.of(path), UNKNOWN);
        }
        let routes = Names::of_routes(&["/v1/check", "/v1/decisions/{decision_id}"]);
        assert_eq!(routes.of("/v1/check"), "/v1/check");
        assert_eq!(routes.of("/v1/decisions/0192c3f0-ab"), "/v1/decisions/{decision_id}");
        for path in ["/v1/decisions/", "/v1/decisions/a/b", "/v1/check/ann", "/v1/ann"] {
            assert_eq!(routes.of(path), UNKNOWN);
        }
    }
}
