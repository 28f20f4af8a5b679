//! Certificates, those of the listeners and those towards stores and processors, read again when their files change.
//!
//! Promises: files that cannot be used change nothing, are told once for each reason, and are tried at each look until they
//! can; one kind that takes long holds up no other, and nothing else of the server. Until when certificates are good is told of
//! those in use. A client certificate on an open connection is held against what is in force within seconds of a change, and
//! each minute besides, also while files cannot be read: lists and certificates run out without a change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::again::{Refused, Stamp};
use super::{LOOK, told};
use crate::access::Access;
use crate::config::{Config, StoreAt};
use crate::listen::{self, Tls};
use crate::notify;
use crate::store::redis;
use crate::telemetry::Metrics;

/// How often client certificates on open connections are looked at where nothing changed.
const MINUTE: Duration = Duration::from_secs(60);

/// Files of one purpose, and how they were when they were last taken.
struct Files {
    /// What the log and the metric of refusals call them.
    what: &'static str,
    /// Which of several of that kind; empty: there is one.
    which: String,
    paths: Vec<PathBuf>,
    taken: Vec<Option<Stamp>>,
    /// Those that end, by the setting that names them.
    ending: Vec<(String, Vec<PathBuf>)>,
    /// Whether the metrics have the ends of those that were taken.
    told: bool,
}

