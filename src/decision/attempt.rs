//! The question: what is about to happen, already checked; and how a tenant wants doubt to be read.

use crate::contact::{Campaign, Channel, OfferCategory, Purpose, Seller, Set, Subject, Technology};
use crate::place::{Jurisdiction, LocationPosture};
use crate::time::ZoneId;

/// One call or text somebody is about to make.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How.
    pub channel: Channel,
    /// What may dial or speak; never empty. Several where the caller did not say: all must be allowed.
    pub technologies: Set<Technology>,
    /// Why.
    pub purpose: Purpose,
    /// On whose behalf.
    pub seller: Seller,
    /// About what.
    pub subject: Option<Subject>,
    /// In which campaign.
    pub campaign: Option<Campaign>,
    /// What is offered, where a rule tells offers apart.
    pub offer: Option<OfferCategory>,
    /// The digits of the number shown, after the plus.
    pub caller_id: Option<Box<str>>,
    /// A notice the law itself requires.
    pub legally_required: bool,
    /// A postal code of the person.
    pub postal_code: Option<String>,
    /// A county of the person.
    pub county: Option<String>,
    /// A zone that settles the clock.
    pub time_zone: Option<ZoneId>,
    /// Where the asking system runs, and where this server does.
    pub processing_regions: Vec<Jurisdiction>,
}

/// How a tenant wants doubt to be read. The default is the strictest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Postures {
    /// Whether a residence adds its law to the number's own place, or replaces it.
    pub location: LocationPosture,
    /// Asserted facts that loosen are ignored.
    pub stored_facts_only: bool,
    /// Exemptions resting on memory or dispute are not honoured.
    pub verified_only: bool,
    /// Named postures of packs that the tenant chose.
    pub chosen: Vec<Box<str>>,
}

impl Postures {
    /// Whether the tenant chose a named posture.
    #[must_use]
    pub fn chose(&self, name: &str) -> bool {
        self.chosen.iter().any(|chosen| &**chosen == name)
    }
}
