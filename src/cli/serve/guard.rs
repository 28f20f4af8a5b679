//! Who may ask while serving: the file is read again when it changes, tenants are opened before anybody of them is let in, and
//! what goes on beside the requests goes on for each.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::super::Error;
use super::callers::CallersFile;
use super::tenant_packs::{Reading, TenantPacks};
use super::{LOOK, REMIND, press, told};
use crate::access::{Access, Gate};
use crate::config::{Config, Exposed};
use crate::engine::{Engine, SweeperSettings, Tenants, rights, selfcheck};
use crate::listen::{Protocol, Tls};
use crate::notify;
use crate::service::{self, Calls};

/// Who may ask.
pub(super) struct Guard {
    exposed: Exposed,
    packs: Reading,
    tenants: Arc<Tenants>,
    /// `None`: whoever reaches the server may ask.
    callers: Option<CallersFile>,
    /// Reaches the processors of every tenant.
    client: notify::Client,
    self_check: selfcheck::Settings,
    sweeper: SweeperSettings,
    /// Tenants opened before the server began to serve.
    first: Vec<Arc<Engine>>,
}

/// Where processors may be.
pub(super) fn reach(config: &Config) -> notify::Reach {
    notify::Reach { private: config.webhook_private, loopback: config.webhook_loopback.clone() }
}

impl Guard {
    /// Reads the file of those who may ask, if there is one.
    ///
    /// # Errors
    /// It cannot be read or is at fault; it names tenants that cannot be opened.
    pub fn open(config: &Config, engine: &Arc<Engine>, client: notify::Client) -> Result<Self, Error> {
        let tenants = Arc::new(Tenants::new(Arc::clone(engine)));
        let (exposed, metrics) = (config.exposed.clone(), engine.metrics());
        let mut packs = TenantPacks::open(config.packs.clone(), exposed.tenant_packs.as_deref(), metrics)
            .map_err(|error| Error::said(format!("tenant_packs: {error}")))?;
        let (mut callers, mut first) = (None, Vec::new());
        if let Some(path) = exposed.access.clone() {
            let (file, new) = CallersFile::open(path, exposed.tenant, (&*tenants, &mut packs), metrics)?;
            (callers, first) = (Some(file), new);
        }
        Ok(Self {
            exposed,
            packs: Reading::of(packs),
            tenants,
            callers,
            client,
            self_check: config.self_check,
            sweeper: config.sweeper,
            first,
        })
    }

    /// The calls, for those who may ask.
    pub fn calls(&self) -> Calls {
        let calls = match &self.callers {
            None => Calls::new(Arc::clone(self.tenants.main())),
            Some(file) => Calls::guarded(Arc::clone(&self.tenants), Arc::clone(file.access())),
        };
        calls.behind(Arc::new(Gate::new(self.exposed.gate)))
    }

    /// Those who may ask, where that is asked.
    pub fn access(&self) -> Option<&Arc<Access>> {
        self.callers.as_ref().map(CallersFile::access)
    }

    /// The engines of those who may ask.
    pub const fn tenants(&self) -> &Arc<Tenants> {
        &self.tenants
    }

    /// TLS of a listener, if there is any.
    ///
    /// # Errors
    /// Its files cannot be used.
    pub fn tls(&self, protocol: Protocol) -> Result<Option<Arc<Tls>>, Error> {
        let Some(files) = self.exposed.tls.clone() else { return Ok(None) };
        Ok(Some(Arc::new(Tls::load(files, protocol).map_err(|fault| Error::said(fault.to_string()))?)))
    }

    /// Says so where the store holds data of the first tenant, and nobody may ask for it: opt-outs among them are not seen
    /// by those who ask for others.
    pub async fn look_at_what_is_left(&self) {
        let Some(file) = &self.callers else { return };
        let main = self.tenants.main();
        let named = file.access().callers().tenants().iter().any(|tenant| **tenant == *main.tenant());
        if !named && matches!(main.has_data().await, Ok(true)) {
            let tenant = main.tenant();
            tracing::warn!(
                tenant,
                "ALARM: the store holds contacts of this tenant, and no caller has it: its opt-outs are seen by nobody's checks"
            );
        }
    }

    /// Looks after it all until it is told to stop; then ends what goes on for other tenants than the first.
    pub async fn keep(mut self, stopping: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for engine in std::mem::take(&mut self.first) {
            self.tend(&mut tasks, engine, &stopping);
        }
        let mut look = tokio::time::interval(LOOK);
        let mut stop = Box::pin(told(stopping.clone()));
        loop {
            tokio::select! {
                () = &mut stop => break,
                (new, shut) = self.packs.done() => {
                    if let Some(file) = &mut self.callers {
                        file.opened(&self.tenants, !new.is_empty(), &shut);
                    }
                    for engine in new {
                        self.tend(&mut tasks, engine, &stopping);
                    }
                    continue;
                }
                _ = look.tick() => {}
            }
            let wanted = self.callers.as_mut().map(|file| file.look(&self.tenants)).unwrap_or_default();
            self.packs.begin(&self.tenants, wanted);
        }
        while tasks.join_next().await.is_some() {}
        // The first is stopped by the server, once its own processors are done.
        for engine in self.tenants.all().into_iter().skip(1) {
            engine.stop_following();
        }
    }

    /// What goes on beside the requests of one tenant.
    fn tend(&self, tasks: &mut JoinSet<()>, engine: Arc<Engine>, stopping: &watch::Receiver<bool>) {
        let tenant = engine.tenant().to_owned();
        tracing::info!(tenant, "tenant open");
        // What goes on for it is told as its own.
        let span = engine.meter().span();
        let looked = Arc::clone(&engine);
        tasks.spawn(async move {
            let tenant = looked.tenant();
            match looked.has_data().await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(tenant, "nothing is stored of this tenant yet: is its name right?"),
                Err(error) => tracing::warn!(tenant, %error, "what is stored of this tenant cannot be read"),
            }
        });
        let (told_of, client, stop) = (Arc::clone(&engine), self.client.clone(), stopping.clone());
        let telling =
            async move { notify::run(told_of, client, notify::Settings::default(), service::now, stop).await };
        tasks.spawn(telling.instrument(span.clone()));
        let (checked, often, stop) = (Arc::clone(&engine), self.self_check, stopping.clone());
        let checking = async move { checked.self_check(often, service::now, stop).await };
        tasks.spawn(checking.instrument(span.clone()));
        let sweeping = super::super::retention::sweep_by_turns(Arc::clone(&engine), self.sweeper, stopping.clone());
        tasks.spawn(sweeping.instrument(span.clone()));
        let mut stop = Box::pin(told(stopping.clone()));
        let reminding = async move {
            let (mut remind, mut pressed) = (tokio::time::interval(REMIND), rights::Pressing::default());
            loop {
                tokio::select! {
                    () = &mut stop => return,
                    _ = remind.tick() => pressed = press(&engine, pressed).await,
                }
            }
        };
        tasks.spawn(reminding.instrument(span));
    }
}
