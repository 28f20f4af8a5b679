//! Looking at every server there is, at the start and by `ringfence doctor`: primaries, their replicas, which may be
//! promoted, and the sentinels, which say by whom.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::redis::aio::MultiplexedConnection;
use ::redis::{Pipeline, Value};

use super::address::{Acks, Address, Deployment};
use super::judge::{Judge, OPTIONS, Told};
use super::link::Link;
use super::node::{Node, trip};
use super::reply::{self, Role};
use super::trouble::Trouble;
use super::{cluster, sentinel};
use crate::store::StoreError;

/// What a finding means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Something is given away; the text says what.
    Warning,
    /// Not to be used so.
    Refused,
}

/// One thing found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it means.
    pub weight: Weight,
    /// Which server.
    pub server: String,
    /// What was found, what that gives away, and what to set.
    pub text: String,
}

/// The error that the worst findings amount to, if any.
pub(super) fn refusal(place: &str, findings: &[Finding]) -> Option<StoreError> {
    let refused: Vec<_> = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Refused)
        .map(|finding| format!("{}: {}", finding.server, finding.text))
        .collect();
    (!refused.is_empty()).then(|| StoreError::Unsafe { place: place.to_owned(), why: refused.join("; ") })
}

/// Looks at all of them. A primary that cannot be asked is an error; another server that cannot is a finding.
pub(super) async fn survey(link: &Link) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    for node in link.nodes() {
        let found = look(link, &node).await;
        findings.extend(found.map_err(|trouble| trouble.error(link.place(), "reading the server's settings"))?);
    }
    if let Deployment::Sentinel { sentinels, name } = &link.settings.deployment {
        let primary = link.nodes().first().and_then(|node| node.shared.address());
        let looks = sentinels.iter().map(|at| look_at_sentinel(link, at, name, primary.as_ref(), sentinels.len()));
        findings.extend(futures_util::future::join_all(looks).await.into_iter().flatten());
    }
    Ok(findings)
}

/// A primary and its replicas.
async fn look(link: &Link, node: &Node) -> Result<Vec<Finding>, Trouble> {
    let server = node.shared.address();
    let mut connection = node.connection().await?;
    let told = ask(link, &mut connection).await?;
    let mut judge = Judge::new(server.as_ref().map_or_else(|| link.place().to_owned(), ToString::to_string));
    judge.server(&told, link.settings.acked_from);
    judge_replicas(link, node, &told, &mut judge);
    let replicas = replicas_of(link, &told, server.as_ref(), &mut connection).await;
    let looks = replicas.iter().map(|replica| look_at_replica(link, replica, &told));
    let mut findings = judge.findings;
    findings.extend(futures_util::future::join_all(looks).await.into_iter().flatten());
    Ok(findings)
}

/// Where the replicas are: those that the primary knows, and those that somebody else knows to be missing.
async fn replicas_of(
    link: &Link,
    told: &Told,
    primary: Option<&Address>,
    connection: &mut MultiplexedConnection,
) -> Vec<Address> {
    let mut found = match &told.role {
        Role::Primary { replicas } => replicas.clone(),
        Role::Other(_) => Vec::new(),
    };
    let configured = match (&link.settings.deployment, primary) {
        (Deployment::Sentinel { .. }, _) => sentinel::replicas(&link.connector).await,
        (Deployment::Cluster(_), Some(primary)) => {
            let timing = link.settings.timing;
            cluster::replicas(connection, primary, timing.answer).await
        }
        _ => Ok(Vec::new()),
    };
    match configured {
        Ok(configured) => found.extend(configured),
        Err(trouble) => tracing::warn!(?trouble, "who the replicas are cannot be asked"),
    }
    found.sort();
    found.dedup();
    found
}

async fn look_at_replica(link: &Link, replica: &Address, primary: &Told) -> Vec<Finding> {
    let mut judge = Judge::new(replica.to_string());
    let asked = async {
        let mut connection = link.connector.open(replica).await?;
        ask(link, &mut connection).await
    };
    match asked.await {
        Err(trouble) => judge.say(
            Weight::Warning,
            format!("a replica that cannot be looked at, though it may be promoted: {}", trouble.why()),
        ),
        Ok(told) => {
            judge.server(&told, link.settings.acked_from);
            judge.least_replicas(&told);
            judge.replica(&told, primary);
        }
    }
    judge.findings
}

