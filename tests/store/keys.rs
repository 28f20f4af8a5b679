//! Keys and sealing: what must never open, never be overwritten, never be printed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use ringfence::store::{
    DataKey, DayKeys, KeyRing, Keys, KeysError, KeysFile, MemoryStore, Purpose, Rewrap, SealError, Store, Version,
    Write, counted,
};
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
    let (open, next) = (seal.replace("seal 1", "open 1"), seal.replace("seal 1", "next 1"));
    let other = |kind: &str, n: u32| format!("{kind} {n} {}", format!("{:02x}", n + 90).repeat(32));
    let cases = [
        (String::new(), 1),
        ("dear diary".into(), 1),
        ("ringfence-keys 2".into(), 1),
        (format!("ringfence-keys 1\n{hash}"), 3),
        (format!("ringfence-keys 1\n{seal}"), 3),
        (format!("ringfence-keys 1\n{hash}\n{hash}\n{seal}"), 3),
        (format!("ringfence-keys 1\n{hash}\n{seal}\n{seal}"), 4),
        (format!("ringfence-keys 1\n{hash}\n{}", seal.replace("seal 1", "seal one")), 3),
        (format!("ringfence-keys 1\n{hash}\n{}", seal.replace("seal 1", "seal 0")), 3),
        (format!("ringfence-keys 1\n{hash}\n{}", seal.replace(&secrets(&good)[1][60..], "")), 3),
        (format!("ringfence-keys 1\n{hash}x\n{seal}"), 2),
        (format!("ringfence-keys 1\n{hash}\n{seal}\nsalt 9"), 4),
        (format!("ringfence-keys 1\n{hash}\n{seal} yesterday"), 3),
        (format!("ringfence-keys 1\n{hash}\n{seal} 2026-11-22T03:00:00Z"), 3),
        // Two files put together, two keys that seal, none that does, keys on the wrong side of the one that does.
        (format!("ringfence-keys 1\n{hash}\n{seal}\n{}", other("seal", 2)), 4),
        (format!("ringfence-keys 1\n{hash}\n{}\n{seal}", other("open", 2)), 4),
        (format!("ringfence-keys 1\n{hash}\n{open}"), 4),
        (format!("ringfence-keys 1\n{hash}\n{next}\n{}", other("seal", 2)), 4),
        (format!("ringfence-keys 1\n{hash}\n{seal}\n{}", other("open", 2)), 4),
        (format!("ringfence-keys 1\n{hash}\n{open}\n{}", seal.replace("seal 1", "seal 2")), 4),
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
    let Fixture { path, folder } = fixture();
    let store = MemoryStore::new();
    let old = Keys::for_store(&path, None, &store).await.unwrap();
    let own = DataKey::random().unwrap();
    let sealed = old.seal_record(&key(1), &own, b"record").unwrap();
    let before = folder.path().join("before");
    fs::copy(&path, &before).unwrap();

    let now = Instant::from_rfc3339("2026-11-22T03:00:00Z").unwrap();
    let mut file = KeysFile::hold(&path).unwrap();
    assert_eq!(file.add(0, now).unwrap(), 2);
    let known = Keys::for_store(&path, None, &store).await.unwrap();
    assert_eq!((known.sealing_id(), known.knows(2)), (1, true), "known, and not yet sealing");
    assert!(file.seal_with(2, now).unwrap() && !file.seal_with(2, now).unwrap());
    let both = Keys::for_store(&path, None, &store).await.unwrap();
    let states: Vec<_> = both.about().iter().map(|key| (key.id, key.state.word())).collect();
    assert_eq!((both.sealing_id(), states.as_slice()), (2, [(1, "open"), (2, "seal")].as_slice()));
    assert_eq!(both.about()[1].since, Some(now));

    let rotated = both.rotate_record(&key(1), &sealed).unwrap().unwrap();
    assert_eq!(both.rotate_record(&key(1), &rotated).unwrap(), None);
    assert_eq!(both.open_record(&key(1), &rotated).unwrap().1, b"record");
    assert_eq!(old.open_record(&key(1), &rotated).unwrap_err(), SealError::UnknownKey(2));
    assert_eq!(known.rotate_record(&key(1), &rotated).unwrap(), None, "nothing goes back under an older key");

    // The store has gone on: a file that lacks the key is refused, one that knows it seals with it.
    let behind = Keys::for_store(&before, None, &store).await.unwrap_err();
    assert!(matches!(behind, KeysError::Lacks { key: 2, .. }), "{behind}");
    assert_eq!(known.clone().admitted(&store).await.unwrap().0.sealing_id(), 2);

    // What it needs cannot leave, what it does not need can.
    assert_eq!(both.ledger(&store).await.unwrap().unwrap().needed, [1, 2]);
    assert!(file.drop_all_but(&[1, 2]).unwrap().is_empty());
    let text = fs::read_to_string(&path).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("open")).map(|line| format!("{line}\n")).collect();
    private(&before, &without);
    let early = Keys::for_store(&before, None, &store).await.unwrap_err();
    assert!(matches!(early, KeysError::Lacks { key: 1, .. }), "{early}");
}

