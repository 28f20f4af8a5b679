//! Where in a JSON text a fault lies, as a path of keys and places.

/// Keys longer than this are cut: whoever sends a megabyte as a key knows which.
const KEY_CHARS: usize = 64;

/// What is open at a point of the text.
enum Open {
    /// An object, and the key whose value is being read.
    Object(Option<String>),
    /// An array, and the place of the element being read.
    Array(usize),
}

/// The path at the end of so many bytes (`column`) of this line, counted from 1: where `serde_json` stopped. `None` where
/// nothing is open there.
pub(super) fn at(text: &[u8], line: usize, column: usize) -> Option<String> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(line.checked_sub(1)?).map(<[u8]>::len).sum();
    let read = text.get(..before.checked_add(column)?.min(text.len()))?;
    // An array just opened is itself what is wrong, not its first element.
    let mut rest = read.strip_suffix(b"[").unwrap_or(read).iter();
    let mut open: Vec<Open> = Vec::new();
    while let Some(byte) = rest.next() {
        match byte {
            b'{' => open.push(Open::Object(None)),
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Object(key)) => *key = None,
                Some(Open::Array(place)) => *place += 1,
                None => {}
            },
            b'"' => {
                let string = string(&mut rest);
                if let Some(Open::Object(key @ None)) = open.last_mut() {
                    *key = Some(string);
                }
            }
            _ => {}
        }
    }
    written(&open)
}

/// The rest of a string, from after its first quote, as it is spelled.
fn string(rest: &mut std::slice::Iter<'_, u8>) -> String {
    let start = rest.as_slice();
    let mut length = 0;
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => length += 1 + usize::from(rest.next().is_some()),
            _ => length += 1,
        }
    }
    let text = String::from_utf8_lossy(start.get(..length).unwrap_or_default()).into_owned();
    text.chars().take(KEY_CHARS).flat_map(char::escape_debug).collect()
}

fn written(open: &[Open]) -> Option<String> {
    let mut path = String::new();
    for part in open {
        match part {
            Open::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Open::Object(None) => {}
            Open::Array(place) => path.push_str(&format!("[{place}]")),
        }
    }
    (!path.is_empty()).then_some(path)
}
