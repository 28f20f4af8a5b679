//! Named values beside the record of switches, sealed under its key: texts of policies, contacts of incidents.
//!
//! With regions they are in the store of the default one alone. The record they belong to is sealed anew when sealing keys
//! rotate, and with it the key that opens them.

use crate::access::Permit;
use crate::engine::audited::Kind;
use crate::engine::region::Kept;
use crate::engine::{Clock, DEFAULT_REGION, Engine, Failure};
use crate::proto::store::{ContactEvent, ControlRecord, audited_write};
use crate::store::{DataKey, MetaSwapped, Purpose, Swapped, Version, Write};

/// What goes along with a change of the record of switches.
#[derive(Clone, Default)]
pub(in crate::engine) struct Beside<'a> {
    /// Named values, to be there before the record that names them.
    pub attachments: &'a [(String, Vec<u8>)],
    /// What those who follow opt-outs are told.
    pub event: Option<ContactEvent>,
}

impl Engine {
    /// Where named values are.
    fn beside(&self) -> Result<&Kept, Failure> {
        self.kept(DEFAULT_REGION)
    }

    /// The record of switches that named values belong to, with its key; `None`: no switch was ever thrown.
    pub(in crate::engine) async fn control_beside(&self) -> Result<Option<(DataKey, ControlRecord)>, Failure> {
        Ok(self.control(self.beside()?).await?.map(|(_, own, record)| (own, record)))
    }

    /// Makes the record of switches, with no switch in it, where there is none: what is attached is sealed under its key, so
    /// that must be settled first, whoever settles it.
    pub(super) async fn settle_key(
        &self,
        permit: &Permit,
        clock: Clock,
        asked: &audited_write::Request,
    ) -> Result<(), Failure> {
        let kept = self.beside()?;
        if self.control(kept).await?.is_some() {
            return Ok(());
        }
        kept.log_ready()?;
        let (key, own, receipt) = (kept.control_key, DataKey::random()?, kept.next_id(clock.now));
        let record = ControlRecord { format: 1, ..ControlRecord::default() };
        let body = Self::write_body(permit, asked.clone(), Version::ABSENT.next().0, clock.now);
        let entry = self.contact_entry(Kind::Write, receipt, clock.now, &key, &own, &body)?;
        let keys = self.keys.now();
        let bytes = keys.seal_record(&key, &own, &prost::Message::encode_to_vec(&record))?;
        let event = entry.event(0, clock.now, Vec::new());
        match self.swap(kept, Write { key, expected: Version::ABSENT, bytes, expires: None, event }).await? {
            Swapped::Won { event, .. } => kept.log_swapped(entry, event).await,
            Swapped::Lost(_) => Ok(()),
        }
    }

    /// Writes a named value, unless it is there.
    pub(super) async fn attach(&self, own: &DataKey, name: &str, plain: &[u8]) -> Result<(), Failure> {
        let store = &self.beside()?.store;
        let mut there = store.meta_get(name).await?;
        loop {
            let expected = match &there {
                Some(value) if own.open(Purpose::Payload, name.as_bytes(), &value.bytes).is_ok_and(|p| p == plain) => {
                    return Ok(());
                }
                Some(value) => value.version,
                None => Version::ABSENT,
            };
            let sealed = own.seal(Purpose::Payload, name.as_bytes(), plain)?;
            match store.meta_swap(name, expected, sealed).await? {
                MetaSwapped::Won(_) => return Ok(()),
                MetaSwapped::Lost(value) => there = value,
            }
        }
    }

    /// Reads what [`Engine::attach`] wrote; `None`: it was destroyed, or never there.
    pub(in crate::engine) async fn attached(&self, own: &DataKey, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.beside()?.store.meta_get(name).await? {
            Some(value) if !value.bytes.is_empty() => {
                Ok(Some(own.open(Purpose::Payload, name.as_bytes(), &value.bytes)?))
            }
            _ => Ok(None),
        }
    }

    /// Destroys what [`Engine::attach`] wrote.
    pub(in crate::engine) async fn detach(&self, name: &str) -> Result<(), Failure> {
        let store = &self.beside()?.store;
        let mut there = store.meta_get(name).await?;
        while let Some(value) = there.filter(|value| !value.bytes.is_empty()) {
            match store.meta_swap(name, value.version, Vec::new()).await? {
                MetaSwapped::Won(_) => return Ok(()),
                MetaSwapped::Lost(value) => there = value,
            }
        }
        Ok(())
    }

    /// What is named here belongs to this tenant.
    pub(in crate::engine) fn name_of(&self, kind: &str, rest: &str) -> String {
        format!("{kind}/{}/{rest}", self.main.tenant.name())
    }
}
