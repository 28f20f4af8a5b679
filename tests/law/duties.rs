//! Duties and warnings are reached: one of the cases of each carries it. A duty denies nothing, so its cases cannot show
//! that by what they deny.

use ringfence::engine::cases;
use ringfence::law::{BUILT_IN, Body, Law};

/// The built-in packs with their duties alone, so that every contact is allowed.
fn duties_alone() -> Law {
    let texts: Vec<(&str, String)> = BUILT_IN.iter().map(|(file, text)| (*file, reduced(text))).collect();
    Law::read(texts.iter().map(|(file, text)| (*file, text.as_str()))).unwrap()
}

fn reduced(text: &str) -> String {
    let mut pack: toml::Table = toml::from_str(text).unwrap();
    if let Some(rules) = pack.get_mut("rule").and_then(toml::Value::as_array_mut) {
        rules.retain(|rule| matches!(rule["kind"].as_str(), Some("obligation" | "abandonment")));
    }
    toml::to_string(&pack).unwrap()
}

#[test]
fn every_duty_is_carried_by_one_of_its_cases() {
    let law = duties_alone();
    let (mut duties, mut problems) = (0, Vec::new());
    for pack in law.packs() {
        for rule in &pack.rules {
            assert!(matches!(rule.body, Body::Obligation { .. } | Body::Abandonment));
            duties += 1;
            let of_rule = pack.cases.iter().filter(|case| case.rule == rule.id);
            let carried: Vec<_> = of_rule.map(|case| cases::carries(&law, pack, case)).collect();
            if !carried.contains(&Ok(true)) {
                problems.push(format!("{}: {carried:?}", rule.id));
            }
        }
    }
    assert!(duties > 50 && problems.is_empty(), "{duties} duties; not carried:\n{}", problems.join("\n"));
}
