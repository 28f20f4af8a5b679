//! What can be wrong with settings that are each well written: with the files they name, and with one beside another.
//!
//! A fault is what keeps a server from starting, or lets it start as something else than was meant. A note is a setting
//! without effect.

use std::path::Path;

use super::super::own_packs::OwnPacks;
use super::super::{access, feed, packs, regions, registry, source};
use crate::config::{Config, Origin, Setting, StoreAt};
use crate::law::Law;
use crate::listen::{Protocol, Tls};
use crate::notify;
use crate::store::{Keys, KeysError, lies_inside};

/// What was found.
#[derive(Default)]
pub(in crate::cli) struct Found {
    /// Each with where it was written, what is wrong, and what to do.
    pub faults: Vec<String>,
    /// The same of what has no effect.
    pub notes: Vec<String>,
}

/// Settings, with what was found of them.
struct Look<'a> {
    config: &'a Config,
    settings: &'a [Setting],
    found: Found,
}

/// Looks at everything that needs no store.
pub(in crate::cli) fn look(config: &Config, settings: &[Setting]) -> Found {
    let mut look = Look { config, settings, found: Found::default() };
    look.listeners();
    look.who_may_ask();
    look.store();
    look.data();
    look.rules();
    look.archive();
    look.without_effect();
    look.found
}

