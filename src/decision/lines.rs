//! The kind of line by the loaded lists: blocks of wireless carriers, and numbers ported since.
//!
//! A list adds what is plausible, at any age; it stands alone, where nobody said anything, only while porting lists are fresh.
//! What a ported number was before does not count, by fresh copies; a number in both porting lists may be either. Not to be in a list of
//! blocks says nothing: internet lines and blocks given out since are missing there too.

use crate::contact::Set;
use crate::place::LineType;
use crate::place::lines::{TO_WIRELESS, TO_WIRELINE, WIRELESS_BLOCKS, is_north_american};
use crate::time::{Instant, Millis};

use super::evidence::{Evidence, Look};
use super::reason::ListUsed;

/// How old a porting list may be: for so long after a port a caller is excused who does not know of it (47 CFR
/// 64.1200(a)(1)(iv)).
const FRESH: Millis = Millis::days(15);

/// What the lists tell of a number.
#[derive(Default)]
pub(crate) struct Lines {
    /// Plausible kinds; empty: nothing is told.
    pub told: Set<LineType>,
    /// Whether it may be taken for all there is.
    pub alone: bool,
    /// The lists that were looked into.
    pub used: Vec<ListUsed>,
}

impl Lines {
    /// Looks a number up.
    pub fn of(e164_digits: u64, evidence: &Evidence<'_>, now: Instant) -> Self {
        if !is_north_american(e164_digits) {
            return Self::default();
        }
        let look = |id: &str| evidence.lists.look_up(id);
        let looks = [look(TO_WIRELESS), look(TO_WIRELINE), look(WIRELESS_BLOCKS)];
        let [to_wireless, to_wireline, blocks] = looks.each_ref().map(Option::as_ref);
        let listed = |look: Option<&Look>| look.is_some_and(|look| look.listed == Some(true));
        let fresh = |look: Option<&Look>| {
            // A copy of other areas is none.
            let look = look.filter(|look| look.listed.is_some());
            look.is_some_and(|look| evidence.is_fresh(look.as_of, now.minus(FRESH), now))
        };
        // An old copy does not know who has gone back since: what a block says is taken away by fresh ones alone.
        let moved = listed(to_wireline) && fresh(to_wireline) && fresh(to_wireless);
        let mobile = listed(to_wireless) || listed(blocks) && !moved;
        let mut told = Set::EMPTY;
        if mobile {
            told = told.with(LineType::Mobile);
        }
        if listed(to_wireline) {
            // Who serves fixed lines serves internet lines too.
            told = told.with(LineType::Landline).with(LineType::Voip);
        }
        let alone = !told.is_empty() && fresh(to_wireless) && fresh(to_wireline);
        let ids = [TO_WIRELESS, TO_WIRELINE, WIRELESS_BLOCKS];
        let used = ids.into_iter().zip(looks).filter_map(|(id, look)| {
            let listed = look.as_ref().and_then(|look| look.listed);
            look.map(|look| ListUsed { registry: id.into(), look: Some(look), listed, in_force: true })
        });
        Self { told, alone, used: used.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Lists;
    use super::*;
    use crate::contact::Facts;

    const NOW: Instant = Instant::from_millis(1_795_017_600_000);

    /// What each porting list says.
    struct Ported(Option<bool>, Option<bool>);

    impl Lists for Ported {
        fn look_up(&self, registry: &str) -> Option<Look> {
            let listed = match registry {
                TO_WIRELESS => self.0,
                TO_WIRELINE => self.1,
                _ => return None,
            };
            Some(Look { listed, listed_at: None, as_of: NOW, version: "v".into(), sample: false })
        }

        fn own_hits(&self) -> Vec<Box<str>> {
            Vec::new()
        }

        fn own_clear(&self, _tell: &mut dyn FnMut(&str)) {}
    }

    fn alone(ported: &Ported) -> (bool, bool) {
        let facts = Facts::default();
        let evidence = Evidence { asserted: &facts, stored: &facts, lists: ported, live: true };
        let lines = Lines::of(13_055_550_123, &evidence, NOW);
        assert_eq!(lines.used.len(), 2);
        (lines.told.contains(LineType::Landline), lines.alone)
    }

    /// A copy of other areas does not say that a number was never ported back.
    #[test]
    fn a_porting_list_of_other_areas_is_not_fresh() {
        assert_eq!(alone(&Ported(Some(false), Some(true))), (true, true));
        assert_eq!(alone(&Ported(None, Some(true))), (true, false));
        assert_eq!(alone(&Ported(Some(false), None)), (false, false));
    }
}
