//! Standalone, Sentinel and Cluster behind one way to read and one way to write.
//!
//! Promises: every call ends within the patience of the settings and a little, whatever the servers do; a command is
//! sent again only when it was not carried out, or when the caller recognises its own write; a map of the cluster is
//! drawn by one task at a time, never by a reader who could go on with the old one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::{Pipeline, Value};
use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::address::{Address, Deployment, Settings};
use super::cluster;
use super::node::{Connector, Finder, Node};
use super::reply;
use super::script::Command;
use super::trouble::Trouble;
use crate::store::StoreError;

/// Slots of a Redis.
const LAST_SLOT: u16 = 16_383;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// An answer to a write.
pub(super) struct Done {
    pub(super) value: Value,
    /// It was asked before, and that answer never came: the write may have been carried out then.
    pub(super) again: bool,
}

/// What is asked of whichever node has the slot.
enum Asked<'p> {
    Read(&'p Pipeline),
    Write(Arc<Command>),
}

impl Asked<'_> {
    async fn of(&self, node: &Node, asking: bool) -> Result<Vec<Value>, Trouble> {
        match self {
            Self::Read(pipe) => {
                let values = node.read(pipe, asking).await?;
                reply::sound(&values)?;
                Ok(values)
            }
            Self::Write(command) => node.write(Arc::clone(command), asking).await.map(|value| vec![value]),
        }
    }
}

/// Which primary has which slots.
struct Map {
    drawn: u64,
    nodes: HashMap<Address, Arc<Node>>,
    ranges: Vec<(u16, u16, Arc<Node>)>,
}

impl Map {
    fn route(&self, slot: u16) -> Option<&Arc<Node>> {
        self.ranges.iter().find(|(from, to, _)| (*from..=*to).contains(&slot)).map(|(.., node)| node)
    }
}

/// The way to the store.
pub(super) struct Link {
    pub(super) settings: Arc<Settings>,
    pub(super) connector: Connector,
    place: String,
    map: ArcSwap<Map>,
    drawing: Mutex<()>,
    reconnects: Arc<AtomicU64>,
}

