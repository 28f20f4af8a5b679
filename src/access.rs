//! Who may do what. A use case takes a [`Permit`], and only this file makes one: nobody can forget to ask.
//!
//! Promises: a credential that is wrong, expired or revoked is nobody's; a caller acts for one tenant and has the roles
//! written for it and no other. Without configured authentication everybody who reaches the server is the tenant
//! `default` with every role, which is why such a server listens on loopback only. Must never keep, show or log a secret.
//! Guarded by `tests/access.rs`.

mod arrivals;
mod callers;
mod file;
mod follower;
mod gate;
mod guesses;
mod limits;
mod line;
mod secret;
mod share;
mod standing;

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub use arrivals::{Arrival, Arrived, EACH};
pub use callers::{Callers, Certificate, Credentials, Entry, Peer, Shown, ShownCertificate, State, Unrecognised};
pub use file::{NewCaller, appended_caller, appended_revocation};
pub use gate::{Busy, Gate, GateSettings, GateState, Lane, Ticket, Why};
pub use guesses::{Guesses, network};
pub use limits::{Errand, Exhausted, Limits, Pass, Quota, Quotas};
pub use line::Line;
pub use secret::{ApiKey, KeyDigest};
pub use share::Share;
pub use standing::{Lost, Standing};

/// What a caller may be allowed to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Role {
    /// Ask checks and report outcomes.
    Check,
    /// Assert emergencies and notices required by law.
    AssertExceptional,
    /// Record consents, opt-outs and facts.
    WriteConsent,
    /// Read contacts.
    ReadContacts,
    /// Read decisions.
    Audit,
    /// Read the law. Everybody who is recognised may: it is public.
    ReadLaw,
    /// Freeze contacts and lift freezes, declare emergencies and end them, list both.
    Control,
    /// Serve requests under data-protection law: open, list and resolve them, export and erase contacts, place holds.
    Privacy,
    /// Replace the lists of the tenant, and look into lists.
    ManageLists,
    /// See how the server as a whole does: its metrics, what is not ready, what its shadow packs would answer. Shows counts
    /// over every tenant, and no tenant's data.
    Operate,
    /// Change what holds for the tenant as a whole, mostly for good: off-board it, move a seller's contacts to another, sweep,
    /// publish policies, place and release retention holds, keep incidents.
    Administer,
    /// Read every contact, page by page.
    Export,
}

impl Role {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::Check,
        Self::AssertExceptional,
        Self::WriteConsent,
        Self::ReadContacts,
        Self::Audit,
        Self::ReadLaw,
        Self::Control,
        Self::Privacy,
        Self::ManageLists,
        Self::Operate,
        Self::Administer,
        Self::Export,
    ];

    /// Its name in the access file and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::AssertExceptional => "assert-emergencies",
            Self::WriteConsent => "write-consent",
            Self::ReadContacts => "read-contacts",
            Self::Audit => "audit",
            Self::ReadLaw => "read-law",
            Self::Control => "control",
            Self::Privacy => "privacy",
            Self::ManageLists => "manage-lists",
            Self::Operate => "operate",
            Self::Administer => "administer",
            Self::Export => "export",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Some roles.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u16);

impl Roles {
    /// Every role.
    pub const ALL: Self = Self((1 << Role::ALL.len()) - 1);

    /// Whether this is one of them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// With this one.
    #[must_use]
    pub const fn and(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::default(), Self::and)
    }
}

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Somebody who was recognised.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: Arc<str>,
    name: Arc<str>,
    roles: Roles,
}

/// The tenant of a server without configured authentication.
pub const DEFAULT_TENANT: &str = "default";

/// The longest name of a tenant or a caller, in bytes.
pub const MOST_NAME: usize = 64;

/// Whether this may be the name of a tenant or a caller: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or a
/// digit. So it needs no quoting in a file, a log line or a label, and no two differ in case alone.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= MOST_NAME
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte))
}

impl Caller {
    /// Whoever reaches a server without configured authentication, and whoever holds the data itself.
    #[must_use]
    pub fn local() -> Self {
        static LOCAL: LazyLock<Caller> = LazyLock::new(|| Caller::local_of(DEFAULT_TENANT));
        LOCAL.clone()
    }

    /// Whoever holds the data itself, for this tenant.
    #[must_use]
    pub fn local_of(tenant: &str) -> Self {
        Self { tenant: tenant.into(), name: "".into(), roles: Roles::ALL }
    }

    /// Somebody of this name who acts for this tenant.
    #[must_use]
    pub fn new(tenant: Arc<str>, name: Arc<str>, roles: Roles) -> Self {
        Self { tenant, name, roles }
    }

    /// Somebody who was not asked who they are, where that must be asked: may nothing.
    #[must_use]
    pub fn nobody() -> Self {
        static NOBODY: LazyLock<Caller> = LazyLock::new(|| Caller::new("".into(), "".into(), Roles::default()));
        NOBODY.clone()
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The name; empty without authentication.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks for a permit.
    ///
    /// # Errors
    /// The caller lacks the role.
    pub fn permit(&self, role: Role) -> Result<Permit, Refused> {
        let exceptional = self.roles.has(Role::AssertExceptional);
        let permit = Permit { tenant: Arc::clone(&self.tenant), name: Arc::clone(&self.name), role, exceptional };
        if self.roles.has(role) { Ok(permit) } else { Err(Refused { role }) }
    }
}

/// Leave to do one kind of thing for one tenant.
#[derive(Clone, Debug)]
pub struct Permit {
    tenant: Arc<str>,
    name: Arc<str>,
    role: Role,
    exceptional: bool,
}

impl Permit {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The name of the key or certificate; empty without authentication.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Whether emergencies and notices required by law may be asserted under it.
    #[must_use]
    pub const fn may_assert_exceptional(&self) -> bool {
        self.exceptional
    }
}

/// A caller lacks a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the caller lacks the role `{role}`")]
pub struct Refused {
    /// Which.
    pub role: Role,
}

/// Who may ask a server, exchanged while it serves, with what each tenant has used of what it may use.
#[derive(Debug)]
pub struct Access {
    callers: ArcSwap<Callers>,
    /// Wakes what goes on for long when the callers have changed.
    changed: watch::Sender<()>,
    /// Wrong keys, by where they came from.
    pub guesses: Guesses,
    /// What each tenant uses.
    pub quotas: Quotas,
}

impl Access {
    /// With these callers, each tenant within these limits but for those that have their own.
    #[must_use]
    pub fn new(callers: Callers, usual: Limits) -> Self {
        let quotas = Quotas::new(usual);
        quotas.limit(callers.limits());
        Self {
            callers: ArcSwap::from_pointee(callers),
            changed: watch::Sender::new(()),
            guesses: Guesses::default(),
            quotas,
        }
    }

    /// Those who may ask now.
    #[must_use]
    pub fn callers(&self) -> Arc<Callers> {
        self.callers.load_full()
    }

    /// Others may ask from now on. Requests under way finish; of streams, what was taken up: see [`Standing`].
    pub fn change(&self, callers: Callers) {
        self.quotas.limit(callers.limits());
        self.callers.store(Arc::new(callers));
        self.look_again();
    }

    /// What goes on for long asks for leave again: certificates of some are trusted no longer.
    pub fn look_again(&self) {
        self.changed.send_replace(());
    }
}
