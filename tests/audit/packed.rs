//! Closed segments compressed, archived, and read back: whatever is done to them is found, whenever the process dies.

use ringfence::audit::{ArchiveAt, ArchiveSettings, Keep, Keeper, Step, open_with, verify_with};

use super::*;

const EVERY: [Step; 9] = [
    Step::Written,
    Step::Proved,
    Step::Named,
    Step::Indexed,
    Step::Removed,
    Step::Uploaded,
    Step::Compared,
    Step::Noted,
    Step::Moved,
];

/// Long after every entry.
pub fn later() -> Instant {
    Instant::from_millis(now().millis() + 400 * 86_400_000)
}

fn folder_archive(folder: &Path) -> ArchiveSettings {
    ArchiveSettings::new(ArchiveAt::Folder(folder.into()))
}

pub struct House {
    pub folder: tempfile::TempDir,
    archive: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl House {
    fn new() -> Self {
        let folder = || tempfile::tempdir().unwrap();
        Self { folder: folder(), archive: folder(), store: Arc::new(MemoryStore::new()) }
    }

    pub fn settings(&self) -> ArchiveSettings {
        folder_archive(self.archive.path())
    }

    pub async fn open(&self, archived: bool) -> (Arc<Log>, Keeper) {
        let settings = self.settings();
        let archive = archived.then_some(&settings);
        let opened = open_with(self.folder.path(), small(), Arc::clone(&self.store), now(), archive).await.unwrap();
        opened.reconciler.tick(now()).await.unwrap();
        (Arc::clone(&opened.log), Keeper::new(opened.log, Duration::ZERO))
    }

    /// A log of so many entries, as it was written; their ids.
    pub async fn filled(count: usize) -> (Self, Vec<DecisionId>) {
        let house = Self::new();
        let (log, _keeper) = house.open(false).await;
        let ids = add(&log, count).await;
        (house, ids)
    }

    /// What verifying says, the archive read.
    async fn verify(&self) -> Report {
        let writer = ringfence::audit::writer_of(self.folder.path()).unwrap().unwrap();
        let archive = ringfence::audit::Archive::open(&self.settings(), writer).unwrap();
        let (folder, expect) = (self.folder.path().to_owned(), Expect::default());
        tokio::task::spawn_blocking(move || verify_with(&folder, &expect, Some(&archive)).unwrap()).await.unwrap()
    }

    pub fn names(&self, ending: &str) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        found.retain(|path| path.to_str().unwrap().ends_with(ending));
        found.sort();
        found
    }
}

