//! Where records are.

use std::path::PathBuf;

use super::sources::Written;
use super::{KEYS, shown};
use crate::store::redis;

/// Where records are.
#[derive(Clone, Debug)]
pub enum StoreAt {
    /// In a file in the data folder.
    Embedded,
    /// In a Redis; what the files hold is still to be read.
    Redis(Box<redis::Settings>, redis::Files),
}

/// Where a command that is not the server finds the records: its flag, or the environment.
///
/// # Errors
/// Every fault.
pub fn resolve_store(flag: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<StoreAt, Vec<String>> {
    let mut faults = Vec::new();
    let read = |key: &str| {
        let variable = format!("RINGFENCE_{}", key.to_uppercase());
        let default = KEYS.iter().find(|(known, ..)| *known == key).map_or("", |(.., default)| default);
        match flag.filter(|_| key == "store") {
            Some(text) => Written { text: text.to_owned(), origin: "--store".to_owned() },
            None => Written { text: env(&variable).unwrap_or_else(|| default.to_owned()), origin: variable },
        }
    };
    let store = store_at(&read, &mut |written: &Written, what: &str| {
        faults.push(format!("{}: `{}` {what}", written.origin, shown(&written.text)));
    });
    if faults.is_empty() { Ok(store) } else { Err(faults) }
}

pub(super) fn store_at(read: &dyn Fn(&str) -> Written, fault: &mut dyn FnMut(&Written, &str)) -> StoreAt {
    let store = read("store");
    if store.text == "embedded" {
        return StoreAt::Embedded;
    }
    let mut settings = match redis::Settings::from_url(&store.text) {
        Ok(settings) => settings,
        Err(why) => {
            // What stands before an @ may be a password.
            let text = store.text.rsplit('@').next().unwrap_or_default().to_owned();
            fault(&Written { text, ..store }, why);
            return StoreAt::Embedded;
        }
    };
    let acks = read("acks");
    match redis::Acks::parse(&acks.text) {
        Some(number) => settings.acks = number,
        None => fault(&acks, "is neither `all` nor a number of replicas"),
    }
    let acked_from = read("acked_from");
    match redis::AckedFrom::parse(&acked_from.text) {
        Some(place) => settings.acked_from = place,
        None => fault(&acked_from, "is neither `memory` nor `disk`"),
    }
    let user = |key: &str| Some(read(key).text).filter(|user| !user.is_empty());
    settings.login.user = user("store_user");
    settings.sentinel_login.user = user("sentinel_user");
    let file = |key: &str| Some(read(key).text).filter(|path| !path.is_empty()).map(PathBuf::from);
    let files = redis::Files {
        password: file("store_password_file"),
        sentinel_password: file("sentinel_password_file"),
        authority: file("store_ca"),
        certificate: file("store_cert"),
        key: file("store_key"),
    };
    StoreAt::Redis(Box::new(settings), files)
}
