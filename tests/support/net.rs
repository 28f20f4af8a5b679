//! A network that can be cut between any two, in one direction or both.
//!
//! Every party listens at a home address and is known to the others by a door, behind which a proxy passes on what is not
//! cut. Who knocks is told by the address it comes from; a service has doors of its own to everybody, and in what servers
//! tell it their addresses are replaced by those. What is cut is held up, not lost, as TCP would send it again: it arrives
//! late, unless an end gave up by then. Needs all of 127.0.0.0/8 on the loopback, so Linux.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Party {
    Service(u8),
    Server(u8),
    Sentinel(u8),
    /// The test itself: never cut off.
    Outside,
}

/// The doors that servers and sentinels use, as text. Those of services have as many characters.
const COMMON: &str = "127.78.0.";

impl Party {
    fn host(self) -> u8 {
        match self {
            Self::Server(n) => 1 + n,
            Self::Sentinel(n) => 11 + n,
            Self::Service(_) | Self::Outside => 0,
        }
    }

    /// Where it listens, and where its own connections come from.
    pub fn home(self) -> String {
        format!("127.77.0.{}", self.host())
    }

    /// Where servers and sentinels find it.
    pub fn door(self) -> String {
        format!("{COMMON}{}", self.host())
    }

    /// Where this service finds it.
    pub fn door_for(self, service: u8) -> String {
        format!("{}{}", doors(service), self.host())
    }

    fn at(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => match address.octets() {
                [127, 77, 0, host @ 1..=10] => Self::Server(host - 1),
                [127, 77, 0, host @ 11..=255] => Self::Sentinel(host - 11),
                _ => Self::Outside,
            },
            IpAddr::V6(_) => Self::Outside,
        }
    }
}

fn doors(service: u8) -> String {
    format!("127.{}.0.", 80 + service)
}

type Cuts = HashSet<(Party, Party)>;

/// See the module. Its proxies run as long as the runtime in which it was made.
#[derive(Clone)]
pub struct Net {
    cuts: Arc<watch::Sender<Cuts>>,
    services: u8,
}

impl Net {
    pub fn new(services: u8) -> Self {
        Self { cuts: Arc::new(watch::Sender::new(Cuts::new())), services }
    }

    /// Opens the doors of a party that listens at this port of its home.
    pub fn join(&self, party: Party, port: u16) {
        let home = format!("{}:{port}", party.home()).parse().unwrap();
        self.open(&format!("{}:{port}", party.door()), home, party, None);
        for service in 0..self.services {
            self.open(&format!("{}:{port}", party.door_for(service)), home, party, Some(service));
        }
    }

    fn open(&self, door: &str, home: SocketAddr, party: Party, service: Option<u8>) {
        let listener = std::net::TcpListener::bind(door).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (net, listener) = (self.clone(), TcpListener::from_std(listener).unwrap());
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let from = service.map_or_else(|| Party::at(peer.ip()), Party::Service);
                tokio::spawn(net.clone().pass(stream, home, (from, party)));
            }
        });
    }

    async fn pass(self, stream: TcpStream, home: SocketAddr, (from, to): (Party, Party)) {
        self.whole(from, to).await;
        let Ok(server) = TcpStream::connect(home).await else { return };
        let _ = (stream.set_nodelay(true), server.set_nodelay(true));
        let (client, server) = (stream.into_split(), server.into_split());
        let replaced = match from {
            Party::Service(service) => Some(doors(service)),
            _ => None,
        };
        let there = self.clone().pump(client.0, server.1, (from, to), None);
        let back = self.pump(server.0, client.1, (to, from), replaced);
        // The end of either is the end of the connection, once the other side could hear of it.
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    }

    async fn pump(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        (source, target): (Party, Party),
        doors: Option<String>,
    ) {
        let mut bytes = vec![0; 65_536];
        loop {
            let read = from.read(&mut bytes).await.unwrap_or(0);
            self.whole(source, target).await;
            if read == 0 {
                return;
            }
            if let Some(doors) = &doors {
                replace(&mut bytes[..read], doors);
            }
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }

    async fn whole(&self, from: Party, to: Party) {
        let mut cuts = self.cuts.subscribe();
        let _ = cuts.wait_for(|cuts| !cuts.contains(&(from, to))).await;
    }

    /// Nothing passes from any of these to any of those any more.
    pub fn cut(&self, from: &[Party], to: &[Party]) {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
        self.cuts.send_modify(|cuts| cuts.extend(pairs));
    }

    /// Nothing passes between these and those.
    pub fn part(&self, these: &[Party], those: &[Party]) {
        self.cut(these, those);
        self.cut(those, these);
    }

    /// Everything passes again, what was held up first.
    pub fn heal(&self) {
        self.cuts.send_modify(Cuts::clear);
    }
}

/// Puts one kind of door in place of the other. Both have the same length, so the lengths in the protocol stay right.
fn replace(bytes: &mut [u8], doors: &str) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(COMMON.len()).position(|part| part == COMMON.as_bytes()) {
        at += found;
        bytes[at..at + doors.len()].copy_from_slice(doors.as_bytes());
    }
}
