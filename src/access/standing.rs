//! Somebody whose request goes on for long, held against the callers as they are, not as they were when it began.
//!
//! Promises: what was shown when it began is looked up anew each time leave is asked for, so whoever was revoked, has
//! expired, was taken out of the file or lost the role has none from the instant at which a new request would be refused;
//! what waits for nothing else is woken then. Guarded by `tests/access/streams.rs`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Access, Caller, Credentials, Permit, Refused, Role, Unrecognised};
use crate::time::Instant;

/// The wall clock may be set while somebody waits for an instant of it.
const LOOK: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Clone, Debug)]
pub struct Standing {
    access: Arc<Access>,
    credentials: Credentials,
    caller: Caller,
    role: Role,
    changed: watch::Receiver<()>,
}

/// Why somebody may no longer go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Lost {
    /// They are not who they were any more.
    #[error(transparent)]
    Unrecognised(#[from] Unrecognised),
    /// The role was taken from them.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Standing {
    /// Of this caller, who was recognised by these credentials and does what needs this role.
    #[must_use]
    pub fn new(access: Arc<Access>, credentials: Credentials, caller: Caller, role: Role) -> Self {
        let changed = access.changed.subscribe();
        Self { access, credentials, caller, role, changed }
    }

    /// Leave to go on, with what else the caller may now.
    ///
    /// # Errors
    /// They may no longer.
    pub fn permit(&self, now: Instant) -> Result<Permit, Lost> {
        let caller = self.access.callers().caller_of(&self.credentials, now)?;
        // It goes on for the tenant, and in the name, under which it began.
        if caller.tenant() != self.caller.tenant() || caller.name() != self.caller.name() {
            return Err(Unrecognised::Another(self.caller.name().into()).into());
        }
        Ok(caller.permit(self.role)?)
    }

    /// Comes once they may no longer, by this clock.
    pub async fn lost(mut self, now: fn() -> Instant) -> Lost {
        loop {
            // First: what changes from here on is heard of.
            self.changed.mark_unchanged();
            let at = now();
            if let Err(lost) = self.permit(at) {
                return lost;
            }
            let until = self.access.callers().expiry_of(&self.credentials);
            let wait = until.map(|until| u64::try_from(until.millis().saturating_sub(at.millis())).unwrap_or(0));
            let expired = async {
                match wait {
                    Some(wait) => tokio::time::sleep(Duration::from_millis(wait).min(LOOK)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { std::future::pending::<()>().await },
                () = expired => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rustls::pki_types::CertificateDer;

    use super::super::secret::sha256;
    use super::super::{ApiKey, Callers, Limits, NewCaller, Roles, Shown, appended_caller, appended_revocation};
    use super::super::{Certificate, Peer, ShownCertificate};
    use super::*;
    use crate::time::Millis;

    fn at(text: &str) -> Instant {
        Instant::from_rfc3339(text).unwrap()
    }

    /// Two callers, and the headers of the first.
    fn two() -> (String, Access, http::HeaderMap) {
        let (key, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        let text = [("one", &key), ("other", &other)].into_iter().fold(String::new(), |text, (name, key)| {
            let new = NewCaller {
                name,
                tenant: "acme",
                roles: Roles::default().and(Role::Check).and(Role::AssertExceptional),
                key: Some(key.digest()),
                certificate: None,
                created: at("2026-11-22T10:00:00Z"),
                expires: Some(at("2026-12-01T00:00:00Z")),
            };
            appended_caller(&text, &new)
        });
        let access = Access::new(Callers::read(&text, Limits::NONE).unwrap(), Limits::NONE);
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {}", key.reveal()).parse().unwrap());
        (text, access, headers)
    }

    #[test]
    fn leave_follows_the_callers_and_the_clock() {
        let (text, access, headers) = two();
        let now = at("2026-11-22T10:00:00Z");
        let shown = Shown { headers: &headers, peer: None };
        let (credentials, caller) = (shown.read().unwrap(), access.callers().recognise(shown, now).unwrap());
        let access = Arc::new(access);
        let standing = Standing::new(Arc::clone(&access), credentials, caller, Role::Check);
        let put = |text: &str| access.change(Callers::read(text, Limits::NONE).unwrap());
        assert!(standing.permit(now).unwrap().may_assert_exceptional());
        put(&text.replacen("\"assert-emergencies\"", "\"audit\"", 1));
        assert!(!standing.permit(now).unwrap().may_assert_exceptional(), "what was taken is taken");
        put(&text.replacen("\"check\"", "\"audit\"", 1));
        assert_eq!(standing.permit(now).unwrap_err(), Lost::Refused(Refused { role: Role::Check }));
        put(&text);
        let end = at("2026-12-01T00:00:00Z");
        assert_eq!(standing.permit(end).unwrap_err(), Lost::Unrecognised(Unrecognised::Expired("one".into())));
        put(&appended_revocation(&text, "one", now));
        assert_eq!(standing.permit(now).unwrap_err(), Lost::Unrecognised(Unrecognised::Revoked("one".into())));
        put(&appended_revocation(&text, "other", now));
        assert!(standing.permit(now).is_ok());
        put("");
        assert_eq!(standing.permit(now).unwrap_err(), Lost::Unrecognised(Unrecognised::UnknownKey));
        for (was, is) in [("name = \"one\"", "name = \"two\""), ("tenant = \"acme\"", "tenant = \"beta\"")] {
            put(&text.replacen(was, is, 1));
            assert_eq!(
                standing.permit(now).unwrap_err(),
                Lost::Unrecognised(Unrecognised::Another("one".into())),
                "{is}"
            );
        }
    }

    #[test]
    fn a_certificate_ends_while_its_connection_stays_open() {
        let (now, end) = (at("2026-11-22T10:00:00Z"), at("2026-11-23T00:00:00Z"));
        let shown = ShownCertificate::new(CertificateDer::from(vec![1]), end.millis() / 1_000);
        let (print, key) = (&Certificate::Sha256(sha256(&[1])), ApiKey::generate().unwrap());
        let peer = Peer { address: ([127, 0, 0, 1], 1).into(), certificate: Some(Arc::new(shown)) };
        let entry = |key, certificate, expires| {
            let roles = Roles::default().and(Role::Check);
            let new = NewCaller { name: "one", tenant: "acme", roles, key, certificate, created: now, expires };
            Access::new(Callers::read(&appended_caller("", &new), Limits::NONE).unwrap(), Limits::NONE)
        };
        let mut headers = http::HeaderMap::new();
        let alone = Shown { headers: &headers, peer: Some(&peer) }.read().unwrap();
        headers.insert("authorization", format!("Bearer {}", key.reveal()).parse().unwrap());
        let both = Shown { headers: &headers, peer: Some(&peer) }.read().unwrap();
        let without = Shown { headers: &headers, peer: None }.read().unwrap();
        let later = at("2026-12-01T00:00:00Z");
        for (access, credentials, ends) in [
            (entry(None, Some(print), None), &alone, Some(end)),
            (entry(None, Some(print), Some(later)), &alone, Some(end)),
            (entry(Some(key.digest()), Some(print), None), &both, Some(end)),
            (entry(Some(key.digest()), None, None), &both, Some(end)),
            (entry(Some(key.digest()), None, None), &without, None),
        ] {
            assert_eq!(access.callers().expiry_of(credentials), ends);
            let caller = access.callers().caller_of(credentials, now).unwrap();
            let standing = Standing::new(Arc::new(access), credentials.clone(), caller, Role::Check);
            assert!(standing.permit(end.minus(Millis::seconds(1))).is_ok());
            let lost = ends.map(|_| Lost::Unrecognised(Unrecognised::Expired("one".into())));
            assert_eq!(standing.permit(end).err(), lost);
        }
    }
}
