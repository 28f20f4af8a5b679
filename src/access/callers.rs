//! Everybody who may ask, and how one of them is recognised.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use super::secret::{KeyDigest, read_sha256, sha256, sha256_text};
use super::{Caller, Limits, Role, Roles};
use crate::time::Instant;

/// The longest secret looked at, in bytes: ours have 47.
const MOST_SECRET: usize = 256;

/// One who may ask.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name, in logs and in the audit log. Never given to another.
    pub name: Arc<str>,
    /// For whom it asks.
    pub tenant: Arc<str>,
    /// What it may do.
    pub roles: Roles,
    /// What is kept of its key.
    pub key: Option<KeyDigest>,
    /// The certificate by which it is known. With a key: both must be shown.
    pub certificate: Option<Certificate>,
    /// When it was made.
    pub created: Option<Instant>,
    /// From when on it is nobody.
    pub expires: Option<Instant>,
    /// When that was declared.
    pub revoked: Option<Instant>,
}

/// Whether an entry counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl State {
    /// As it is told.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Entry {
    /// Whether it counts now. One that is revoked is so at once, whatever the instant says: clocks differ.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match (self.revoked, self.expires) {
            (Some(_), _) => State::Revoked,
            (None, Some(expires)) if now >= expires => State::Expired,
            _ => State::Valid,
        }
    }
}

/// By what a client certificate is known. That its authority is ours is checked before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Certificate {
    /// SHA-256 over the whole certificate.
    Sha256([u8; 32]),
    /// A name that it is issued for: a DNS name or an address among its subject alternative names.
    Name(Box<str>),
}

impl Certificate {
    /// `sha256:…`, or a DNS name or address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("sha256:") {
            return read_sha256(text).map(Self::Sha256);
        }
        ServerName::try_from(text).ok().map(|_| Self::Name(text.to_ascii_lowercase().into()))
    }

    /// Reads back by [`Certificate::parse`].
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Sha256(digest) => sha256_text(digest),
            Self::Name(name) => name.to_string(),
        }
    }

    fn is(&self, shown: &ShownCertificate) -> bool {
        match self {
            Self::Sha256(digest) => *digest == shown.sha256,
            Self::Name(name) => shown.is_for(name),
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// From where it asks.
    pub address: SocketAddr,
    /// The certificate that it showed, which an authority of ours issued.
    pub certificate: Option<Arc<ShownCertificate>>,
}

/// A verified client certificate.
#[derive(Debug)]
pub struct ShownCertificate {
    der: CertificateDer<'static>,
    sha256: [u8; 32],
    /// Cleared while a new connection that shows it would not be taken.
    trusted: AtomicBool,
    /// From when on it is no longer good.
    ends: Instant,
    /// Whose it is, by which callers: looked up once for a connection and each change of callers.
    whose: Mutex<Option<(u64, Result<usize, Unrecognised>)>>,
}

impl ShownCertificate {
    /// This one, which is good until this second since 1970.
    #[must_use]
    pub fn new(der: CertificateDer<'static>, ends: i64) -> Self {
        let ends = Instant::from_millis(ends.saturating_mul(1_000));
        Self { sha256: sha256(&der), der, trusted: AtomicBool::new(true), ends, whose: Mutex::default() }
    }

    /// Whether it is trusted from now on; returned is whether it was.
    pub fn trust(&self, trusted: bool) -> bool {
        self.trusted.swap(trusted, Ordering::AcqRel)
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    fn is_for(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        ParsedCertificate::try_from(&self.der).is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }
}

/// What a request shows of who asks.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Its `authorization` headers.
    pub headers: &'a http::HeaderMap,
    /// The other end of its connection.
    pub peer: Option<&'a Peer>,
}

/// What somebody showed, read once: what goes on for long is held against the callers by it again and again.
#[derive(Clone)]
pub struct Credentials {
    key: Option<KeyDigest>,
    certificate: Option<Arc<ShownCertificate>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    fn certificate_ends(&self) -> Option<Instant> {
        self.certificate.as_deref().map(|shown| shown.ends)
    }
}

impl Shown<'_> {
    /// Reads what is shown.
    ///
    /// # Errors
    /// The headers read as no key.
    pub fn read(&self) -> Result<Credentials, Unrecognised> {
        let key = bearer(self.headers)?.map(KeyDigest::of);
        Ok(Credentials { key, certificate: self.peer.and_then(|peer| peer.certificate.clone()) })
    }
}

