//! The tenant's own lists hold no numbers: a tag stands for each, which without the tenant's keys says nothing.

/// Makes tags of numbers. What knows the keys is one; this module knows none.
pub trait Tagger: Send + Sync {
    /// Tells keys apart, and says nothing of them: a list made under others is of no use.
    fn mark(&self) -> [u8; 4];

    /// The tag of a number (the digits of its E.164 form) in this list. Of 64 bits, so that two of a million numbers have
    /// the same one time in forty million lists; and then somebody is called too seldom.
    fn tag(&self, list: &str, e164_digits: u64) -> u64;
}
