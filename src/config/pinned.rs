//! Regions: the `[[pinned]]` tables of the file of settings.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::file::File;
use super::{Acks, StoreAt, Written, store_at};
use crate::engine::{DEFAULT_REGION, Region};
use crate::place::{self, Jurisdiction};

/// The longest name of a region.
const NAME_BYTES: usize = 32;

/// One setting of a `[[pinned]]` table: its key, what it is, and its default as text; with none it is required, or left out.
/// They stand in the file only.
pub const PINNED: [(&str, &str, &str); 14] = [
    ("name", "its name: small letters, digits and dashes; it stands in the store and must not change; required", ""),
    (
        "places",
        "the countries pinned to it, as ISO 3166 codes; HK, MO and TW are not part of CN; `[]`: none, its contacts move \
         out; required",
        "",
    ),
    ("at", "where its store is, as an ISO 3166 code, for cross-border rules; none: its one place, if it has one", ""),
    ("store", "where its records are: `embedded` (a file in its data folder), or the URL of a Redis", "embedded"),
    ("store_user", "the user of that Redis", ""),
    ("store_password_file", "a file with its password", ""),
    ("store_ca", "the authority of its certificate, PEM; none: those of the system", ""),
    ("store_cert", "our certificate, PEM, where it asks for one", ""),
    ("store_key", "the key of that certificate, PEM", ""),
    ("acks", "replicas that must have a write before it is acknowledged: `all`, or a number", "all"),
    ("acked_from", "where they, and the server, must have it: `memory`, or `disk`", "memory"),
    ("sentinel_user", "the user of its sentinels", ""),
    ("sentinel_password_file", "a file with their password", ""),
    ("data", "its own data folder: its audit log, and its records where they are embedded; required", ""),
];

/// A region beside the default store.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Its name, and what is pinned to it.
    pub region: Region,
    /// Where its records are.
    pub store: StoreAt,
    /// Its data folder.
    pub data: PathBuf,
}

/// A `[[pinned]]` table as written.
#[derive(Deserialize, Default, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    name: Option<String>,
    places: Option<Vec<String>>,
    at: Option<String>,
    store: Option<String>,
    store_user: Option<String>,
    store_password_file: Option<String>,
    store_ca: Option<String>,
    store_cert: Option<String>,
    store_key: Option<String>,
    acks: Option<Acks>,
    acked_from: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password_file: Option<String>,
    data: Option<String>,
}

impl Text {
    /// Any setting that is given, as text.
    pub(super) fn shown(&self, key: &str) -> String {
        match key {
            "name" => self.name.clone().unwrap_or_default(),
            "places" => self.places.as_ref().map(|places| places.join(",")).unwrap_or_default(),
            "at" => self.at.clone().unwrap_or_default(),
            "data" => self.data.clone().unwrap_or_default(),
            key => self.get(key),
        }
    }

    /// A setting of the store, or its default.
    fn get(&self, key: &str) -> String {
        let text = match key {
            "store" => self.store.clone(),
            "store_user" => self.store_user.clone(),
            "store_password_file" => self.store_password_file.clone(),
            "store_ca" => self.store_ca.clone(),
            "store_cert" => self.store_cert.clone(),
            "store_key" => self.store_key.clone(),
            "acks" => self.acks.as_ref().map(ToString::to_string),
            "acked_from" => self.acked_from.clone(),
            "sentinel_user" => self.sentinel_user.clone(),
            "sentinel_password_file" => self.sentinel_password_file.clone(),
            _ => None,
        };
        text.unwrap_or_else(|| {
            let default = PINNED.iter().find(|(known, ..)| *known == key).map_or("", |(.., default)| default);
            default.to_owned()
        })
    }
}

/// What was pinned, or taken, so far.
struct Taken<'a> {
    names: Vec<&'a str>,
    places: Vec<(Jurisdiction, &'a str)>,
    stores: Vec<String>,
    folders: Vec<PathBuf>,
}

/// Reads the tables; `own` is the default store and its data folder.
pub(super) fn read(file: &File, own: (&StoreAt, &Path), fault: &mut dyn FnMut(&Written, &str)) -> Vec<Pinned> {
    let mut taken = Taken {
        names: vec![DEFAULT_REGION],
        places: Vec::new(),
        stores: server(own.0).into_iter().collect(),
        folders: vec![whole(own.1)],
    };
    let tables = file.text.pinned.as_deref().unwrap_or_default().iter().enumerate();
    let origin = |index: usize| format!("{}: [[pinned]] {}", file.table_place(index), index + 1);
    tables.filter_map(|(index, text)| one(text, &origin(index), &mut taken, fault)).collect()
}

