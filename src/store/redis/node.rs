//! One primary: a connection that reads for everybody, some that only write, and who tells where it is.
//!
//! Promises: one reconnect at a time, made by a task of its own, never by a reader; a reader waits for it no longer than
//! the patience of a call, and not at all once the node has been down that long; connections that write do nothing else.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    Value,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::address::{Acks, Address, Login, Settings};
use super::lane::{self, Job};
use super::reply;
use super::script::Command;
use super::sentinel;
use super::trouble::Trouble;

/// Writes that may wait for a connection before callers wait for room.
const ROOM: usize = 8_192;
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) Arc<Settings>);

impl Connector {
    /// A connection to this address, as far as it can be told to be sound.
    pub(super) async fn open(&self, address: &Address) -> Result<MultiplexedConnection, Trouble> {
        self.open_as(address, self.0.database, &self.0.login).await
    }

    /// A connection to a sentinel, which knows neither databases nor the store's users.
    pub(super) async fn open_sentinel(&self, address: &Address) -> Result<MultiplexedConnection, Trouble> {
        self.open_as(address, 0, &self.0.sentinel_login).await
    }

    async fn open_as(&self, address: &Address, database: u32, login: &Login) -> Result<MultiplexedConnection, Trouble> {
        let cut = |error: &dyn std::fmt::Display| Trouble::Cut { sent: false, why: format!("{address}: {error}") };
        let client = self.client(address, database, login).map_err(|error| cut(&error))?;
        // Times are kept here: the library's own would also cut short what waits for replicas.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1_024);
        let opening = client.get_multiplexed_async_connection_with_config(&config);
        match timeout(self.0.timing.connect, opening).await {
            Err(_) => Err(cut(&"no connection in time: frozen, overloaded or unreachable")),
            Ok(Err(error)) => Err(match Trouble::of(&error, false) {
                Trouble::Cut { why, .. } => cut(&why),
                said => said,
            }),
            Ok(Ok(connection)) => Ok(connection),
        }
    }

    fn client(&self, address: &Address, database: u32, login: &Login) -> ::redis::RedisResult<Client> {
        let settings = &self.0;
        let (host, port) = (address.host.clone(), address.port);
        let mut redis = RedisConnectionInfo::default().set_db(i64::from(database)).set_skip_set_lib_name();
        if let Some(user) = &login.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = login.password_now() {
            redis = redis.set_password(password.reveal());
        }
        let info = |place: ConnectionAddr| -> ::redis::RedisResult<ConnectionInfo> {
            // Many ask on one connection: none of them waits until what another asked is acknowledged. And what was given
            // up is not brought there after all when the network heals.
            let tcp = TcpSettings::default().set_nodelay(true).set_linger_time(Duration::ZERO);
            Ok(place.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(redis))
        };
        match &settings.tls {
            None => Client::open(info(ConnectionAddr::Tcp(host, port))?),
            Some(tls) => {
                let place = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                Client::build_with_tls(info(place)?, tls.now())
            }
        }
    }
}

/// One trip: all of these, all their answers.
pub(super) async fn trip(
    connection: &mut MultiplexedConnection,
    pipe: &Pipeline,
    within: Duration,
) -> Result<Vec<Value>, Trouble> {
    match timeout(within, connection.send_packed_commands(pipe, 0, pipe.len())).await {
        Err(_) => Err(Trouble::Cut { sent: true, why: format!("no answer within {} ms", within.as_millis()) }),
        Ok(Err(error)) => Err(Trouble::of(&error, true)),
        Ok(Ok(values)) => Ok(values),
    }
}

/// Where a primary is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Finder {
    At(Address),
    AskSentinels,
}

enum Up {
    Live(MultiplexedConnection, u64),
    Down(Instant, Trouble),
}

/// What the tasks of a node share.
pub(super) struct Shared {
    pub(super) connector: Connector,
    finder: Finder,
    up: watch::Sender<Up>,
    broken: Notify,
    /// Rises when connections made before must not be used any more.
    era: AtomicU64,
    /// Replicas that whoever knows the configuration says there are.
    configured: AtomicUsize,
    /// Replicas that were connected when last looked, and the most that ever were.
    connected: AtomicUsize,
    most: AtomicUsize,
    address: Mutex<Option<Address>>,
    /// Rises with every new connection, anywhere in the store.
    reconnects: Arc<AtomicU64>,
}

