//! The file that says who may ask: read whole, and only ever added to.
//!
//! Promises: every fault is told at once, with the name of the entry; a name, a key or a certificate belongs to one entry
//! for ever, also after it was revoked, so that the audit log stays unambiguous. It holds no secret: a stolen copy opens
//! nothing.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Deserialize;

use super::callers::{Callers, Certificate, Entry};
use super::secret::KeyDigest;
use super::{Limits, Role, Roles, is_name};
use crate::time::Instant;

/// The first lines of a file made here.
const HEAD: &str = "\
# Who may ask this server: see deploy/access.md. Made by `ringfence access`, which only adds to it; may be edited.
# It holds no secret: of each API key only the SHA-256 is kept.
";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    caller: Vec<CallerText>,
    #[serde(default)]
    revoked: Vec<RevokedText>,
    #[serde(default)]
    limit: Vec<LimitText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerText {
    name: String,
    tenant: String,
    roles: Vec<String>,
    key: Option<String>,
    certificate: Option<String>,
    created: Option<String>,
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedText {
    name: String,
    at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitText {
    tenant: String,
    rate: Option<u32>,
    at_once: Option<u32>,
}

/// What was found wrong so far.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, entry: &str, name: &str, what: &str) {
        let name: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        self.0.push(format!("[[{entry}]] `{name}`: {what}"));
    }
}

const NAME: &str = "is not 1 to 64 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or a digit";

impl Callers {
    /// Reads the text of a file. What a tenant has no limit of its own for is limited as usual.
    ///
    /// # Errors
    /// Every fault of it. None of them shows what is kept of a key.
    pub fn read(text: &str, usual: Limits) -> Result<Self, Vec<String>> {
        let text: Text = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
            vec![format!("line {line}: {}", error.message())]
        })?;
        let mut faults = Faults::default();
        let mut entries: Vec<Entry> = text.caller.into_iter().map(|caller| entry(caller, &mut faults)).collect();
        for revoked in text.revoked {
            let at = instant("revoked", &revoked.name, "at", Some(&revoked.at), &mut faults);
            match entries.iter_mut().find(|entry| *entry.name == *revoked.name) {
                // What it says is meant, though the instant may not read: then all is refused anyway.
                Some(entry) => entry.revoked = entry.revoked.or(at),
                None => faults.add("revoked", &revoked.name, "no caller has this name"),
            }
        }
        distinct(&entries, &mut faults);
        let mut limits = HashMap::new();
        for limit in text.limit {
            let own =
                Limits { rate: limit.rate.unwrap_or(usual.rate), at_once: limit.at_once.unwrap_or(usual.at_once) };
            if !entries.iter().any(|entry| *entry.tenant == *limit.tenant) {
                faults.add("limit", &limit.tenant, "no caller has this tenant");
            }
            if limits.insert(Arc::from(limit.tenant.as_str()), own).is_some() {
                faults.add("limit", &limit.tenant, "this tenant has two");
            }
        }
        if faults.0.is_empty() { Ok(Self::new(entries, limits)) } else { Err(faults.0) }
    }
}

fn entry(text: CallerText, faults: &mut Faults) -> Entry {
    let name = text.name.as_str();
    let mut fault = |what: &str| faults.add("caller", name, what);
    if !is_name(name) {
        fault(&format!("the name {NAME}"));
    }
    if !is_name(&text.tenant) {
        fault(&format!("the tenant {NAME}"));
    }
    let mut roles = Roles::default();
    for word in &text.roles {
        match Role::of_word(word) {
            Some(role) => roles = roles.and(role),
            None => {
                let known: Vec<_> = Role::ALL.iter().map(|role| role.word()).collect();
                let word: String = word.chars().take(32).flat_map(char::escape_debug).collect();
                fault(&format!("`{word}` is no role; there are {}", known.join(", ")));
            }
        }
    }
    if text.roles.is_empty() {
        fault("has no roles");
    }
    let key = text.key.as_deref().map(KeyDigest::parse);
    if matches!(key, Some(None)) {
        fault("key is not `sha256:` and 64 hexadecimal digits");
    }
    let certificate = text.certificate.as_deref().map(Certificate::parse);
    if matches!(certificate, Some(None)) {
        fault("certificate is neither `sha256:` and 64 hexadecimal digits nor a DNS name or address");
    }
    if key.is_none() && certificate.is_none() {
        fault("has neither key nor certificate");
    }
    let created = instant("caller", name, "created", text.created.as_deref(), faults);
    let expires = instant("caller", name, "expires", text.expires.as_deref(), faults);
    Entry {
        name: name.into(),
        tenant: text.tenant.as_str().into(),
        roles,
        key: key.flatten(),
        certificate: certificate.flatten(),
        created,
        expires,
        revoked: None,
    }
}

