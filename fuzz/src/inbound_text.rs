//! A text that somebody sent: the first byte says where from, the second what the last text to them was about. It is
//! understood the same in capitals and small letters, always the same, and as a stop where it begins with one; and what is a
//! stop is recorded, and denies.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::contact::{Purpose, Term as _};
use ringfence::engine::Engine;
use ringfence::law::{Around, Heard, Meaning};
use ringfence::place::Jurisdiction;
use ringfence::proto::v1;

use super::house;

const PLACES: [&str; 8] = ["US-FL", "GB", "FR", "DE", "ES", "CN", "JP", "IN"];
/// Longer texts are refused.
const TEXT_BYTES: usize = 8 * 1024;
/// A number of each.
const NUMBERS: [&str; 8] = [
    "+13055550123",
    "+442079460000",
    "+33123456789",
    "+4930231250",
    "+34912345678",
    "+8613800138045",
    "+81312345678",
    "+911123456789",
];

pub fn run(bytes: &[u8]) {
    let Some(([place, last], text)) = bytes.split_first_chunk::<2>() else { return };
    let text = String::from_utf8_lossy(text);
    let at = usize::from(*place) % (PLACES.len() + 1);
    let places: Vec<Jurisdiction> = PLACES.get(at).map(|code| code.parse().expect("a code")).into_iter().collect();
    let around = Around {
        places: &places,
        last: Purpose::ALL.get(usize::from(*last) % (Purpose::ALL.len() + 1)).copied(),
        had_stopped: *last & 0x80 != 0,
        at: house::DAY,
    };
    let law = house::law();
    let heard = law.hear(&text, &around);
    assert_eq!(law.hear(&text, &around), heard, "the same text, the same meaning");
    assert_eq!(heard.meaning == Meaning::Nothing, heard.matched.is_empty(), "a meaning has its words: {heard:?}");
    assert_eq!(law.hear(&format!("STOP\n{text}"), &around).meaning, Meaning::Stop, "{text:?}");
    assert_eq!(law.hear(&format!("  {text} "), &around).meaning, heard.meaning, "{text:?}");
    for seller in [None, Some("Acme")] {
        let wording = law.wording(&heard, seller, &places);
        let answers = matches!(heard.meaning, Meaning::Stop | Meaning::Help);
        assert_eq!(wording.is_some(), answers, "{heard:?}");
        assert!(
            wording
                .is_none_or(|wording| seller.is_none_or(|seller| wording.contains(seller)) && !wording.contains('{'))
        );
    }
    if let Some(number) = NUMBERS.get(at).filter(|_| text.len() <= TEXT_BYTES) {
        recorded(number, &text, &heard);
    }
}

/// I1: what is taken for a stop is answered only once it is recorded.
fn recorded(number: &str, text: &str, heard: &Heard) {
    let engine: Arc<Engine> = house::engine();
    let request = v1::ProcessInboundRequest {
        number: number.to_owned(),
        request_id: "m-1".to_owned(),
        text: text.to_owned(),
        seller: "acme".to_owned(),
        ..v1::ProcessInboundRequest::default()
    };
    let permit = house::permit(Role::WriteConsent);
    let answer = house::wait(engine.process_inbound(&permit, request.clone(), house::clock())).expect("a short text");
    house::round_trip(&answer);
    assert_eq!(answer.meaning() == v1::InboundMeaning::Stop, answer.opt_out.is_some(), "{answer:?} of {heard:?}");
    let again = house::wait(engine.process_inbound(&permit, request, house::clock())).expect("the same again");
    assert_eq!(again, answer, "sent again, answered the same");
    if answer.meaning() != v1::InboundMeaning::Stop {
        return;
    }
    let asked = v1::CheckRequest {
        number: number.to_owned(),
        channel: v1::Channel::Text.into(),
        purpose: v1::Purpose::Marketing.into(),
        seller: "acme".to_owned(),
        dry_run: true,
        ..v1::CheckRequest::default()
    };
    let answer = house::wait(engine.check(&house::permit(Role::Check), asked, house::clock())).expect("an answer");
    let families: Vec<_> = answer.reasons.iter().map(v1::Reason::family).collect();
    assert!(
        families.contains(&v1::RuleFamily::OptOut) || families.contains(&v1::RuleFamily::Objection),
        "{families:?}"
    );
}

/// The texts that the tests know the meaning of, every eighth.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = include_str!("../../tests/inbound/texts.tsv").lines();
    let rows = lines.filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut cells = line.split('\t');
        Some((cells.next()?, cells.next()?))
    });
    let seed = |(text, place): (&str, &str)| {
        let place = PLACES.iter().position(|known| *known == place).unwrap_or(PLACES.len());
        [&[u8::try_from(place).expect("few places"), 0], text.as_bytes()].concat()
    };
    rows.step_by(8).map(seed).collect()
}
