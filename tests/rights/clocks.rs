//! Due dates against calendars counted by hand: month ends, leap years, weekends, and the Chinese days of rest and
//! make-up days of 2026 and 2027.

use ringfence::contact::RightsKind;
use ringfence::law::rights::{Asked, Clock, Period, Rights};
use ringfence::place::Jurisdiction;

use super::support::{at, law};

fn asked(kind: RightsKind, received: &str) -> Asked {
    Asked { kind, received: at(received), identity: None, extended: false, own_days: None }
}

fn clocks(place: &str, asked: &Asked) -> Vec<Clock> {
    let place: Jurisdiction = place.parse().unwrap();
    Rights::built_in().unwrap().clocks(&law(), &[place], asked)
}

/// What one rule says: the last day, and the last where it moves off a weekend.
#[track_caller]
fn days(place: &str, rule: &str, asked: &Asked) -> (String, String) {
    let all = clocks(place, asked);
    let clock = all.iter().find(|clock| &*clock.rule_id == rule).unwrap_or_else(|| panic!("{rule} of {all:?}"));
    (clock.due_on.to_string(), clock.latest_on.to_string())
}

#[test]
fn a_month_ends_on_the_same_day_or_on_the_last() {
    // Received (noon in Paris), due, and moved to a Monday where that day is a Saturday or Sunday.
    let table = [
        ("2026-03-05", "2026-04-05", "2026-04-06"), // a Sunday
        ("2026-01-31", "2026-02-28", "2026-03-02"), // no 31 February; a Saturday
        ("2028-01-31", "2028-02-29", "2028-02-29"), // a leap year; a Tuesday
        ("2027-01-29", "2027-02-28", "2027-03-01"), // a Sunday
        ("2026-08-31", "2026-09-30", "2026-09-30"), // a Wednesday
        ("2026-12-31", "2027-01-31", "2027-02-01"), // over the year; a Sunday
        ("2028-02-29", "2028-03-29", "2028-03-29"), // the same day, not the last
        ("2026-11-18", "2026-12-18", "2026-12-18"), // a Friday
    ];
    for (received, due, latest) in table {
        let asked = asked(RightsKind::Access, &format!("{received}T11:00:00Z"));
        assert_eq!(days("FR", "eu.gdpr.art12_3", &asked), (due.to_owned(), latest.to_owned()), "{received}");
    }
}

#[test]
fn two_months_more_are_counted_whichever_way_is_shorter() {
    let table = [
        ("2026-11-18", "2027-02-18"),
        // Three months from 31 January end on 30 April; two from 28 February on 28 April.
        ("2026-01-31", "2026-04-28"),
        ("2026-11-30", "2027-02-28"),
    ];
    for (received, due) in table {
        let asked = Asked { extended: true, ..asked(RightsKind::Erasure, &format!("{received}T11:00:00Z")) };
        let (due_on, _) = days("DE", "eu.gdpr.art12_3", &asked);
        assert_eq!(due_on, due, "{received}");
        assert!(clocks("DE", &asked).iter().all(|clock| clock.extendable_by.is_none()), "once");
    }
}

#[test]
fn the_day_of_receipt_is_that_of_the_person_and_ends_with_it() {
    // Half past midnight in Paris, still the day before in UTC.
    let asked = asked(RightsKind::Access, "2026-11-30T23:30:00Z");
    let clock = clocks("FR", &asked).remove(0);
    assert_eq!(clock.due_on.to_string(), "2027-01-01");
    // Late with the first instant of the second of January, in Paris.
    assert_eq!(clock.due_at, at("2027-01-01T23:00:00Z"));
}

#[test]
fn of_two_zones_the_day_that_ends_first_counts() {
    // Helsinki is an hour ahead of Brussels.
    let clock = clocks("FI", &asked(RightsKind::Access, "2026-11-18T11:00:00Z")).remove(0);
    assert_eq!(clock.due_at, at("2026-12-18T22:00:00Z"));
}

