//! Named values.

use ::redis::{Cmd, Pipeline, Value};

use super::script::{Command, Script};
use super::{RedisStore, reply, shape};
use crate::store::memory::check_size;
use crate::store::{MetaSwapped, StoreError, Version, Versioned};

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
        let mut pipe = Pipeline::new();
        pipe.cmd("HGETALL").arg(shape::META);
        let answers = self.link.read(shape::slot(shape::META), &pipe, doing).await?;
        let all = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        let mut found = Vec::new();
        let mut all = all.into_iter();
        while let (Some(name), Some(value)) = (all.next(), all.next()) {
            let name = reply::text(name).map_err(self.trouble(doing))?;
            if name.starts_with(prefix) {
                found.extend(self.value_of(Some(value))?.map(|value| (name, value)));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }
}
