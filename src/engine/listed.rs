//! The tenant's own lists: what makes the tags of those in files, and how a check sees those that are kept by API.

use super::check::Turned;
use super::control::Standing;
use crate::decision::{Lists, Look};
use crate::registry::Tagger;
use crate::store::Keys;
use crate::time::Instant;

/// Keys that make tags.
pub struct ListTags(pub Keys);

impl Tagger for ListTags {
    fn mark(&self) -> [u8; 4] {
        self.0.hash_mark()
    }

    fn tag(&self, list: &str, e164_digits: u64) -> u64 {
        self.0.listed(list, e164_digits)
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
            let complete = self.standing.is_complete(registry) && !self.files.lists.is_refused(registry);
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
}
