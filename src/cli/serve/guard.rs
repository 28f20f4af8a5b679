//! Who may ask while serving: the file and the certificates are read again when they change, tenants are opened before
//! anybody of them is let in, and what goes on beside the requests goes on for each.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::open::OpenError;
use super::super::{Error, access, now, packs};
use super::{LOOK, REMIND, fingerprint, press, told};
use crate::access::{Access, Callers, Gate, State};
use crate::config::{Config, Exposed};
use crate::engine::{Engine, SweeperSettings, Tenants, rights, selfcheck};
use crate::law::Law;
use crate::listen::{self, Protocol, Tls};
use crate::notify;
use crate::service::{self, Calls};

/// What differs when a file does.
type Seen = Option<(u64, SystemTime)>;

fn seen(path: &Path) -> Seen {
    let about = std::fs::metadata(path).ok()?;
    Some((about.len(), about.modified().ok()?))
}

/// Who may ask.
pub(super) struct Guard {
    exposed: Exposed,
    packs: Packs,
    tenants: Arc<Tenants>,
    /// With the file as it was read last; `None`: whoever reaches the server may ask.
    access: Option<(PathBuf, Arc<Access>, Seen)>,
    /// Whether a new client is made for the processors of each tenant.
    client: ClientSettings,
    self_check: selfcheck::Settings,
    sweeper: SweeperSettings,
    /// Tenants opened before the server began to serve.
    first: Vec<Arc<Engine>>,
}

/// How processors are reached.
#[derive(Clone)]
struct ClientSettings {
    ca: Option<PathBuf>,
    private: bool,
}

/// The packs of each tenant: those of all, with its own beside them.
struct Packs {
    all: Option<PathBuf>,
    of_tenants: Option<PathBuf>,
    /// As the folders were when the law of a tenant was read.
    seen: HashMap<Arc<str>, [Vec<super::Found>; 2]>,
}

impl Packs {
    /// The folder of a tenant's own packs, if it has one.
    fn own(&self, tenant: &str) -> Option<PathBuf> {
        packs::own_folder(self.of_tenants.as_deref(), tenant)
    }

    /// What a tenant's law was made of, as it is now.
    fn found(&self, own: &Path) -> [Vec<super::Found>; 2] {
        [self.all.as_deref().map(fingerprint).unwrap_or_default(), fingerprint(own)]
    }

    /// The law of a tenant that is about to be opened; `None`: that of all.
    fn law(&mut self, tenant: &Arc<str>) -> Result<Option<Arc<Law>>, Error> {
        let Some(own) = self.own(tenant) else { return Ok(None) };
        self.seen.insert(Arc::clone(tenant), self.found(&own));
        let law = packs::read_own(self.all.as_deref(), self.of_tenants.as_deref(), tenant).map_err(OpenError::from)?;
        Ok(law.map(Arc::new))
    }

    /// Gives a tenant the law it should have now, if it changed.
    fn refresh(&mut self, engine: &Engine, all: &Arc<Law>) -> Result<(), Error> {
        let tenant = engine.tenant();
        let law = match self.own(tenant) {
            Some(own) => {
                let found = self.found(&own);
                if self.seen.insert(tenant.into(), found.clone()).is_some_and(|seen| seen == found) {
                    return Ok(());
                }
                Arc::new(packs::read_with(self.all.as_deref(), &own).map_err(OpenError::from)?)
            }
            None => {
                self.seen.remove(tenant);
                if Arc::ptr_eq(&engine.law(), all) {
                    return Ok(());
                }
                Arc::clone(all)
            }
        };
        engine.change_law(law)?;
        tracing::info!(tenant, rules_version = engine.law().version(), "packs of this tenant changed");
        Ok(())
    }
}

impl Guard {
    /// Reads the file of those who may ask, if there is one.
    ///
    /// # Errors
    /// It cannot be read or is at fault; it names tenants that cannot be opened.
    pub fn open(config: &Config, engine: &Arc<Engine>) -> Result<Self, Error> {
        let tenants = Arc::new(Tenants::new(Arc::clone(engine)));
        let exposed = config.exposed.clone();
        let (all, of_tenants) = (config.packs.clone(), exposed.tenant_packs.clone());
        let mut packs = Packs { all, of_tenants, seen: HashMap::new() };
        let (mut access, mut first) = (None, Vec::new());
        if let Some(path) = &exposed.access {
            let seen = seen(path);
            let callers = access::read(path, exposed.tenant)?;
            first = opened(&tenants, &callers, &mut packs)?;
            tell(&callers);
            access = Some((path.clone(), Arc::new(Access::new(callers, exposed.tenant)), seen));
        }
        let client = ClientSettings { ca: config.webhook_ca.clone(), private: config.webhook_private };
        Ok(Self {
            exposed,
            packs,
            tenants,
            access,
            client,
            self_check: config.self_check,
            sweeper: config.sweeper,
            first,
        })
    }

    /// The calls, for those who may ask.
    pub fn calls(&self) -> Calls {
        let calls = match &self.access {
            None => Calls::new(Arc::clone(self.tenants.main())),
            Some((_, access, _)) => Calls::guarded(Arc::clone(&self.tenants), Arc::clone(access)),
        };
        calls.behind(Arc::new(Gate::new(self.exposed.gate)))
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
        let Some((_, access, _)) = &self.access else { return };
        let main = self.tenants.main();
        let named = access.callers().tenants().iter().any(|tenant| **tenant == *main.tenant());
        if !named && matches!(main.has_data().await, Ok(true)) {
            let tenant = main.tenant();
            tracing::warn!(
                tenant,
                "ALARM: the store holds contacts of this tenant, and no caller has it: its opt-outs are seen by nobody's checks"
            );
        }
    }

