//! Standard output and standard error. A reader that goes away (`ringfence law show | head`) ends the output and is no
//! error.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::Error;

/// Lines of text for people are folded at this many columns.
pub const WIDTH: usize = 100;

/// Writes an answer to standard output, and ends its last line.
///
/// # Errors
/// The output cannot be written, other than because nobody reads it any more.
pub fn say(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    done(out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush()))
}

/// Writes a value to standard output, as indented JSON.
///
/// # Errors
/// As [`say`].
pub fn say_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::said(error.to_string()))?;
    say(&text)
}

/// Makes nothing of a reader that went away.
pub(super) fn done(written: io::Result<()>) -> Result<(), Error> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("writing", "standard output", &error)),
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
pub fn note(line: &str) {
    // Where standard error is gone there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Folds a text at [`WIDTH`], every line after the first indented by so many columns; the first one stands at `column`.
#[must_use]
pub fn folded(text: &str, column: usize, indent: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = column;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if at > indent && at + 1 + length > WIDTH && !out.is_empty() {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            at = indent;
        } else if !out.is_empty() {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += length;
    }
    out
}

/// Rows of a table, each column as wide as its widest cell, two spaces between; the last column is folded.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.saturating_sub(1)).map(width).collect();
    let indent: usize = widths.iter().map(|width| width + 2).sum();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', (width + 2).saturating_sub(cell.chars().count())));
        }
        if let Some(last) = row.get(widths.len()) {
            let fits = indent + last.chars().count() <= WIDTH;
            line.push_str(&if fits { last.clone() } else { folded(last, indent, indent) });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_words() {
        let text = folded(&"word ".repeat(60), 4, 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(text.split_whitespace().count(), 60);
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(folded("a  b\nc", 0, 2), "a b c");
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "long".to_owned(), "x".to_owned()], vec!["ccc".to_owned(), "b".to_owned()]];
        assert_eq!(table(&rows), "a    long  x\nccc  b\n");
    }
}
