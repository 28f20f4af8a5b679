//! What `contact import` and `reassigned import` promise of the rows of a file, whatever is in it.

use std::collections::HashSet;
use std::path::Path;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::cli::Command;
use ringfence::cli::look::{self, Row, Rows};
use ringfence::engine::{Engine, Import, Imported};
use ringfence::proto::{json, v1};
use v1::import_contacts_request::Entry;

use super::house;

/// Reads a file, and looks at each row; `None` where it is refused as a whole.
pub fn rows(command: &Command, path: &Path) -> Option<Rows> {
    let found = match look::rows(command) {
        Ok(found) => found,
        Err(error) => {
            house::said_of(path, &error.to_string());
            return None;
        }
    };
    if let Some(error) = &found.broken {
        house::said_of(path, &error.to_string());
    }
    let mut last = 0;
    for row in &found.rows {
        assert!(row.line > last, "rows begin on lines that ascend: {} after {last}", row.line);
        last = row.line;
        match &row.entry {
            Ok(entry) => read(row.line, entry),
            Err(why) => house::said(&why.message),
        }
        assert!(row.refused.ends_with(b"\n") && !row.refused.is_empty());
    }
    Some(found)
}

/// What a row records is a message like any other.
fn read(line: u64, entry: &Entry) {
    let row = v1::ImportContactsRequest { row: line, entry: Some(entry.clone()), ..Default::default() };
    house::round_trip(&row);
    let text = serde_json::to_vec(&row).expect("what was read is JSON");
    assert!(json::read(&text).is_ok_and(|again: v1::ImportContactsRequest| again == row), "{row:?}");
}

/// Rows that are handed back, mended or not, are read again as they were.
pub fn again(rows: &Rows, command: &Command, write: impl Fn(&[u8])) {
    let parts = [b',', b';', b'\t', b'|'].iter().filter(|part| rows.head.contains(part)).count();
    // A title that holds another separator leaves it open which of the two parts the fields.
    if rows.head.is_empty() || rows.rows.is_empty() || parts > 1 {
        return;
    }
    let refused: Vec<_> = rows.rows.iter().flat_map(|row| row.refused.iter().copied()).collect();
    write(&[rows.head.as_slice(), &refused].concat());
    let read = look::rows(command).expect("what was written can be read");
    assert!(read.broken.is_none(), "{:?}", read.broken);
    assert_eq!(read.rows.len(), rows.rows.len(), "every row handed back is a row");
    for (row, again) in rows.rows.iter().zip(&read.rows) {
        match (&row.entry, &again.entry) {
            (Ok(entry), Ok(again)) => assert_eq!(entry, again),
            (Ok(entry), Err(why)) => panic!("{entry:?}: {why:?}"),
            (Err(why), Ok(entry)) => panic!("{why:?}: {entry:?}"),
            (Err(_), Err(_)) => {}
        }
    }
}

/// Records rows twice under one name: what was accepted is recorded once, and every row is told of.
pub fn recorded(engine: &Engine, rows: &[Row]) -> Vec<v1::ImportContactsRequest> {
    let of = |row: &Row| {
        let entry = row.entry.clone().ok()?;
        Some(v1::ImportContactsRequest { row: row.line, entry: Some(entry), ..Default::default() })
    };
    let sent: Vec<_> = rows.iter().filter_map(of).collect();
    let first = import(engine, &sent);
    let second = import(engine, &sent);
    let mut accepted = Vec::new();
    for ((row, first), second) in sent.iter().zip(&first).zip(&second) {
        match (first, second) {
            (Imported::Accepted | Imported::Repeated, Imported::Repeated) => accepted.push(row.clone()),
            (Imported::Rejected(why), Imported::Rejected(_)) => {
                assert_eq!(why.row, row.row);
                house::said(&why.message);
            }
            other => panic!("{other:?}"),
        }
    }
    let ids: HashSet<_> = sent.iter().map(|row| row.row).collect();
    assert_eq!(ids.len(), sent.len());
    accepted
}

fn import(engine: &Engine, rows: &[v1::ImportContactsRequest]) -> Vec<Imported> {
    let permit = house::permit(Role::WriteConsent);
    let mut import = Import::new("fuzzed").expect("a name");
    let became = house::wait(engine.import_rows(&permit, &mut import, rows.to_vec(), house::clock()));
    let became = became.expect("rows that are numbered");
    assert_eq!(became.len(), rows.len(), "every row is told of");
    let told = house::wait(engine.finish_import(&permit, import, house::clock())).expect("an end");
    assert_eq!(told.accepted + told.repeated_rows + told.rejected, rows.len() as u64);
    assert!(told.encoded_len() > 0);
    became
}
