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
use ringfence::law::{Around, Body, Heard, Meaning};
use ringfence::place::Jurisdiction;
use ringfence::time::Instant;
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