fn instant(entry: &str, name: &str, field: &str, text: Option<&str>, faults: &mut Faults) -> Option<Instant> {
    let at = text.and_then(Instant::from_rfc3339);
    if text.is_some() && at.is_none() {
        faults.add(entry, name, &format!("{field} is not an instant such as 2027-01-31T00:00:00Z"));
    }
    at
}

/// No two may be taken for each other.
fn distinct(entries: &[Entry], faults: &mut Faults) {
    let (mut names, mut keys, mut certificates) = (HashSet::new(), HashSet::new(), HashSet::new());
    for entry in entries {
        if !names.insert(&entry.name) {
            faults.add("caller", &entry.name, "two callers have this name; one that was revoked keeps its own");
        }
        if entry.key.is_some_and(|key| !keys.insert(key.beginning())) {
            faults.add("caller", &entry.name, "another caller has the same key");
        }
        if entry.certificate.as_ref().is_some_and(|certificate| !certificates.insert(certificate.text())) {
            faults.add("caller", &entry.name, "another caller has the same certificate");
        }
    }
}

/// A caller to be added.
#[derive(Clone, Debug)]
pub struct NewCaller<'a> {
    /// Its name.
    pub name: &'a str,
    /// For whom it asks.
    pub tenant: &'a str,
    /// What it may do.
    pub roles: Roles,
    /// What is kept of its key.
    pub key: Option<KeyDigest>,
    /// The certificate by which it is known.
    pub certificate: Option<&'a Certificate>,
    /// The present instant.
    pub created: Instant,
    /// From when on it is nobody.
    pub expires: Option<Instant>,
}

/// The text of a file with one caller more.
#[must_use]
pub fn appended_caller(text: &str, new: &NewCaller<'_>) -> String {
    let mut out = begun(text);
    let roles: Vec<_> = new.roles.iter().map(|role| format!("\"{role}\"")).collect();
    let (name, tenant, created) = (new.name, new.tenant, new.created);
    let _ = writeln!(out, "\n[[caller]]\nname = \"{name}\"\ntenant = \"{tenant}\"\nroles = [{}]", roles.join(", "));
    if let Some(key) = &new.key {
        let _ = writeln!(out, "key = \"{}\"", key.text());
    }
    if let Some(certificate) = new.certificate {
        let _ = writeln!(out, "certificate = \"{}\"", certificate.text());
    }
    let _ = writeln!(out, "created = \"{created}\"");
    if let Some(expires) = new.expires {
        let _ = writeln!(out, "expires = \"{expires}\"");
    }
    out
}

/// The text of a file in which this caller is revoked.
#[must_use]
pub fn appended_revocation(text: &str, name: &str, at: Instant) -> String {
    format!("{}\n[[revoked]]\nname = \"{name}\"\nat = \"{at}\"\n", begun(text))
}

