//! Asking a cluster which primary has which slots, and how many replicas each has.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Pipeline, Value};

use super::address::Address;
use super::node::{Connector, trip};
use super::reply;
use super::trouble::Trouble;

/// A primary of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Primary {
    pub(super) address: Address,
    /// Replicas in the cluster's configuration, those that fail included.
    pub(super) replicas: usize,
    /// First and last slot of each range.
    pub(super) slots: Vec<(u16, u16)>,
}

/// The map of the first node that tells one.
pub(super) async fn ask_any(
    connector: &Connector,
    nodes: impl Iterator<Item = &Address>,
) -> Result<Vec<Primary>, Trouble> {
    let mut last = Trouble::Cut { sent: false, why: "no node of the cluster is named".to_owned() };
    for address in nodes {
        match ask(connector, address).await {
            Ok(primaries) => return Ok(primaries),
            Err(trouble) => last = trouble,
        }
    }
    Err(last)
}

async fn ask(connector: &Connector, address: &Address) -> Result<Vec<Primary>, Trouble> {
    let mut connection = connector.open(address).await?;
    let mut pipe = Pipeline::new();
    pipe.cmd("CLUSTER").arg("NODES");
    let answers = trip(&mut connection, &pipe, connector.0.timing.answer).await?;
    let text = reply::text(answers.into_iter().next().unwrap_or(Value::Nil))?;
    let primaries = parse(&text, &address.host);
    if primaries.iter().all(|primary| primary.slots.is_empty()) {
        return Err(Trouble::Elsewhere(format!("{address}: knows no primary with slots")));
    }
    Ok(primaries)
}

/// Where the replicas of this primary are, those that fail included.
pub(super) async fn replicas(
    connection: &mut MultiplexedConnection,
    primary: &Address,
    within: Duration,
) -> Result<Vec<Address>, Trouble> {
    let mut pipe = Pipeline::new();
    pipe.cmd("CLUSTER").arg("NODES");
    let answers = trip(connection, &pipe, within).await?;
    let text = reply::text(answers.into_iter().next().unwrap_or(Value::Nil))?;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let id = rows.iter().find(|row| flags(row).contains(&"myself")).and_then(|row| row.first());
    let mine = rows.iter().filter(|row| id.is_some() && row.get(3) == id && !flags(row).contains(&"noaddr"));
    Ok(mine.filter_map(|row| place(row.get(1)?, &primary.host)).collect())
}

/// Reads `ip:port@bus,name`; `host` is for a node that does not know its own.
fn place(text: &str, host: &str) -> Option<Address> {
    let (ip, port) = text.split(',').next()?.split('@').next()?.rsplit_once(':')?;
    let host = if ip.is_empty() { host } else { ip.trim_matches(['[', ']']) };
    Some(Address { host: host.to_owned(), port: port.parse().ok()? })
}

/// Reads the answer to `CLUSTER NODES`; `host` is where it came from, for a node that does not know its own.
///
/// A primary that failed and was replaced stays a primary there, without slots, until it comes back as a replica or is
/// forgotten. Whose it will be nobody says, so it is missed by those that have the fewest replicas.
fn parse(text: &str, host: &str) -> Vec<Primary> {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let replicas_of = |id: &str| {
        let follows = |row: &&Vec<&str>| row.get(3) == Some(&id) && !flags(row).contains(&"noaddr");
        rows.iter().filter(follows).count()
    };
    let mut primaries: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let [id, at, ..] = row.as_slice() else { return None };
            if !is(row, "master") || is(row, "fail") || is(row, "noaddr") {
                return None;
            }
            let address = place(at, host)?;
            // One without slots may be given its first: it is asked before it has one whole.
            Some(Primary { address, replicas: replicas_of(id), slots: slots(row) })
        })
        .collect();
    let replaced = rows.iter().filter(|row| is(row, "master") && is(row, "fail") && slots(row).is_empty()).count();
    let serving = |primary: &&mut Primary| !primary.slots.is_empty();
    let fewest = primaries.iter_mut().filter(serving).map(|primary| primary.replicas).min();
    for primary in primaries.iter_mut().filter(serving).filter(|primary| Some(primary.replicas) == fewest) {
        primary.replicas += replaced;
    }
    primaries
}

/// The ranges of a row. One in brackets is a slot on its way.
fn slots(row: &[&str]) -> Vec<(u16, u16)> {
    row.iter().skip(8).filter(|range| !range.starts_with('[')).filter_map(range).collect()
}

fn is(row: &[&str], flag: &str) -> bool {
    flags(row).contains(&flag)
}

fn flags<'a>(row: &[&'a str]) -> Vec<&'a str> {
    row.get(2).map(|flags| flags.split(',').collect()).unwrap_or_default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as filter_map gives it")]
fn range(text: &&str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Some((from.parse().ok()?, to.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_names_primaries_and_counts_replicas_even_failing_ones() {
        let text = "a1 10.0.0.1:7000@17000,host-a myself,master - 0 0 1 connected 0-5460 5470 [93->-b2]\n\
                    b2 10.0.0.2:7000@17000 master - 0 0 2 connected 5461-5469 5471-16383\n\
                    c3 10.0.0.3:7000@17000 slave a1 0 0 1 connected\n\
                    d4 10.0.0.4:7000@17000 slave,fail a1 0 0 1 disconnected\n\
                    e5 10.0.0.5:7000@17000 master,fail - 0 0 3 disconnected\n\
                    f6 :0@0 slave,noaddr a1 0 0 1 disconnected\n";
        let at = |host: &str| Address { host: host.to_owned(), port: 7000 };
        assert_eq!(
            parse(text, "seed"),
            [
                Primary { address: at("10.0.0.1"), replicas: 2, slots: vec![(0, 5460), (5470, 5470)] },
                // The primary that failed and was replaced is missed here.
                Primary { address: at("10.0.0.2"), replicas: 1, slots: vec![(5461, 5469), (5471, 16_383)] },
            ]
        );
        let alone = parse("a :7000@17000 myself,master - 0 0 0 connected 0-16383", "seed");
        assert!(alone.iter().map(|primary| &primary.address).eq([&at("seed")]));
    }
}
