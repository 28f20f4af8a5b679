//! What must be kept, and until when: tables made by hand from the packs.

use ringfence::contact::{AttemptId, Contact, PublishedPolicy, RecordClass, Reservation, RetentionHold, Set};
use ringfence::law::{Duties, record_duties};
use ringfence::place::{Jurisdiction, Number};
use ringfence::proto::v1;
use ringfence::time::Instant;

use super::support::{at, law};
use super::{BERLIN, FLORIDA, consent};

fn place(code: &str) -> Jurisdiction {
    code.parse().unwrap()
}

fn with_consent(number: &str, given: &str) -> Contact {
    let mut contact = Contact::new(Number::parse(number, None).unwrap(), at(given));
    contact.add_consent(&consent(given, "1"), "", None, [1; 16], at(given));
    contact
}

/// The duty of one kind: its rule and its end.
fn duty(
    contact: &Contact,
    place: &str,
    class: RecordClass,
    own: &[RetentionHold],
    now: &str,
) -> Option<(String, Option<Instant>)> {
    let found = record_duties(contact, &[self::place(place)], &law(), own, at(now));
    found.into_iter().find(|hold| hold.class == class).map(|hold| (hold.reason.to_string(), hold.until))
}

#[test]
fn consents_are_kept_as_long_as_each_place_wants() {
    const GIVEN: &str = "2025-01-15T10:00:00Z";
    for (place, rule, until) in [
        // Each to the end of its last day, in the zone of the pack.
        ("DE", "de.consent.proof_5y", Some("2030-01-15T23:00:00Z")),
        ("SK", "sk.consent.proof", Some("2029-01-15T23:00:00Z")),
        ("IT", "eu.consent.proof", Some("2028-01-16T00:00:00Z")),
        ("US-FL", "us.tsr.records", Some("2030-01-16T05:00:00Z")),
        ("BR", "", None),
    ] {
        let found = duty(&with_consent(BERLIN, GIVEN), place, RecordClass::Consent, &[], "2026-11-18T16:00:00Z");
        let found = found.map(|(rule, until)| (rule, until.unwrap().to_string()));
        let (kept, end) = found.clone().unwrap_or_default();
        assert!(until.is_none() == found.is_none(), "{place}: {found:?}");
        if let Some(until) = until {
            assert!(kept.starts_with(rule.split('.').next().unwrap()), "{place}: {kept}");
            // Zones of packs may be another city's: a day is the grain of these laws.
            let (end, until) = (at(&end).millis(), at(until).millis());
            assert!((end - until).abs() <= 86_400_000, "{place}: {kept} until {}", Instant::from_millis(end));
        }
    }
}

#[test]
fn the_longest_duty_wins_whether_of_a_place_or_of_the_tenant() {
    const NOW: &str = "2026-11-18T16:00:00Z";
    let contact = with_consent(BERLIN, "2025-01-15T10:00:00Z");
    let own = |until: Option<&str>, classes: Vec<RecordClass>, number: Option<u64>| RetentionHold {
        id: "h-1".into(),
        number,
        seller: None,
        place: None,
        classes,
        until: until.map(at),
        months_from_purchase: None,
        why: "Doe v. acme".into(),
    };
    let of = |hold: RetentionHold| duty(&contact, "DE", RecordClass::Consent, &[hold], NOW).unwrap();
    assert_eq!(of(own(None, Vec::new(), None)), ("hold.h-1".to_owned(), None));
    assert_eq!(of(own(Some("2031-01-01T00:00:00Z"), Vec::new(), None)).0, "hold.h-1");
    assert_ne!(of(own(Some("2027-01-01T00:00:00Z"), Vec::new(), None)).0, "hold.h-1", "the law's is longer");
    assert_ne!(of(own(None, vec![RecordClass::Attempt], None)).0, "hold.h-1", "another kind");
    assert_ne!(of(own(None, Vec::new(), Some(1))).0, "hold.h-1", "another number");
    assert_eq!(of(own(None, Vec::new(), contact.digits())).0, "hold.h-1");
    // Two plausible places: the longer.
    let found = record_duties(&contact, &[place("SK"), place("DE")], &law(), &[], at(NOW));
    assert!(found.iter().any(|hold| hold.reason.starts_with("de.")), "{found:?}");
}

