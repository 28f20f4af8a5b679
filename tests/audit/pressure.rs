//! A disk that does not keep up: answers slow down or are refused, and no entry is dropped.

use std::sync::{Condvar, Mutex};

use super::*;

/// A disk whose syncs wait while the gate is shut.
#[derive(Default)]
struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn shut(&self) {
        self.state.lock().unwrap().0 = true;
    }

    fn open(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        let mut state = self.changed.wait_while(state, |(shut, _)| *shut).unwrap();
        state.1 -= 1;
    }

    async fn until_somebody_waits(&self) {
        while self.state.lock().unwrap().1 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

struct Slow(fs::File, Arc<Gate>);

impl SegmentFile for Slow {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        SegmentFile::write_at(&mut self.0, offset, bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.1.pass();
        self.0.sync_data()
    }
    fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.0.set_len(offset)
    }
}

fn slow(folder: &Path, settings: Settings) -> (Arc<Log>, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let state = Arc::clone(&gate);
    let opener = move |path: &Path, make: bool| {
        let file = fs::OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
        Ok(Box::new(Slow(file, Arc::clone(&state))) as Box<dyn SegmentFile>)
    };
    (Arc::new(Log::open_with(folder, settings, &[], Box::new(opener)).unwrap()), gate)
}

fn quick() -> Settings {
    Settings { linger: Duration::from_millis(5), limit: Duration::from_secs(3_600), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_stalls_denials_wait_until_their_entry_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gate) = slow(folder.path(), Settings { patience: Duration::ZERO, ..quick() });
    gate.shut();
    log.append_soon(entry(log.next_id(now()), 0)).await.unwrap();
    gate.until_somebody_waits().await;
    let waiting: Vec<_> = (1..20)
        .map(|n| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.append_soon(entry(log.next_id(now()), n)).await })
        })
        .collect();
    while log.counts().read().waited < 19 {
        tokio::task::yield_now().await;
    }
    assert!(waiting.iter().all(|task| !task.is_finished()), "none is answered before its entry is safe");
    assert_eq!(log.head().seq, 0);
    gate.open();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(log.head().seq, 20, "answered means safe");
    drop(log);
    assert_eq!(plain(folder.path()).head.seq, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stalls_for_too_long_is_refused_at_once_and_nothing_taken_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gate) = slow(folder.path(), Settings { limit: Duration::ZERO, ..quick() });
    log.ready().unwrap();
    gate.shut();
    log.append_soon(entry(log.next_id(now()), 0)).await.unwrap();
    gate.until_somebody_waits().await;
    let refused = log.ready().unwrap_err();
    assert!(refused.retry() && refused.to_string().contains("waiting for the disk"), "{refused}");
    log.append_soon(entry(log.next_id(now()), 1)).await.unwrap_err();
    let _ = log.append(entry(log.next_id(now()), 2), None).await.unwrap_err();
    assert_eq!(log.counts().read().refused, 2);
    gate.open();
    while log.ready().is_err() {
        tokio::task::yield_now().await;
    }
    let _ = log.append(entry(log.next_id(now()), 3), None).await.unwrap();
    drop(log);
    let report = plain(folder.path());
    assert!(report.sound() && report.head.seq == 2, "those taken, not those refused: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_memory_is_bounded_by_count_and_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gate) = slow(folder.path(), Settings { room: 8, patience: Duration::from_secs(3_600), ..quick() });
    gate.shut();
    let large = |n: usize| {
        let mut one = Entry::decode(entry(log.next_id(now()), n).content()).unwrap();
        one.body = vec![n as u8; 40_000];
        one.encode()
    };
    let waiting: Vec<_> = (0..30)
        .map(|n| {
            let (log, one) = (Arc::clone(&log), large(n));
            tokio::spawn(async move { log.append_soon(one).await })
        })
        .collect();
    gate.until_somebody_waits().await;
    for _ in 0..1_000 {
        assert!(log.queued() <= 8);
        tokio::task::yield_now().await;
    }
    let taken = waiting.iter().filter(|task| task.is_finished()).count();
    assert!(taken <= 2, "each takes three places of eight: {taken}");
    gate.open();
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    drop(log);
    let report = plain(folder.path());
    assert!(report.sound() && report.head.seq == 30, "{report:?}");
}

/// A caller that gives up while it waits was not answered; whatever was answered is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_costs_nobody_elses_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gate) = slow(folder.path(), Settings { room: 2, patience: Duration::from_secs(3_600), ..quick() });
    gate.shut();
    let mut answered = Vec::new();
    for n in 0..6 {
        let id = log.next_id(now());
        let given = tokio::time::timeout(Duration::from_millis(20), log.append_soon(entry(id, n))).await;
        if let Ok(taken) = given {
            taken.unwrap();
            answered.push(id);
        }
    }
    assert!((2..6).contains(&answered.len()), "{}", answered.len());
    gate.open();
    for id in answered {
        assert!(log.find(id).await.unwrap().is_some());
    }
}