impl Shared {
    /// Replicas that must have a write.
    pub(super) fn need(&self) -> usize {
        match self.connector.0.acks {
            Acks::AtLeast(n) => n,
            Acks::All if self.knows_configuration() => {
                self.configured.load(Ordering::Acquire).max(self.connected.load(Ordering::Acquire))
            }
            // Nobody else can say how many there are: one that was seen and is gone is missing.
            Acks::All => self.most.load(Ordering::Acquire),
        }
    }

    fn knows_configuration(&self) -> bool {
        !matches!(self.connector.0.deployment, super::address::Deployment::Single(_))
    }

    pub(super) fn configure(&self, replicas: usize) {
        self.configured.store(replicas, Ordering::Release);
    }

    pub(super) fn saw_replicas(&self, connected: usize) {
        self.connected.store(connected, Ordering::Release);
        self.most.fetch_max(connected, Ordering::AcqRel);
    }

    pub(super) fn connected(&self) -> usize {
        self.connected.load(Ordering::Acquire)
    }

    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Connects anew, everywhere: the primary is another one, or is none any more. The number of the era.
    pub(super) fn new_era(&self) -> u64 {
        let before = self.era.fetch_add(1, Ordering::AcqRel);
        self.broken.notify_one();
        before.wrapping_add(1)
    }

    /// Where it was when last connected to.
    pub(super) fn address(&self) -> Option<Address> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::AcqRel);
    }

    /// A new connection to the primary, which is asked whether it is one, and the era it is of. Where the primary is not
    /// where it was, a new era begins: connections made before lead to a deposed one.
    pub(super) async fn connect(&self) -> Result<(MultiplexedConnection, u64), Trouble> {
        let era = self.era();
        let address = match &self.finder {
            Finder::At(address) => address.clone(),
            Finder::AskSentinels => {
                let found = sentinel::find(&self.connector).await?;
                self.configure(found.replicas);
                found.primary
            }
        };
        let mut connection = self.connector.open(&address).await?;
        let mut pipe = Pipeline::new();
        pipe.cmd("ROLE");
        let answers = trip(&mut connection, &pipe, self.connector.0.timing.answer).await?;
        match reply::role(answers.first().unwrap_or(&Value::Nil))? {
            reply::Role::Primary { replicas } => self.saw_replicas(replicas.len()),
            reply::Role::Other(role) => return Err(Trouble::Elsewhere(format!("{address} is a {role}"))),
        }
        let before = self.address.lock().unwrap_or_else(PoisonError::into_inner).replace(address.clone());
        if before.is_none_or(|before| before == address) {
            return Ok((connection, era));
        }
        let now = self.new_era();
        // Whoever began another one meanwhile knows of something else that this connection does not.
        Ok((connection, if now == era.wrapping_add(1) { now } else { era }))
    }
}

