//! Several real redis-servers that belong together: under Sentinel, in a Cluster.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::process::Command;

use super::net::{Net, Party};
use super::redis::{Server, free_port, until, until_or};

/// A primary with two replicas, watched by three sentinels.
pub struct Trio {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
    on_net: bool,
}

impl Trio {
    pub fn start() -> Self {
        let primary = Server::start(&[]);
        let replicas = [primary.replica(), primary.replica()];
        let sentinels: Vec<_> = (0..3).map(|_| Server::sentinel(primary.port, 2)).collect();
        let servers = std::iter::once(primary).chain(replicas).collect();
        let trio = Self { servers, sentinels, on_net: false };
        trio.settled();
        trio
    }

    /// The same, each of them reachable through this network only.
    pub fn on(net: &Net) -> Self {
        let ports: Vec<_> = (0..3).map(|_| free_port()).collect();
        let main = format!("{} {}", Party::Server(0).door(), ports[0]);
        let mut servers = Vec::new();
        for (n, port) in (0..3).zip(&ports) {
            let party = Party::Server(n);
            net.join(party, *port);
            let (home, door) = (party.home(), party.door());
            let mut options = vec!["--bind-source-addr", &home, "--replica-announce-ip", &door];
            // A link that is silent is given up and made anew, so that one which was cut comes back.
            options.extend(["--repl-timeout", "5", "--repl-ping-replica-period", "1"]);
            if n > 0 {
                options.extend(["--replicaof", &main]);
            }
            servers.push(Server::start_at(&home, *port, &options));
        }
        let mut sentinels = Vec::new();
        for n in 0..3 {
            let (party, port) = (Party::Sentinel(n), free_port());
            net.join(party, port);
            let (home, door) = (party.home(), party.door());
            let more = format!("bind-source-addr {home}\nsentinel announce-ip {door}\nsentinel announce-port {port}\n");
            sentinels.push(Server::sentinel_at(&home, port, (&Party::Server(0).door(), ports[0]), 2, &more));
        }
        let trio = Self { servers, sentinels, on_net: true };
        trio.settled();
        trio
    }

    /// Waits until every sentinel that runs knows the two others and both replicas, and both follow.
    pub fn settled(&self) {
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.runs()) {
            until("the sentinels know each other and the replicas", || {
                let text = sentinel.ask(&["INFO", "sentinel"]);
                text.contains("status=ok") && text.contains("slaves=2,sentinels=3")
            });
        }
        let follow = || {
            let at = self.primary();
            at.is_some_and(|at| self.servers[at].ask(&["INFO", "replication"]).matches("state=online").count() == 2)
        };
        until_or("both replicas follow", follow, || self.described());
    }

    /// What everybody says of everybody, for people who look at a test that failed.
    fn described(&self) -> String {
        let mut text = String::new();
        for server in &self.servers {
            text += &format!("{} says {}\n", server.port, server.ask(&["ROLE"]).replace('\n', " "));
        }
        for sentinel in &self.sentinels {
            let known =
                [sentinel.ask(&["SENTINEL", "MASTER", "main"]), sentinel.ask(&["SENTINEL", "REPLICAS", "main"])];
            text += &format!("sentinel says {}\n", known.join("\nand ").replace('\n', " "));
        }
        text
    }

    /// Which server the first sentinel calls the primary.
    pub fn primary(&self) -> Option<usize> {
        self.primary_by(self.sentinels.iter().position(Server::runs)?)
    }

    /// The same of this sentinel.
    pub fn primary_by(&self, sentinel: usize) -> Option<usize> {
        let sentinel = &self.sentinels[sentinel];
        let text = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        let port: u16 = text.lines().nth(1)?.trim().parse().ok()?;
        self.servers.iter().position(|server: &Server| server.port == port)
    }

    pub fn url(&self) -> String {
        assert!(!self.on_net, "url_for says where a service finds them");
        let list: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/main", list.join(","))
    }

    /// Where this service finds the sentinels.
    pub fn url_for(&self, service: u8) -> String {
        let place =
            |(n, sentinel): (u8, &Server)| format!("{}:{}", Party::Sentinel(n).door_for(service), sentinel.port);
        let list: Vec<_> = (0..).zip(&self.sentinels).map(place).collect();
        format!("redis+sentinel://{}/main", list.join(","))
    }
}

/// Three primaries with a replica each.
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    pub fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let servers: Vec<_> = (0..6).map(|_| Server::start(&options)).collect();
        let places: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&places)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { servers };
        cluster.settled();
        cluster
    }

    /// Two primaries without replicas; the first has all slots.
    pub fn small() -> Self {
        let servers: Vec<_> = (0..2).map(|_| Server::start(&["--cluster-enabled", "yes"])).collect();
        assert_eq!(servers[0].ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "OK");
        assert_eq!(servers[1].ask(&["CLUSTER", "MEET", "127.0.0.1", &servers[0].port.to_string()]), "OK");
        for server in &servers {
            until("they know each other", || server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        }
        Self { servers }
    }

    /// Waits until every node agrees that all slots are served and every replica follows.
    pub fn settled(&self) {
        for server in &self.servers {
            until("the cluster is whole", || {
                let nodes = server.ask(&["CLUSTER", "NODES"]);
                let role = server.ask(&["INFO", "replication"]);
                server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && nodes.matches("slave").count() == 3
                    && !nodes.contains("fail")
                    && (role.contains("master_link_status:up") || role.contains("state=online"))
            });
        }
    }

    pub fn primaries(&self) -> Vec<usize> {
        let is = |server: &Server| server.runs() && server.ask(&["ROLE"]).starts_with("master");
        (0..self.servers.len()).filter(|at| is(&self.servers[*at])).collect()
    }

    pub fn url(&self) -> String {
        let list: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis+cluster://{}", list.join(","))
    }
}