impl Link {
    /// Starts connecting; a cluster must tell its map first.
    pub(super) async fn open(settings: Settings) -> Result<Self, StoreError> {
        let settings = Arc::new(settings);
        let connector = Connector(Arc::clone(&settings));
        let reconnects = Arc::new(AtomicU64::new(0));
        let finder = match &settings.deployment {
            Deployment::Single(address) => Some(Finder::At(address.clone())),
            Deployment::Sentinel { .. } => Some(Finder::AskSentinels),
            Deployment::Cluster(_) => None,
        };
        let ranges = finder.into_iter().map(|finder| {
            let node = Node::start(connector.clone(), finder, 0, Arc::clone(&reconnects));
            (0, LAST_SLOT, Arc::new(node))
        });
        let map = Map { drawn: 0, nodes: HashMap::new(), ranges: ranges.collect() };
        let place = settings.place();
        let map = ArcSwap::from_pointee(map);
        let link = Self { settings, connector, place, map, drawing: Mutex::new(()), reconnects };
        if link.is_cluster() {
            link.draw(0).await.map_err(|trouble| trouble.error(&link.place, "asking for the map of the cluster"))?;
        }
        Ok(link)
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether there is no other server that could be the primary.
    pub(super) fn has_one_server(&self) -> bool {
        matches!(self.settings.deployment, Deployment::Single(_))
    }

    /// Connects anew to whoever has this slot.
    pub(super) fn look_elsewhere(&self, slot: u16) {
        if let Some(node) = self.map.load().route(slot) {
            node.shared.new_era();
        }
    }

    /// Connects anew everywhere: answers do not stand where they should.
    pub(super) fn start_anew(&self) {
        for node in self.nodes() {
            node.shared.new_era();
        }
    }

    fn is_cluster(&self) -> bool {
        matches!(self.settings.deployment, Deployment::Cluster(_))
    }

    /// Changes whenever a connection was made anew: what was known of the server may be so no longer.
    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Acquire)
    }

    /// The primaries.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        let map = self.map.load();
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for (.., node) in &map.ranges {
            if !nodes.iter().any(|known| Arc::ptr_eq(known, node)) {
                nodes.push(Arc::clone(node));
            }
        }
        nodes
    }

    /// Reads in one trip; an error among the answers is the end of all.
    pub(super) async fn read(&self, slot: u16, pipe: &Pipeline, doing: &'static str) -> Result<Vec<Value>, StoreError> {
        self.again_and_again(slot, doing, &Asked::Read(pipe)).await.map(|(values, _)| values)
    }

    /// Reads from one primary, whatever its slots.
    pub(super) async fn read_node(
        &self,
        node: &Node,
        pipe: &Pipeline,
        doing: &'static str,
    ) -> Result<Vec<Value>, StoreError> {
        let values = node.read(pipe, false).await.and_then(|values| reply::sound(&values).map(|()| values));
        values.map_err(|trouble| trouble.error(&self.place, doing))
    }

    /// Writes, and waits for the replicas.
    pub(super) async fn write(&self, slot: u16, command: Command, doing: &'static str) -> Result<Done, StoreError> {
        let (values, again) = self.again_and_again(slot, doing, &Asked::Write(Arc::new(command))).await?;
        Ok(Done { value: values.into_iter().next().unwrap_or(Value::Nil), again })
    }

    async fn again_and_again(
        &self,
        slot: u16,
        doing: &'static str,
        asked: &Asked<'_>,
    ) -> Result<(Vec<Value>, bool), StoreError> {
        let patience = self.settings.timing.patience;
        let until = Instant::now() + patience;
        let given_up = until + self.settings.longest_answer();
        let mut pause = FIRST_PAUSE;
        let mut again = false;
        let mut moving: Option<Address> = None;
        loop {
            let map = self.map.load_full();
            let target = match moving.take() {
                Some(address) => map.nodes.get(&address).cloned().map(|node| (node, true)),
                None => map.route(slot).cloned().map(|node| (node, false)),
            };
            let trouble = match target {
                None => Trouble::Elsewhere(format!("no node has slot {slot}")),
                Some((node, asking)) => match within(given_up, asked.of(&node, asking)).await {
                    Ok(values) => return Ok((values, again)),
                    Err(trouble) => {
                        again |= trouble.may_have_happened();
                        // For as long already as this call would wait: there is no hope within it.
                        let hopeless = !self.is_cluster() && node.down_for().is_some_and(|down| down > patience);
                        if !trouble.passing() || hopeless {
                            return Err(trouble.error(&self.place, doing));
                        }
                        trouble
                    }
                },
            };
            if Instant::now() + pause >= until {
                return Err(trouble.error(&self.place, doing));
            }
            if let Trouble::Ask(address) = &trouble {
                moving = Some(address.clone());
                if map.nodes.contains_key(address) {
                    continue;
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.is_cluster() && !matches!(trouble, Trouble::Soon(_)) {
                // Without a new map the old one is tried again.
                let drawn = tokio::time::timeout_at(until, self.draw(map.drawn)).await;
                if let Ok(Err(trouble)) = drawn {
                    tracing::debug!(?trouble, "no map of the cluster");
                }
            }
        }
    }

    /// Draws the map of the cluster anew, unless somebody did so since the one that was numbered `seen`.
    pub(super) async fn draw(&self, seen: u64) -> Result<(), Trouble> {
        let Deployment::Cluster(seeds) = &self.settings.deployment else { return Ok(()) };
        let _one = self.drawing.lock().await;
        let old = self.map.load_full();
        if old.drawn > seen {
            return Ok(());
        }
        let known = old.nodes.keys().chain(seeds.iter().filter(|seed| !old.nodes.contains_key(*seed)));
        let primaries = cluster::ask_any(&self.connector, known).await?;
        let mut map = Map { drawn: seen + 1, nodes: HashMap::new(), ranges: Vec::new() };
        for primary in primaries {
            let node = old.nodes.get(&primary.address).cloned().unwrap_or_else(|| {
                let finder = Finder::At(primary.address.clone());
                Arc::new(Node::start(self.connector.clone(), finder, primary.replicas, Arc::clone(&self.reconnects)))
            });
            node.shared.configure(primary.replicas);
            map.ranges.extend(primary.slots.iter().map(|(from, to)| (*from, *to, Arc::clone(&node))));
            map.nodes.insert(primary.address, node);
        }
        self.map.store(Arc::new(map));
        Ok(())
    }

    /// The number of the map in use.
    pub(super) fn drawn(&self) -> u64 {
        self.map.load().drawn
    }
}

/// Gives up what is under way: it may have been carried out.
async fn within(
    until: Instant,
    asked: impl Future<Output = Result<Vec<Value>, Trouble>>,
) -> Result<Vec<Value>, Trouble> {
    let late = || Trouble::Cut { sent: true, why: "no answer in time".to_owned() };
    tokio::time::timeout_at(until, asked).await.unwrap_or_else(|_| Err(late()))
}

/// Keeps the map of a cluster fresh, so that replicas that join or leave are known.
pub(super) async fn keep_drawn(link: Arc<Link>) {
    if !link.is_cluster() {
        return;
    }
    loop {
        sleep(link.settings.timing.look).await;
        if let Err(trouble) = link.draw(link.drawn()).await {
            tracing::warn!(?trouble, "no node of the cluster tells its map");
        }
    }
}