/// Why somebody was not recognised.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unrecognised {
    /// Nothing was shown.
    #[error("no credentials: send an API key as `authorization: Bearer …`, or use a client certificate")]
    Nothing,
    /// What was shown reads as no key.
    #[error("the authorization header is not `Bearer` and one API key")]
    Malformed,
    /// Nobody has this key.
    #[error("the API key is not known")]
    UnknownKey,
    /// Nobody is known by this certificate.
    #[error("the client certificate belongs to no caller")]
    UnknownCertificate,
    /// More than one is known by this certificate.
    #[error("the client certificate is valid for the names of several callers, and so for none")]
    AmbiguousCertificate,
    /// The certificate was good when the connection was made, and is so no longer.
    #[error(
        "the client certificate is trusted no longer: it was revoked, its time is over, or its authority is none any more"
    )]
    Distrusted,
    /// The key belongs to somebody who must show a certificate as well.
    #[error("this caller must show its client certificate with its key")]
    NeedsCertificate(Arc<str>),
    /// The certificate belongs to somebody who must show a key as well.
    #[error("this caller must show its API key with its client certificate")]
    NeedsKey(Arc<str>),
    /// Its time is over.
    #[error("the credentials have expired")]
    Expired(Arc<str>),
    /// It was revoked.
    #[error("the credentials were revoked")]
    Revoked(Arc<str>),
    /// Its tenant cannot be opened, for a reason that the server's log has.
    #[error("the tenant of these credentials cannot be opened by this server: its log says why")]
    TenantShut(Arc<str>),
    /// What was begun with them was begun by this caller, and they are another's by now.
    #[error("the credentials belong to another caller than when this was begun: begin it again")]
    Another(Arc<str>),
}

impl Unrecognised {
    /// The reason of the `ErrorInfo`. A guesser learns nothing from them: whoever is told more than that a key is not known
    /// has shown one that is or was right.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Nothing => "CREDENTIALS_MISSING",
            Self::Malformed => "CREDENTIALS_MALFORMED",
            Self::UnknownKey | Self::UnknownCertificate | Self::AmbiguousCertificate => "CREDENTIALS_UNKNOWN",
            Self::Distrusted => "CERTIFICATE_DISTRUSTED",
            Self::NeedsCertificate(_) => "CERTIFICATE_MISSING",
            Self::NeedsKey(_) => "CREDENTIALS_MISSING",
            Self::Expired(_) => "CREDENTIALS_EXPIRED",
            Self::Revoked(_) => "CREDENTIALS_REVOKED",
            Self::TenantShut(_) => "TENANT_SHUT",
            Self::Another(_) => "CREDENTIALS_CHANGED",
        }
    }

    /// Who it was, where that is known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::NeedsCertificate(name) | Self::NeedsKey(name) | Self::TenantShut(name) => Some(name),
            Self::Expired(name) | Self::Revoked(name) | Self::Another(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it may have been a guess.
    #[must_use]
    pub const fn is_guess(&self) -> bool {
        matches!(self, Self::Malformed | Self::UnknownKey)
    }
}

/// Everybody who may ask.
#[derive(Clone, Debug)]
pub struct Callers {
    entries: Vec<Entry>,
    limits: HashMap<Arc<str>, Limits>,
    /// Found by a few bytes of what was shown, in a table whose order nobody knows; compared whole, in constant time.
    by_key: HashMap<[u8; 8], usize>,
    /// Tells one set from the next.
    version: u64,
    /// Tenants of which nobody is recognised.
    shut: HashSet<Arc<str>>,
}

impl Callers {
    /// These. What is wrong with them is said where they are read.
    #[must_use]
    pub(super) fn new(entries: Vec<Entry>, limits: HashMap<Arc<str>, Limits>) -> Self {
        static VERSIONS: AtomicU64 = AtomicU64::new(1);
        let keys = entries.iter().enumerate().filter_map(|(at, entry)| Some((entry.key?.beginning(), at)));
        let by_key = keys.collect();
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        Self { by_key, entries, limits, version, shut: HashSet::new() }
    }

    /// The same, with nobody of these tenants recognised: the server has not opened them.
    #[must_use]
    pub fn without(self, shut: HashSet<Arc<str>>) -> Self {
        Self { shut, ..self }
    }

    /// The same, with those revoked who once were, whom it adds to: a revocation is for ever. Also who of them is revoked no
    /// longer by what was read, which was cut or put back.
    #[must_use]
    pub fn still_revoked(mut self, known: &mut HashMap<Arc<str>, Instant>) -> (Self, Vec<Arc<str>>) {
        let mut forgotten = Vec::new();
        for entry in &mut self.entries {
            match (entry.revoked, known.get(&entry.name)) {
                (Some(at), None) => drop(known.insert(Arc::clone(&entry.name), at)),
                (None, Some(at)) => {
                    entry.revoked = Some(*at);
                    forgotten.push(Arc::clone(&entry.name));
                }
                _ => {}
            }
        }
        (self, forgotten)
    }

