//! Connections: taken, kept within limits, ended. One code for gRPC and HTTP, with TLS or without.
//!
//! Promises: whoever connects costs a bounded amount of memory and time, whatever they send or leave unsent, and whether or
//! not they are known; the others are answered meanwhile. A connection that floods, resets its calls as fast as it makes
//! them, sends nothing, or reads nothing is ended, and counted by why. Told to stop, no connection is taken any more and
//! those open finish what is under way. Guarded by `tests/access.rs`.

mod connection;
mod expiry;
mod open;
mod pace;
mod revoked;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use expiry::first_to_expire;
pub use revoked::first_to_run_out;
pub use tls::{Tls, TlsFault, TlsFiles};

use self::connection::Connection;
use self::open::{Counted, Open};
use crate::access::Peer;
use crate::telemetry::Metrics;

/// What a connection may use.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Connections open at once; with [`Settings::make_room`] a few more, for those who are not known yet.
    pub connections: u32,
    /// The same from one address, or one /64 of IPv6; 0: as many as there may be.
    pub per_address: u32,
    /// Calls under way at once on one connection.
    pub streams: u32,
    /// The most bytes of the headers of one request.
    pub header_bytes: u32,
    /// How long a connection may stay open with nothing under way.
    pub idle: Duration,
    /// How long the headers of a request may take to arrive, and its body beyond the time that its size explains.
    pub receive: Duration,
    /// How long an answer may wait to be read.
    pub unread: Duration,
    /// How long TLS may take to be agreed on.
    pub handshake: Duration,
    /// Paths of calls whose messages come over time.
    pub slow: &'static [&'static str],
    /// Whether, where all connections are taken, one is ended for a new one: of those on which nobody was recognised, or that
    /// are more than the limits say.
    pub make_room: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_address: 256,
            streams: 256,
            header_bytes: 16_384,
            idle: Duration::from_secs(300),
            receive: Duration::from_secs(20),
            unread: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            slow: &[],
            make_room: false,
        }
    }
}

/// What is spoken on a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/2 alone, as gRPC does.
    Grpc,
    /// HTTP/1.1 and HTTP/2.
    Http,
}

/// Pauses before the next connection is taken where the system has nothing left for one.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener, before it is served.
#[derive(Debug)]
pub struct Listener {
    /// Where connections come in.
    pub tcp: TcpListener,
    /// What is spoken.
    pub protocol: Protocol,
    /// `None`: no TLS.
    pub tls: Option<Arc<Tls>>,
    /// What connections may use.
    pub settings: Settings,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// What connections share.
struct Shared {
    settings: Settings,
    protocol: Protocol,
    tls: Option<Arc<Tls>>,
    metrics: Arc<Metrics>,
    router: Router,
    open: Mutex<Open>,
}

impl Listener {
    /// Serves these routes until it is told to stop, and then until what is under way has finished.
    pub async fn serve(self, router: Router, mut stopping: watch::Receiver<bool>) {
        let Self { tcp, protocol, tls, settings, metrics } = self;
        let shared = Arc::new(Shared { settings, protocol, tls, metrics, router, open: Mutex::default() });
        let mut connections = JoinSet::new();
        let stop = stopping.clone();
        loop {
            let taken = tokio::select! {
                // Its end is a signal as well.
                _ = stopping.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                taken = tcp.accept() => taken,
            };
            match taken {
                Ok((stream, address)) => {
                    if let Some(counted) = shared.admit(address) {
                        connections.spawn(connection(counted, stream, address, stop.clone()));
                    }
                }
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(tcp);
        while connections.join_next().await.is_some() {}
    }
}

/// Whether an error is that of one connection, which went away before it was taken.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl Shared {
    /// Takes a connection, if there is room for it.
    fn admit(self: &Arc<Self>, address: SocketAddr) -> Option<Counted> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = open.take(crate::access::network(address.ip()), &self.settings);
        drop(open);
        match taken {
            Ok((id, line)) => Some(Counted { shared: Arc::clone(self), id, line }),
            Err(why) => {
                self.metrics.cut(why, address.ip(), "");
                None
            }
        }
    }
}

/// One connection, from its first byte to its last.
async fn connection(counted: Counted, stream: TcpStream, address: SocketAddr, stopping: watch::Receiver<bool>) {
    // A socket that just closed says so with the first read.
    let _ = stream.set_nodelay(true);
    let ended = tokio::select! {
        ended = served(&counted, stream, address, stopping) => ended,
        why = counted.line.must_end() => Err(why),
    };
    if let Err(why) = ended {
        counted.shared.metrics.cut(why, address.ip(), "");
    }
}

async fn served(
    counted: &Counted,
    stream: TcpStream,
    address: SocketAddr,
    stopping: watch::Receiver<bool>,
) -> Result<(), &'static str> {
    let (shared, line) = (&counted.shared, &counted.line);
    let Some(tls) = &shared.tls else {
        let peer = Peer { address, certificate: None };
        return Connection::new(shared, peer, Arc::clone(line)).run(stream, stopping).await;
    };
    match tokio::time::timeout(shared.settings.handshake, tls.accept(stream)).await {
        Err(_) => Err("slow_handshake"),
        Ok(Err(error)) => {
            shared.metrics.cut("handshake", address.ip(), &error.to_string());
            Ok(())
        }
        Ok(Ok((stream, certificate))) => {
            let peer = Peer { address, certificate };
            Connection::new(shared, peer, Arc::clone(line)).run(stream, stopping).await
        }
    }
}
