//! What `policy`, `retention`, `incident` and `tenant` share: asking a server, or the engine over the data folder, alike.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

use super::open::{self, OpenSettings, Opened};
use super::output::{say, say_json};
use super::source::{self, Kept, Lists};
use super::terms::instant;
use super::{Error, Exit, Global, error, now, settings};
use crate::access::DEFAULT_TENANT;
use crate::engine;
use crate::proto::well_known::Timestamp;
use crate::service::{Calls, Incoming};
use crate::time::Instant;

/// For how long a call may take where no server keeps the time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Who does it, where, and how it is asked again.
#[derive(Debug, clap::Args)]
pub(super) struct By {
    /// Who does it: a person or a system
    #[arg(long, value_name = "NAME")]
    pub who: String,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
    #[command(flatten)]
    pub kept: Kept,
}

impl By {
    pub(super) fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(new_id)
    }
}

/// An id for a request that has none.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Whoever answers.
pub(super) struct Keeper {
    pub server: Option<String>,
    opened: Option<Opened>,
}

impl Keeper {
    /// The server named, or the data folder.
    pub(super) async fn open(kept: &Kept, global: &Global) -> Result<Self, Error> {
        Self::open_with(kept, global, engine::Periods::default()).await
    }

    /// As [`Keeper::open`]; without a server these periods hold.
    pub(super) async fn open_with(kept: &Kept, global: &Global, periods: engine::Periods) -> Result<Self, Error> {
        if let Some(server) = &kept.server {
            return Ok(Self { server: Some(server.clone()), opened: None });
        }
        let file = settings::file_of_environment();
        let config = settings::resolved_here(file.as_deref(), &|_| None, Some(global))?.config;
        let settings = OpenSettings {
            redis: kept.redis()?,
            data: Some(kept.existing_folder()?),
            keys: config.keys,
            packs: config.packs,
            tenant_packs: config.exposed.tenant_packs,
            engine: engine::Settings { periods, ..config.engine },
            ..OpenSettings::nothing(now())
        };
        let mut opened = open::open(&settings).await?;
        opened.for_tenant(&global.tenant).await?;
        Ok(Self { server: None, opened: Some(opened) })
    }

    /// As [`Keeper::open`]; without a server these lists and rules hold.
    pub(super) async fn open_with_lists(kept: &Kept, lists: &Lists, global: &Global) -> Result<Self, Error> {
        if let Some(server) = &kept.server {
            return Ok(Self { server: Some(server.clone()), opened: None });
        }
        let (opened, _) = source::answering(kept, lists, true, global).await?;
        Ok(Self { server: None, opened: Some(opened) })
    }

    /// The calls, without a server.
    pub(super) fn calls(&self) -> Result<Calls, Error> {
        let opened = self.opened.as_ref().ok_or_else(|| Error::said("nothing is open".to_owned()))?;
        Ok(Calls::new(std::sync::Arc::clone(&opened.engine)))
    }

    /// A call of this command.
    pub(super) fn incoming(&self) -> Incoming {
        let tenant = self.opened.as_ref().map_or(DEFAULT_TENANT, |opened| opened.engine.tenant());
        Incoming::local_of(tenant, Some(PATIENCE))
    }

    /// Makes what was written safe, where no server does.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        match &self.opened {
            Some(opened) => Ok(opened.settle(now()).await?),
            None => Ok(()),
        }
    }
}

/// Asks whoever answers: `ask!(keeper, client of a server, method, request)`.
macro_rules! ask {
    ($keeper:expr, $client:ident, $method:ident, $request:expr) => {{
        let request = $request;
        match &$keeper.server {
            Some(server) => {
                let answer = $crate::cli::remote::$client(server).await?.$method(request).await;
                answer.map(tonic::Response::into_inner).map_err(|status| $crate::cli::remote::refused(&status))
            }
            None => {
                let incoming = $keeper.incoming();
                let answer = $keeper.calls()?.$method(incoming, request).await;
                answer.map_err(|status| $crate::cli::keeper::refused(&status))
            }
        }
    }};
}
pub(super) use ask;

/// What the engine refused, in the words of the command line.
pub(super) fn refused(status: &Status) -> Error {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    if violations.is_empty() {
        return Error::said(status.message().to_owned());
    }
    Error::said(error::faults(violations.iter().map(|v| (v.field.as_str(), v.description.as_str()))))
}

/// A request that got no answer may have been recorded: the same again does no harm.
pub(super) fn again(error: &Error, request_id: &str) -> Error {
    Error::said(format!("{error}\n       to ask the same again: --request-id {request_id}"))
}

/// Prints what was recorded: the message with the id of its request, or a text for people.
pub(super) fn told(
    global: &Global,
    message: &impl serde::Serialize,
    request_id: &str,
    human: impl FnOnce() -> String,
) -> Result<Exit, Error> {
    if global.json {
        let mut value = serde_json::to_value(message).map_err(|error| Error::said(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("requestId".to_owned(), request_id.into());
        }
        say_json(&value)?;
    } else {
        say(&format!("{}request {request_id}\n", human()))?;
    }
    Ok(Exit::Yes)
}

/// An instant of the contract, for people.
pub(super) fn at(stamp: Option<&Timestamp>) -> String {
    let millis = stamp.and_then(|stamp| stamp.to_millis());
    millis.map_or_else(|| "no known instant".to_owned(), |millis| Instant::from_millis(millis).to_string())
}

/// A file that is read whole.
pub(super) fn read(path: &std::path::Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::io("reading", &path.display().to_string(), &error))
}

/// Reads an instant of an option.
pub(super) fn when(text: &str) -> Result<Instant, String> {
    instant(text)
}
