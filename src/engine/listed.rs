//! The keys of the store make the tags of the tenant's own lists.

use crate::registry::Tagger;
use crate::store::Keys;

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
