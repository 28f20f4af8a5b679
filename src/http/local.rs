//! A server without authentication trusts whoever is on this machine: so it answers to names of this machine alone.
//!
//! A page in somebody's browser can have its own name lead to a loopback address (DNS rebinding) and then ask as its own
//! server, with no `Origin` to tell it by. What it cannot do is to call the server by another name than its own.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use http::header;
use http::uri::Authority;
use tonic::Code;

use super::json::refusal;
use crate::service::{Calls, status};

/// The reason of the refusal.
const REASON: &str = "HOST_NOT_LOCAL";

/// Refuses whoever calls the server by another name than one of this machine.
pub(super) async fn refuse_other_names(
    State(calls): State<Calls>,
    request: Request,
    next: Next,
) -> http::Response<Body> {
    let hosts = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    let named = request.uri().authority().map(Authority::as_str);
    // Browsers always say it; what says nothing is none.
    if hosts.chain(named).all(is_of_this_machine) {
        return next.run(request).await;
    }
    let message = "without authentication this server answers to names of this machine alone: ask 127.0.0.1, [::1] or \
                   localhost, or set access";
    calls.refused_unread(request.extensions(), request.uri().path(), REASON, &"it calls this machine by another name");
    refusal(&status::refused(Code::PermissionDenied, REASON, message))
}

fn is_of_this_machine(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    // RFC 6761, section 6.3: names under localhost lead nowhere else.
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_told_from_others() {
        for ours in ["localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"]
        {
            assert!(is_of_this_machine(ours), "{ours}");
        }
        for other in [
            "",
            "x",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "me@127.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
        ] {
            assert!(!is_of_this_machine(other), "{other}");
        }
    }
}
