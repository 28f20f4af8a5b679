//! The file of settings: every fault of it with its line, and the line on which each setting stands.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::{FileText, KEYS, PINNED, pinned};

/// How far a key may be from one that there is, to be taken for a slip of it: letters changed, left out or added.
const SLIP: usize = 3;

/// What stands in it. A key that is at fault is as if it did not stand there.
#[derive(Default, Debug)]
pub(super) struct File {
    name: String,
    pub text: FileText,
    lines: BTreeMap<String, usize>,
    /// Where each `[[pinned]]` table that can be read begins, and at which line each of its keys stands.
    tables: Vec<(usize, BTreeMap<String, usize>)>,
}

impl File {
    /// Reads it; what is wrong with it is added to the faults.
    pub fn read(path: &Path, faults: &mut Vec<String>) -> Self {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(name, &text, faults),
            Err(error) => {
                faults.push(format!("{name}: cannot be read: {error}: name another with --config, or make it"));
                Self { name, ..Self::default() }
            }
        }
    }

    fn parse(name: String, text: &str, faults: &mut Vec<String>) -> Self {
        let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        let mut fault = |at: usize, what: String| faults.push(format!("{name}:{}: {what}", line(at)));
        let (table, broken) = DeTable::parse_recoverable(text);
        for error in &broken {
            fault(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        let whole = if broken.is_empty() { toml::from_str::<toml::Table>(text).ok() } else { None };
        let Some(mut whole) = whole else { return Self { name, ..Self::default() } };
        let at: &DeTable<'_> = table.get_ref();
        let pinned = whole.remove("pinned");
        let keys: Vec<&str> = KEYS.iter().map(|(key, ..)| *key).chain(["pinned"]).collect();
        let mut read: FileText = sound(&whole, at, &keys, &mut fault);
        let mut tables = Vec::new();
        if let Some(pinned) = pinned {
            let spans = at.get("pinned").map(toml::Spanned::get_ref).and_then(DeValue::as_array);
            let spans = spans.into_iter().flatten().map(|one| (one.span().start, one.get_ref().as_table()));
            let values = pinned.as_array().into_iter().flatten().map(toml::Value::as_table);
            let keys: Vec<&str> = PINNED.iter().map(|(key, ..)| *key).collect();
            let mut regions = Vec::new();
            for ((start, spans), value) in spans.zip(values) {
                let (Some(spans), Some(value)) = (spans, value) else { continue };
                regions.push(sound::<pinned::Text>(value, spans, &keys, &mut fault));
                tables.push((line(start), lines(spans, &line)));
            }
            if pinned.as_array().is_none_or(|all| all.len() != regions.len()) {
                let start = at.keys().find(|key| key.get_ref() == "pinned").map_or(0, |key| key.span().start);
                fault(start, "pinned: regions are tables: write [[pinned]] above the settings of each".to_owned());
            }
            read.pinned = Some(regions);
        }
        Self { name, text: read, lines: lines(at, &line), tables }
    }

    /// File and line of a setting.
    pub fn place(&self, key: &str) -> String {
        format!("{}:{}", self.name, self.lines.get(key).copied().unwrap_or(1))
    }

    /// File and line of the `[[pinned]]` table of this index.
    pub fn table_place(&self, index: usize) -> String {
        format!("{}:{}", self.name, self.tables.get(index).map_or(1, |(line, _)| *line))
    }

    /// The settings of each `[[pinned]]` table that are given, with the line of each.
    pub fn tables(&self) -> impl Iterator<Item = impl Iterator<Item = (&str, String)>> {
        let place = |line: &usize| format!("{}:{line}", self.name);
        self.tables.iter().map(move |(_, keys)| keys.iter().map(move |(key, line)| (key.as_str(), place(line))))
    }
}

fn lines(table: &DeTable<'_>, line: &dyn Fn(usize) -> usize) -> BTreeMap<String, usize> {
    table.keys().map(|key| (key.get_ref().to_string(), line(key.span().start))).collect()
}

/// Reads what can be read of a table, key by key, and says of each of the others what is wrong with it.
fn sound<T: DeserializeOwned + Default>(
    values: &toml::Table,
    spans: &DeTable<'_>,
    keys: &[&str],
    fault: &mut dyn FnMut(usize, String),
) -> T {
    let mut good = toml::Table::new();
    for (key, at) in spans.keys().map(|key| (key.get_ref(), key.span().start)) {
        let Some(value) = values.get(key.as_ref()) else { continue };
        if !keys.contains(&key.as_ref()) {
            fault(at, format!("unknown key `{}`{}", super::shown(key), meant(key, keys)));
            continue;
        }
        let one: toml::Table = std::iter::once((key.to_string(), value.clone())).collect();
        match one.clone().try_into::<T>() {
            Ok(_) => good.extend(one),
            Err(error) if error.message().starts_with("data did not match") => {
                fault(at, format!("{key}: is neither a number nor a text in quotes"));
            }
            Err(error) => fault(at, format!("{key}: {}", error.message())),
        }
    }
    good.try_into().unwrap_or_default()
}

/// `: did you mean …?`, where a key is nearly one that there is.
pub(super) fn meant(key: &str, keys: &[&str]) -> String {
    let near = keys.iter().map(|known| (distance(key, known), *known)).min();
    match near {
        Some((far, known)) if far <= SLIP && far * 2 <= known.len() => format!(": did you mean `{known}`?"),
        _ => ": `ringfence config show` lists those that there are".to_owned(),
    }
}

/// Letters to change, leave out or add, to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (n, a) in one.bytes().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(n + 1);
        for ((b, above_left), above) in other.bytes().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            next.push((above_left + usize::from(a != b)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told_with_its_line_and_the_rest_is_read() {
        let text = "data = \"d\"\nregistry = \"x\"\nstreams = \"many\"\n\nacks = 1.5\nhttp = \"off\"\n\
                    [[pinned]]\nname = \"cn\"\ncolour = 1\n";
        let mut faults = Vec::new();
        let file = File::parse("f.toml".to_owned(), text, &mut faults);
        let told = faults.join("\n");
        for part in [
            "f.toml:2: unknown key `registry`: did you mean `registries`?",
            "f.toml:3: streams: ",
            "f.toml:5: acks: is neither",
            "f.toml:9: unknown key `colour`",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(faults.len(), 4, "{told}");
        assert_eq!((file.text.data.as_deref(), file.text.http.as_deref()), (Some("d"), Some("off")));
        assert_eq!((file.place("http"), file.table_place(0)), ("f.toml:6".to_owned(), "f.toml:7".to_owned()));
        assert_eq!(file.text.pinned.unwrap().len(), 1);
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line_and_quotes_nothing() {
        let mut faults = Vec::new();
        File::parse("f.toml".to_owned(), "data = \"d\"\nstore = redis://me:hush@a\n", &mut faults);
        assert!(!faults.is_empty() && faults.iter().all(|fault| fault.starts_with("f.toml:2: ")), "{faults:?}");
        assert!(!faults.concat().contains("hush"), "{faults:?}");
        let mut faults = Vec::new();
        File::parse("f.toml".to_owned(), "pinned = 1\n", &mut faults);
        assert!(faults.concat().contains("[[pinned]]"), "{faults:?}");
    }

    #[test]
    fn a_slip_is_told_from_another_word() {
        assert_eq!(meant("tls_crt", &["tls_cert", "data"]), ": did you mean `tls_cert`?");
        assert!(!meant("colour", &["data", "http"]).contains("mean"));
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