/// One primary.
pub(super) struct Node {
    pub(super) shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Node {
    pub(super) fn start(connector: Connector, finder: Finder, replicas: usize, reconnects: Arc<AtomicU64>) -> Self {
        let settings = Arc::clone(&connector.0);
        let begun = Up::Down(Instant::now(), Trouble::Cut { sent: false, why: "not connected yet".to_owned() });
        let shared = Arc::new(Shared {
            connector,
            finder: finder.clone(),
            up: watch::Sender::new(begun),
            broken: Notify::new(),
            era: AtomicU64::new(0),
            configured: AtomicUsize::new(replicas),
            connected: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            address: Mutex::new(None),
            reconnects,
        });
        let (jobs, queue) = mpsc::channel(ROOM);
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let mut tasks = vec![tokio::spawn(keep_connected(Arc::clone(&shared)))];
        for _ in 0..settings.writers.max(1) {
            tasks.push(tokio::spawn(lane::run(Arc::clone(&shared), Arc::clone(&queue))));
        }
        if finder == Finder::AskSentinels {
            tasks.push(tokio::spawn(sentinel::watch(Arc::clone(&shared))));
        }
        Self { shared, jobs, tasks }
    }

    /// Reads in one trip. The answers stand in the order of the commands; an error among them is one.
    pub(super) async fn read(&self, pipe: &Pipeline, asking: bool) -> Result<Vec<Value>, Trouble> {
        let (mut connection, era) = self.live().await?;
        let mut asked = Pipeline::with_capacity(pipe.len() * 2);
        let sent = if asking {
            for command in pipe.cmd_iter() {
                asked.cmd("ASKING").add_command(command.clone());
            }
            &asked
        } else {
            pipe
        };
        match trip(&mut connection, sent, self.shared.connector.0.timing.answer).await {
            Ok(values) => {
                // A replica of another server answers here: asking again on this connection would find nothing else.
                let demoted =
                    matches!(reply::sound(&values), Err(Trouble::Elsewhere(why)) if why.starts_with("MASTERDOWN"));
                if demoted && self.shared.era() == era {
                    self.shared.new_era();
                }
                Ok(if asking { values.into_iter().skip(1).step_by(2).collect() } else { values })
            }
            Err(trouble) => {
                if trouble.ends_connection() && self.shared.era() == era {
                    self.shared.new_era();
                }
                Err(trouble)
            }
        }
    }

    /// Writes; the answer is that of a write that its replicas have.
    pub(super) async fn write(&self, command: Arc<Command>, asking: bool) -> Result<Value, Trouble> {
        let gone = || Trouble::Cut { sent: false, why: "closed".to_owned() };
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { command, asking, reply }).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(Trouble::Cut { sent: true, why: "closed".to_owned() }))
    }

    /// The connection that reads, for looking at the server.
    pub(super) async fn connection(&self) -> Result<MultiplexedConnection, Trouble> {
        self.live().await.map(|(connection, _)| connection)
    }

    /// Since when there is no connection to read from.
    pub(super) fn down_for(&self) -> Option<Duration> {
        match &*self.shared.up.borrow() {
            Up::Live(..) => None,
            Up::Down(since, _) => Some(since.elapsed()),
        }
    }

    async fn live(&self) -> Result<(MultiplexedConnection, u64), Trouble> {
        let mut up = self.shared.up.subscribe();
        loop {
            let (since, trouble) = match &*up.borrow_and_update() {
                Up::Live(connection, era) => return Ok((connection.clone(), *era)),
                Up::Down(since, trouble) => (*since, trouble.clone()),
            };
            let until = since + self.shared.connector.0.timing.patience;
            if Instant::now() >= until {
                return Err(trouble);
            }
            // Neither a change nor the end of waiting says anything by itself: the state is looked at again.
            let _ = tokio::time::timeout_at(until, up.changed()).await;
        }
    }
}

/// Connects, and connects again whenever told that the connection is broken.
async fn keep_connected(shared: Arc<Shared>) {
    loop {
        match shared.connect().await {
            Ok((connection, era)) => {
                shared.count_reconnect();
                shared.up.send_modify(|up| {
                    if let Up::Down(since, trouble) = up
                        && since.elapsed() > PAUSE
                    {
                        tracing::info!(down_ms = since.elapsed().as_millis(), ?trouble, "the store can be reached");
                    }
                    *up = Up::Live(connection, era);
                });
                let connected = Instant::now();
                while shared.era() == era {
                    shared.broken.notified().await;
                }
                let why = Trouble::Cut { sent: false, why: "the connection was lost".to_owned() };
                shared.up.send_modify(|up| *up = Up::Down(Instant::now(), why));
                // Sentinels that do not agree are not asked without end.
                if connected.elapsed() < PAUSE {
                    sleep(PAUSE).await;
                }
            }
            Err(trouble) => {
                tracing::debug!(?trouble, "the store cannot be reached yet");
                shared.up.send_modify(|up| match up {
                    Up::Down(since, _) => *up = Up::Down(*since, trouble),
                    Up::Live(..) => *up = Up::Down(Instant::now(), trouble),
                });
                sleep(PAUSE).await;
            }
        }
    }
}
