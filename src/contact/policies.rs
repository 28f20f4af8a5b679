//! A tenant's privacy policy through its versions, and sellers that passed to others: what they do to facts.
//!
//! Promises: a material version ends what earlier consents cover of the purposes it changes, from its day on and whatever
//! anybody does or leaves undone (silence is no acceptance); opt-outs and attempts follow a seller to its successor always,
//! consents only where the successor keeps their terms. Where that stops contacts, a seller is the same in whichever
//! spelling ([`Seller::stops_as`]); a consent goes along to the letter alone.

use std::borrow::Cow;

use super::{Consent, Facts, OptOut, Purpose, Seller, Set, Term};
use crate::time::Instant;

/// A published version. Their order is that of their publication, and of their days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedPolicy {
    /// Its name, as consents name it.
    pub version: Box<str>,
    /// From when on it is in force.
    pub effective_at: Instant,
    /// Whether it changes what people agreed to.
    pub material: bool,
    /// The purposes it changes; empty: all.
    pub purposes: Set<Purpose>,
}

/// A seller that passed to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SellerTransfer {
    /// The seller that was.
    pub from: Seller,
    /// The seller that took its place.
    pub to: Seller,
    /// Whether it is bound to the terms that people agreed to.
    pub keeps_terms: bool,
    /// When it was recorded.
    pub at: Instant,
}

/// The end that a version puts to a consent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overtaking<'a> {
    /// The version.
    pub policy: &'a PublishedPolicy,
    /// The purposes of the consent that end.
    pub purposes: Set<Purpose>,
}

/// What a tenant has published and recorded that bears on facts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Succession<'a> {
    /// Versions of the privacy policy, in the order of their publication.
    pub policies: &'a [PublishedPolicy],
    /// Sellers that passed to others.
    pub transfers: &'a [SellerTransfer],
}

impl Succession<'_> {
    /// Does to the facts about an attempt for this seller and purpose what policies and transfers do to them: to those
    /// stored, and to those asserted, which are copied only where something changes. No policy that a caller asserts lifts a
    /// published one: it tightens beside it.
    pub fn apply<'a>(
        &self,
        stored: &mut Facts,
        asserted: &'a Facts,
        (seller, purpose): (&Seller, Purpose),
        now: Instant,
    ) -> Cow<'a, Facts> {
        let mut asserted = Cow::Borrowed(asserted);
        let leading = leading_to(self.transfers, seller);
        if !leading.is_empty() {
            carry_over(stored, &leading, seller, now);
            carry_over(asserted.to_mut(), &leading, seller, now);
        }
        if self.policies.iter().any(|policy| policy.material) {
            overtake(stored, self.policies, purpose);
            if !asserted.consents.is_empty() {
                overtake(asserted.to_mut(), self.policies, purpose);
            }
        }
        asserted
    }
}

/// The versions that overtake a consent, in their order.
///
/// A consent under a version that was published stands under it, whenever it was given; one that names none stands under
/// those in force when it was given; one that names a version nobody published stands under none: it may be any old text
/// that some page still shows.
pub fn overtaking<'a>(
    policies: &'a [PublishedPolicy],
    consent: &Consent,
) -> impl Iterator<Item = Overtaking<'a>> + use<'a> {
    let named = consent.policy_version.as_deref().filter(|named| !named.is_empty());
    let under = named.and_then(|named| policies.iter().position(|policy| *policy.version == *named));
    let names_one = named.is_some();
    let (given, covered) = (consent.given_at, all_if_empty(consent.purposes));
    let later = policies.iter().enumerate().filter(move |(index, policy)| match under {
        Some(under) => *index > under,
        None if names_one => true,
        None => given.is_none_or(|given| given < policy.effective_at),
    });
    later.filter(|(_, policy)| policy.material).filter_map(move |(_, policy)| {
        let purposes = covered.and(all_if_empty(policy.purposes));
        (!purposes.is_empty()).then_some(Overtaking { policy, purposes })
    })
}

