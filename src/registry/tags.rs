//! The tenant's own lists hold no numbers: a tag stands for each, which without the tenant's keys says nothing.

use std::fmt;
use std::sync::Arc;

/// Tells under what the tags of a list were made, and says nothing of it: made under anything else a list is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Of the keys.
    pub keys: [u8; 4],
    /// Of the tenant, under these keys; `None`: the first, whose lists stand at the top of the folder.
    pub tenant: Option<[u8; 4]>,
}

impl Mark {
    /// The mark that was written so, if it is one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = |hex: &str| u32::from_str_radix(hex, 16).ok().map(u32::to_be_bytes);
        let (keys, tenant) = text.split_once('.').map_or((text, None), |(keys, tenant)| (keys, Some(tenant)));
        let tenant = match tenant {
            Some(tenant) => Some(bytes(tenant)?),
            None => None,
        };
        Some(Self { keys: bytes(keys)?, tenant })
    }
}

/// As it stands in the header of a file.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.keys))?;
        self.tenant.map_or(Ok(()), |tenant| write!(f, ".{:08x}", u32::from_be_bytes(tenant)))
    }
}

/// Makes tags of numbers, for one tenant. What knows the keys is one; this module knows none.
pub trait Tagger: Send + Sync {
    /// What its tags are made under.
    fn mark(&self) -> Mark;

    /// The tag of a number (the digits of its E.164 form) in this list. Of 64 bits, so that two of a million numbers have
    /// the same one time in forty million lists; and then somebody is called too seldom.
    fn tag(&self, list: &str, e164_digits: u64) -> u64;

    /// What makes the tags of another tenant than the first, under the same keys: none of them is a tag of anybody else's.
    fn of_tenant(&self, name: &str) -> Arc<dyn Tagger>;
}