#[test]
fn chinese_working_days_leave_out_days_of_rest_and_count_make_up_days() {
    // Received (noon in Shanghai), the fifteenth working day after it, the fifteenth day.
    let table = [
        // Mid-autumn 25 to 27 September, National Day 1 to 7 October, Saturday 10 October worked.
        ("2026-09-21", "2026-10-19", "2026-10-06"),
        // Spring Festival 15 to 23 February; Saturdays 14 and 28 February worked.
        ("2026-02-10", "2026-03-09", "2026-02-25"),
        // Labour Day 1 to 5 May; Saturday 9 May worked.
        ("2026-04-28", "2026-05-21", "2026-05-13"),
        // Sunday 20 September worked: the first after a Saturday.
        ("2026-09-19", "2026-10-15", "2026-10-04"),
        // Dragon Boat 19 to 21 June.
        ("2026-06-12", "2026-07-06", "2026-06-27"),
        // New Year's Day 2027, a Friday.
        ("2026-12-28", "2027-01-19", "2027-01-12"),
        // Spring Festival 2027 by statute: 5 to 8 February.
        ("2027-02-01", "2027-02-24", "2027-02-16"),
    ];
    for (received, working, plain) in table {
        let asked = asked(RightsKind::Erasure, &format!("{received}T04:00:00Z"));
        assert_eq!(days("CN", "cn.app.method15", &asked).0, working, "{received}");
        assert_eq!(days("CN", "cn.rights.clock15", &asked).0, plain, "{received}");
        let first = clocks("CN", &asked).remove(0);
        assert_eq!(&*first.rule_id, "cn.rights.clock15", "the earlier of both counts");
    }
    let provisional = |received: &str| {
        let all = clocks("CN", &asked(RightsKind::Erasure, received));
        all.iter().any(|clock| clock.counted.contains("provisional"))
    };
    assert!(!provisional("2026-09-21T04:00:00Z") && provisional("2026-12-28T04:00:00Z"));
}

#[test]
fn in_britain_the_clock_starts_with_the_proof_of_identity_since_the_act() {
    let before = asked(RightsKind::Access, "2026-02-04T12:00:00Z");
    assert_eq!(days("GB", "gb.gdpr.art12", &before).0, "2026-03-04");
    let since = asked(RightsKind::Access, "2026-02-05T12:00:00Z");
    assert_eq!(days("GB", "gb.gdpr.art12a", &since).0, "2026-03-05", "until it is shown, from receipt");
    let shown = Asked { identity: Some(at("2026-02-20T12:00:00Z")), ..since };
    assert_eq!(days("GB", "gb.gdpr.art12a", &shown).0, "2026-03-20");
    let early = Asked { identity: Some(at("2026-01-20T12:00:00Z")), ..since };
    assert_eq!(days("GB", "gb.gdpr.art12a", &early).0, "2026-03-05", "never sooner than receipt");
    // Elsewhere it runs from receipt, however long identity takes.
    let french = Asked { identity: Some(at("2026-02-20T12:00:00Z")), ..since };
    assert_eq!(days("FR", "eu.gdpr.art12_3", &french).0, "2026-03-05");
}

#[test]
fn american_states_and_others() {
    let table = [
        // The day of receipt is the first of the 45.
        ("US-CA", RightsKind::Access, "us.ca.ccpa.45", "2026-11-18", "2027-01-01"),
        // Business days without leaving out Thanksgiving: the stricter reading.
        ("US-CA", RightsKind::NoSharing, "us.ca.ccpa.opt_out", "2026-11-18", "2026-12-09"),
        ("US-VA", RightsKind::Erasure, "us.state.45", "2026-11-18", "2027-01-02"),
        ("BR", RightsKind::Access, "br.lgpd.art19", "2026-11-18", "2026-12-03"),
        ("CA-QC", RightsKind::Access, "ca.qc.p39_1.30", "2026-11-18", "2026-12-18"),
        ("KR", RightsKind::Erasure, "kr.pipa.10", "2026-11-18", "2026-11-28"),
        ("NZ", RightsKind::Access, "nz.privacy.20", "2026-11-18", "2026-12-16"),
    ];
    for (place, kind, rule, received, due) in table {
        let asked = asked(
            kind,
            &format!("{received}T00:00:00Z").replace("T00", if place.starts_with("US") { "T18" } else { "T03" }),
        );
        // Three in the morning UTC is the day before in Quebec.
        let due: jiff::civil::Date = due.parse().unwrap();
        let west = place == "CA-QC";
        let due = if west { due.yesterday().unwrap() } else { due };
        assert_eq!(days(place, rule, &asked).0, due.to_string(), "{place}");
    }
    let more = Asked { extended: true, ..asked(RightsKind::Access, "2026-11-18T18:00:00Z") };
    assert_eq!(days("US-CA", "us.ca.ccpa.45", &more).0, "2027-02-15");
    assert!(clocks("US-WY", &asked(RightsKind::Access, "2026-11-18T18:00:00Z")).iter().all(|c| c.rule_id.is_empty()));
}

