//! Named values.

use ::redis::{Cmd, Pipeline, Value};

use super::script::{Command, Script};
use super::{RedisStore, reply, shape};
use crate::store::memory::check_size;
use crate::store::{MetaSwapped, StoreError, Version, Versioned};

/// Named values read at a time: some are as large as a value may be, and other questions wait behind the answer.
const NAMED: usize = 16;

impl RedisStore {
    pub(super) async fn meta_read(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(shape::META).arg(name);
        let answers = self.link.read(shape::slot(shape::META), &pipe, "reading a named value").await?;
        self.value_of(answers.into_iter().next())
    }

    pub(super) async fn meta_write(
        &self,
        name: &str,
        expected: Version,
        bytes: &[u8],
    ) -> Result<MetaSwapped, StoreError> {
        check_size(bytes.len())?;
        let version = expected.next();
        let value = shape::value(version, None, bytes);
        let arguments = vec![name.as_bytes().to_vec(), shape::head(expected), value];
        let command = Command::Script { script: Script::Meta, keys: vec![shape::META.to_vec()], arguments };
        let done = self.link.write(shape::slot(shape::META), command, "writing a named value").await?;
        if matches!(done.value, Value::Int(_)) {
            return Ok(MetaSwapped::Won(version));
        }
        let there = self.value_of(Some(done.value))?;
        if done.again && there.as_ref().is_some_and(|there| there.version == version && there.bytes == bytes) {
            let mut command = Cmd::new();
            command.arg("SET").arg(shape::META_BARRIER).arg("");
            self.link.write(shape::slot(shape::META_BARRIER), Command::Plain(command), "confirming").await?;
            return Ok(MetaSwapped::Won(version));
        }
        Ok(MetaSwapped::Lost(there))
    }

    pub(super) async fn meta_find(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        let doing = "reading named values";
        let slot = shape::slot(shape::META);
        let mut pipe = Pipeline::with_capacity(1);
        pipe.cmd("HKEYS").arg(shape::META);
        let answers = self.link.read(slot, &pipe, doing).await?;
        let all = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        let names: Result<Vec<_>, _> = all.into_iter().map(reply::text).collect();
        let mut names = names.map_err(self.trouble(doing))?;
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(NAMED) {
            let mut pipe = Pipeline::with_capacity(1);
            let command = pipe.cmd("HMGET").arg(shape::META);
            names.iter().for_each(|name| {
                command.arg(name.as_str());
            });
            let answers = self.link.read(slot, &pipe, doing).await?;
            let values = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
            for (name, value) in names.iter().zip(values) {
                // Nothing: removed since its name was read.
                found.extend(self.value_of(Some(value))?.map(|value| (name.clone(), value)));
            }
        }
        Ok(found)
    }
}
