//! A page about a scrubbed file, for people: figures and charts, whole in itself. It holds no number and asks nobody for
//! anything.

use std::fmt::Write as _;

use super::classes::Class;
use super::summary::{Summary, short};
use crate::cli::progress::grouped;
use crate::time::Instant;

/// Countries shown one by one.
const COUNTRIES: usize = 40;
/// The width of a chart.
const WIDTH: u64 = 720;
/// The height of a chart of hours.
const HEIGHT: u64 = 180;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1c2530;background:#fff;max-width:60rem;margin:2rem auto;\
    padding:0 1rem}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.5rem}table{border-collapse:collapse}\
    td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #dde3ea}td:first-child,th:first-child{text-align:left}\
    svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#1c2530}.now{fill:#1a7f4b}\
    .laterToday{fill:#5aa9d6}.later{fill:#a9c8de}.needsConsent{fill:#e0a03c}.notKnown{fill:#8a94a0}\
    .stopped{fill:#7a4a86}.never{fill:#b8554d}.bar{fill:#3b6ea5}\
    footer{margin-top:3rem;color:#5b6775;font-size:.9rem}@media(prefers-color-scheme:dark){body{background:#12171d;\
    color:#e6ebf0}svg text{fill:#e6ebf0}td,th{border-color:#313a45}}";

/// The page.
pub(super) fn page(summary: &Summary<'_>, name: &str) -> String {
    let tally = summary.tally;
    let mut out = String::with_capacity(32 << 10);
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    // Whatever is in it, nothing is fetched and nothing runs.
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    out.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    let name = escaped(name);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<title>{name}: who may be contacted</title><style>{STYLE}</style></head><body>\n<h1>{name}</h1>"
    );
    let _ = writeln!(
        out,
        "<p>{} rows, judged for {}. {} may be contacted now.</p>",
        grouped(tally.rows()),
        summary.at,
        grouped(tally.allowed())
    );
    out.push_str("<h2>When they may be contacted</h2>\n");
    let classes: Vec<_> =
        Class::ALL.iter().map(|class| (class.words().to_owned(), class.name(), tally.of(*class))).collect();
    across(&mut out, &classes, tally.rows());
    out.push_str(
        "<p>Later today: by itself, on this day as every place counts it that the person may be in. Never without consent: \
         what stands in the way is what a consent of the person answers. Not known: nothing but that a do-not-call list, which \
         must be looked into, is missing or stale; load a fresh copy and ask again. Stopped: the person asked not to be \
         contacted, and is not to be asked for a consent either.</p>\n",
    );
    if summary.forecast.is_some() {
        out.push_str("<h2>How many may be contacted, by the hour (UTC)</h2>\n");
        upright(&mut out, &summary.hours());
    }
    let opens = summary.opens();
    if !opens.is_empty() {
        out.push_str("<h2>Denied now, and open by themselves, by the hour (UTC)</h2>\n");
        upright(&mut out, &opens);
    }
    if !tally.families.is_empty() {
        out.push_str("<h2>Why rows are denied</h2>\n<p>A row may have several reasons.</p>\n");
        let families: Vec<_> =
            summary.families().into_iter().map(|(name, rows)| (name.to_owned(), "bar", rows)).collect();
        across(&mut out, &families, tally.rows());
    }
    countries(&mut out, summary);
    warnings(&mut out, summary);
    let rules = if summary.rules.is_empty() { "those of the server".to_owned() } else { escaped(summary.rules) };
    let entry = summary.entry.map_or_else(|| "none".to_owned(), |entry| entry.to_string());
    let lists = summary.lists.iter().flatten().map(|list| {
        let as_of = Instant::from_millis(list.as_of);
        format!("{} {} as of {as_of}", escaped(&list.registry), escaped(&list.version))
    });
    let lists: Vec<_> = lists.collect();
    let lists = match (&summary.lists, lists.is_empty()) {
        (None, _) => "those of the server".to_owned(),
        (Some(_), true) => "none".to_owned(),
        (Some(_), false) => lists.join(", "),
    };
    let _ = writeln!(
        out,
        "<footer><p>Rules: {rules}. Lists: {lists}. Audit entry: {entry}. Made by ringfence {}. It states what its packs say; it is not \
         legal advice. Whatever changes after the instant above, an opt-out, a list, a law, is not in this page: ask again \
         before each contact.</p></footer>\n</body></html>",
        env!("CARGO_PKG_VERSION")
    );
    out
}

/// Bars that lie, each with its name and count.
fn across(out: &mut String, bars: &[(String, &str, u64)], rows: u64) {
    const LINE: u64 = 26;
    const NAMES: u64 = 250;
    let most = bars.iter().map(|(.., count)| *count).max().unwrap_or(0).max(1);
    let height = LINE * bars.len() as u64 + 4;
    let _ = writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\">");
    for ((name, class, count), line) in bars.iter().zip(0..) {
        let (y, wide) = (line * LINE + 2, count * (WIDTH - NAMES - 170) / most);
        let share = count.saturating_mul(1_000) / rows.max(1);
        let _ = writeln!(
            out,
            "<text x=\"0\" y=\"{}\">{}</text><rect class=\"{class}\" x=\"{NAMES}\" y=\"{y}\" width=\"{}\" height=\"18\"/>\
             <text x=\"{}\" y=\"{}\">{} ({}.{} %)</text>",
            y + 14,
            escaped(name),
            wide.max(1),
            NAMES + wide + 8,
            y + 14,
            grouped(*count),
            share / 10,
            share % 10
        );
    }
    out.push_str("</svg>\n");
}

/// Bars that stand, one for each hour; midnights are named.
fn upright(out: &mut String, hours: &[(Instant, u64)]) {
    let most = hours.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let count = (hours.len() as u64).max(1);
    let all = HEIGHT + 40;
    let _ = writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {all}\" width=\"{WIDTH}\" role=\"img\">");
    let _ = writeln!(out, "<text x=\"0\" y=\"12\">{} at most</text>", grouped(most));
    for ((hour, rows), at) in hours.iter().zip(0..) {
        // Tenths: bars of many hours are thinner than a unit.
        let (from, to) = (at * WIDTH * 10 / count, (at + 1) * WIDTH * 10 / count);
        let wide = (to - from).saturating_sub(if to - from > 20 { 10 } else { 0 }).max(5);
        let high = rows * (HEIGHT - 24) / most;
        let name = short(*hour);
        let _ = writeln!(
            out,
            "<rect class=\"bar\" x=\"{}.{}\" y=\"{}\" width=\"{}.{}\" height=\"{high}\"><title>{name}: {}</title></rect>",
            from / 10,
            from % 10,
            HEIGHT - high,
            wide / 10,
            wide % 10,
            grouped(*rows)
        );
        if at == 0 || name.ends_with("00:00") && from < (WIDTH - 90) * 10 && from > 900 {
            let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{name}</text>", from / 10, HEIGHT + 18);
        }
    }
    out.push_str("</svg>\n");
}

fn countries(out: &mut String, summary: &Summary<'_>) {
    let countries = summary.countries();
    out.push_str("<h2>By country</h2>\n<table><tr><th>country</th><th>rows</th>");
    for class in Class::ALL {
        let _ = write!(out, "<th>{}</th>", class.words());
    }
    out.push_str("</tr>\n");
    for (name, classes) in countries.iter().take(COUNTRIES) {
        let _ = write!(out, "<tr><td>{}</td><td>{}</td>", escaped(name), grouped(classes.iter().sum()));
        for count in classes {
            let _ = write!(out, "<td>{}</td>", grouped(*count));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    if let Some(more) = countries.len().checked_sub(COUNTRIES).filter(|more| *more > 0) {
        let _ = writeln!(out, "<p>And {more} more.</p>");
    }
}

fn warnings(out: &mut String, summary: &Summary<'_>) {
    if summary.tally.warnings.is_empty() {
        return;
    }
    out.push_str("<h2>Warnings</h2>\n<table><tr><th>warning</th><th>rows</th></tr>\n");
    for (code, rows) in &summary.tally.warnings {
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(code), grouped(*rows));
    }
    out.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
