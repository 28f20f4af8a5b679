//! Whatever is done to the files of a log is found, and the first bad entry named.

use super::*;

#[tokio::test]
async fn an_untouched_log_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), small(), 20).await;
    let report = plain(folder.path());
    assert!(report.sound(), "{report:?}");
    assert_eq!(report.head.seq, 20);
    assert!(report.segments > 3);
    let log = Log::open(folder.path(), small(), &[]).unwrap();
    assert_eq!(log.head(), report.head);
    assert_eq!(Some(log.writer()), report.writer);
    assert!(log.recovered().is_none());
}

#[tokio::test]
async fn every_flipped_byte_is_found_and_the_first_bad_entry_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), small(), 10).await;
    let files = segments(folder.path());
    assert!(files.len() >= 3);
    for path in files {
        let whole = fs::read(&path).unwrap();
        let starts = frames(&whole);
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                fs::write(&path, &bytes).unwrap();
                let report = plain(folder.path());
                let bad = report.bad.unwrap_or_else(|| panic!("byte {at} of {path:?} changed unnoticed"));
                let frame = starts.iter().rev().find(|start| **start <= at).copied();
                assert_eq!(bad.segment, path.file_name().unwrap().to_str().unwrap());
                assert_eq!(bad.offset, frame.unwrap_or(0) as u64, "{bad}");
                assert_eq!(bad.seq, seq_at(&whole, frame.unwrap_or(HEADER)), "{bad}");
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(plain(folder.path()).sound());
}

