//! The tenant's own lists: what makes the tags of those in files, and how a check sees those that are kept by API.

use std::sync::Arc;

use super::check::Turned;
use super::control::Standing;
use crate::access::DEFAULT_TENANT;
use crate::decision::{Lists, Look};
use crate::registry::{Mark, Tagger};
use crate::store::Keys;
use crate::time::Instant;

/// Keys that make the tags of one tenant's lists.
#[derive(Clone)]
pub struct ListTags {
    keys: Keys,
    /// `None`: the first, whose tags are older than other tenants are.
    tenant: Option<Box<str>>,
}

impl ListTags {
    /// Those of the first tenant's lists.
    #[must_use]
    pub const fn new(keys: Keys) -> Self {
        Self { keys, tenant: None }
    }

    /// Those of this tenant's lists.
    #[must_use]
    pub fn of(keys: Keys, tenant: &str) -> Self {
        Self { keys, tenant: (tenant != DEFAULT_TENANT).then(|| tenant.into()) }
    }
}

impl Tagger for ListTags {
    fn mark(&self) -> Mark {
        let tenant = self.tenant.as_deref().map(|tenant| self.keys.list_mark(tenant));
        Mark { keys: self.keys.hash_mark(), tenant }
    }

    fn tag(&self, list: &str, e164_digits: u64) -> u64 {
        match &self.tenant {
            None => self.keys.listed(list, e164_digits),
            Some(tenant) => self.keys.listed_by(tenant, list, e164_digits),
        }
    }

    fn of_tenant(&self, name: &str) -> Arc<dyn Tagger> {
        Arc::new(Self::of(self.keys.clone(), name))
    }
}

/// The lists of files, and beside them those of the tenant's own that are complete by what was added by API. That a number
/// was added stands in its record, which says so itself; here it is said that nothing else can be on such a list.
///
/// Where a file is loaded it alone says what is not on the list, and how old that is: a list that is kept in a file and
/// added to by API never looks fresher than its file. Where a file is there and cannot be used, nothing is known.
pub(super) struct WithOwn<'a> {
    pub files: &'a Turned<'a>,
    pub standing: &'a Standing,
    pub now: Instant,
}

impl Lists for WithOwn<'_> {
    fn look_up(&self, registry: &str) -> Option<Look> {
        let own = || {
            let complete = self.standing.is_complete(registry) && !self.files.lists.is_obscure(registry);
            complete.then(|| Look {
                listed: Some(false),
                listed_at: None,
                as_of: self.now,
                version: Look::HERE.into(),
                sample: false,
            })
        };
        self.files.look_up(registry).or_else(own)
    }

    // What was added by API stands in the record.
    fn own_hits(&self) -> Vec<Box<str>> {
        let lost = self.standing.in_files().iter().filter(|list| self.files.lists.get(list).is_none());
        let mut hits = self.files.own_hits();
        hits.extend(lost.cloned());
        hits
    }

    fn own_clear(&self, tell: &mut dyn FnMut(&str)) {
        self.files.own_clear(tell);
        let here = |list: &&str| self.files.lists.get(list).is_none() && !self.files.lists.is_obscure(list);
        self.standing.complete().iter().map(|list| &**list).filter(here).for_each(tell);
    }
}
