//! Holds: duties to keep a part of a record, which erasure respects.
//!
//! A hold keeps data, it does not let them be used: what is held after an erasure covers no contact any more.

use crate::time::Instant;

/// A duty to keep a part of what is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Names it; empty for one that a rule demands by itself.
    pub id: Box<str>,
    /// The class of record, as a word: see [`Reach::of`].
    pub class: Box<str>,
    /// First instant at which it no longer holds; `None`: until it is lifted.
    pub until: Option<Instant>,
    /// Why, in plain words.
    pub reason: Box<str>,
    /// The rule that demands it; empty: the tenant's own.
    pub rule_id: Box<str>,
    /// Where it is written; empty: nowhere.
    pub citation: Box<str>,
}

impl Hold {
    /// Whether it holds at `now`.
    #[must_use]
    pub fn in_force(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What of the record it reaches.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of(&self.class)
    }
}

/// The classes of record that a tenant's own hold may name.
pub const CLASSES: [&str; 6] = ["consents", "opt_outs", "attempts", "facts", "decisions", "everything"];

/// What of a record a hold reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reach {
    /// Consents as they were recorded: the proof of them.
    Consents,
    /// Opt-outs as they were recorded, with their words.
    OptOuts,
    /// Attempts with their ids and names.
    Attempts,
    /// Everything. So for decisions, since the log of them opens with the contact's own key, which opens all the rest; and
    /// for facts, since nothing in a record would tell those kept from those in use.
    Everything,
}

impl Reach {
    /// What a class of record is in the record: those of a tenant's holds, and those of the packs' rules about retention.
    /// A class that is not known here could be anything, so it reaches everything.
    #[must_use]
    pub fn of(class: &str) -> Self {
        match class {
            "consents" | "consent_proof" => Self::Consents,
            "opt_outs" | "opt_out" => Self::OptOuts,
            "attempts" => Self::Attempts,
            _ => Self::Everything,
        }
    }
}

/// What the holds in force at `now` keep: the union of their reaches, each once, in order.
#[must_use]
pub fn kept(holds: &[Hold], now: Instant) -> Vec<Reach> {
    let mut reaches: Vec<_> = holds.iter().filter(|hold| hold.in_force(now)).map(Hold::reach).collect();
    reaches.sort_unstable();
    reaches.dedup();
    reaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(class: &str, until: Option<i64>) -> Hold {
        Hold {
            id: "1".into(),
            class: class.into(),
            until: until.map(Instant::from_millis),
            reason: "x".into(),
            rule_id: "".into(),
            citation: "".into(),
        }
    }

    #[test]
    fn a_hold_ends_at_its_instant_and_the_longest_counts() {
        let holds = [hold("consents", Some(10)), hold("consents", Some(20)), hold("attempts", None)];
        let at = |millis| kept(&holds, Instant::from_millis(millis));
        assert_eq!(at(9), [Reach::Consents, Reach::Attempts]);
        assert_eq!(at(19), [Reach::Consents, Reach::Attempts], "the longer of two");
        assert_eq!(at(20), [Reach::Attempts]);
    }

    #[test]
    fn a_class_nobody_knows_keeps_everything() {
        for class in ["decisions", "facts", "everything", "orders", ""] {
            assert_eq!(Reach::of(class), Reach::Everything, "{class}");
        }
        assert_eq!(Reach::of("consent_proof"), Reach::Consents);
    }
}