async fn look_at_sentinel(
    link: &Link,
    at: &Address,
    name: &str,
    primary: Option<&Address>,
    named: usize,
) -> Vec<Finding> {
    let mut judge = Judge::new(format!("sentinel {at}"));
    let view = match sentinel::view(&link.connector, at, name).await {
        Ok(view) => view,
        Err(trouble) => {
            judge.say(Weight::Warning, format!("cannot be asked: {}", trouble.why()));
            return judge.findings;
        }
    };
    if Some(&view.primary) != primary {
        judge.say(
            Weight::Warning,
            format!(
                "calls {} the primary, another one is in use: a failover, or sentinels that do not meet",
                view.primary
            ),
        );
    }
    let all = view.others + 1;
    if all < 3 {
        judge.say(
            Weight::Warning,
            format!("knows {all} sentinels with itself: three are the least that survive the loss of one"),
        );
    }
    if view.quorum * 2 <= all && all > 1 {
        judge.say(
            Weight::Warning,
            format!(
                "quorum {} of {all}: a minority gives the primary up for dead: set it to {}",
                view.quorum,
                all / 2 + 1
            ),
        );
    }
    if all > named {
        judge.say(Weight::Warning, format!("knows {all} sentinels, the URL names {named}: name them all"));
    }
    if let Some(why) = &view.no_quorum {
        judge.say(Weight::Warning, format!("could not fail over now: {why}"));
    }
    if judge.findings.is_empty() {
        judge.say(Weight::Fine, format!("quorum {} of {all}, {} replicas known", view.quorum, view.replicas));
    }
    judge.findings
}

async fn ask(link: &Link, connection: &mut MultiplexedConnection) -> Result<Told, Trouble> {
    let within = link.settings.timing.answer;
    let mut pipe = Pipeline::new();
    pipe.cmd("INFO").cmd("ROLE").cmd("CONFIG").arg("GET");
    OPTIONS.iter().for_each(|option| {
        pipe.arg(*option);
    });
    let mut answers = trip(connection, &pipe, within).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Value::Nil);
    let info = reply::text(next())?;
    let role = reply::role(&next())?;
    let options = match reply::list(next()) {
        Ok(list) => Some(reply::pairs(list)?),
        // A hosted server may keep its settings to itself.
        Err(Trouble::Refused(_)) => None,
        Err(trouble) => return Err(trouble),
    };
    let info: HashMap<_, _> = info
        .lines()
        .filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect();
    let version = info.get("redis_version").cloned().unwrap_or_default();
    Ok(Told { version, role, options, info, skew: skew(connection, within).await? })
}

/// How far the server's clock is from ours, by its answer and the middle of the trip.
async fn skew(connection: &mut MultiplexedConnection, within: Duration) -> Result<Duration, Trouble> {
    let mut pipe = Pipeline::new();
    pipe.cmd("TIME");
    let ours = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = ours();
    let answers = trip(connection, &pipe, within).await?;
    let middle = before + ours().saturating_sub(before) / 2;
    let mut time = reply::list(answers.into_iter().next().unwrap_or(Value::Nil))?.into_iter();
    let mut part = || reply::text(time.next().unwrap_or(Value::Nil)).map(|text| text.parse().unwrap_or(0_u64));
    let theirs = Duration::from_secs(part()?) + Duration::from_micros(part()?);
    Ok(theirs.abs_diff(middle))
}

fn judge_replicas(link: &Link, node: &Node, told: &Told, judge: &mut Judge) {
    let connected = match &told.role {
        Role::Primary { replicas } => replicas.len(),
        Role::Other(role) => {
            judge.say(Weight::Refused, format!("a {role}: name the primary, or the sentinels that know it"));
            return;
        }
    };
    let (need, acks) = (node.shared.need(), link.settings.acks);
    let single = matches!(link.settings.deployment, Deployment::Single(_));
    if connected < need {
        judge.say(
            Weight::Warning,
            format!(
                "{connected} of {need} replicas are connected: nothing is granted and nothing recorded until they are back"
            ),
        );
    } else if need == 0 && !single {
        judge.say(
            Weight::Warning,
            "no acknowledgement of a replica is waited for: a failover forgets acknowledged writes: add replicas, or set \
             acks",
        );
    } else if acks != Acks::All && need < connected {
        judge.say(
            Weight::Warning,
            format!(
                "acks {need}, {connected} replicas: a failover to one that was not waited for forgets acknowledged writes"
            ),
        );
    } else {
        judge.say(Weight::Fine, format!("primary, {connected} replicas connected, {need} waited for"));
    }
    if connected > 0 {
        judge.least_replicas(told);
    }
}