/// Whether nobody need be asked again for what a version ended of a consent: the person has since consented to all of it, or
/// refused all of it.
#[must_use]
pub fn is_settled(
    facts: &Facts,
    policies: &[PublishedPolicy],
    (consent, end): (&Consent, Overtaking<'_>),
    now: Instant,
) -> bool {
    fn reaches<T: Term>(wide: Set<T>, narrow: Set<T>) -> bool {
        wide.is_empty() || !narrow.is_empty() && narrow.within(wide)
    }
    fn names<T>(wide: &[T], narrow: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
        wide.is_empty() || !narrow.is_empty() && narrow.iter().all(|one| wide.iter().any(|other| same(one, other)))
    }
    let anew = |other: &Consent| {
        other.grade >= consent.grade
            && other.given_at.is_some_and(|given| given <= now)
            && other.withdrawn_at.is_none()
            && other.expires_at.is_none_or(|ends| ends > now)
            && reaches(other.purposes, end.purposes)
            && end.purposes.iter().all(|purpose| overtaken_at(policies, other, purpose).is_none())
            && reaches(other.channels, consent.channels)
            && reaches(other.technologies, consent.technologies)
            && names(&other.sellers, &consent.sellers, |one, other| one == other)
            && names(&other.products, &consent.products, |one, other| one == other)
    };
    let refused = |opt_out: &OptOut| {
        let scope = &opt_out.scope;
        let purposes = scope.everything || !scope.purposes.is_empty() && end.purposes.within(scope.purposes);
        purposes
            && scope.subjects.is_empty()
            && scope.campaigns.is_empty()
            && reaches(scope.channels, consent.channels)
            && names(&scope.sellers, &consent.sellers, Seller::stops_as)
            && opt_out.at.is_none_or(|said| consent.given_at.is_none_or(|given| said >= given))
    };
    facts.consents.iter().any(anew) || facts.opt_outs.iter().any(refused)
}

/// When a consent ends for one purpose.
#[must_use]
pub fn overtaken_at(policies: &[PublishedPolicy], consent: &Consent, purpose: Purpose) -> Option<Instant> {
    let ends = overtaking(policies, consent).filter(|end| end.purposes.contains(purpose));
    ends.map(|end| end.policy.effective_at).min()
}

/// Marks the consents that policies overtake for a purpose. Whether any is.
pub fn overtake(facts: &mut Facts, policies: &[PublishedPolicy], purpose: Purpose) -> bool {
    let mut any = false;
    for consent in &mut facts.consents {
        let end = overtaken_at(policies, consent, purpose);
        any |= end.is_some();
        consent.overtaken_at = consent.overtaken_at.into_iter().chain(end).min();
    }
    any
}

/// The transfers by which sellers became this one, directly or through others.
#[must_use]
pub fn leading_to<'a>(transfers: &'a [SellerTransfer], seller: &Seller) -> Vec<&'a SellerTransfer> {
    let mut found: Vec<&SellerTransfer> = Vec::new();
    let mut reached = vec![seller];
    while let Some(to) = reached.pop() {
        for transfer in transfers.iter().filter(|transfer| transfer.to.stops_as(to)) {
            if !found.iter().any(|other| std::ptr::eq(*other, transfer)) {
                found.push(transfer);
                reached.push(&transfer.from);
            }
        }
    }
    found
}

/// Makes what concerned the predecessors of a seller concern the seller too. `leading` are the transfers that lead to it;
/// consents go along by those recorded until `now`.
pub fn carry_over(facts: &mut Facts, leading: &[&SellerTransfer], seller: &Seller, now: Instant) {
    if leading.is_empty() {
        return;
    }
    let before = |name: &Seller| leading.iter().any(|transfer| transfer.from.stops_as(name));
    for opt_out in &mut facts.opt_outs {
        let sellers = &mut opt_out.scope.sellers;
        if !sellers.contains(seller) && sellers.iter().any(before) {
            sellers.push(seller.clone());
        }
    }
    for past in facts.attempts.iter_mut().filter(|past| past.seller.as_ref().is_some_and(before)) {
        past.seller = Some(seller.clone());
    }
    let kept = keeping(leading, seller, now);
    for consent in facts.consents.iter_mut().filter(|consent| !consent.sellers.contains(seller)) {
        if consent.sellers.iter().any(|name| kept.contains(&name)) {
            consent.sellers.push(seller.clone());
        }
    }
}

/// The predecessors whose consents came along: every step on the way kept their terms.
fn keeping<'a>(leading: &[&'a SellerTransfer], seller: &Seller, now: Instant) -> Vec<&'a Seller> {
    let mut kept: Vec<&Seller> = Vec::new();
    loop {
        let next = leading.iter().find(|transfer| {
            let reaches = transfer.to == *seller || kept.contains(&&transfer.to);
            transfer.keeps_terms && transfer.at <= now && reaches && !kept.contains(&&transfer.from)
        });
        match next {
            Some(transfer) => kept.push(&transfer.from),
            None => return kept,
        }
    }
}