#[test]
fn a_keys_file_is_changed_by_one_at_a_time_and_keeps_its_mode() {
    let Fixture { path, folder } = fixture();
    Keys::generate(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    let link = folder.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let now = Instant::from_rfc3339("2026-11-22T03:00:00Z").unwrap();
    let mut file = KeysFile::hold(&link).unwrap();
    // What a crash left is in nobody's way.
    fs::write(folder.path().join("ringfence-keys.new"), "half a fi").unwrap();
    for _ in 0..2 {
        assert!(matches!(KeysFile::hold(&path), Err(KeysError::Busy(_))));
        file.add(0, now).unwrap();
    }
    assert!(link.symlink_metadata().unwrap().is_symlink(), "the file is changed, not the link to it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
    let text = fs::read_to_string(&path).unwrap();
    let shown = format!("{file:?}");
    assert!(secrets(&text).len() == 4 && secrets(&text).iter().all(|secret| !shown.contains(secret)));
    drop(file);
    assert_eq!(KeysFile::hold(&path).unwrap().keys().unwrap().about().len(), 3);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
}

/// A rotation by hand over a store, with records, a control record's like and keys of days.
#[tokio::test]
async fn everything_is_sealed_anew_and_nothing_comes_back() {
    let Fixture { path, folder: _folder } = fixture();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let old = Keys::for_store(&path, None, &*store).await.unwrap();
    let own = DataKey::random().unwrap();
    for n in 0..700 {
        let bytes = old.seal_record(&key(n), &own, &n.to_be_bytes()).unwrap();
        won(&*store, Write { bytes, ..write(key(n), 0, "") }).await;
    }
    for day in [1, 2, 3] {
        DayKeys::default().make(&*store, &old, day).await.unwrap();
    }
    store.meta_swap("audit/day/2", Version(1), Vec::new()).await.unwrap();
    let now = Instant::from_millis(0);
    let mut file = KeysFile::hold(&path).unwrap();
    file.add(0, now).unwrap();
    file.seal_with(2, now).unwrap();
    let (new, ledger) = file.keys().unwrap().admitted(&*store).await.unwrap();
    assert_eq!(counted(&*store).await.unwrap().into_iter().collect::<Vec<_>>(), [(1, 702)]);
    let mut walks = Rewrap::new(Arc::clone(&store), Arc::new(new.clone()));
    assert!(walks.release(&ledger.old()).await.is_err(), "not before the walks");
    while !walks.is_done() {
        walks.page().await.unwrap();
    }
    let walked = walks.walked();
    assert_eq!((walked.walks, walked.anew, walked.anew_in_all), (2, 0, 702));
    assert_eq!(walks.release(&ledger.old()).await.unwrap().needed, [2]);
    assert_eq!(file.drop_all_but(&[2]).unwrap(), [1]);
    assert_eq!(counted(&*store).await.unwrap().into_iter().collect::<Vec<_>>(), [(2, 702)]);
    let alone = Keys::for_store(&path, None, &*store).await.unwrap();
    for n in 0..700 {
        let found = store.load(&key(n)).await.unwrap().unwrap();
        assert_eq!(alone.open_record(&key(n), &found.bytes).unwrap().1, n.to_be_bytes());
        assert_eq!(found.version, Version(1));
    }
    assert!(DayKeys::default().find(&*store, &alone, 1).await.unwrap().is_some());
    assert!(DayKeys::default().find(&*store, &alone, 2).await.unwrap().is_none(), "a destroyed key stays so");
    // The next number is above all that ever were.
    assert_eq!(file.add(0, now).unwrap(), 3);
}

#[tokio::test]
async fn a_key_that_is_not_known_is_looked_for_in_the_file_at_once() {
    let Fixture { path, folder } = fixture();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keys = Keys::for_store(&path, None, &*store).await.unwrap();
    let ring = KeyRing::new(keys, Arc::clone(&store));
    // Another host, with a file of its own that has gone on.
    let theirs = folder.path().join("theirs");
    fs::copy(&path, &theirs).unwrap();
    let now = Instant::from_millis(0);
    let mut file = KeysFile::hold(&theirs).unwrap();
    file.add(0, now).unwrap();
    file.seal_with(2, now).unwrap();
    let (elsewhere, _) = file.keys().unwrap().admitted(&*store).await.unwrap();
    let sealed = elsewhere.seal_record(&key(1), &DataKey::random().unwrap(), b"record").unwrap();
    assert_eq!(ring.open_record(&key(1), &sealed).await.unwrap_err(), SealError::UnknownKey(2));
    assert!(matches!(ring.look(now).await, Err(KeysError::Lacks { key: 2, .. })));
    assert!(ring.lacks().is_some() && ring.now().sealing_id() == 1, "the keys in use stay in force");

    fs::copy(&theirs, &path).unwrap();
    let ring = KeyRing::new((*ring.now()).clone(), Arc::clone(&store));
    assert_eq!(ring.open_record(&key(1), &sealed).await.unwrap().1, b"record", "healed at once");
    assert!(ring.lacks().is_none() && ring.now().sealing_id() == 2);

    // A file at fault, or with another hash key, changes nothing.
    let good = fs::read_to_string(&path).unwrap();
    for bad in [good.replace("seal 2", "seal x"), good.replacen(secrets(&good)[0], &"5a".repeat(32), 1)] {
        private(&path, &bad);
        let error = ring.look(now).await.unwrap_err();
        assert!(matches!(error, KeysError::Malformed { .. } | KeysError::OtherHash(_)), "{error}");
        assert_eq!(ring.now().sealing_id(), 2);
    }
    private(&path, &good);
    assert_eq!(ring.look(now).await.unwrap(), None);
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
