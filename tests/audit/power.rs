//! Power loss, played again: the log on every state that a disk may be left in.

use super::power_cut::{Dice, Op, Record, lost_at};
use super::*;

/// A segment of which everything is recorded.
struct Recorded(fs::File, Record);

impl SegmentFile for Recorded {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        SegmentFile::write_at(&mut self.0, offset, bytes)?;
        self.1.note(Op::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()?;
        self.1.note(Op::Synced);
        Ok(())
    }
    fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.0.set_len(offset)?;
        self.1.note(Op::Length(offset));
        Ok(())
    }
}

/// Appends entries of several sectors, many at once, so that some share a write.
async fn recorded(folder: &Path) -> Vec<Op> {
    let record = Record::default();
    let noted = record.clone();
    let opener = move |path: &Path, make: bool| {
        let file = fs::OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
        Ok(Box::new(Recorded(file, noted.clone())) as Box<dyn SegmentFile>)
    };
    let log = Arc::new(Log::open_with(folder, Settings::default(), &[], Box::new(opener)).unwrap());
    for batch in 0..40_usize {
        let appends: Vec<_> = (0..=batch % 6)
            .map(|n| {
                let id = log.next_id(Instant::from_millis(now().millis() + batch as i64));
                let long = Entry {
                    kind: 1,
                    at: now(),
                    id,
                    tenant: "acme".into(),
                    tag: None,
                    campaign: None,
                    open: None,
                    key: BodyKey::Day(20_778),
                    body: vec![n as u8; 100 + n * 700],
                };
                let log = Arc::clone(&log);
                tokio::spawn(async move { log.append(long.encode(), None).await.map(drop) })
            })
            .collect();
        for append in appends {
            append.await.unwrap().unwrap();
        }
        record.note(Op::Told(log.head().seq));
    }
    record.ops()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_safe_is_lost_to_a_loss_of_power() {
    let made = tempfile::tempdir().unwrap();
    let ops = recorded(made.path()).await;
    let name = segments(made.path())[0].file_name().unwrap().to_owned();
    let (mut dice, mut cut, mut unacknowledged) = (Dice(11), 0, 0);
    for moment in (1..=ops.len()).chain(1..=ops.len()).chain(1..=ops.len()) {
        let (file, told) = lost_at(&ops, moment, &mut dice);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(&name), file).unwrap();
        let log = Log::open(folder.path(), Settings::default(), &[])
            .unwrap_or_else(|error| panic!("after {moment} of {} operations: {error}", ops.len()));
        let found = log.head().seq;
        assert!(found >= told, "after {moment}: {told} were safe, {found} are left");
        cut += u64::from(log.recovered().is_some());
        unacknowledged += u64::from(found > told);
        let _ = log.append(entry(log.next_id(now()), 0), None).await.unwrap();
        drop(log);
        let report = plain(folder.path());
        assert!(report.sound() && report.head.seq == found + 1, "after {moment}: {report:?}");
    }
    assert!(cut > 0 && unacknowledged > 0, "{cut} were cut, {unacknowledged} had more than was told");
}
