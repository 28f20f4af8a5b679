//! Until when a number was somebody else's: what the answers of a database of reassigned numbers say together.
//!
//! A yes about a date says that the number was given up between that date and the answer; a no, that it was not. So a no
//! undoes a yes only if it is newer and reaches as far back; one about a later date says no more than that the number was
//! given up before it. No data says nothing (47 CFR 64.1200(m)).

use crate::contact::{Facts, Reassigned, ReassignedAnswer};
use crate::time::{Instant, Millis};

use super::evidence::{Evidence, NoLists};

impl<'a> Evidence<'a> {
    /// The last instant, as far as is known at `at`, at which the number may have been given up: who consented until then
    /// does not hold it any more. `None`: nothing says that it was. And until when this is what is known.
    pub(crate) fn given_up(&self, stored_only: bool, at: Instant) -> (Option<Instant>, Instant) {
        if self.stored.reassigned.is_empty() && self.asserted.reassigned.is_empty() {
            return (None, Instant::FAR);
        }
        let mut until = Instant::FAR;
        for asked in self.answers(stored_only).filter(|fact| !self.is_seen(fact, at)).filter_map(|fact| fact.checked_at)
        {
            until = until.min(asked);
        }
        let seen = || self.answers(stored_only).filter(|fact| self.is_seen(fact, at));
        let yes = seen().filter(|fact| fact.answer == ReassignedAnswer::Yes);
        let given_up = yes.filter_map(|yes| {
            let no = seen().filter(|fact| fact.answer == ReassignedAnswer::No);
            until_when(yes, no)
        });
        (given_up.max(), until)
    }

    /// An untrusted answer may tighten, not loosen.
    fn answers(&self, stored_only: bool) -> impl Iterator<Item = &'a Reassigned> + use<'a> {
        let trusted = move |fact: &&Reassigned| !stored_only || fact.answer == ReassignedAnswer::Yes;
        self.stored.reassigned.iter().chain(self.asserted.reassigned.iter().filter(trusted))
    }

    /// Whether an answer is there at `at`. In a live check a yes counts whatever its date; what loosens waits for its own,
    /// and without one is none.
    fn is_seen(&self, fact: &Reassigned, at: Instant) -> bool {
        let yes = fact.answer == ReassignedAnswer::Yes;
        fact.checked_at.map_or(yes, |asked| asked <= at || yes && self.live)
    }
}

/// The last instant at which a number may have been given up, by what is stored: consents until then are not those of whoever
/// holds it now. `None`: nothing says that it was.
#[must_use]
pub fn given_up(stored: &Facts, now: Instant) -> Option<Instant> {
    let asserted = Facts::default();
    Evidence { asserted: &asserted, stored, lists: &NoLists, live: true }.given_up(true, now).0
}

/// When the number was given up at the latest, by one yes and what is beside it; `None`: a newer no undoes it.
fn until_when<'a>(yes: &Reassigned, no: impl Iterator<Item = &'a Reassigned>) -> Option<Instant> {
    // One that does not say when it was asked is the newest of all.
    let Some(asked) = yes.checked_at else { return Some(Instant::FAR) };
    let mut latest = asked;
    for (no, checked) in no.filter_map(|no| Some((no, no.checked_at?))) {
        let newer = checked > asked;
        match (no.since, yes.since) {
            (None, None) if newer => return None,
            (Some(since), Some(from)) if newer && since <= from => return None,
            // Of one instant and about one date, yes is believed.
            (Some(since), Some(from)) if checked >= asked && since > from => {
                latest = latest.min(since.minus(Millis(1)))
            }
            (Some(since), None) if newer => latest = latest.min(since.minus(Millis(1))),
            _ => {}
        }
    }
    Some(latest)
}