impl Look<'_> {
    fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    fn given(&self, key: &str) -> bool {
        self.setting(key).is_some_and(|setting| setting.origin != Origin::Default && !setting.value.is_empty())
    }

    fn value(&self, key: &str) -> &str {
        self.setting(key).map_or("", |setting| &setting.value)
    }

    fn place(&self, key: &str) -> String {
        self.setting(key).map_or_else(|| key.to_owned(), Setting::place)
    }

    /// Every line of it is a fault of its own.
    fn fault(&mut self, key: &str, what: impl std::fmt::Display) {
        let place = self.place(key);
        self.found.faults.extend(what.to_string().lines().map(|line| format!("{place}: {line}")));
    }

    fn note(&mut self, key: &str, what: impl std::fmt::Display) {
        let note = format!("{}: {what}", self.place(key));
        self.found.notes.push(note);
    }

    fn listeners(&mut self) {
        if self.value("grpc") == "off" && self.value("http") == "off" {
            self.fault("http", "both listeners are off, so nobody could ask: give grpc or http an address");
        }
        if let (Some(grpc), Some(http)) = (self.config.grpc, self.config.http)
            && grpc == http
            && grpc.port() != 0
        {
            self.fault("http", format!("{http} is the address of grpc as well: give one of them another port"));
        }
        if let Some(files) = &self.config.exposed.tls
            && let Err(fault) = Tls::load(files.clone(), Protocol::Grpc)
        {
            self.fault("tls_cert", fault);
        }
        if let Err(error) = notify::Client::new(self.config.webhook_ca.as_deref(), notify::Reach::default()) {
            self.fault("webhook_ca", error);
        }
    }

    fn who_may_ask(&mut self) {
        let Some(path) = &self.config.exposed.access else { return };
        match access::read(path, self.config.exposed.tenant) {
            Err(error) => self.fault("access", error),
            Ok(callers) if callers.tenants().is_empty() => {
                self.note("access", "nobody may ask: `ringfence access new` lets somebody");
            }
            Ok(_) => {}
        }
    }

    fn store(&mut self) {
        if let Err(error) = source::loaded(&self.config.store) {
            self.fault("store", error);
        }
        if let Err(error) = regions::loaded(self.config) {
            self.fault("pinned[1].store", error);
        }
    }

    fn data(&mut self) {
        let (data, keys) = (&self.config.data, &self.config.keys);
        if data.exists() && !data.is_dir() {
            self.fault("data", format!("{} is not a folder: name another", data.display()));
        }
        if lies_inside(keys, data) {
            return self.fault("keys", KeysError::InsideData(keys.clone()));
        }
        match Keys::open(keys) {
            Ok(_) => {}
            Err(KeysError::Missing(_)) if data.join("store.id").exists() => {
                self.fault("keys", KeysError::MissingBesideStore(keys.clone()));
            }
            Err(KeysError::Missing(_)) => {
                self.note("keys", format!("{} is not there yet: a server with a new store makes it", keys.display()));
            }
            Err(error) => self.fault("keys", error),
        }
    }

    fn rules(&mut self) {
        if let Some(folder) = &self.config.registries {
            match registry::all::read(self.config, folder) {
                Err(fault) => self.fault("registries", fault),
                Ok(lists) => {
                    for fault in lists.faults().iter() {
                        self.note("registries", format!("a list is not loaded: {fault}"));
                    }
                }
            }
        }
        if let Some(folder) = &self.config.shadow_packs
            && let Err(error) = packs::read(Some(folder))
        {
            self.fault("shadow_packs", error);
        }
        if let Some(folder) = &self.config.exposed.tenant_packs {
            self.tenant_packs(folder);
        }
        let law = match packs::read(self.config.packs.as_deref()) {
            Ok(law) => law,
            // What else rests on them is told once they read.
            Err(error) => return self.fault("packs", error),
        };
        if let Some(path) = &self.config.emergencies
            && let Err(error) = feed::read(path, &law)
        {
            self.fault("emergencies", error);
        }
        for name in &self.config.engine.postures.chosen {
            if !knows(&law, name) {
                self.fault("postures", format!("no pack has a posture `{name}`: `ringfence law show` names them"));
            }
        }
    }

    fn tenant_packs(&mut self, folder: &Path) {
        let access = self.config.exposed.access.as_deref().map(|path| access::read(path, self.config.exposed.tenant));
        // Callers that do not read are told where they are looked at.
        let tenants = access.and_then(Result::ok).map(|callers| callers.tenants()).unwrap_or_default();
        let of_nobody = match OwnPacks::open(folder).and_then(|mut own| own.of_nobody(&tenants)) {
            Ok(names) => names,
            Err(error) => return self.fault("tenant_packs", error),
        };
        for name in of_nobody {
            let path = folder.join(name);
            self.note(
                "tenant_packs",
                format!("{}: no caller has a tenant of this name: it holds for nobody", path.display()),
            );
        }
        // Of those that the check above has read.
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        for own in entries.filter(|path| path.is_dir()) {
            if let Err(error) = packs::read_with(self.config.packs.as_deref(), &own) {
                self.fault("tenant_packs", error);
            }
        }
    }

    fn archive(&mut self) {
        let Some(archive) = &self.config.audit.archive else { return };
        if let Some(path) = &archive.credentials
            && let Err(error) = std::fs::File::open(path)
        {
            self.fault("audit_archive_credentials", format!("{} cannot be read: {error}", path.display()));
        }
    }

    /// Settings that say something about what is not there.
    fn without_effect(&mut self) {
        let embedded = matches!(self.config.store, StoreAt::Embedded);
        let sentinel = self.value("store").contains("+sentinel:");
        let beside: [(&[&str], bool, &str); 5] = [
            (
                &["store_user", "store_password_file", "store_ca", "store_cert", "store_key", "acks", "acked_from"],
                !embedded,
                "the store is embedded: it is for a Redis",
            ),
            (&["sentinel_user", "sentinel_password_file"], sentinel, "the store is not found by sentinels"),
            (
                &[
                    "audit_archive_endpoint",
                    "audit_archive_region",
                    "audit_archive_credentials",
                    "audit_archive_virtual_hosts",
                    "audit_keep_days",
                ],
                self.config.audit.archive.is_some(),
                "nothing is archived: set audit_archive",
            ),
            (
                &["tenant_rate", "tenant_at_once"],
                self.config.exposed.access.is_some(),
                "nobody is told from anybody else: set access",
            ),
            (&["insecure_no_tls"], self.config.exposed.tls.is_none(), "there is TLS: take it out"),
        ];
        for (keys, effective, why) in beside {
            for key in keys.iter().filter(|key| !effective && self.given(key)).copied().collect::<Vec<_>>() {
                self.note(key, format!("has no effect: {why}"));
            }
        }
    }
}

/// Whether a pack of the set has a posture of this name.
fn knows(law: &Law, name: &str) -> bool {
    let is = |posture: &Option<Box<str>>| posture.as_deref() == Some(name);
    let rules = law.packs().iter().flat_map(|pack| &pack.rules);
    rules.into_iter().any(|rule| {
        is(&rule.posture) || is(&rule.off_posture) || rule.unless.iter().any(|exemption| is(&exemption.posture))
    })
}