fn all_if_empty(purposes: Set<Purpose>) -> Set<Purpose> {
    if purposes.is_empty() { Set::all() } else { purposes }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::contact::{Channel, OptOut, PastAttempt, Scope};

    fn policy(version: &str, at: i64, material: bool, purposes: &[Purpose]) -> PublishedPolicy {
        let purposes = purposes.iter().copied().collect();
        PublishedPolicy { version: version.into(), effective_at: Instant::from_millis(at), material, purposes }
    }

    fn consent(version: Option<&str>, given: i64, purposes: &[Purpose]) -> Consent {
        Consent {
            policy_version: version.map(Into::into),
            given_at: Some(Instant::from_millis(given)),
            purposes: purposes.iter().copied().collect(),
            ..Consent::default()
        }
    }

    #[test]
    fn a_material_version_ends_older_consents_for_what_it_changes_from_its_day_on() {
        use Purpose::{Marketing, Survey};
        let policies = [
            policy("1", 0, false, &[]),
            policy("2", 100, true, &[Marketing]),
            policy("3", 200, false, &[]),
            policy("4", 300, true, &[]),
        ];
        let ends = |consent: Consent, purpose| overtaken_at(&policies, &consent, purpose).map(Instant::millis);
        for (version, given, purposes, marketing, survey) in [
            (Some("1"), 50, &[][..], Some(100), Some(300)),
            // Under the old text, though given later: the old text is what was agreed to.
            (Some("1"), 150, &[], Some(100), Some(300)),
            // Under the new text before its day.
            (Some("2"), 90, &[], Some(300), Some(300)),
            (Some("3"), 10, &[], Some(300), Some(300)),
            (Some("4"), 10, &[], None, None),
            // Under no known text: by its date.
            (None, 99, &[], Some(100), Some(300)),
            (None, 100, &[], Some(300), Some(300)),
            // Nobody published it: it may be any old text.
            (Some("0.9"), 299, &[], Some(100), Some(300)),
            (Some("0.9"), 300, &[], Some(100), Some(300)),
            (Some("1"), 50, &[Survey], None, Some(300)),
        ] {
            let made = || consent(version, given, purposes);
            assert_eq!((ends(made(), Marketing), ends(made(), Survey)), (marketing, survey), "{version:?} {given}");
        }
        assert_eq!(overtaken_at(&policies, &Consent::default(), Marketing).map(Instant::millis), Some(100));
    }

    #[test]
    fn what_binds_follows_a_seller_and_consents_only_by_kept_terms() {
        let seller = |name| Seller::new(name).unwrap();
        let transfer = |from, to, keeps_terms, at| SellerTransfer {
            from: seller(from),
            to: seller(to),
            keeps_terms,
            at: Instant::from_millis(at),
        };
        let transfers = [
            transfer("a", "b", true, 1),
            transfer("b", "c", true, 2),
            transfer("x", "b", false, 3),
            transfer("c", "a", true, 9),
        ];
        let made = |name| {
            let scope = Scope { sellers: vec![seller(name)], ..Scope::default() };
            let opt_out = OptOut { id: None, scope, at: None, source: None, recorded_at: None };
            let consent = Consent { sellers: vec![seller(name)], ..Consent::default() };
            let past = PastAttempt {
                id: None,
                earliest: Instant::from_millis(0),
                latest: Instant::from_millis(0),
                ended_at: None,
                channel: Some(Channel::Call),
                technology: None,
                purpose: None,
                outcome: None,
                seller: Some(seller(name)),
                subject: None,
                campaign: None,
            };
            Facts { consents: vec![consent], opt_outs: vec![opt_out], attempts: vec![past], ..Facts::default() }
        };
        for (of, asked, now, bound, consented) in [
            ("a", "c", 2, true, true),
            ("a", "c", 1, true, false),
            ("x", "c", 5, true, false),
            ("b", "c", 2, true, true),
            ("c", "b", 5, true, false),
            ("c", "x", 5, false, false),
            ("z", "c", 5, false, false),
            // In another spelling it stops, and allows nothing.
            ("A ", "c", 5, true, false),
            ("a", "C", 5, true, false),
        ] {
            let (mut facts, to) = (made(of), seller(asked));
            carry_over(&mut facts, &leading_to(&transfers, &to), &to, Instant::from_millis(now));
            let has = |sellers: &[Seller]| sellers.contains(&to);
            let first = |facts: &Facts| {
                let opted = facts.opt_outs.first().is_some_and(|one| has(&one.scope.sellers));
                let tried = facts.attempts.first().is_some_and(|one| one.seller.as_ref() == Some(&to));
                (opted, tried, facts.consents.first().is_some_and(|one| has(&one.sellers)))
            };
            assert_eq!(first(&facts), (bound, bound, consented), "{of} to {asked} at {now}");
        }
    }
}
