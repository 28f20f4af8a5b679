//! Who may do what. A use case takes a [`Permit`], and only this file makes one: nobody can forget to ask.
//!
//! Without configured authentication everybody who reaches the server is the tenant `default` with every role, which is
//! why such a server listens on loopback only.

use std::sync::Arc;

/// What a caller may be allowed to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
    /// Read the law.
    ReadLaw,
    /// Freeze contacts and lift freezes, declare emergencies and end them, list both.
    Control,
    /// Serve requests under data-protection law: open, list and resolve them, export and erase contacts, place holds.
    Privacy,
}

/// Somebody who was recognised.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: Arc<str>,
    name: Arc<str>,
    roles: Vec<Role>,
}

/// The tenant of a server without configured authentication.
pub const DEFAULT_TENANT: &str = "default";

impl Caller {
    /// Whoever reaches a server without configured authentication.
    #[must_use]
    pub fn local() -> Self {
        use Role::{AssertExceptional, Audit, Check, Control, Privacy, ReadContacts, ReadLaw, WriteConsent};
        Self {
            tenant: DEFAULT_TENANT.into(),
            name: "".into(),
            roles: vec![Check, AssertExceptional, WriteConsent, ReadContacts, Audit, ReadLaw, Control, Privacy],
        }
    }

    /// Asks for a permit.
    ///
    /// # Errors
    /// The caller lacks the role.
    pub fn permit(&self, role: Role) -> Result<Permit, Refused> {
        let granted = self.roles.contains(&role);
        let exceptional = self.roles.contains(&Role::AssertExceptional);
        let permit = Permit { tenant: Arc::clone(&self.tenant), name: Arc::clone(&self.name), role, exceptional };
        if granted { Ok(permit) } else { Err(Refused { role }) }
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
#[error("the caller lacks the role {role:?}")]
pub struct Refused {
    /// Which.
    pub role: Role,
}
