//! Certificates, those of the listeners and those towards stores and processors, read again when their files change.
//!
//! Promises: files that cannot be used change nothing, are told once for each reason, and are tried at each look until they
//! can; one kind that takes long holds up no other, and nothing else of the server. A client certificate on an open
//! connection is held against what is in force within seconds of a change, and each minute besides: lists and certificates
//! run out without one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
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
}

impl Files {
    fn of<'a>(what: &'static str, which: &str, paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let paths: Vec<_> = paths.into_iter().map(Path::to_owned).collect();
        Self { what, which: which.to_owned(), taken: stamps(&paths), paths }
    }

    /// Has them taken if they changed; whether they were.
    async fn look(&mut self, refused: &mut Refused, take: impl Future<Output = Result<(), String>>) -> bool {
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
    /// Those that end, by the setting that names them.
    ending: Vec<(String, Vec<PathBuf>)>,
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
        let mut ending = Vec::new();
        let mut ends = |key: String, paths: &[PathBuf]| ending.push((key, paths.to_vec()));
        if let Some(files) = &config.exposed.tls {
            ends("tls_cert".to_owned(), std::slice::from_ref(&files.certificate));
            ends("tls_client_ca".to_owned(), files.authority.as_slice());
            ends("tls_client_crl".to_owned(), &files.revoked);
        }
        ends("webhook_ca".to_owned(), config.webhook_ca.as_slice());
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
            ends(format!("{prefix}store_ca"), authority.as_slice());
            ends(format!("{prefix}store_cert"), certificate.as_slice());
            let paths = [&authority, &certificate, &key].into_iter().flatten().map(PathBuf::as_path);
            stores.push(Files::of("store_tls", region, paths));
        }
        Self {
            listeners: config.exposed.tls.as_ref().map(|files| Files::of("tls", "", files.all())),
            stores,
            processors: config.webhook_ca.as_deref().map(|path| Files::of("webhook_ca", "", [path])),
            ending,
        }
    }

    /// Has them read again until it is told to stop.
    pub async fn keep(self, users: Users, stopping: watch::Receiver<bool>) {
        let Self { listeners, stores, processors, ending } = self;
        let Users { listeners: tls, access, stores: settings, processors: client, metrics } = users;
        let work = async {
            tokio::join!(
                keep_listeners(listeners, tls, access, &metrics),
                keep_stores(stores, settings, &metrics),
                keep_processors(processors, client, &metrics),
                tell_ends(ending, &metrics),
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
    let mut refused = Refused::none("tls", metrics);
    let Some(mut files) = files else { return };
    let (mut look, mut minute) = (looks(LOOK), looks(MINUTE));
    loop {
        let due = tokio::select! {
            _ = minute.tick() => true,
            _ = look.tick() => {
                let take = blocking(listeners.clone(), |listeners| {
                    listeners.iter().try_for_each(|one| one.reload()).map_err(|fault| fault.to_string())
                });
                files.look(&mut refused, take).await
            }
        };
        if !due {
            continue;
        }
        let look_again = |listeners: Vec<Arc<Tls>>| Ok(listeners.iter().filter(|one| one.look_again()).count());
        if let (Ok(1..), Some(access)) = (blocking(listeners.clone(), look_again).await, &access) {
            tracing::warn!("certificates on open connections are trusted no longer, or again");
            access.look_again();
        }
    }
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

/// Tells the metrics until when they are good. What does not read is not in use, and told by what reads it.
async fn tell_ends(files: Vec<(String, Vec<PathBuf>)>, metrics: &Arc<Metrics>) {
    let mut look = looks(LOOK);
    let mut known = Vec::new();
    loop {
        look.tick().await;
        let (files, metrics, before) = (files.clone(), Arc::clone(metrics), known.clone());
        let told = blocking((), move |()| {
            let found: Vec<_> = files.iter().map(|(_, paths)| stamps(paths)).collect();
            if found != before {
                for (key, paths) in &files {
                    if let Some(end) = end_of(key, paths) {
                        metrics.certificate_expires(key, end);
                    }
                }
            }
            Ok(found)
        });
        known = told.await.unwrap_or(known);
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
