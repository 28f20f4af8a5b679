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
            Err(Trouble::Refused(text)) => last = Trouble::Refused(format!("sentinel {sentinel}: {text}")),
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

/// Where the replicas are that the first sentinel which answers knows, those that are down included.
pub(super) async fn replicas(connector: &Connector) -> Result<Vec<Address>, Trouble> {
    let Deployment::Sentinel { sentinels, name } = &connector.0.deployment else { return Ok(Vec::new()) };
    let mut last = Trouble::Cut { sent: false, why: "no sentinel is named".to_owned() };
    for sentinel in sentinels {
        match asked(connector, sentinel, &[&["REPLICAS", name]]).await {
            Ok(mut answers) => return answers.pop().map_or(Ok(Vec::new()), known),
            Err(trouble) => last = trouble,
        }
    }
    Err(last)
}

fn known(answer: Value) -> Result<Vec<Address>, Trouble> {
    let mut found = Vec::new();
    for replica in reply::list(answer)? {
        let about = reply::pairs(reply::list(replica)?)?;
        let (host, port) = (about.get("ip"), about.get("port").and_then(|port| port.parse().ok()));
        found.extend(host.zip(port).map(|(host, port)| Address { host: host.clone(), port }));
    }
    Ok(found)
}

/// How one sentinel sees the primary.
pub(super) struct View {
    pub(super) primary: Address,
    pub(super) quorum: usize,
    /// Sentinels that it knows beside itself.
    pub(super) others: usize,
    pub(super) replicas: usize,
    /// Why it could not fail over, if so.
    pub(super) no_quorum: Option<String>,
}

/// What this sentinel says of the primary of this name.
pub(super) async fn view(connector: &Connector, sentinel: &Address, name: &str) -> Result<View, Trouble> {
    let answers = asked(connector, sentinel, &[&["MASTER", name], &["CKQUORUM", name]]).await;
    let mut answers = answers.map_err(|trouble| match trouble {
        Trouble::Refused(text) => Trouble::Refused(format!("sentinel {sentinel}: {text}")),
        other => other,
    })?;
    let quorum = answers.pop().map(reply::text);
    let about = reply::pairs(reply::list(answers.pop().unwrap_or(Value::Nil))?)?;
    let text = |field: &str| about.get(field).cloned().unwrap_or_default();
    let number = |field: &str| text(field).parse().unwrap_or(0);
    Ok(View {
        primary: Address { host: text("ip"), port: text("port").parse().unwrap_or(0) },
        quorum: number("quorum"),
        others: number("num-other-sentinels"),
        replicas: number("num-slaves"),
        no_quorum: match quorum {
            Some(Err(Trouble::Refused(why))) => Some(why),
            _ => None,
        },
    })
}

/// Asks one sentinel these questions. An error of the first is one; those behind stand in the answers.
async fn asked(connector: &Connector, sentinel: &Address, questions: &[&[&str]]) -> Result<Vec<Value>, Trouble> {
    let mut connection = connector.open_sentinel(sentinel).await?;
    let mut pipe = Pipeline::new();
    for question in questions {
        let command = pipe.cmd("SENTINEL");
        question.iter().for_each(|part| {
            command.arg(*part);
        });
    }
    let answers = trip(&mut connection, &pipe, connector.0.timing.answer).await?;
    reply::sound(answers.get(..1).unwrap_or_default())?;
    Ok(answers)
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
