//! One decision in the core: parse, place, evidence, timing, with all packs loaded, over the acceptance cases and the
//! sample leads; an unknown area code; and the same with ten times the packs. Prints nanoseconds and ratios of one run.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant as Clock;

use ringfence::contact::Facts;
use ringfence::decision::{Evidence, NoLists, Postures, Question, Switches, decide};
use ringfence::engine::question::{self, Checked};
use ringfence::law::{BUILT_IN, Law};
use ringfence::place::Number;
use ringfence::proto::{json, v1};
use ringfence::time::Instant;

const ROUNDS: usize = 7;

struct Asked {
    text: String,
    checked: Checked,
    now: Instant,
}

fn asked(request: v1::CheckRequest) -> Option<Asked> {
    let checked = question::read(&request, None).ok()?;
    let now = checked.at?;
    checked.number.ok()?;
    Some(Asked { text: request.number, checked, now })
}

fn cases() -> Vec<Asked> {
    let text = std::fs::read_to_string("tests/law/acceptance.jsonl").unwrap();
    text.lines()
        .filter_map(|line| {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            asked(json::read(&serde_json::to_vec(&case["request"]).unwrap()).unwrap())
        })
        .collect()
}

fn call(number: &str) -> v1::CheckRequest {
    let at = ringfence::proto::well_known::Timestamp::from_millis(
        Instant::from_rfc3339("2026-11-18T16:00:00Z").unwrap().millis(),
    );
    v1::CheckRequest {
        number: number.to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Marketing.into(),
        recipient: v1::Recipient::Consumer.into(),
        seller: "acme".to_owned(),
        subject: "renewal".to_owned(),
        dry_run: true,
        at: Some(at),
        ..Default::default()
    }
}

fn leads() -> Vec<Asked> {
    let mut reader = csv::Reader::from_path("deploy/sample/leads.csv").unwrap();
    let column = |name: &str, headers: &csv::StringRecord| headers.iter().position(|h| h == name).unwrap();
    let headers = reader.headers().unwrap().clone();
    let (phone, country) = (column("phone", &headers), column("country", &headers));
    reader
        .records()
        .filter_map(|record| {
            let record = record.ok()?;
            let number = Number::parse(&record[phone], Some(&record[country])).ok()?;
            asked(call(number.reveal_e164().as_str()))
        })
        .collect()
}

/// Median over questions of the nanoseconds of one answer, each question timed over a batch.
fn median(law: &Law, questions: &[Asked]) -> f64 {
    let stored = Facts::default();
    let postures = Postures::default();
    let mut times: Vec<f64> = questions
        .iter()
        .map(|asked| {
            let answer = || {
                let number = Number::parse(black_box(&asked.text), None).unwrap();
                let evidence =
                    Evidence { asserted: &asked.checked.facts, stored: &stored, lists: &NoLists, live: false };
                let attempt = &asked.checked.attempt;
                let switches = Switches::NONE;
                decide(&Question { number, attempt, evidence, law, switches, postures: &postures, now: asked.now })
            };
            black_box(answer());
            let batch = 200;
            let best = (0..ROUNDS).map(|_| {
                let start = Clock::now();
                for _ in 0..batch {
                    black_box(answer());
                }
                start.elapsed().as_secs_f64() * 1e9 / f64::from(batch)
            });
            best.fold(f64::INFINITY, f64::min)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The built-in packs and nine copies of them under codes that nobody else has.
fn tenfold() -> Law {
    let root = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("jurisdiction = ")).unwrap();
        line.split('"').nth(1).unwrap().split('-').next().unwrap().to_owned()
    };
    let roots: std::collections::BTreeSet<String> = BUILT_IN.iter().map(|(_, text)| root(text)).collect();
    let letters = || b'A'..=b'Z';
    let mut free = letters()
        .flat_map(|a| letters().map(move |b| format!("{}{}", char::from(a), char::from(b))))
        .filter(|code| !roots.contains(code) && code != "ZZ");
    let mut texts: Vec<(String, String)> =
        BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    for copy in 0..9 {
        let codes: std::collections::BTreeMap<_, _> =
            roots.iter().map(|root| (root.clone(), free.next().unwrap())).collect();
        for (name, text) in BUILT_IN {
            let mut renamed = String::new();
            for line in text.lines() {
                if line.starts_with("covers = ") {
                    continue;
                }
                if line.starts_with("jurisdiction = ") || line.starts_with("inherits = ") {
                    let mut line = line.to_owned();
                    for (old, new) in &codes {
                        line = line.replace(&format!("\"{old}\""), &format!("\"{new}\""));
                        line = line.replace(&format!("\"{old}-"), &format!("\"{new}-"));
                    }
                    renamed.push_str(&line);
                } else if let Some(id) = line.strip_prefix("id = \"") {
                    renamed.push_str(&format!("id = \"copy{copy}.{id}"));
                } else {
                    renamed.push_str(line);
                }
                renamed.push('\n');
            }
            texts.push((format!("{copy}-{name}"), renamed));
        }
    }
    Law::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap_or_else(|faults| {
        let faults: Vec<_> = faults.iter().take(5).map(ToString::to_string).collect();
        println!("{}", faults.join("\n"));
        std::process::exit(1)
    })
}

fn main() {
    let law = Law::read(BUILT_IN.iter().copied()).unwrap();
    let unknown = [asked(call("+12325550123")).unwrap()];
    // `-- unknown`: that question alone, for a profiler.
    if std::env::args().any(|word| word == "unknown") {
        println!("unknown area code: {:.0} ns", median(&law, &unknown));
        return;
    }
    let ten = tenfold();
    let (cases, leads) = (cases(), leads());
    let rules = |law: &Law| law.packs().iter().map(|pack| pack.rules.len()).sum::<usize>();
    println!(
        "packs {} ({} rules); tenfold {} ({} rules)",
        law.packs().len(),
        rules(&law),
        ten.packs().len(),
        rules(&ten)
    );
    let (by_case, by_lead) = (median(&law, &cases), median(&law, &leads));
    println!("one decision, acceptance cases ({:>4})   median {by_case:>8.0} ns   bar 2000 ns", cases.len());
    println!("one decision, sample leads     ({:>4})   median {by_lead:>8.0} ns   bar 2000 ns", leads.len());
    println!("one decision, unknown area code          median {:>8.0} ns   bar 20000 ns", median(&law, &unknown));
    println!(
        "tenfold packs against one: cases {:.2}, leads {:.2}   bar 1.20",
        median(&ten, &cases) / by_case,
        median(&ten, &leads) / by_lead
    );
}
