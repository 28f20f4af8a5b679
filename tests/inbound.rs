//! Texts that people send: understood in every language of the tables, recorded before they are answered, and answered
//! once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "inbound/recorded.rs"]
mod recorded;
mod support;

use proptest::prelude::*;
use ringfence::contact::{Purpose, Term};
use ringfence::law::{Around, Body, Heard, Meaning, Pack};
use ringfence::place::Jurisdiction;
use support::{DAY, at, law};

fn around<'a>(places: &'a [Jurisdiction], last: Option<Purpose>) -> Around<'a> {
    Around { places, last, had_stopped: false, at: at(DAY) }
}

fn heard(text: &str, places: &[Jurisdiction], last: Option<Purpose>) -> Heard {
    law().hear(text, &around(places, last))
}

fn place(code: &str) -> Vec<Jurisdiction> {
    if code == "-" { Vec::new() } else { vec![code.parse().unwrap()] }
}

/// `\u200b` in the table stands for the character, which no reviewer could see; `\n` for a new line.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(4);
        out.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        out.push_str(rest);
    }
    out.replace("\\n", "\n")
}

#[test]
fn texts_mean_what_the_table_says() {
    let (mut failed, mut count) = (Vec::new(), 0);
    for line in include_str!("inbound/texts.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [text, code, last, meaning] = columns[..] else { panic!("not four columns: {line}") };
        let last = if last == "-" { None } else { Some(Purpose::from_word(last).unwrap()) };
        let heard = heard(&unescaped(text), &place(code), last);
        count += 1;
        let found = format!("{:?}", heard.meaning).to_uppercase();
        if found != meaning {
            failed.push(format!("{line}: {found} by `{}`", heard.matched));
        }
    }
    assert!(failed.is_empty(), "{} of {count} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 900, "only {count} texts");
}

/// Every stop word of a pack, with the pack's place.
fn listed() -> Vec<(String, Jurisdiction)> {
    let law = law();
    let words = |pack: &Pack| {
        let place = pack.jurisdiction();
        let rules = pack.rules.iter().filter_map(|rule| match &rule.body {
            Body::Keywords { stop, .. } => Some(stop.clone()),
            _ => None,
        });
        rules.flatten().map(|word| (word.to_string(), place)).collect::<Vec<_>>()
    };
    law.packs().iter().flat_map(words).collect()
}

#[test]
fn every_listed_word_alone_is_a_stop_and_its_rule_is_named() {
    let words = listed();
    assert!(words.len() > 250, "{}", words.len());
    for (word, place) in &words {
        let heard = heard(word, &[*place], Some(Purpose::Marketing));
        assert_eq!(heard.meaning, Meaning::Stop, "{word} in {place}");
        let rule = heard.rule.expect("a rule");
        assert!(
            law().rule(&rule).is_some_and(|(_, rule)| rule.jurisdiction == *place || place.to_string() != "EU"),
            "{rule}"
        );
    }
}

/// Ways of writing one character that say nothing of the word.
fn dressed(c: char, how: u8) -> String {
    match how % 8 {
        0 => c.to_uppercase().collect(),
        1 => c.to_lowercase().collect(),
        2 if c.is_ascii_graphic() => char::from_u32(u32::from(c) - 0x21 + 0xff01).unwrap().into(),
        3 => format!("{c}\u{200b}"),
        4 => format!("\u{202e}{c}"),
        5 if c.is_alphabetic() => format!("{c}\u{301}"),
        6 => format!("{c}\u{ad}"),
        _ => c.into(),
    }
}

proptest! {
    #[test]
    fn a_listed_word_is_a_stop_however_it_is_dressed(pick in any::<prop::sample::Index>(), how in any::<[u8; 32]>(), before in "[ \\t\\n.!*#\"(]{0,4}", after in "[ \\t\\n.!?*)…]{0,4}") {
        let words = listed();
        let (word, place) = &words[pick.index(words.len())];
        let text: String = word.chars().zip(how.iter().cycle()).map(|(c, how)| dressed(c, *how)).collect();
        let heard = heard(&format!("{before}{text}{after}"), &[*place], Some(Purpose::Marketing));
        prop_assert_eq!(heard.meaning, Meaning::Stop, "{:?} for {} in {}", text, word, place);
    }

    #[test]
    fn a_word_that_answers_no_question_begins_a_stop_whatever_follows(pick in any::<prop::sample::Index>(), after in "\\PC{0,40}") {
        let words = ["STOP", "UNSUBSCRIBE", "ARRET", "ABMELDEN", "BAJA", "СТОП", "ΣΤΟΠ", "הסר", "退订", "수신거부"];
        let word = words[pick.index(words.len())];
        let text = format!("{word} {after}");
        prop_assert_eq!(heard(&text, &place("US-TX"), None).meaning, Meaning::Stop, "{:?}", text);
    }

    #[test]
    fn any_text_is_understood_somehow(text in prop::collection::vec(any::<char>(), 0..2_000)) {
        let text: String = text.into_iter().collect();
        let _ = heard(&text, &[], None);
        let _ = heard(&text, &place("CN"), Some(Purpose::Marketing));
    }
}

/// The longest texts that are accepted, of what is looked up most often.
#[test]
fn the_longest_text_takes_no_time() {
    let begun = std::time::Instant::now();
    for part in [
        "stop ",
        "please ",
        "请",
        "take ",
        "remove a b c ",
        "dont want ",
        "s ",
        "停",
        "不要",
        "bus stop ",
        "\u{301}",
        "ﷺ",
        "😀",
    ] {
        let text = part.repeat(8 * 1024 / part.len());
        let _ = heard(&text, &place("US-CA"), None);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_wording_names_the_seller_and_fits_one_message() {
    for (code, stop) in
        [("US-CA", "STOP"), ("FR", "ARRET"), ("DE", "STOPP"), ("CN", "退订"), ("-", "СТОП"), ("-", "הסר")]
    {
        let places = place(code);
        let heard = heard(stop, &places, None);
        for seller in [None, Some("Acme")] {
            let text = law().wording(&heard, seller, &places).unwrap();
            assert!(!text.contains(['{', '}']) && text.starts_with("Acme") == seller.is_some(), "{text}");
            assert!(text.chars().count() <= 160, "{text}");
        }
    }
}
