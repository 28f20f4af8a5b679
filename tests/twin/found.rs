//! What the twin and the properties once found, kept as the smallest question that shows it.

use ringfence::contact::{
    Channel, Consent, Facts, Grade, Policy, Purpose, Reassigned, ReassignedAnswer, Recipient, Set, Technology,
};
use ringfence::decision::{Attempt, Postures, decide};
use ringfence::law::Pack;
use ringfence::place::LineType;
use ringfence::time::{Instant, Millis};

use super::built_in;
use super::questions::{Asked, Loaded, number, seller};

fn at(text: &str) -> Instant {
    Instant::from_rfc3339(text).unwrap()
}

/// A call to a consumer's mobile by hand, about another instant, with nothing known.
fn call(to: &str, purpose: Purpose, now: &str) -> Asked {
    let person =
        Facts { recipients: Set::one(Recipient::Consumer), line_types: Set::one(LineType::Mobile), ..Facts::default() };
    Asked {
        number: number(to),
        attempt: Attempt {
            channel: Channel::Call,
            technologies: Set::one(Technology::Manual),
            purpose,
            seller: seller("acme"),
            subject: None,
            campaign: None,
            offer: None,
            caller_id: None,
            legally_required: false,
            postal_code: None,
            county: None,
            time_zone: None,
            processing_regions: Vec::new(),
        },
        asserted: person,
        stored: Facts::default(),
        lists: Loaded::default(),
        live: false,
        postures: Postures::default(),
        now: at(now),
        law: built_in(),
        freezes: Vec::new(),
        declared: Vec::new(),
        packs: Vec::new(),
    }
}

fn express(given: &str) -> Consent {
    Consent { grade: Some(Grade::Express), given_at: Some(at(given)), ..Consent::default() }
}

#[track_caller]
fn denies(asked: &Asked, rule: &str) {
    let ids: Vec<_> = decide(&asked.question()).reasons.iter().map(|r| r.rule_id().to_owned()).collect();
    assert!(ids.iter().any(|id| id == rule), "{rule} is not among {ids:?}");
}

/// The number may have been entered since: only a look, or an entry of known date, tells (I5).
#[test]
fn a_consent_newer_than_an_entry_lifts_nothing_while_the_list_is_unknown() {
    let mut asked = call("+33612345678", Purpose::Marketing, "2026-06-16T09:00:00Z");
    asked.asserted.consents = vec![express("2026-06-15T09:00:00Z")];
    denies(&asked, "fr.voice.bloctel");
}

#[test]
fn an_answer_of_later_does_not_hide_that_the_number_was_reassigned() {
    let mut asked = call("+16145550123", Purpose::Informational, "2026-11-16T17:00:00Z");
    let told = |answer, checked_at| vec![Reassigned { answer, checked_at, since: None }];
    asked.stored.reassigned = told(ReassignedAnswer::Yes, Some(at("2026-11-10T17:00:00Z")));
    asked.asserted.reassigned = told(ReassignedAnswer::No, Some(at("2026-11-20T17:00:00Z")));
    denies(&asked, "us.rnd.reassigned");
    // Without an instant an answer counts only if it is yes.
    asked.asserted.reassigned = told(ReassignedAnswer::No, None);
    denies(&asked, "us.rnd.reassigned");
}

/// The person before consented, the number was given up, the person after consented too; then it is asked about anew.
#[test]
fn a_consent_does_not_outlive_its_giver_whatever_is_answered_about_later_dates() {
    let mut asked = call("+16145550123", Purpose::Informational, "2026-11-16T17:00:00Z");
    asked.attempt.technologies = Set::one(Technology::Autodialer);
    let before = express("2022-03-01T17:00:00Z");
    asked.stored.consents = vec![before.clone()];
    let told = |answer, checked: &str, since: &str| Reassigned {
        answer,
        checked_at: Some(at(checked)),
        since: Some(at(since)),
    };
    assert!(decide(&asked.question()).allows());
    asked.stored.reassigned = vec![told(ReassignedAnswer::Yes, "2026-06-10T17:00:00Z", "2022-03-01T12:00:00Z")];
    denies(&asked, "us.rnd.reassigned");
    // Neither what the database cannot say nor a no about a later date brings the old consent back.
    asked.stored.reassigned.push(told(ReassignedAnswer::NoData, "2026-07-10T17:00:00Z", "2022-03-01T12:00:00Z"));
    asked.stored.reassigned.push(told(ReassignedAnswer::No, "2026-07-10T17:00:00Z", "2024-05-01T12:00:00Z"));
    denies(&asked, "us.rnd.reassigned");
    // The new one stands since the no: the number was given up before it. It lends the old one nothing.
    let weak = Consent { grade: Some(Grade::Express), ..express("2024-05-02T17:00:00Z") };
    asked.stored.consents = vec![Consent { grade: Some(Grade::ExpressWritten), ..before.clone() }, weak];
    assert!(decide(&asked.question()).allows());
    asked.attempt.purpose = Purpose::Marketing;
    denies(&asked, "us.tcpa.consent.mobile_marketing");
    // Only a newer no that reaches as far back undoes the yes.
    asked.attempt.purpose = Purpose::Informational;
    asked.stored.consents = vec![before];
    denies(&asked, "us.rnd.reassigned");
    asked.stored.reassigned.push(told(ReassignedAnswer::No, "2026-08-10T17:00:00Z", "2022-03-01T12:00:00Z"));
    assert!(decide(&asked.question()).allows());
}

#[test]
fn a_conversation_of_later_does_not_hide_an_earlier_one() {
    let mut asked = call("+16145550123", Purpose::DebtCollection, "2026-11-16T17:00:00Z");
    asked.asserted.last_conversation_at = Some(at("2026-11-14T17:00:00Z"));
    asked.stored.last_conversation_at = Some(at("2026-11-18T17:00:00Z"));
    denies(&asked, "us.regf.cool_off");
}

#[test]
fn a_use_of_later_keeps_no_consent_fresh() {
    let mut asked = call("+491713920012", Purpose::Marketing, "2026-11-16T09:00:00Z");
    let last_used_at = Some(at("2026-11-20T09:00:00Z"));
    let evidence_ref = Some("form-7".into());
    asked.asserted.consents = vec![Consent { last_used_at, evidence_ref, ..express("2020-01-10T09:00:00Z") }];
    denies(&asked, "de.voice.opt_in");
    asked.now = asked.now.plus(Millis::days(5));
    assert!(decide(&asked.question()).allows());
}

#[test]
fn an_untrusted_policy_does_not_take_the_place_of_the_stored_one() {
    let mut asked = call("+8613800138000", Purpose::Marketing, "2026-11-16T04:00:00Z");
    asked.postures.stored_facts_only = true;
    asked.stored.recipients = Set::one(Recipient::Consumer);
    asked.stored.consents = vec![express("2026-01-10T04:00:00Z")];
    let policy = |material| {
        Some(Policy { current_version: "2".into(), material, effective_at: Some(at("2026-05-01T00:00:00Z")) })
    };
    asked.stored.policy = policy(Some(true));
    asked.asserted.policy = policy(Some(false));
    denies(&asked, "cn.pipl.art14_consent");
}

#[test]
fn a_cap_may_count_by_the_month() {
    let text = "[pack]\njurisdiction = \"DE\"\ntitle = \"t\"\nzone = \"Europe/Berlin\"\n[[rule]]\nid = \"a\"\nkind = \"cap\"\n\
                limit = 1\nwindow = \"month\"\ncitation = \"c\"\nsummary = \"s\"\nconfidence = \"policy\"\n";
    assert!(Pack::read("de.toml", text).is_ok());
}
