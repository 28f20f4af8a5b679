//! An audit log whose disk stalls: answers wait or are refused, each with a status to ask again by, and none is given
//! without its entry.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use ringfence::audit::{Log, SegmentFile, Settings as LogSettings};
use ringfence::engine::{Parts, Settings};
use ringfence::registry::Registries;
use ringfence::store::{Keys, MemoryStore};
use ringfence::telemetry::Metrics;

use super::*;

/// A disk whose syncs wait while it is stalled.
#[derive(Default)]
struct Disk {
    /// Whether it is, and how many wait.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Disk {
    fn stall(&self, stalled: bool) {
        self.state.lock().unwrap().0 = stalled;
        self.changed.notify_all();
    }

    async fn until_somebody_waits(&self) {
        while self.state.lock().unwrap().1 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

struct Stalling(File, Arc<Disk>);

impl SegmentFile for Stalling {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        SegmentFile::write_at(&mut self.0, offset, bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.1.state.lock().unwrap();
        state.1 += 1;
        let mut state = self.1.changed.wait_while(state, |(stalled, _)| *stalled).unwrap();
        state.1 -= 1;
        self.0.sync_data()
    }
    fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.0.set_len(offset)
    }
}

async fn stalling(folder: &Path, settings: LogSettings) -> (Served, Arc<Disk>, Arc<Engine>) {
    let disk = Arc::new(Disk::default());
    let state = Arc::clone(&disk);
    let opener = move |path: &Path, make: bool| {
        let file = OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
        Ok(Box::new(Stalling(file, Arc::clone(&state))) as Box<dyn SegmentFile>)
    };
    let settings = LogSettings { linger: Duration::from_millis(5), ..settings };
    let engine = Arc::new(Engine::new(Parts {
        store: Arc::new(MemoryStore::new()),
        keys: Keys::ephemeral().unwrap(),
        log: Some(Arc::new(Log::open_with(folder, settings, &[], Box::new(opener)).unwrap())),
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: support::law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }));
    (serve(Arc::clone(&engine)).await, disk, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_disk_turns_answers_unavailable_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings { limit: Duration::ZERO, ..LogSettings::default() };
    let (served, disk, engine) = stalling(folder.path(), settings).await;
    disk.stall(true);
    let first = served.decide(pinned()).await;
    disk.until_somebody_waits().await;
    for request in [pinned(), notice()] {
        let status = served.refused(request).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        assert!(status.get_error_details().retry_info().is_some());
    }
    assert_eq!(engine.not_ready().await[0].0, "audit");
    let text = {
        engine.measure(support::at(DAY));
        engine.metrics().text()
    };
    assert!(text.contains("ringfence_audit_refusals_total ") && !text.contains("ringfence_audit_refusals_total 0"));
    disk.stall(false);
    while !engine.not_ready().await.is_empty() {
        tokio::task::yield_now().await;
    }
    let last = served.decide(pinned()).await;
    let request = v1::ListDecisionsRequest { dry_runs: true, ..Default::default() };
    let records = served.audit().list_decisions(request).await.unwrap().into_inner().records;
    let ids: Vec<_> = records.into_iter().map(|record| record.decision.unwrap().decision_id).collect();
    assert_eq!(ids, [last.decision_id, first.decision_id], "what was answered is there, what was refused is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_made_safe_in_time_is_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(3_600);
    let settings = LogSettings { patience: Duration::ZERO, limit, ..LogSettings::default() };
    let (served, disk, _engine) = stalling(folder.path(), settings).await;
    disk.stall(true);
    served.decide(pinned()).await;
    disk.until_somebody_waits().await;
    let mut request = tonic::Request::new(pinned());
    request.set_timeout(Duration::from_millis(200));
    let status = served.check().check(request).await.unwrap_err();
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()), "{status:?}");
    disk.stall(false);
    served.decide(pinned()).await;
}