#[tokio::test]
async fn a_removed_entry_is_named() {
    let (folder, path, bytes, at) = five().await;
    fs::write(&path, [&bytes[..at[2]], &bytes[at[3]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 3, Fault::Removed { found: 4 });
}

#[tokio::test]
async fn a_repeated_entry_is_named() {
    let (folder, path, bytes, at) = five().await;
    fs::write(&path, [&bytes[..at[3]], &bytes[at[2]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 4, Fault::Repeated { found: 3 });
}

#[tokio::test]
async fn reordered_entries_are_named() {
    let (folder, path, bytes, at) = five().await;
    let swapped = [&bytes[..at[1]], &bytes[at[2]..at[3]], &bytes[at[1]..at[2]], &bytes[at[3]..]].concat();
    fs::write(&path, swapped).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 2, Fault::Removed { found: 3 });
}

#[tokio::test]
async fn an_entry_from_another_log_is_named() {
    let (folder, path, bytes, at) = five().await;
    let (_other_folder, _, other, other_at) = five().await;
    fs::write(&path, [&bytes[..at[2]], &other[other_at[2]..other_at[3]], &bytes[at[3]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 3, Fault::Replaced);
    fs::write(&path, [&bytes[..at[2]], &other[other_at[2]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 3, Fault::Replaced);
}

#[tokio::test]
async fn a_cut_end_is_named_by_the_anchor() {
    let (folder, path, bytes, at) = five().await;
    let whole = plain(folder.path());
    let anchor = Anchor { writer: whole.writer.unwrap(), head: whole.head, at: now() };
    let expect = Expect { anchors: vec![anchor], ..Expect::default() };
    assert!(verify(folder.path(), &expect).unwrap().sound());
    fs::write(&path, &bytes[..at[3]]).unwrap();
    first_bad(&verify(folder.path(), &expect).unwrap(), "0000000001.log", 4, Fault::Cut { anchored: 5 });
    assert!(plain(folder.path()).sound(), "nobody can know without the anchor");
    let refused = Log::open(folder.path(), small(), &[anchor]).unwrap_err();
    assert!(refused.to_string().contains("entry 3") && refused.to_string().contains("entry 5"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), &bytes[..at[3]], "nothing was repaired");
    fs::write(&path, &bytes[..at[4] + 9]).unwrap();
    first_bad(&verify(folder.path(), &expect).unwrap(), "0000000001.log", 5, Fault::Torn);
}

#[tokio::test]
async fn a_cut_end_is_named_by_the_events_of_the_store() {
    let (folder, path, bytes, at) = five().await;
    let digest = |n: usize| -> Digest {
        let content = &bytes[at[n] + 52..at[n + 1] - 32];
        Entry::decode(content).unwrap().encode().digest()
    };
    let expect = Expect { digests: vec![digest(1), digest(3), digest(4)], ..Expect::default() };
    assert!(verify(folder.path(), &expect).unwrap().sound());
    fs::write(&path, &bytes[..at[3]]).unwrap();
    let report = verify(folder.path(), &expect).unwrap();
    assert_eq!(report.missing, [digest(3), digest(4)]);
    assert!(!report.sound());
}

#[tokio::test]
async fn a_rewritten_log_is_not_the_one_the_store_remembers() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(one.path(), small(), 6).await;
    for path in segments(one.path()) {
        fs::copy(&path, two.path().join(path.file_name().unwrap())).unwrap();
    }
    // The same log going two ways, both whole in themselves.
    let _ = fill(one.path(), small(), 3).await;
    let other = fill(two.path(), small(), 3).await;
    assert_eq!(other[0].writer(), plain(one.path()).writer.unwrap());
    let truth = plain(one.path());
    let anchor = Anchor { writer: truth.writer.unwrap(), head: truth.head, at: now() };
    let expect = Expect { anchors: vec![anchor], ..Expect::default() };
    assert!(verify(one.path(), &expect).unwrap().sound());
    assert!(plain(two.path()).sound());
    let report = verify(two.path(), &expect).unwrap();
    assert_eq!(report.bad.unwrap().fault, Fault::NotTheAnchored);
    Log::open(two.path(), small(), &[anchor]).unwrap_err();
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    for gone in 0..3 {
        let (folder, files, first, _) = several().await;
        fs::remove_file(&files[gone]).unwrap();
        let name = format!("{:010}.log", gone + 1);
        first_bad(&plain(folder.path()), &name, first[gone], Fault::SegmentMissing);
        let refused = Log::open(folder.path(), small(), &[]).unwrap_err();
        assert!(matches!(refused, LogError::Missing { .. }) && refused.to_string().contains(&name), "{refused}");
    }
    let (folder, files, first, expect) = several().await;
    fs::remove_file(files.last().unwrap()).unwrap();
    let report = verify(folder.path(), &expect).unwrap();
    let last = files[files.len() - 2].file_name().unwrap().to_str().unwrap().to_owned();
    first_bad(&report, &last, *first.last().unwrap(), Fault::Cut { anchored: 14 });
    Log::open(folder.path(), small(), &expect.anchors).unwrap_err();
}

#[tokio::test]
async fn a_segment_of_another_log_is_named() {
    let (folder, files, first, _) = several().await;
    let (_other, others, ..) = several().await;
    fs::copy(&others[2], &files[2]).unwrap();
    let report = plain(folder.path());
    let bad = report.bad.clone().unwrap();
    assert_eq!((bad.segment.as_str(), bad.seq), ("0000000003.log", first[2]));
    assert!(matches!(bad.fault, Fault::SegmentMoved { number: 3, writer } if Some(writer) != report.writer));
}

#[tokio::test]
async fn an_emptied_folder_is_named_by_the_anchor() {
    let (folder, files, _, expect) = several().await;
    files.iter().for_each(|path| fs::remove_file(path).unwrap());
    first_bad(&verify(folder.path(), &expect).unwrap(), "0000000001.log", 1, Fault::Cut { anchored: 14 });
    assert!(plain(folder.path()).sound(), "an empty log is a log");
    verify(&folder.path().join("nowhere"), &expect).unwrap_err();
}

#[tokio::test]
async fn foreign_files_are_named() {
    let (folder, files, first, _) = several().await;
    let stranger = folder.path().join("notes.log");
    fs::write(&stranger, "dear diary").unwrap();
    let bad = plain(folder.path()).bad.unwrap();
    assert_eq!((bad.segment.as_str(), bad.fault), ("notes.log", Fault::Foreign));
    assert!(matches!(Log::open(folder.path(), small(), &[]).unwrap_err(), LogError::Foreign { .. }));
    fs::remove_file(&stranger).unwrap();
    fs::write(folder.path().join("lost+found.txt"), "no business of ours").unwrap();
    assert!(plain(folder.path()).sound());
    fs::write(&files[1], "x".repeat(500)).unwrap();
    first_bad(&plain(folder.path()), "0000000002.log", first[1], Fault::Foreign);
}
