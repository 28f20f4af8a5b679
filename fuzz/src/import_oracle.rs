//! What an import must make of lines, by a plain map: each line that is understood, and nothing besides.

use std::collections::BTreeMap;

use ringfence::registry::ids::official;
use ringfence::registry::import::{Intake, Line, Order, Reading};
use ringfence::registry::set::{Day, Found, Header, Set};
use ringfence::time::Instant;

use super::house;

/// Reads a text as ordered. `understood` says of the same text what each of its lines says, `None` where it says nothing that
/// is understood; it is only asked where the text was read to its end.
pub fn taken(order: Order, text: &[u8], understood: impl Fn(Reading, &[u8]) -> Vec<Option<Line>>) {
    let header = Header::new(&order.id, order.as_of, "", false);
    let mut intake = Intake::new(order.clone(), None).expect("a known list");
    match intake.read("text", text, &mut |_| {}) {
        Ok(()) => {
            let lines = understood(Reading::of(official(&order.id), None), text);
            let expected = expected(&order, lines.iter().flatten());
            let taken = intake.taken();
            let rejected = lines.iter().filter(|line| line.is_none()).count();
            assert_eq!(
                (taken.read, taken.rejects.count),
                (lines.len() as u64, rejected as u64),
                "each line is accounted for"
            );
            let set = Set::in_memory(header, taken.builder).expect("a sound set");
            let held: BTreeMap<u64, Day> = set.numbers().map(|number| number.expect("a sound set")).collect();
            assert_eq!(held, expected, "what the lines say, and nothing else");
            for (number, day) in expected {
                assert_eq!(set.look_up(number), Found::In(day), "whoever is in a line is found");
            }
        }
        Err(fault) => {
            house::said(&fault.what);
            house::said(&fault.remedy);
        }
    }
}

fn expected<'l>(order: &Order, lines: impl Iterator<Item = &'l Line>) -> BTreeMap<u64, Day> {
    let mut steps: Vec<(Line, u64)> = Vec::new();
    for line in lines {
        // To take out one of two would be a guess.
        if line.added == Some(false) && line.other.is_some() {
            continue;
        }
        steps.extend([Some(line.number), line.other].into_iter().flatten().map(|number| (*line, number)));
    }
    if order.changes && steps.iter().all(|(line, _)| line.date.is_some()) {
        steps.sort_by_key(|(line, _)| (line.date.map(|at| at.millis()), line.added));
    }
    let mut held = BTreeMap::new();
    for (line, number) in steps {
        if line.added == Some(false) {
            held.remove(&number);
            continue;
        }
        // A date to come is none.
        let was = |date: &Instant| date.millis() <= order.as_of.millis() + 86_400_000;
        let day = line.date.filter(|date| order.dates && was(date)).map_or(Day::NONE, Day::of);
        // Of two days neither is the stricter one for every rule.
        held.entry(number).and_modify(|known| *known = if *known == day { day } else { Day::NONE }).or_insert(day);
    }
    held
}

/// What parts the fields of a line.
pub fn delimiter(line: &str) -> char {
    line.chars().find(|c| ",;\t|".contains(*c)).unwrap_or(',')
}
