//! What a newer build wrote is read the strict way.

use super::{consent_of, opt_out_of};
use crate::contact::Grade;
use crate::proto::{store, v1};

/// A number that no list of the contract has yet.
const LATER: i32 = 900;

fn consent(channels: Vec<i32>) -> store::StoredConsent {
    let consent = v1::Consent { grade: v1::ConsentGrade::ExpressWritten.into(), channels, ..v1::Consent::default() };
    store::StoredConsent { consent: Some(consent), ..store::StoredConsent::default() }
}

fn opt_out(channels: Vec<i32>) -> store::StoredOptOut {
    let scope = v1::OptOutScope { channels, sellers: vec!["acme".to_owned()], ..v1::OptOutScope::default() };
    let opt_out = v1::OptOut { scope: Some(scope), ..v1::OptOut::default() };
    store::StoredOptOut { opt_out: Some(opt_out), ..store::StoredOptOut::default() }
}

#[test]
fn a_consent_for_a_channel_unknown_here_covers_nothing() {
    let text = v1::Channel::Text.into();
    assert_eq!(consent_of(&consent(vec![text])).unwrap().grade, Some(Grade::ExpressWritten));
    // Without the strict reading its list of channels would be empty, and so mean every channel.
    for channels in [vec![LATER], vec![text, LATER]] {
        assert_eq!(consent_of(&consent(channels)).unwrap().grade, None);
    }
}

#[test]
fn an_opt_out_for_a_channel_unknown_here_reaches_everything() {
    let text = v1::Channel::Text.into();
    let read = opt_out_of(&opt_out(vec![text])).unwrap();
    assert!(!read.scope.everything && read.scope.sellers.len() == 1);
    for channels in [vec![LATER], vec![text, LATER]] {
        let scope = opt_out_of(&opt_out(channels)).unwrap().scope;
        assert!(scope.everything && scope.sellers.is_empty(), "{scope:?}");
    }
}