impl Files {
    fn of<'a>(what: &'static str, which: &str, paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let paths: Vec<_> = paths.into_iter().map(Path::to_owned).collect();
        let (which, taken) = (which.to_owned(), stamps(&paths));
        Self { what, which, taken, paths, ending: Vec::new(), told: false }
    }

    fn ending<'a>(mut self, key: String, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        self.ending.push((key, paths.into_iter().cloned().collect()));
        self
    }

    /// Has them taken if they changed, and tells the metrics until when those in use are good; whether they were taken.
    async fn look(&mut self, refused: &mut Refused, take: impl Future<Output = Result<(), String>>) -> bool {
        let taken = self.take(refused, take).await;
        self.told &= !taken;
        if !self.told {
            self.told = self.tell_ends(refused.metrics()).await;
        }
        taken
    }

    /// Reads of them until when they are good; whether that could be told. What was put in their place since they were taken
    /// is not in use, and told once it is.
    async fn tell_ends(&self, metrics: Arc<Metrics>) -> bool {
        let found = blocking((self.ending.clone(), self.paths.clone()), |(ending, paths)| {
            let end = |(key, paths): (String, Vec<PathBuf>)| end_of(&key, &paths).map(|end| (key, end));
            let ends: Vec<_> = ending.into_iter().filter_map(end).collect();
            Ok((ends, stamps(&paths)))
        });
        let Ok((ends, found)) = found.await else { return false };
        let in_use = found == self.taken;
        for (key, end) in ends.into_iter().filter(|_| in_use) {
            metrics.certificate_expires(&key, end);
        }
        in_use
    }

    async fn take(&mut self, refused: &mut Refused, take: impl Future<Output = Result<(), String>>) -> bool {
        let paths = self.paths.clone();
        let Ok(found) = tokio::task::spawn_blocking(move || stamps(&paths)).await else { return false };
        if found == self.taken {
            refused.clear(&self.which);
            return false;
        }
        let what = format!("{} {}", self.what, self.which);
        let what = what.trim_end();
        match take.await {
            Ok(()) => {
                self.taken = found;
                tracing::info!(what, "the certificate was read again");
                refused.clear(&self.which);
                true
            }
            // Tried again at each look, whatever the reason was.
            Err(error) => {
                if refused.note(&self.which, error.clone()) {
                    tracing::error!(what, error, "the changed certificate is refused; the old one stays");
                }
                false
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| Stamp::of(path)).collect()
}

/// The files that settings name, as they are before anything is read of them.
pub(super) struct Certificates {
    listeners: Option<Files>,
    stores: Vec<Files>,
    processors: Option<Files>,
}

/// Who uses them.
pub(super) struct Users {
    pub listeners: Vec<Arc<Tls>>,
    /// Who may ask, where that is asked.
    pub access: Option<Arc<Access>>,
    /// The default store and those of the regions, in the order of the settings; `None`: it is embedded.
    pub stores: Vec<Option<redis::Settings>>,
    pub processors: notify::Client,
    pub metrics: Arc<Metrics>,
}

impl Certificates {
    /// Of these settings.
    pub fn of(config: &Config) -> Self {
        let regions = config
            .pinned
            .iter()
            .enumerate()
            .map(|(at, pinned)| (format!("pinned[{}].", at + 1), &*pinned.region.name, &pinned.store));
        let mut stores = Vec::new();
        for (prefix, region, store) in std::iter::once((String::new(), "", &config.store)).chain(regions) {
            let redis::Files { authority, certificate, key, .. } = match store {
                StoreAt::Embedded => redis::Files::default(),
                StoreAt::Redis(_, files) => files.clone(),
            };
            let paths = [&authority, &certificate, &key].into_iter().flatten().map(PathBuf::as_path);
            let files = Files::of("store_tls", region, paths)
                .ending(format!("{prefix}store_ca"), &authority)
                .ending(format!("{prefix}store_cert"), &certificate);
            stores.push(files);
        }
        let listeners = config.exposed.tls.as_ref().map(|files| {
            Files::of("tls", "", files.all())
                .ending("tls_cert".to_owned(), [&files.certificate])
                .ending("tls_client_ca".to_owned(), &files.authority)
                .ending("tls_client_crl".to_owned(), &files.revoked)
        });
        let processors = config
            .webhook_ca
            .as_ref()
            .map(|path| Files::of("webhook_ca", "", [path.as_path()]).ending("webhook_ca".to_owned(), [path]));
        Self { listeners, stores, processors }
    }

    /// Has them read again until it is told to stop.
    pub async fn keep(self, users: Users, stopping: watch::Receiver<bool>) {
        let Self { listeners, stores, processors } = self;
        let Users { listeners: tls, access, stores: settings, processors: client, metrics } = users;
        let work = async {
            tokio::join!(
                keep_listeners(listeners, tls, access, &metrics),
                keep_stores(stores, settings, &metrics),
                keep_processors(processors, client, &metrics),
            )
        };
        tokio::select! {
            _ = work => {}
            () = told(stopping) => {}
        }
    }
}

/// One after another at most this often: what hangs is not asked again meanwhile.
fn looks(every: Duration) -> tokio::time::Interval {
    let mut look = tokio::time::interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

async fn keep_listeners(
    files: Option<Files>,
    listeners: Vec<Arc<Tls>>,
    access: Option<Arc<Access>>,
    metrics: &Arc<Metrics>,
) {
    let refused = Refused::none("tls", metrics);
    let Some(files) = files else { return };
    let read = || {
        blocking(listeners.clone(), |listeners| {
            listeners.iter().try_for_each(|one| one.reload()).map_err(|fault| fault.to_string())
        })
    };
    let judge = || judge(listeners.clone(), access.clone());
    read_and_judge((files, refused), read, (MINUTE, judge)).await;
}

/// Holds the certificates of open connections against what is in force.
async fn judge(listeners: Vec<Arc<Tls>>, access: Option<Arc<Access>>) {
    let look_again = |listeners: Vec<Arc<Tls>>| Ok(listeners.iter().filter(|one| one.look_again()).count());
    if let (Ok(1..), Some(access)) = (blocking(listeners, look_again).await, &access) {
        tracing::warn!("certificates on open connections are trusted no longer, or again");
        access.look_again();
    }
}

/// Has files read when they change, and what is held judged after that and each time that so long has passed. Apart: a volume
/// that hangs holds up what needs no disk no more than anything else.
async fn read_and_judge<R: Future<Output = Result<(), String>>, J: Future<Output = ()>>(
    (mut files, mut refused): (Files, Refused),
    read: impl Fn() -> R,
    (every, judge): (Duration, impl Fn() -> J),
) {
    let changed = Notify::new();
    let reading = async {
        let mut look = looks(LOOK);
        loop {
            look.tick().await;
            if files.look(&mut refused, read()).await {
                changed.notify_one();
            }
        }
    };
    // By one alone: of two at once, the one that began before a change could have the last word.
    let judging = async {
        let mut due = looks(every);
        loop {
            tokio::select! {
                _ = due.tick() => {}
                () = changed.notified() => {}
            }
            judge().await;
        }
    };
    tokio::join!(reading, judging);
}

async fn keep_stores(mut files: Vec<Files>, settings: Vec<Option<redis::Settings>>, metrics: &Arc<Metrics>) {
    let mut refused = Refused::none("store_tls", metrics);
    let mut look = looks(LOOK);
    loop {
        look.tick().await;
        for (files, settings) in files.iter_mut().zip(&settings) {
            if let Some(settings) = settings {
                files.look(&mut refused, settings.renew_certificates()).await;
            }
        }
    }
}

async fn keep_processors(files: Option<Files>, client: notify::Client, metrics: &Arc<Metrics>) {
    let mut refused = Refused::none("webhook_ca", metrics);
    let Some(mut files) = files else { return };
    let mut look = looks(LOOK);
    loop {
        look.tick().await;
        let take = blocking(client.clone(), |client| client.reload().map_err(|error| error.to_string()));
        files.look(&mut refused, take).await;
    }
}

/// When the first of them is no longer good.
fn end_of(key: &str, paths: &[PathBuf]) -> Option<i64> {
    match key {
        "tls_client_crl" => listen::first_to_run_out(paths).ok().flatten(),
        _ => paths.iter().filter_map(|path| listen::first_to_expire(path).ok()).map(|(_, end)| end).min(),
    }
}

/// What reads files, which may be on a volume that hangs.
async fn blocking<T: Send + 'static, R: Send + 'static>(
    with: T,
    work: impl FnOnce(T) -> Result<R, String> + Send + 'static,
) -> Result<R, String> {
    let done = tokio::task::spawn_blocking(move || work(with)).await;
    done.unwrap_or_else(|error| Err(format!("they could not be read: {error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[tokio::test]
    async fn until_when_certificates_are_good_is_told_of_those_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.pem");
        let put = |of: &str| {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(of).join("tls/authority.pem");
            std::fs::copy(from, folder.path().join("new")).unwrap();
            std::fs::rename(folder.path().join("new"), &path).unwrap();
        };
        put("store");
        let mut files = Files::of("tls", "", [path.as_path()]).ending("tls_cert".to_owned(), [&path]);
        let metrics = Arc::new(Metrics::default());
        let mut refused = Refused::none("tls", &metrics);
        let told = || {
            let name = "ringfence_certificate_expires_timestamp_seconds{file=\"tls_cert\"} ";
            metrics.text().lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).unwrap()
        };
        let (first, second) = ("4948907487", "4948979823");
        assert!(!files.look(&mut refused, async { unreachable!("nothing changed") }).await);
        assert_eq!(told(), first);
        put("access");
        assert!(!files.look(&mut refused, async { Err("no".to_owned()) }).await);
        assert_eq!(told(), first, "what is refused is not in use");
        assert!(files.look(&mut refused, async { Ok(()) }).await);
        assert_eq!(told(), second);
        // Again in their place before their end was read: not in use either.
        put("access");
        let taken = async {
            put("store");
            Ok(())
        };
        assert!(files.look(&mut refused, taken).await);
        assert!(!files.look(&mut refused, async { Err("no".to_owned()) }).await);
        assert_eq!(told(), second);
        assert!(files.look(&mut refused, async { Ok(()) }).await);
        assert_eq!(told(), first);
    }

    /// Has a read of a fifo end, also where the test fails: it would wait for that.
    struct Release(PathBuf);

    impl Drop for Release {
        fn drop(&mut self) {
            let mut both = OpenOptions::new().read(true).write(true).open(&self.0).unwrap();
            both.write_all(b"x").unwrap();
            // Open until the process ends: what was written is there until it was read.
            std::mem::forget(both);
        }
    }

    #[tokio::test]
    async fn what_is_held_is_judged_while_the_volume_of_the_files_hangs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.pem");
        std::fs::write(&path, "").unwrap();
        let files = Files::of("tls", "", [path.as_path()]);
        std::fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let release = Release(path.clone());
        let metrics = Arc::new(Metrics::default());
        let refused = Refused::none("tls", &metrics);
        let (reads, judged) = (AtomicU32::new(0), AtomicU32::new(0));
        let read = || {
            reads.fetch_add(1, Ordering::SeqCst);
            blocking(path.clone(), |path| {
                File::open(path).and_then(|mut file| file.read_exact(&mut [0])).map_err(|error| error.to_string())
            })
        };
        let judge = || {
            judged.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        };
        let keeping = read_and_judge((files, refused), read, (Duration::from_millis(1), judge));
        let goes_on = async {
            while reads.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            let before = judged.load(Ordering::SeqCst);
            while judged.load(Ordering::SeqCst) < before + 3 {
                tokio::task::yield_now().await;
            }
        };
        let goes_on = tokio::time::timeout(Duration::from_secs(30), goes_on);
        tokio::select! {
            () = keeping => {}
            done = goes_on => done.unwrap(),
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1, "and what hangs is not asked again");
        drop(release);
    }
}