fn begun(text: &str) -> String {
    match text.trim_end() {
        "" => HEAD.to_owned(),
        text => format!("{text}\n"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::{ApiKey, Shown, State, Unrecognised};
    use super::*;

    fn at(text: &str) -> Instant {
        Instant::from_rfc3339(text).unwrap()
    }

    fn shows(secret: &str) -> http::HeaderMap {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {secret}").parse().unwrap());
        headers
    }

    #[test]
    fn who_was_added_is_recognised_until_it_expires_or_is_revoked() {
        let key = ApiKey::generate().unwrap();
        let (now, end) = (at("2026-11-22T10:00:00Z"), at("2026-12-01T00:00:00Z"));
        let new = NewCaller {
            name: "dialer-1",
            tenant: "acme",
            roles: Roles::default().and(Role::Check).and(Role::WriteConsent),
            key: Some(key.digest()),
            certificate: None,
            created: now,
            expires: Some(end),
        };
        let text = appended_caller("# kept\n", &new);
        assert!(text.starts_with("# kept\n") && !text.contains(key.reveal()));
        let callers = Callers::read(&text, Limits::NONE).unwrap();
        let headers = shows(key.reveal());
        let shown = Shown { headers: &headers, peer: None };
        let caller = callers.recognise(shown, now).unwrap();
        assert_eq!((caller.tenant(), caller.name()), ("acme", "dialer-1"));
        assert!(caller.permit(Role::Check).is_ok() && caller.permit(Role::ReadLaw).is_ok());
        assert!(caller.permit(Role::ReadContacts).is_err());
        assert_eq!(callers.recognise(shown, end).unwrap_err(), Unrecognised::Expired("dialer-1".into()));
        let revoked = Callers::read(&appended_revocation(&text, "dialer-1", end), Limits::NONE).unwrap();
        assert_eq!(revoked.entries().first().unwrap().state(now), State::Revoked);
        assert_eq!(revoked.recognise(shown, now).unwrap_err(), Unrecognised::Revoked("dialer-1".into()));
    }

    #[test]
    fn what_is_no_key_is_nobody() {
        let callers = Callers::read("", Limits::NONE).unwrap();
        let shown = |headers: &http::HeaderMap| {
            callers.recognise(Shown { headers, peer: None }, at("2026-11-22T10:00:00Z")).unwrap_err()
        };
        assert_eq!(shown(&http::HeaderMap::new()), Unrecognised::Nothing);
        assert_eq!(shown(&shows("rfk_x")), Unrecognised::UnknownKey);
        for bad in
            ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer a b", "Bearer a,b", &format!("Bearer {}", "a".repeat(257))]
        {
            let mut headers = http::HeaderMap::new();
            headers.insert("authorization", bad.parse().unwrap());
            assert_eq!(shown(&headers), Unrecognised::Malformed, "{bad}");
        }
        let mut twice = shows("a");
        twice.append("authorization", "Bearer b".parse().unwrap());
        assert_eq!(shown(&twice), Unrecognised::Malformed);
    }

    #[test]
    fn every_fault_is_told_and_no_digest() {
        let key = KeyDigest::of("x").text();
        let text = format!(
            "[[caller]]\nname=\"A\"\ntenant=\"\"\nroles=[\"rule\"]\nkey=\"{key}x\"\n\
             [[caller]]\nname=\"b\"\ntenant=\"t\"\nroles=[]\nexpires=\"soon\"\n\
             [[caller]]\nname=\"b\"\ntenant=\"t\"\nroles=[\"check\"]\nkey=\"{key}\"\n\
             [[caller]]\nname=\"c\"\ntenant=\"t\"\nroles=[\"check\"]\nkey=\"{key}\"\ncertificate=\"a b\"\n\
             [[revoked]]\nname=\"d\"\nat=\"2026-11-22T10:00:00Z\"\n[[limit]]\ntenant=\"u\"\n"
        );
        let faults = Callers::read(&text, Limits::NONE).unwrap_err();
        assert_eq!(faults.len(), 12, "{faults:#?}");
        assert!(faults.iter().all(|fault| !fault.contains(&key[7..20])), "{faults:#?}");
        let faults = Callers::read("[[caller]]\nnam = \"a\"\n", Limits::NONE).unwrap_err();
        assert!(faults.first().unwrap().starts_with("line 2"), "{faults:?}");
    }

    #[test]
    fn a_limit_holds_for_one_tenant() {
        let text = "[[caller]]\nname=\"a\"\ntenant=\"t\"\nroles=[\"check\"]\ncertificate=\"a.example\"\n\
                    [[limit]]\ntenant=\"t\"\nrate=7\n";
        let limits = Callers::read(text, Limits { rate: 1, at_once: 2 }).unwrap().limits();
        assert_eq!(limits.get("t"), Some(&Limits { rate: 7, at_once: 2 }));
    }
}
