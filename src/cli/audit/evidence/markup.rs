//! Text into a page, and values out of the report: the only place where text is escaped.

use serde_json::Value;

use crate::cli::explain::clock;
use crate::time::{Instant, ZoneId};

/// How it looks, on paper too.
pub(super) const STYLE: &str = "body{font:16px/1.5 Georgia,serif;color:#111;background:#fff;max-width:52rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.2rem 0 .6rem;border-bottom:2px solid #111}\
h3{font-size:1rem;margin:1.4rem 0 .3rem}table{border-collapse:collapse;width:100%;margin:.3rem 0}\
th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #ccc}\
th{width:11rem;font-weight:normal;color:#444}blockquote{margin:.3rem 0;padding:.3rem .8rem;border-left:4px solid #777;white-space:pre-wrap}\
code{font:.82rem/1.4 monospace;overflow-wrap:anywhere}.allow{color:#064}.deny{color:#900}.note{color:#444}\
@media print{body{font-size:10.5pt;margin:0;max-width:none}h2{break-after:avoid}section.one{break-inside:avoid}a{color:inherit}}";

/// A page as it grows.
pub(super) struct Page(pub(super) String);

impl Page {
    /// Markup, and nothing that came from outside.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Whatever text, as text.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Those that turn the direction of reading could make a text seem to say something else.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                c if c.is_control() && c != '\n' && c != '\t' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    pub(super) fn within(&mut self, open: &str, inside: &str, close: &str) {
        self.raw(open);
        self.text(inside);
        self.raw(close);
    }

    pub(super) fn heading(&mut self, title: &str) {
        self.within("<h2>", title, "</h2>\n");
    }

    pub(super) fn note(&mut self, note: &str) {
        self.within("<p class=\"note\">", note, "</p>\n");
    }

    /// A table of what is known; rows without a value are left out.
    pub(super) fn rows(&mut self, rows: &[(&str, String)]) {
        self.raw("<table>\n");
        for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
            self.within("<tr><th>", name, "</th>");
            self.within("<td>", value, "</td></tr>\n");
        }
        self.raw("</table>\n");
    }

    pub(super) fn list<'t>(&mut self, items: impl Iterator<Item = &'t str>) {
        self.raw("<ul>\n");
        items.for_each(|item| self.within("<li>", item, "</li>\n"));
        self.raw("</ul>\n");
    }
}

/// What stands there; null: nothing does.
pub(super) fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').filter(|key| !key.is_empty()).fold(value, |value, key| value.get(key).unwrap_or(&Value::Null))
}

/// A value as text; nothing for what is not there.
pub(super) fn text(value: &Value, path: &str) -> String {
    match at(value, path) {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A list; empty where there is none.
pub(super) fn all<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn texts(value: &Value, path: &str) -> Vec<String> {
    all(value, path).iter().map(|one| text(one, "")).collect::<Vec<_>>()
}

/// `RULE_FAMILY_OPT_OUT` as `opt out`.
pub(super) fn word(value: &Value, path: &str, prefix: &str) -> String {
    let text = text(value, path);
    let bare = text.strip_prefix(prefix).unwrap_or(&text);
    if bare == "UNSPECIFIED" { String::new() } else { bare.to_lowercase().replace('_', " ") }
}

pub(super) fn words(value: &Value, path: &str, prefix: &str) -> String {
    let words: Vec<_> = all(value, path).iter().map(|one| word(one, "", prefix)).collect();
    words.join(", ")
}

/// The wall clocks of an entry: `Wed 18 Nov 10:00 in America/New_York`.
pub(super) fn local(value: &Value) -> String {
    let clocks = all(value, "local").iter().map(|one| format!("{} in {}", text(one, "clock"), text(one, "timeZone")));
    clocks.collect::<Vec<_>>().join("; ")
}

/// An instant, with the wall clocks of the person's place.
pub(super) fn when(report: &Value, instant: &str) -> String {
    let Some(at) = Instant::from_rfc3339(instant) else { return instant.to_owned() };
    let zones = texts(report, "timeZones");
    let clocks = zones.iter().filter_map(|name| Some(format!("{} in {name}", clock(at, ZoneId::by_name(name)?))));
    let clocks: Vec<_> = clocks.collect();
    if clocks.is_empty() { instant.to_owned() } else { format!("{instant} ({})", clocks.join("; ")) }
}

pub(super) fn place(value: &Value) -> String {
    format!("entry {} of the log of writer {}, id {}", text(value, "entry"), text(value, "writer"), text(value, "id"))
}