    /// Everybody, those revoked as well.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every tenant that is named, by somebody who was revoked as well: what it has must still be looked after.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<Arc<str>> {
        self.entries.iter().map(|entry| Arc::clone(&entry.tenant)).collect()
    }

    /// The tenant of a caller, revoked or not.
    #[must_use]
    pub fn tenant_of(&self, name: &str) -> Option<Arc<str>> {
        self.entries.iter().find(|entry| &*entry.name == name).map(|entry| Arc::clone(&entry.tenant))
    }

    /// The tenants that have limits of their own.
    #[must_use]
    pub fn limits(&self) -> HashMap<Arc<str>, Limits> {
        self.limits.clone()
    }

    /// Who it is.
    ///
    /// # Errors
    /// Nobody who may ask.
    pub fn recognise(&self, shown: Shown<'_>, now: Instant) -> Result<Caller, Unrecognised> {
        self.caller_of(&shown.read()?, now)
    }

    /// Whose these credentials are now.
    ///
    /// # Errors
    /// Nobody's who may ask.
    pub fn caller_of(&self, credentials: &Credentials, now: Instant) -> Result<Caller, Unrecognised> {
        // Whatever else is shown: on a new connection it would not come to that.
        if credentials.certificate.as_deref().is_some_and(|shown| !shown.is_trusted()) {
            return Err(Unrecognised::Distrusted);
        }
        let entry = self.entry_of(credentials)?;
        let name = || Arc::clone(&entry.name);
        // TLS looked at its end when the connection was made, and connections stay open. Whoever has a key beside it would not
        // get as far on a new one either.
        let is_over = credentials.certificate_ends().is_some_and(|ends| now >= ends);
        match entry.state(now) {
            State::Revoked => return Err(Unrecognised::Revoked(name())),
            State::Expired => return Err(Unrecognised::Expired(name())),
            State::Valid if is_over => return Err(Unrecognised::Expired(name())),
            State::Valid => {}
        }
        if !self.shut.is_empty() && self.shut.contains(&entry.tenant) {
            return Err(Unrecognised::TenantShut(name()));
        }
        // The law is public: whoever may do anything may read it.
        Ok(Caller::new(Arc::clone(&entry.tenant), name(), entry.roles.and(Role::ReadLaw)))
    }

    /// From when on these credentials are nobody's, as far as that is known now.
    pub(super) fn expiry_of(&self, credentials: &Credentials) -> Option<Instant> {
        let entry = self.entry_of(credentials).ok()?;
        entry.expires.into_iter().chain(credentials.certificate_ends()).min()
    }

    fn entry_of(&self, credentials: &Credentials) -> Result<&Entry, Unrecognised> {
        match (&credentials.key, credentials.certificate.as_deref()) {
            // What is shown wrongly is never made good by something else.
            (Some(digest), certificate) => {
                let entry = self.of_key(digest).ok_or(Unrecognised::UnknownKey)?;
                match (&entry.certificate, certificate) {
                    (Some(known), Some(shown)) if known.is(shown) => {}
                    (Some(_), _) => return Err(Unrecognised::NeedsCertificate(Arc::clone(&entry.name))),
                    (None, _) => {}
                }
                Ok(entry)
            }
            (None, Some(certificate)) => {
                let entry = self.of_certificate(certificate)?;
                if entry.key.is_some() {
                    return Err(Unrecognised::NeedsKey(Arc::clone(&entry.name)));
                }
                Ok(entry)
            }
            (None, None) => Err(Unrecognised::Nothing),
        }
    }

    fn of_key(&self, digest: &KeyDigest) -> Option<&Entry> {
        let entry = self.entries.get(*self.by_key.get(&digest.beginning())?)?;
        entry.key.filter(|key| key.is(digest)).map(|_| entry)
    }

    fn of_certificate(&self, shown: &ShownCertificate) -> Result<&Entry, Unrecognised> {
        let mut whose = shown.whose.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match &*whose {
            Some((version, found)) if *version == self.version => found.clone(),
            _ => {
                let found = self.look_for(shown);
                *whose = Some((self.version, found.clone()));
                found
            }
        };
        found.and_then(|at| self.entries.get(at).ok_or(Unrecognised::UnknownCertificate))
    }

    /// A certificate named whole is its caller's; else the one caller whose name it is issued for. Those who were revoked
    /// count: a certificate must not become another's.
    fn look_for(&self, shown: &ShownCertificate) -> Result<usize, Unrecognised> {
        let all = || self.entries.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.certificate.as_ref()?)));
        let is_it = |known: &Certificate| matches!(known, Certificate::Sha256(digest) if *digest == shown.sha256);
        if let Some((at, _)) = all().find(|(_, known)| is_it(known)) {
            return Ok(at);
        }
        let is_named = |known: &Certificate| matches!(known, Certificate::Name(name) if shown.is_for(name));
        let mut named = all().filter(|(_, known)| is_named(known)).map(|(at, _)| at);
        match (named.next(), named.next()) {
            (None, _) => Err(Unrecognised::UnknownCertificate),
            (Some(at), None) => Ok(at),
            (Some(_), Some(_)) => Err(Unrecognised::AmbiguousCertificate),
        }
    }
}

/// The secret of an `authorization` header; `None`: there is none.
fn bearer(headers: &http::HeaderMap) -> Result<Option<&str>, Unrecognised> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| Unrecognised::Malformed)?;
    let (scheme, secret) = text.split_once(' ').ok_or(Unrecognised::Malformed)?;
    let secret = secret.trim();
    // Two could be read by one party and the other by another.
    let one = values.next().is_none() && !secret.is_empty() && !secret.contains([' ', ',']);
    if !one || secret.len() > MOST_SECRET || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Unrecognised::Malformed);
    }
    Ok(Some(secret))
}