fn one<'a>(
    text: &'a Text,
    origin: &str,
    taken: &mut Taken<'a>,
    fault: &mut dyn FnMut(&Written, &str),
) -> Option<Pinned> {
    let mut sound = true;
    let mut wrong = |key: &str, text: &str, what: &str| {
        sound = false;
        fault(&Written { text: text.to_owned(), origin: format!("{origin}, {key}") }, what);
    };
    let name = text.name.as_deref().unwrap_or_default();
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(letters) {
        wrong("name", name, "is no name of a region: 1 to 32 small letters, digits and dashes");
    } else if taken.names.contains(&name) {
        wrong("name", name, "names another region already");
    }
    taken.names.push(name);
    let mut places = Vec::new();
    if text.places.is_none() {
        wrong("places", "", "is required: the countries pinned to it, such as [\"CN\"]");
    }
    for code in text.places.iter().flatten() {
        let country = code.parse::<Jurisdiction>().ok().filter(|place| place::is_country(*place));
        let Some(place) = country else {
            wrong("places", code, "is no country of ISO 3166-1, such as CN");
            continue;
        };
        match taken.places.iter().find(|(other, _)| *other == place) {
            Some((_, region)) => wrong("places", code, &format!("is pinned already, to `{region}`")),
            None => taken.places.push((place, name)),
        }
        places.push(place);
    }
    let only = if let [place] = *places { Some(place) } else { None };
    let at = match text.at.as_deref() {
        None | Some("") => only,
        Some(code) => {
            code.parse::<Jurisdiction>().ok().filter(|place| place::known_as(*place).is_some()).or_else(|| {
                wrong("at", code, "is not an ISO 3166 code such as CN");
                None
            })
        }
    };
    let data = text.data.as_deref().unwrap_or_default();
    let folder = whole(Path::new(data));
    if data.is_empty() {
        wrong("data", "", "is required: the folder of its own audit log");
    } else if taken.folders.iter().any(|other| other.starts_with(&folder) || folder.starts_with(other)) {
        wrong("data", data, "lies in the data folder of another region, or holds it: each has a folder of its own");
    } else {
        taken.folders.push(folder);
    }
    let read = |key: &str| Written { text: text.get(key), origin: format!("{origin}, {key}") };
    let store = store_at(&read, &mut |written: &Written, what: &str| {
        sound = false;
        fault(written, what);
    });
    if let Some(place) = server(&store) {
        if taken.stores.contains(&place) {
            sound = false;
            fault(
                &Written { text: place.clone(), origin: format!("{origin}, store") },
                "is the store of another region",
            );
        }
        taken.stores.push(place);
    }
    let region = Region { name: name.into(), places, at };
    sound.then(|| Pinned { region, store, data: PathBuf::from(data) })
}

/// Names the server of a store; `None`: it is in its data folder.
fn server(store: &StoreAt) -> Option<String> {
    match store {
        StoreAt::Embedded => None,
        StoreAt::Redis(settings, _) => Some(settings.place()),
    }
}

/// A folder under one name, whichever way it is written. Links are not followed: two that lead to one folder are found out
/// when it is opened twice.
fn whole(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::{Config, Sources, resolve};
    use super::*;

    fn of(text: &str) -> Result<Config, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ringfence.toml");
        std::fs::write(&path, text).unwrap();
        resolve(&Sources { file: Some(&path), env: &|_| None, flag: &|_| None })
    }

    #[test]
    fn a_region_has_places_a_store_and_a_folder() {
        let config = of("region = \"US\"\n[[pinned]]\nname = \"cn\"\nplaces = [\"CN\"]\nstore = \"rediss://a\"\n\
                         store_ca = \"ca.pem\"\nacks = 1\ndata = \"cn\"\n[[pinned]]\nname = \"sar\"\n\
                         places = [\"HK\", \"MO\"]\nat = \"SG\"\ndata = \"sar\"\n")
        .unwrap();
        let [cn, sar] = &*config.pinned else { unreachable!("{:?}", config.pinned) };
        assert_eq!((&*cn.region.name, cn.region.at.unwrap().to_string()), ("cn", "CN".to_owned()));
        assert!(matches!(&cn.store, StoreAt::Redis(_, files) if files.authority.is_some()));
        assert_eq!((sar.region.places.len(), sar.region.at.unwrap().to_string()), (2, "SG".to_owned()));
        assert!(matches!(sar.store, StoreAt::Embedded));
    }

    #[test]
    fn every_key_is_read_and_explained() {
        let explained = include_str!("../../deploy/regions.md");
        for (key, what, _) in PINNED {
            let value = if key == "places" { "[]" } else { "\"x\"" };
            let faults = of(&format!("[[pinned]]\n{key} = {value}\n")).unwrap_err();
            assert!(!faults.iter().any(|fault| fault.contains("unknown field")), "{faults:?}");
            assert!(explained.contains(&format!("`{key}`")) && !what.is_empty(), "{key}");
        }
    }

    #[test]
    fn every_fault_of_every_region_is_told_at_once() {
        let faults = of("store = \"redis://a:1\"\ndata = \"d\"\n\
                         [[pinned]]\nname = \"default\"\nplaces = [\"CN\", \"XX\", \"EU\", \"CN-GD\"]\ndata = \"./x/../d\"\n\
                         [[pinned]]\nname = \"b\"\nplaces = [\"CN\"]\nstore = \"redis://a:1\"\ndata = \"d/in\"\n\
                         [[pinned]]\nname = \"b\"\nat = \"here\"\nacks = \"some\"\nstore = \"redis://b\"\n")
        .unwrap_err();
        let has = |part: &str| assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:#?}");
        has("[[pinned]] 1, name: `default` names another");
        for code in ["XX", "EU", "CN-GD"] {
            has(&format!("[[pinned]] 1, places: `{code}` is no country"));
        }
        has("[[pinned]] 1, data: `./x/../d` lies in");
        has("[[pinned]] 2, places: `CN` is pinned already");
        has("[[pinned]] 2, store: `redis://a:1` is the store of another");
        has("[[pinned]] 2, data: `d/in` lies in");
        has("[[pinned]] 3, name: `b` names another");
        has("[[pinned]] 3, places: `` is required");
        has("[[pinned]] 3, at: `here` is not an ISO");
        has("[[pinned]] 3, acks: `some` is neither");
        has("[[pinned]] 3, data: `` is required");
        assert_eq!(faults.len(), 13, "{faults:#?}");
        assert!(of("[[pinned]]\ncolour = 1\n").unwrap_err()[0].contains("colour"));
    }
}