    /// Looks after it all until it is told to stop; then ends what goes on for other tenants than the first.
    pub async fn keep(mut self, tls: Vec<Arc<Tls>>, stopping: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for engine in std::mem::take(&mut self.first) {
            self.tend(&mut tasks, engine, &stopping);
        }
        let mut look = tokio::time::interval(LOOK);
        let files = self.exposed.tls.clone();
        let mut shown = files.as_ref().map(|files| files.seen());
        self.tell_expiry();
        let mut stop = Box::pin(told(stopping.clone()));
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = look.tick() => {}
            }
            for engine in self.look() {
                self.tend(&mut tasks, engine, &stopping);
            }
            self.refresh_packs();
            let found = files.as_ref().map(|files| files.seen());
            if found != shown {
                shown = found;
                self.tell_expiry();
                for one in &tls {
                    match one.reload() {
                        Ok(()) => tracing::info!("the certificate was read again"),
                        Err(error) => tracing::error!(%error, "the changed certificate is refused; the old one stays"),
                    }
                }
            }
        }
        while tasks.join_next().await.is_some() {}
        // The first is stopped by the server, once its own processors are done.
        for engine in self.tenants.all().into_iter().skip(1) {
            engine.stop_following();
        }
    }

    /// Tells the metrics until when the certificates are good. What does not read is not in use, and told by what reads it.
    fn tell_expiry(&self) {
        let Some(files) = &self.exposed.tls else { return };
        let named = [("tls_cert", Some(&files.certificate)), ("tls_client_ca", files.authority.as_ref())];
        for (key, path) in named {
            if let Some(Ok((_, end))) = path.map(|path| listen::first_to_expire(path)) {
                self.tenants.main().metrics().certificate_expires(key, end);
            }
        }
    }

    /// Gives each tenant the law it should have; the first has it from the server.
    fn refresh_packs(&mut self) {
        let all = self.tenants.main().law();
        for engine in self.tenants.all().into_iter().skip(1) {
            // Reading packs takes some milliseconds, which others need not wait for.
            let done = tokio::task::block_in_place(|| self.packs.refresh(&engine, &all));
            if let Err(error) = done {
                let tenant = engine.tenant();
                tracing::error!(tenant, %error, "the changed packs of this tenant are refused; its old ones stay in force");
            }
        }
    }

    /// Reads the file of those who may ask if it changed; the tenants that are new with it.
    fn look(&mut self) -> Vec<Arc<Engine>> {
        let Some((path, access, seen_before)) = &mut self.access else { return Vec::new() };
        let found = seen(path);
        if found == *seen_before {
            return Vec::new();
        }
        *seen_before = found;
        let read = access::read(path, self.exposed.tenant);
        match read.and_then(|callers| Ok((opened(&self.tenants, &callers, &mut self.packs)?, callers))) {
            Ok((new, callers)) => {
                tell(&callers);
                access.change(callers);
                new
            }
            Err(error) => {
                tracing::error!(%error, "the changed file of those who may ask is refused; the old one stays in force");
                Vec::new()
            }
        }
    }

    /// What goes on beside the requests of one tenant.
    fn tend(&self, tasks: &mut JoinSet<()>, engine: Arc<Engine>, stopping: &watch::Receiver<bool>) {
        let tenant = engine.tenant().to_owned();
        tracing::info!(tenant, "tenant open");
        let looked = Arc::clone(&engine);
        tasks.spawn(async move {
            let tenant = looked.tenant();
            match looked.has_data().await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(tenant, "nothing is stored of this tenant yet: is its name right?"),
                Err(error) => tracing::warn!(tenant, %error, "what is stored of this tenant cannot be read"),
            }
        });
        match notify::Client::new(self.client.ca.as_deref(), self.client.private) {
            Ok(client) => {
                let (engine, stop) = (Arc::clone(&engine), stopping.clone());
                tasks.spawn(async move {
                    notify::run(engine, client, notify::Settings::default(), service::now, stop).await;
                });
            }
            Err(error) => tracing::error!(tenant, %error, "webhook_ca: opt-outs of this tenant are not passed on"),
        }
        let (checked, often, stop) = (Arc::clone(&engine), self.self_check, stopping.clone());
        tasks.spawn(async move { checked.self_check(often, service::now, stop).await });
        tasks.spawn(super::super::retention::sweep_by_turns(Arc::clone(&engine), self.sweeper, stopping.clone()));
        let mut stop = Box::pin(told(stopping.clone()));
        tasks.spawn(async move {
            let (mut remind, mut pressed) = (tokio::time::interval(REMIND), rights::Pressing::default());
            loop {
                tokio::select! {
                    () = &mut stop => return,
                    _ = remind.tick() => pressed = press(&engine, pressed).await,
                }
            }
        });
    }
}

/// Opens every tenant that is named; those that are new.
fn opened(tenants: &Tenants, callers: &Callers, packs: &mut Packs) -> Result<Vec<Arc<Engine>>, Error> {
    let mut new = Vec::new();
    for tenant in callers.tenants() {
        if tenants.is_open(&tenant) {
            continue;
        }
        let law = packs.law(&tenant)?;
        new.extend(tenants.open(&tenant, law)?);
    }
    Ok(new)
}

fn tell(callers: &Callers) {
    let now = now();
    let valid: Vec<_> = callers.entries().iter().filter(|entry| entry.state(now) == State::Valid).collect();
    let tenants: HashSet<_> = valid.iter().map(|entry| &entry.tenant).collect();
    tracing::info!(callers = valid.len(), tenants = tenants.len(), "those who may ask are known");
    if valid.is_empty() {
        tracing::warn!("nobody may ask: `ringfence access new` lets somebody");
    }
}