async fn add(log: &Log, count: usize) -> Vec<DecisionId> {
    let mut ids = Vec::new();
    for n in 0..count {
        let id = log.next_id(Instant::from_millis(now().millis() + n as i64));
        let _ = log.append(entry(id, n), None).await.unwrap();
        ids.push(id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_log_is_sound_and_every_entry_found() {
    let (house, ids) = House::filled(30).await;
    let whole = plain(house.folder.path());
    let (log, keeper) = house.open(false).await;
    let done = keeper.tick(later()).await.unwrap();
    assert!(done.packed >= 5 && done.waiting == 0, "{done:?}");
    assert_eq!(house.names(".log").len(), 1, "the one that is written to");
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(log.find(*id).await.unwrap().unwrap().entry.encode(), entry(*id, at));
    }
    drop((log, keeper));
    let report = plain(house.folder.path());
    assert!(report.sound(), "{report:?}");
    assert_eq!((report.head, report.packed), (whole.head, done.packed as u64));
    let (log, _keeper) = house.open(false).await;
    assert_eq!(log.head().seq, 30);
    assert_eq!(log.find(ids[3]).await.unwrap().unwrap().seq, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_segment_is_what_zstd_makes_of_it() {
    let (house, _) = House::filled(10).await;
    let before: Vec<_> = segments(house.folder.path()).iter().map(|path| fs::read(path).unwrap()).collect();
    let (_log, keeper) = house.open(false).await;
    keeper.tick(later()).await.unwrap();
    for (path, plain) in house.names(".log.zst").iter().zip(before) {
        // As any tool does: frame after frame, what is marked to be skipped is skipped.
        assert_eq!(zstd::stream::decode_all(fs::File::open(path).unwrap()).unwrap(), plain);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_byte_of_a_compressed_segment_is_found() {
    let (house, _) = House::filled(7).await;
    let (log, keeper) = house.open(false).await;
    keeper.tick(later()).await.unwrap();
    drop((log, keeper));
    assert!(plain(house.folder.path()).sound());
    for path in house.names(".log.zst") {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for flip in [0x01, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                fs::write(&path, &bytes).unwrap();
                let bad = plain(house.folder.path()).bad;
                let bad = bad.unwrap_or_else(|| panic!("byte {at} of {path:?} changed unnoticed"));
                assert_eq!(bad.segment, path.file_name().unwrap().to_str().unwrap(), "{bad}");
            }
        }
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(!plain(house.folder.path()).sound(), "{path:?} cut at {cut}");
        }
        fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
        assert!(!plain(house.folder.path()).sound(), "{path:?} with a byte more");
        fs::write(&path, &whole).unwrap();
    }
    assert!(plain(house.folder.path()).sound());
}

/// Who can compress can forge a file that is right in itself: the chain finds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_compressed_segment_is_found() {
    let (house, _) = House::filled(12).await;
    let (other, _) = House::filled(12).await;
    for house in [&house, &other] {
        let (_log, keeper) = house.open(false).await;
        keeper.tick(later()).await.unwrap();
    }
    let (here, there) = (house.names(".log.zst"), other.names(".log.zst"));
    let whole = fs::read(&here[1]).unwrap();
    // Another log's, and another number's.
    fs::copy(&there[1], &here[1]).unwrap();
    assert!(matches!(plain(house.folder.path()).bad.unwrap().fault, Fault::SegmentMoved { number: 2, .. }));
    fs::copy(&here[2], &here[1]).unwrap();
    assert!(matches!(plain(house.folder.path()).bad.unwrap().fault, Fault::SegmentMoved { number: 3, .. }));
    fs::remove_file(&here[1]).unwrap();
    assert_eq!(plain(house.folder.path()).bad.unwrap().fault, Fault::SegmentMissing);
    fs::write(&here[1], &whole).unwrap();
    // The newest gone: the one before would not be compressed without it.
    fs::remove_file(house.names(".log").pop().unwrap()).unwrap();
    assert_eq!(plain(house.folder.path()).bad.unwrap().fault, Fault::SegmentMissing);
    let refused = Log::open(house.folder.path(), small(), &[]).unwrap_err();
    assert!(matches!(refused, LogError::Missing { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_not_whole_is_never_compressed_away() {
    let (house, _) = House::filled(12).await;
    let (log, keeper) = house.open(false).await;
    let path = segments(house.folder.path())[1].clone();
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER + 60] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let done = keeper.tick(later()).await.unwrap();
    assert_eq!(done.waiting, 1);
    assert_eq!(fs::read(&path).unwrap(), bytes, "evidence stays as it is");
    drop((log, keeper));
    assert_eq!(plain(house.folder.path()).bad.unwrap().fault, Fault::Changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_log_is_read_back() {
    let (house, ids) = House::filled(20).await;
    let whole = plain(house.folder.path());
    let (log, keeper) = house.open(true).await;
    let done = keeper.tick(later()).await.unwrap();
    assert_eq!((done.packed, done.archived, done.moved, done.waiting), (done.moved, done.moved, done.moved, 0));
    assert!(house.names(".log.zst").is_empty());
    assert_eq!(keeper.tick(later()).await.unwrap(), Keep::default());
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(log.find(*id).await.unwrap().unwrap().entry.encode(), entry(*id, at));
    }
    let counted = log.counts().read();
    assert_eq!((counted.moved as usize, counted.archive_failures), (done.moved, 0));
    drop((log, keeper));
    let unread = plain(house.folder.path());
    assert!(unread.sound() && unread.unread as usize == done.moved, "{unread:?}");
    assert_eq!(unread.head, whole.head, "what stays here says how it goes on");
    let report = house.verify().await;
    assert!(report.sound(), "{report:?}");
    assert_eq!((report.head, report.unread, report.archived as usize), (whole.head, 0, done.moved));
    // Without the archive nothing is taken for lost, and nothing for there.
    let (log, _keeper) = house.open(false).await;
    let refused = log.find(ids[0]).await.unwrap_err();
    assert!(refused.to_string().contains("audit_archive"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_the_archive_is_found() {
    let (house, _) = House::filled(12).await;
    let (log, keeper) = house.open(true).await;
    keeper.tick(later()).await.unwrap();
    let objects = house.archive.path().join(log.writer().to_string());
    drop((log, keeper));
    let mut files: Vec<_> = fs::read_dir(&objects).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let path = &files[1];
    let whole = fs::read(path).unwrap();
    // Each class of place: the compressed header, entries, the footer's parts, its end.
    for at in (0..whole.len()).step_by(7).chain(whole.len() - 40..whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        fs::write(path, &bytes).unwrap();
        assert!(!house.verify().await.sound(), "byte {at}");
    }
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
    assert!(!house.verify().await.sound());
    fs::copy(&files[2], path).unwrap();
    assert!(matches!(house.verify().await.bad.unwrap().fault, Fault::SegmentMoved { number: 3, .. }));
    fs::remove_file(path).unwrap();
    assert_eq!(house.verify().await.bad.unwrap().fault, Fault::NotArchived);
    fs::write(path, &whole).unwrap();
    assert!(house.verify().await.sound());
    // What stays here of it, too.
    let away = house.names(".away")[1].clone();
    let note = fs::read(&away).unwrap();
    for at in 0..note.len() {
        let mut bytes = note.clone();
        bytes[at] ^= 0x20;
        fs::write(&away, &bytes).unwrap();
        assert!(!plain(house.folder.path()).sound(), "byte {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_the_one_made_is_made_again_before_anything_is_removed() {
    let (house, ids) = House::filled(12).await;
    let (log, keeper) = house.open(true).await;
    // Archived, and due only later.
    keeper.tick(Instant::from_millis(0)).await.unwrap();
    let objects = house.archive.path().join(log.writer().to_string());
    let path = fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let report = house.verify().await;
    assert_eq!(report.bad.unwrap().fault, Fault::ArchivedOther);
    keeper.tick(later()).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
    for id in ids {
        assert!(log.find(id).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_archive_is_out_of_reach_everything_stays() {
    let (house, ids) = House::filled(12).await;
    let (log, keeper) = house.open(true).await;
    // A file where the folder should be: nothing can be written there.
    let objects = house.archive.path().join(log.writer().to_string());
    fs::write(&objects, "in the way").unwrap();
    keeper.tick(later()).await.unwrap_err();
    let packed = house.names(".log.zst").len();
    assert!(packed >= 2 && house.names(".away").is_empty(), "compressed all the same");
    let counted = log.counts().read();
    assert_eq!((counted.archive_failures, counted.waiting as usize), (1, packed));
    for id in &ids {
        assert!(log.find(*id).await.unwrap().is_some());
    }
    fs::remove_file(&objects).unwrap();
    assert!(keeper.tick(later()).await.unwrap().moved >= packed);
    assert!(house.names(".log.zst").is_empty());
    assert!(house.verify().await.sound());
}

/// Stopped after each step of each segment, as a crash does, the log verifies and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_step_leaves_a_log_that_verifies_and_goes_on() {
    for stop in EVERY {
        let (house, ids) = House::filled(14).await;
        let mut crashes = 0;
        for round in 0..40 {
            let (log, keeper) = house.open(true).await;
            let watch = |step: Step, _: u64| match step == stop {
                true => Err(LogError::Unavailable { place: "test".into(), doing: "crashing", why: "told to".into() }),
                false => Ok(()),
            };
            let done = keeper.tick_watched(later(), &watch).await;
            drop((log, keeper));
            let report = house.verify().await;
            assert!(report.sound() && report.head.seq >= 14, "{stop:?}, round {round}: {report:?}");
            let (log, _keeper) = house.open(true).await;
            for (at, id) in ids.iter().enumerate() {
                let found = log.find(*id).await.unwrap().unwrap_or_else(|| panic!("{stop:?}: {at} is gone"));
                assert_eq!(found.seq, at as u64 + 1);
            }
            if done.is_ok() {
                break;
            }
            crashes += 1;
            // Steps before the one that never passes are done again; the others are passed in the end.
            if [Step::Written, Step::Proved].contains(&stop) && crashes > 3 {
                break;
            }
        }
        assert!(crashes > 0, "{stop:?} was never reached");
        let (log, keeper) = house.open(true).await;
        keeper.tick(later()).await.unwrap();
        add(&log, 5).await;
        drop((log, keeper));
        let report = house.verify().await;
        assert!(report.sound() && report.head.seq == 19, "{stop:?}: {report:?}");
        assert!(house.names(".log.zst").is_empty() && house.names(".log").len() <= 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_closed_by_age_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { segment_age: Duration::ZERO, linger: Duration::from_millis(5), ..Settings::default() };
    let log = Log::open(folder.path(), settings, &[]).unwrap();
    for n in 0..3 {
        let _ = log.append(entry(log.next_id(now()), n), None).await.unwrap();
        // By itself, with nothing more to write.
        while segments(folder.path()).len() < n + 2 {
            tokio::task::yield_now().await;
        }
    }
    drop(log);
    let report = plain(folder.path());
    assert!(report.sound() && report.head.seq == 3 && report.segments == 4, "{report:?}");
}