#[test]
fn an_e_commerce_floor_runs_from_the_purchase() {
    let mut contact = Contact::new(Number::parse("+8613800138000", None).unwrap(), at("2025-01-01T00:00:00Z"));
    let tie = v1::Relationship {
        seller: "acme".to_owned(),
        last_purchase_at: super::stamp("2025-06-01T00:00:00Z"),
        ..v1::Relationship::default()
    };
    let facts = v1::ContactFacts { relationship: Some(tie), ..v1::ContactFacts::default() };
    contact.update(&facts, &["relationship".to_owned()], None, [1; 16], at("2025-06-01T00:00:00Z"));
    let hold = RetentionHold {
        id: "cn".into(),
        number: None,
        seller: None,
        place: Some(place("CN")),
        classes: vec![RecordClass::Relationship],
        until: None,
        months_from_purchase: Some(36),
        why: "E-Commerce Law art. 31".into(),
    };
    let held = |place, now| duty(&contact, place, RecordClass::Relationship, std::slice::from_ref(&hold), now);
    let until = held("CN", "2026-11-18T16:00:00Z").unwrap().1.unwrap();
    assert_eq!(until, at("2028-06-02T00:00:00Z"));
    assert_eq!(held("CN", "2028-06-01T23:59:59Z").unwrap().1, Some(until));
    assert_eq!(held("CN", "2028-06-02T00:00:00Z"), None);
    assert_eq!(held("FR", "2026-11-18T16:00:00Z"), None);
}

#[test]
fn calls_in_the_united_states_are_kept_for_five_years_even_after_the_record_forgot_them() {
    let number = Number::parse(FLORIDA, None).unwrap();
    let made = at("2025-01-15T16:00:00Z");
    let mut contact = Contact::new(number, made);
    let request = v1::CheckRequest { channel: 1, purpose: 1, seller: "acme".to_owned(), ..v1::CheckRequest::default() };
    let id = AttemptId::new("a-1").unwrap();
    contact.reserve(&Reservation { id: &id, request: &request, decision: [7; 16], use_by: made }, made);
    let until = |contact: &Contact, now| duty(contact, "US-FL", RecordClass::Attempt, &[], now).map(|(_, until)| until);
    let kept = until(&contact, "2025-02-01T00:00:00Z").unwrap().unwrap();
    assert!(kept > at("2030-01-15T16:00:00Z") && kept < at("2030-01-17T16:00:00Z"), "{kept}");
    // More than 400 days on, the record holds it no more, but that there was one.
    assert_eq!(contact.settle(at("2026-11-18T16:00:00Z"), true, true).0, 1);
    assert!(contact.facts(None).attempts.is_empty());
    assert_eq!(until(&contact, "2026-11-18T16:00:00Z"), Some(Some(kept)));
    assert_eq!(until(&contact, "2030-02-01T00:00:00Z"), None);
    // Before 15 October 2024 the rule said 24 months; what is kept now is kept by the rule of now.
    let law = law();
    let of = |recorded: &str, now: &str| Duties::of_log(&law, &[], at(now)).log_entry(at(recorded)).unwrap();
    assert!(of("2023-03-01T00:00:00Z", "2026-11-18T16:00:00Z").until > at("2028-03-01T00:00:00Z"));
}

#[test]
fn a_consent_ends_by_withdrawal_by_its_term_and_by_policies_that_overtake_all_of_it() {
    let now = at("2026-11-18T16:00:00Z");
    let ended = |change: &dyn Fn(&mut v1::Consent), policies: &[PublishedPolicy]| {
        let mut given = consent("2025-01-15T10:00:00Z", "1");
        change(&mut given);
        let mut contact = Contact::new(Number::parse(BERLIN, None).unwrap(), at("2025-01-15T10:00:00Z"));
        contact.add_consent(&given, "", None, [1; 16], at("2025-01-15T10:00:00Z"));
        let scraps = contact.scraps(policies, now);
        scraps.into_iter().find(|one| one.dated.class == RecordClass::Consent).unwrap().ended
    };
    let then = "2026-01-01T00:00:00Z";
    assert_eq!(ended(&|_| {}, &[]), None);
    assert_eq!(ended(&|c| c.withdrawn_at = super::stamp(then), &[]), Some(at(then)));
    assert_eq!(ended(&|c| c.expires_at = super::stamp(then), &[]), Some(at(then)));
    assert_eq!(ended(&|c| c.expires_at = super::stamp("2027-01-01T00:00:00Z"), &[]), None);
    let policy = |purposes| PublishedPolicy { version: "2".into(), effective_at: at(then), material: true, purposes };
    assert_eq!(ended(&|_| {}, &[policy(Set::EMPTY)]), Some(at(then)));
    assert_eq!(ended(&|_| {}, &[policy(Set::one(ringfence::contact::Purpose::Marketing))]), None);
    let marketing = |c: &mut v1::Consent| c.purposes = vec![v1::Purpose::Marketing.into()];
    assert_eq!(ended(&marketing, &[policy(Set::one(ringfence::contact::Purpose::Marketing))]), Some(at(then)));
}

#[test]
fn a_class_that_means_nothing_is_refused() {
    let (file, text) = ringfence::law::BUILT_IN.iter().find(|(file, _)| *file == "de.toml").unwrap();
    let faults = ringfence::law::Pack::read(file, &text.replace("\"consent_proof\"", "\"consent_prof\"")).unwrap_err();
    assert!(faults.iter().any(|fault| fault.message.contains("consent_proof")), "{faults:?}");
}
