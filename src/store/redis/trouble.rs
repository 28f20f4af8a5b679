//! What can go wrong with a server: whether a write may have happened all the same, whether another node must be looked
//! for, and what to tell the operator.

use ::redis::{ErrorKind, RedisError, ServerError};

use super::address::Address;
use crate::store::StoreError;

/// Why a command got no answer that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// No connection, or none any more. Whether the command was carried out is unknown if it was sent.
    Cut { sent: bool, why: String },
    /// Not this node: it is a replica, or the slot is elsewhere. Nothing was done.
    Elsewhere(String),
    /// The slot is on its way to that node. Nothing was done.
    Ask(Address),
    /// It starts, or is busy: soon. Nothing was done.
    Soon(String),
    /// The script is not there (yet). Nothing was done.
    NoScript,
    /// Done on the primary, but too few replicas said that they have it.
    FewReplicas { have: usize, need: usize },
    /// Done, but not on the server's own disk in time.
    NotOnDisk,
    /// An answer of no sensible shape: the connection may be out of step, and whether the command was carried out is unknown.
    Odd(String),
    /// The server will not. Nothing was done.
    Refused(String),
}

impl Trouble {
    /// What an error of the connection or of the server means.
    pub(super) fn of(error: &RedisError, sent: bool) -> Self {
        match error.code() {
            // The library keeps to itself what the server said.
            _ if error.kind() == ErrorKind::AuthenticationFailed => Self::Refused(format!("WRONGPASS: {error}")),
            Some(code) => Self::said(code, error.detail().unwrap_or_default()),
            None => Self::Cut { sent, why: error.to_string() },
        }
    }

    /// What the server said in place of a value.
    pub(super) fn of_server(error: &ServerError) -> Self {
        Self::said(error.code(), error.details().unwrap_or_default())
    }

    fn said(code: &str, detail: &str) -> Self {
        let text = || format!("{code} {detail}").trim().to_owned();
        match code {
            "NOSCRIPT" => Self::NoScript,
            // Of several errors within a script, the code of the whole is ERR; the text still begins with the cause.
            "ERR" if detail.contains("READONLY You can't write") => Self::Elsewhere(text()),
            "MOVED" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" => Self::Elsewhere(text()),
            "ASK" => {
                let target = detail.split_whitespace().last().and_then(|text| Address::parse(text, 0));
                target.map_or_else(|| Self::Elsewhere(text()), Self::Ask)
            }
            "LOADING" | "BUSY" | "TRYAGAIN" => Self::Soon(text()),
            _ => Self::Refused(text()),
        }
    }

    /// Whether nothing more may be asked on the connection where this was heard.
    pub(super) const fn ends_connection(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Odd(_))
    }

    /// Whether the command may have been carried out although nobody heard so.
    pub(super) const fn may_have_happened(&self) -> bool {
        matches!(self, Self::Cut { sent: true, .. } | Self::FewReplicas { .. } | Self::NotOnDisk | Self::Odd(_))
    }

    /// Whether the same command may find a better answer within this call.
    pub(super) const fn passing(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::FewReplicas { .. } | Self::NotOnDisk)
    }

    /// For the operator: what it was, and what to do.
    pub(super) fn error(&self, place: &str, doing: &'static str) -> StoreError {
        StoreError::Unavailable { place: place.to_owned(), doing, why: self.why() }
    }

    /// The same without the place.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Cut { why, .. } => why.clone(),
            Self::Elsewhere(text) => format!("no primary took it ({text})"),
            Self::Ask(to) => format!("its slot is moving to {to}"),
            Self::Soon(text) | Self::Odd(text) => text.clone(),
            Self::NoScript => "the server keeps forgetting the script".to_owned(),
            Self::FewReplicas { have, need } => format!(
                "{have} of the {need} replicas that must have a write have it: bring them back, or take them out of the \
                 configuration (`acks`)"
            ),
            Self::NotOnDisk => {
                "the server did not bring it to its disk in time: see to its disk, and to `appendfsync`".to_owned()
            }
            Self::Refused(text) => format!("{text}{}", advice(text)),
        }
    }
}

/// What to do about what the server said.
fn advice(text: &str) -> &'static str {
    let says = |word: &str| text.contains(word);
    if says("OOM") {
        ": the server's memory is full: raise maxmemory, and leave maxmemory-policy at noeviction"
    } else if says("MISCONF") {
        ": the server cannot write to its disk: make room there; writes resume by themselves"
    } else if says("NOREPLICAS") {
        ": min-replicas-to-write is not met: bring the replicas back"
    } else if text.starts_with("sentinel ") && (says("NOAUTH") || says("WRONGPASS")) {
        ": give sentinel_user, and sentinel_password_file or RINGFENCE_SENTINEL_PASSWORD"
    } else if says("NOAUTH") || says("WRONGPASS") || says("invalid username") {
        ": give store_user, and store_password_file or RINGFENCE_STORE_PASSWORD"
    } else if says("WAITAOF") {
        ": acked_from = \"disk\" needs Redis 7.2 or newer, or Valkey, with appendonly yes"
    } else if says("max number of clients") {
        ": raise maxclients, or see who else is connected"
    } else if says("NOPERM") || says("user executing the script") || says("ACL failure") {
        ": the server's access list forbids it: see `ringfence doctor`"
    } else if says("WRONGTYPE") {
        ": another program uses this database"
    } else {
        ""
    }
}
