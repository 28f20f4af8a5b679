//! Keys and sealing: what must never open, never be overwritten, never be printed.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use ringfence::store::{DataKey, DayKeys, Keys, KeysError, MemoryStore, Purpose, SealError, Store, Version};
use ringfence::time::Instant;

use super::suite::{key, won, write};

struct Fixture {
    folder: tempfile::TempDir,
    path: PathBuf,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringfence-keys");
    Fixture { folder, path }
}

fn private(path: &PathBuf, text: &str) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// The secrets of a keys file: its long words.
fn secrets(text: &str) -> Vec<&str> {
    text.split_whitespace().filter(|word| word.len() == 64).collect()
}

#[test]
fn new_keys_are_private_and_never_overwritten() {
    let Fixture { path, folder: _folder } = fixture();
    let keys = Keys::generate(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with('#') && secrets(&text).len() == 2, "a person can read what the file is");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = Keys::generate(&path).unwrap_err();
    assert!(matches!(again, KeysError::Exists(_)), "{again}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let shown = format!("{keys:?} {:?} {again} {again:?}", DataKey::random().unwrap());
    assert!(secrets(&text).iter().all(|secret| !shown.contains(secret)));
}

#[cfg(unix)]
#[test]
fn keys_open_to_others_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let Fixture { path, folder: _folder } = fixture();
    Keys::generate(&path).unwrap();
    for (mode, fine) in [(0o600, true), (0o400, true), (0o440, true), (0o604, false), (0o620, false), (0o666, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match Keys::open(&path) {
            Ok(_) => assert!(fine, "{mode:o}"),
            Err(KeysError::TooOpen { mode: found, .. }) => assert!(!fine && found == mode),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_malformed_file_is_refused_by_line_and_without_its_secrets() {
    let Fixture { path, folder: _folder } = fixture();
    Keys::generate(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let hash = good.lines().find(|line| line.starts_with("hash")).unwrap().to_owned();
    let seal = good.lines().find(|line| line.starts_with("seal")).unwrap().to_owned();
    let cases = [
        (String::new(), 1),
        ("dear diary".into(), 1),
        ("ringfence-keys 2".into(), 1),
        (format!("ringfence-keys 1\n{hash}"), 3),
        (format!("ringfence-keys 1\n{seal}"), 3),
        (format!("ringfence-keys 1\n{hash}\n{hash}\n{seal}"), 3),
        (format!("ringfence-keys 1\n{hash}\n{seal}\n{seal}"), 4),
        (format!("ringfence-keys 1\n{hash}\n{}", seal.replace("seal 1", "seal one")), 3),
        (format!("ringfence-keys 1\n{hash}\n{}", &seal[..seal.len() - 1]), 3),
        (format!("ringfence-keys 1\n{hash}x\n{seal}"), 2),
        (format!("ringfence-keys 1\n{hash}\n{seal}\nsalt 9"), 4),
    ];
    for (text, line) in cases {
        private(&path, &text);
        let error = Keys::open(&path).unwrap_err();
        assert!(matches!(error, KeysError::Malformed { line: found, .. } if found == line), "{text:?}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(secrets(&good).iter().all(|secret| !shown.contains(&secret[..16])), "{shown}");
    }
    private(&path, &good.replace('\n', "\r\n"));
    Keys::open(&path).unwrap();
}

#[tokio::test]
async fn a_store_knows_its_keys() {
    let Fixture { path, folder } = fixture();
    let store = MemoryStore::new();
    let keys = Keys::for_store(&path, None, &store).await.unwrap();
    Keys::for_store(&path, None, &store).await.unwrap();

    let other = folder.path().join("other");
    Keys::generate(&other).unwrap();
    let error = Keys::for_store(&other, None, &store).await.unwrap_err();
    assert!(matches!(error, KeysError::Wrong(_)), "{error}");
    let gone = folder.path().join("gone");
    let error = Keys::for_store(&gone, None, &store).await.unwrap_err();
    assert!(matches!(error, KeysError::MissingBesideStore(_)), "{error}");
    assert!(!gone.exists(), "no new keys beside a store that has some");

    // The right hash key with the wrong sealing key is wrong too.
    let text = fs::read_to_string(&path).unwrap();
    let theirs = fs::read_to_string(&other).unwrap();
    private(&gone, &text.replace(secrets(&text)[1], secrets(&theirs)[1]));
    assert!(matches!(Keys::for_store(&gone, None, &store).await, Err(KeysError::Wrong(_))));
    keys.check(&store).await.unwrap();

    let full = MemoryStore::new();
    won(&full, write(key(1), 0, "x")).await;
    assert!(matches!(Keys::for_store(&path, None, &full).await, Err(KeysError::Unchecked(_))));
}

#[tokio::test]
async fn keys_never_lie_inside_the_data() {
    let Fixture { folder, .. } = fixture();
    let data = folder.path().join("data");
    fs::create_dir_all(data.join("deeper")).unwrap();
    for inside in [data.join("keys"), data.join("deeper/keys"), data.join("deeper/../keys")] {
        let error = Keys::for_store(&inside, Some(&data), &MemoryStore::new()).await.unwrap_err();
        assert!(matches!(error, KeysError::InsideData(_)), "{error}");
        assert!(!inside.exists());
    }
    Keys::for_store(&folder.path().join("keys"), Some(&data), &MemoryStore::new()).await.unwrap();
}

#[tokio::test]
async fn sealing_keys_rotate() {
    let Fixture { path, folder: _folder } = fixture();
    let store = MemoryStore::new();
    let old = Keys::for_store(&path, None, &store).await.unwrap();
    let own = DataKey::random().unwrap();
    let sealed = old.seal_record(&key(1), &own, b"record").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let fresh = "5a".repeat(32);
    private(&path, &format!("{text}seal 2 {fresh}\n"));
    let both = Keys::for_store(&path, None, &store).await.unwrap();
    assert_eq!(both.newest_id(), 2);
    let rotated = both.rotate_record(&key(1), &sealed).unwrap().unwrap();
    assert_eq!(both.rotate_record(&key(1), &rotated).unwrap(), None);
    assert_eq!(both.open_record(&key(1), &rotated).unwrap().1, b"record");
    assert_eq!(old.open_record(&key(1), &rotated).unwrap_err(), SealError::UnknownKey(2));

    let without: String =
        text.lines().filter(|line| !line.starts_with("seal")).map(|line| format!("{line}\n")).collect();
    private(&path, &format!("{without}seal 2 {fresh}\n"));
    let new = Keys::for_store(&path, None, &store).await.unwrap();
    assert_eq!(new.open_record(&key(1), &rotated).unwrap().1, b"record");
    assert_eq!(new.open_record(&key(1), &sealed).unwrap_err(), SealError::UnknownKey(1));
}

#[test]
fn tags_tell_tenants_and_numbers_apart() {
    let Fixture { path, folder } = fixture();
    let keys = Keys::generate(&path).unwrap();
    let other = Keys::generate(&folder.path().join("other")).unwrap();
    let (acme, umbrella) = (keys.tenant("acme", 1), keys.tenant("umbrella", 1));
    let tag = keys.tag(&acme, "+12025550143");
    assert_eq!(tag, keys.tag(&keys.tenant("acme", 1), "+12025550143"));
    assert_eq!(tag, Keys::open(&path).unwrap().tag(&acme, "+12025550143"));
    assert_ne!(tag, keys.tag(&acme, "+12025550144"));
    assert_ne!(tag.tag(), keys.tag(&umbrella, "+12025550143").tag());
    assert_ne!(tag.shard(), keys.tag(&umbrella, "+12025550143").shard());
    assert_ne!(tag.tag(), other.tag(&other.tenant("acme", 1), "+12025550143").tag());
    // What one part ends with is not what the next begins with.
    assert_ne!(keys.tag(&keys.tenant("a", 1), "b1").tag(), keys.tag(&keys.tenant("ab", 1), "1").tag());
    let wide = keys.tenant("acme", 64);
    let shards: std::collections::BTreeSet<_> =
        (0..1_000).map(|n| keys.tag(&wide, &format!("+1202555{n:04}")).shard()).collect();
    assert_eq!(shards.len(), 64);
    assert!(!format!("{tag:?}").contains("2025550143"));
}

#[tokio::test]
async fn day_keys_are_made_once_and_can_be_destroyed() {
    let Fixture { path, folder: _folder } = fixture();
    let store = MemoryStore::new();
    let keys = Keys::for_store(&path, None, &store).await.unwrap();
    let day = DayKeys::day(Instant::from_rfc3339("2026-11-21T23:59:59.999Z").unwrap());
    assert_eq!(DayKeys::day(Instant::from_rfc3339("2026-11-22T00:00:00Z").unwrap()), day + 1);
    assert_eq!(DayKeys::day(Instant::from_millis(-1)), -1);
    let (mine, theirs) = (DayKeys::default(), DayKeys::default());
    assert!(mine.find(&store, &keys, day).await.unwrap().is_none());
    let sealed = mine.make(&store, &keys, day).await.unwrap().seal(Purpose::AuditBody, b"id", b"body").unwrap();
    let other = theirs.make(&store, &keys, day).await.unwrap();
    assert_eq!(other.open(Purpose::AuditBody, b"id", &sealed).unwrap(), b"body");
    assert!(mine.remembered(day).is_some() && mine.remembered(day + 1).is_none());
    let name = format!("audit/day/{day}");
    store.meta_swap(&name, Version(1), Vec::new()).await.unwrap();
    assert!(DayKeys::default().find(&store, &keys, day).await.unwrap().is_none());
}

proptest! {
    #[test]
    fn what_is_sealed_opens_as_it_was(plain: Vec<u8>, context: Vec<u8>) {
        let Fixture { path, folder: _folder } = fixture();
        let keys = Keys::generate(&path).unwrap();
        let sealed = keys.seal_bytes(Purpose::Meta, &context, &plain).unwrap();
        prop_assert_eq!(&keys.open_bytes(Purpose::Meta, &context, &sealed).unwrap(), &plain);
        prop_assert!(plain.len() < 8 || !sealed.windows(plain.len()).any(|window| window == plain));
        prop_assert_ne!(&keys.seal_bytes(Purpose::Meta, &context, &plain).unwrap(), &sealed);
    }

    #[test]
    fn no_altered_or_moved_record_opens(plain in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0_u8..8) {
        let Fixture { path, folder: _folder } = fixture();
        let keys = Keys::generate(&path).unwrap();
        let own = DataKey::random().unwrap();
        let sealed = keys.seal_record(&key(1), &own, &plain).unwrap();
        prop_assert_eq!(&keys.open_record(&key(1), &sealed).unwrap().1, &plain);
        prop_assert!(keys.open_record(&key(2), &sealed).is_err());
        let at = at.index(sealed.len());
        let mut altered = sealed.clone();
        altered[at] ^= 1 << bit;
        prop_assert!(keys.open_record(&key(1), &altered).is_err());
        prop_assert!(keys.open_record(&key(1), &sealed[..at]).is_err());
        prop_assert!(own.open(Purpose::AuditBody, &key(1).to_bytes(), &sealed[65..]).is_err());
        prop_assert!(own.open(Purpose::Record, &key(1).to_bytes(), &sealed[65..]).is_ok());
    }
}
