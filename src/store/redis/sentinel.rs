//! Asking sentinels who the primary is.

use std::sync::Arc;

use ::redis::{Pipeline, Value};

use super::address::{Address, Deployment};
use super::node::{Connector, Shared, trip};
use super::reply;
use super::trouble::Trouble;

/// What a sentinel knows.
pub(super) struct Found {
    pub(super) primary: Address,
    /// Replicas in its configuration, those that are down included.
    pub(super) replicas: usize,
}

/// The answer of the first sentinel that has one.
pub(super) async fn find(connector: &Connector) -> Result<Found, Trouble> {
    let Deployment::Sentinel { sentinels, name } = &connector.0.deployment else {
        return Err(Trouble::Refused("there are no sentinels".to_owned()));
    };
    let mut last = Trouble::Cut { sent: false, why: "no sentinel is named".to_owned() };
    for sentinel in sentinels {
        match ask(connector, sentinel, name).await {
            Ok(found) => return Ok(found),
            Err(trouble) => last = trouble,
        }
    }
    Err(match last {
        Trouble::Cut { why, .. } => Trouble::Cut { sent: false, why: format!("no sentinel answers; the last: {why}") },
        other => other,
    })
}

async fn ask(connector: &Connector, sentinel: &Address, name: &str) -> Result<Found, Trouble> {
    let mut connection = connector.open_sentinel(sentinel).await?;
    let mut pipe = Pipeline::new();
    pipe.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    pipe.cmd("SENTINEL").arg("REPLICAS").arg(name);
    let mut answers = trip(&mut connection, &pipe, connector.0.timing.answer).await?.into_iter();
    let mut primary = reply::list(answers.next().unwrap_or(Value::Nil))?.into_iter();
    let unknown = || Trouble::Cut { sent: false, why: format!("{sentinel}: knows no primary called {name}") };
    let host = reply::text(primary.next().ok_or_else(unknown)?)?;
    let port = reply::text(primary.next().ok_or_else(unknown)?)?.parse().map_err(|_| unknown())?;
    let replicas = reply::list(answers.next().unwrap_or(Value::Nil))?.len();
    Ok(Found { primary: Address { host, port }, replicas })
}

/// Looks again and again, so that a change is noticed even where the old primary still answers.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(shared.connector.0.timing.look);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match find(&shared.connector).await {
            Ok(found) => {
                shared.configure(found.replicas);
                if shared.address().is_some_and(|address| address != found.primary) {
                    tracing::warn!(primary = %found.primary, "the sentinels name another primary");
                    shared.new_era();
                }
            }
            Err(trouble) => tracing::warn!(?trouble, "the sentinels cannot be asked"),
        }
    }
}
