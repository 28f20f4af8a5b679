//! A forecast over many, of whom like ones share their hours: with the check of each as the judge of it.

use std::collections::HashMap;

use ringfence::engine::{Forecast, Parts, Settings};
use ringfence::registry::{Registries, sample};
use ringfence::store::MemoryStore;
use ringfence::telemetry::Metrics;

use super::*;

/// When it is asked: 12:10 in New York, a Wednesday.
const ASKED: &str = "2026-11-18T17:10:00Z";
const HOURS: usize = 26;

/// One who is asked about: a number, and what else is said of where the person is.
type Lead = (&'static str, v1::Location);

fn living(residence: &str) -> v1::Location {
    v1::Location { residence: residence.to_owned(), ..Default::default() }
}

fn zone(name: &str) -> v1::Location {
    v1::Location { time_zone: name.to_owned(), ..Default::default() }
}

fn posted(residence: &str, postal_code: &str) -> v1::Location {
    v1::Location { residence: residence.to_owned(), postal_code: postal_code.to_owned(), ..Default::default() }
}

/// Like and unlike: each fact of which a decision is made differs between some two that are alike in all others, and most
/// of them are there more than once.
fn leads() -> Vec<Lead> {
    let none = v1::Location::default;
    let once = [
        // Alike; then one on the list of the nation, one on that of the state alone, and one who opted out.
        ("+13055550143", none()),
        ("+13055550144", none()),
        ("+13055550115", none()),
        ("+13055550100", none()),
        ("+13055550147", none()),
        // Other places; of one number, other residences, clocks and codes.
        ("+12125550143", none()),
        ("+12125550144", none()),
        ("+12125550127", none()),
        ("+14155550143", none()),
        ("+13055550143", living("US-CA")),
        ("+13055550144", living("US-CA")),
        ("+13055550143", living("US-TX")),
        ("+13055550143", zone("America/Los_Angeles")),
        ("+13055550144", zone("America/Los_Angeles")),
        ("+13055550143", zone("Pacific/Honolulu")),
        ("+13055550143", posted("US-FL", "32501")),
        ("+13055550143", posted("US-FL", "33101")),
        ("+8613123456056", none()),
        ("+861012345778", none()),
        ("+4930231250", none()),
        ("+33123456789", none()),
        ("+442079460018", none()),
        ("+41212345924", none()),
        ("+18005550143", none()),
        ("+4930231251", none()),
        ("+33123456780", none()),
    ];
    once.iter().chain(once.iter().rev()).cloned().collect()
}

fn question((number, location): &Lead, purpose: v1::Purpose) -> v1::CheckRequest {
    v1::CheckRequest {
        number: (*number).to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: purpose.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Landline.into(),
        seller: "acme".to_owned(),
        location: (*location != v1::Location::default()).then(|| location.clone()),
        dry_run: true,
        at: stamp(ASKED),
        ..Default::default()
    }
}

fn engine_with_lists() -> Engine {
    Engine::new(Parts {
        store: Arc::new(MemoryStore::new()),
        keys: Keys::ephemeral().unwrap(),
        log: None,
        registries: Arc::new(Registries::fixed(sample::lists(at(ASKED)).unwrap())),
        law: support::law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    })
}

/// In which hours a check allows, asked wherever rules change: at whole and half hours, and in the first hour from now on.
async fn allowed(engine: &Engine, question: &v1::CheckRequest) -> Vec<bool> {
    let asked = at(ASKED).millis();
    let first = asked - asked.rem_euclid(3_600_000);
    let mut hours = Vec::with_capacity(HOURS);
    for hour in 0..i64::try_from(HOURS).unwrap() {
        let mut open = false;
        for half in [0, 1_800_000] {
            let instant = first + hour * 3_600_000 + half;
            let Some(instant) = (instant + 1_800_000 > asked).then(|| instant.max(asked)) else { continue };
            let stamp = ringfence::proto::well_known::Timestamp::from_millis(instant);
            let question = v1::CheckRequest { at: Some(stamp), ..question.clone() };
            let decision = engine.check(&permit(Role::Check), question, clock(ASKED)).await.unwrap();
            open |= decision.verdict() == Verdict::Allow;
        }
        hours.push(open);
    }
    hours
}

#[tokio::test]
async fn many_like_and_unlike_have_the_hours_that_check_allows_each_of_them() {
    let engine = engine_with_lists();
    engine
        .record_opt_out(&permit(Role::WriteConsent), opt_out("+13055550147", "stop"), clock("2026-11-18T10:00:00Z"))
        .await
        .unwrap();
    let leads = leads();
    let mut kinds = HashSet::new();
    for purpose in [v1::Purpose::Marketing, v1::Purpose::Survey] {
        let questions: Vec<_> = leads.iter().map(|lead| question(lead, purpose)).collect();
        let forecast = Forecast::new(at(ASKED), HOURS);
        let mut said = HashMap::new();
        let judged = engine.judge_rows(&permit(Role::Check), &questions, clock(ASKED), Some(&forecast)).await;
        for ((lead, question), judged) in leads.iter().zip(&questions).zip(judged) {
            let bits = judged.unwrap().hours.unwrap_or_default();
            let hours: Vec<_> =
                (0..HOURS).map(|hour| bits.get(hour / 64).is_some_and(|word| (word >> (hour % 64)) & 1 == 1)).collect();
            let oracle = match said.get(&format!("{lead:?}")) {
                Some(known) => Vec::clone(known),
                None => allowed(&engine, question).await,
            };
            assert_eq!(hours, oracle, "{lead:?}");
            said.insert(format!("{lead:?}"), oracle);
            kinds.insert(hours);
        }
    }
    assert!(kinds.len() > 4, "unlike ones have unlike hours: {}", kinds.len());
}