#[test]
fn no_request_is_without_a_clock_and_a_promise_counts_where_it_is_earlier() {
    let plain = asked(RightsKind::Complaint, "2026-11-18T12:00:00Z");
    let usual = clocks("JP", &plain).remove(0);
    assert_eq!((&*usual.rule_id, usual.due_on.to_string().as_str()), ("", "2026-12-18"));
    let all = Rights::built_in().unwrap().clocks(&law(), &[], &plain);
    assert_eq!(all.len(), 1, "a number that is in no place");
    let promised = Asked { own_days: Some(10), ..plain };
    let first = clocks("FR", &promised).remove(0);
    assert_eq!((&*first.rule_id, first.due_on.to_string().as_str()), ("", "2026-11-28"));
    let more = clocks("FR", &Asked { extended: true, ..promised });
    assert!(more.iter().all(|clock| !clock.rule_id.is_empty()), "more time is what the law gives");
    let late = clocks("FR", &Asked { own_days: Some(90), ..plain }).remove(0);
    assert_eq!(&*late.rule_id, "eu.gdpr.art12_3", "a promise makes nothing later");
}

#[test]
fn a_number_that_may_be_anywhere_has_the_earliest_clock_of_all() {
    let places: Vec<Jurisdiction> =
        ["US-CA", "US-VA", "CA-ON", "CA-QC"].iter().map(|code| code.parse().unwrap()).collect();
    let asked = asked(RightsKind::Access, "2026-11-18T18:00:00Z");
    let all = Rights::built_in().unwrap().clocks(&law(), &places, &asked);
    assert_eq!(all[0].due_on.to_string(), "2026-12-18", "thirty days of Canada");
    assert!(all.is_sorted_by_key(|clock| clock.due_at));
}

#[test]
fn every_clock_is_cited_and_names_a_law_that_is_there() {
    let rights = Rights::built_in().unwrap();
    assert!(rights.rules().len() > 20);
    for rule in rights.rules() {
        assert!(!rule.citation.is_empty() && rule.summary.ends_with('.'), "{}", rule.id);
        assert!(law().pack_of(rule.jurisdiction).is_some(), "{}: no pack of {}", rule.id, rule.jurisdiction);
        for place in &rule.places {
            assert_eq!(place.root(), rule.jurisdiction.root(), "{}", rule.id);
        }
    }
    for place in ["FR", "NO", "GB", "CH", "CN", "US-CA", "US-WY", "CA-QC", "BR", "KR", "SG"] {
        let place = place.parse().unwrap();
        assert!(rights.complaint_route(&law(), &[place]).contains("You may"), "{place}");
    }
    assert!(rights.complaint_route(&law(), &["FR".parse().unwrap()]).contains("CNIL"));
    assert!(rights.complaint_route(&law(), &["CN".parse().unwrap()]).contains("court"));
}

#[test]
fn what_is_no_period_and_no_table_is_refused() {
    for bad in ["", "month", "0 days", "1 week", "-1 days", "400 days", "15 workdays", "1  month"] {
        assert_eq!(Period::parse(bad), None, "{bad}");
    }
    for (text, why) in [
        ("clock = 1", "clock"),
        ("[[clock]]\nid = \"x\"", "missing"),
        ("[calendar.CN]\noff = [\"2026-02-30\"]\nwork = []\ncitation = \"x\"\n[[clock]]\n", "missing"),
    ] {
        assert!(Rights::read(text).unwrap_err().contains(why), "{text}");
    }
}
