//! What is asked of the server as a whole, what it lets in, and which connections it ends.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as Monotonic};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::{Lane, Method, Reason, Shed};
use super::refusals::{Kinds, More};
use super::{Count, Metrics, Seconds};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Load {
    requests: Family<Method, Counter>,
    under_way: Family<Lane, Count>,
    shed: Family<Shed, Counter>,
    checks_limit: Count,
    check_time: Seconds,
    check_time_at_ease: Seconds,
    cut_connections: Family<Reason, Counter>,
    cut: Kinds,
}

impl Load {
    /// Under their names in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let load = Self::default();
        let help = "Requests by method and gRPC status code; CANCELLED: their callers went away before they were answered, of \
                    HTTP by path";
        registry.register("requests", help, load.requests.clone());
        let help = "Calls under way, by lane: check (a batch or a burst of a stream is one), opt_out, fact, other";
        registry.register("under_way", help, load.under_way.clone());
        let help = "Calls refused since more came than is answered in time, by lane and why: full, slow, deadline";
        registry.register("shed", help, load.shed.clone());
        let help = "Checks that may be under way at once as things stand; 4294967295: as many as come";
        registry.register("checks_limit", help, load.checks_limit.clone());
        let help = "What a check took in the last tenth of a second, on average, in seconds";
        registry.register("check_time_seconds", help, load.check_time.clone());
        let help = "What a check takes where few are under way, on average, in seconds; 0: not known yet";
        registry.register("check_time_at_ease_seconds", help, load.check_time_at_ease.clone());
        let help = "Connections that the server ended or did not take, by reason: floods, silence, too many";
        registry.register("cut_connections", help, load.cut_connections.clone());
        load
    }
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, method: &'static str, code: &'static str) {
        self.load.requests.get_or_create(&Method { method: Cow::Borrowed(method), code }).inc();
    }

    /// A caller went away before its request was answered.
    pub fn given_up(&self, method: &str) {
        self.load.requests.get_or_create(&Method { method: method.to_owned().into(), code: "CANCELLED" }).inc();
    }

    /// How much is under way in a lane, and how much of it was refused so far.
    pub fn lane(&self, lane: &'static str, under_way: u32, refused: [(&'static str, u64); 3]) {
        self.load.under_way.get_or_create(&Lane { lane }).set(under_way.into());
        for (why, count) in refused {
            // Counted where it is refused.
            self.load.shed.get_or_create(&Shed { lane, why }).inner().store(count, Ordering::Relaxed);
        }
    }

    /// How many checks may be under way, and what they take.
    pub fn pace(&self, limit: u32, took: Duration, at_ease: Duration) {
        self.load.checks_limit.set(limit.into());
        self.load.check_time.set(took.as_secs_f64());
        self.load.check_time_at_ease.set(at_ease.as_secs_f64());
    }

    /// The server ended a connection, or did not take it: counted, and told as [`super::Meter::refused`] tells. `more` says
    /// what the reason leaves open.
    pub fn cut(&self, reason: &'static str, from: IpAddr, more: &str) {
        let counter = || self.load.cut_connections.get_or_create_owned(&Reason { reason });
        let (before, tell) = self.load.cut.note(reason, Monotonic::now(), counter);
        if let Some(before) = before {
            tell_cut(reason, before);
        }
        if tell {
            let error = (!more.is_empty()).then_some(more);
            tracing::warn!(reason, %from, error, "a connection was ended");
        }
    }

    pub(super) fn tell_cuts(&self, now: Monotonic, last: bool) {
        for (reason, more) in self.load.cut.over(now, last) {
            tell_cut(reason, more);
        }
    }
}

fn tell_cut(reason: &'static str, more: More) {
    let (count, seconds) = (more.count, more.seconds());
    tracing::warn!(reason, count, seconds, "a connection was ended: {count} more like it in {seconds} seconds");
}
