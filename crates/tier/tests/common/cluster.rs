//! Clusters of real servers, and moves of their slots.

use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use super::{
    server::{Kind, Server, free_port},
    until,
};

/// Three primaries, each with a third of the slots.
pub struct Cluster {
    pub nodes: Vec<Node>,
}

/// A node of it.
pub struct Node {
    pub server: Mutex<Server>,
    pub port: u16,
    bus: u16,
    pub id: String,
}

const SLOTS: u16 = 16_384;

/// Runs a command: words that are separated by spaces.
pub async fn say<T: redis::FromRedisValue>(to: &mut MultiplexedConnection, words: &str) -> T {
    let mut words_left = words.split(' ');
    let mut command = redis::cmd(words_left.next().unwrap());
    words_left.for_each(|word| _ = command.arg(word));
    let answer = command.query_async(to).await;
    answer.unwrap_or_else(|error| panic!("{words}: {error}"))
}

impl Node {
    /// A node that knows no other.
    pub async fn start(kind: Kind) -> Self {
        let bus = free_port();
        let arguments =
            ["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()].map(String::from);
        // The healthy ones go on while another is away.
        let coverage = ["--cluster-require-full-coverage", "no", "--cluster-node-timeout", "3000"];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(coverage).collect();
        let server = Server::start(kind, &arguments).await;
        let id = say::<String>(&mut server.foreign().await, "CLUSTER MYID").await;
        Self { port: server.port(), server: Mutex::new(server), bus, id }
    }

    pub async fn foreign(&self) -> MultiplexedConnection {
        self.server.lock().await.foreign().await
    }

    pub async fn say<T: redis::FromRedisValue>(&self, words: &str) -> T {
        say(&mut self.foreign().await, words).await
    }

    /// Makes it one of the cluster that the other is in.
    pub async fn meet(&self, other: &Self) {
        self.say::<()>(&format!("CLUSTER MEET 127.0.0.1 {} {}", other.port, other.bus)).await;
    }

    /// Waits until it knows three primaries to be there, and to have all slots.
    pub async fn knows_all(&self) {
        let mut foreign = self.foreign().await;
        until("an agreement", async || {
            let info = say::<String>(&mut foreign, "CLUSTER INFO").await;
            ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_size:3"]
                .iter()
                .all(|line| info.contains(line))
        })
        .await;
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}

impl Cluster {
    pub async fn start(kind: Kind) -> Self {
        let mut nodes = Vec::new();
        for number in 0..3 {
            let node = Node::start(kind).await;
            node.say::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).await;
            let (first, last) = (SLOTS / 3 * number, SLOTS / 3 * (number + 1) - 1);
            let last = if number == 2 { SLOTS - 1 } else { last };
            node.say::<()>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await;
            nodes.push(node);
        }
        let cluster = Self { nodes };
        for other in &cluster.nodes[1..] {
            cluster.nodes[0].meet(other).await;
        }
        cluster.agreed().await;
        cluster
    }

    /// Waits until all know all slots' owners to be there.
    pub async fn agreed(&self) {
        for node in &self.nodes {
            node.knows_all().await;
        }
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }

    /// The slot of a key, as the servers count it.
    pub async fn slot(&self, key: &str) -> u16 {
        self.nodes[0].say(&format!("CLUSTER KEYSLOT {key}")).await
    }

    /// A hash tag whose slot was given to this node; `n` says which of them.
    pub async fn tag(&self, node: usize, n: usize) -> String {
        let mut foreign = self.nodes[0].foreign().await;
        let mut left = n;
        for number in 0.. {
            let tag = format!("{{{number}}}");
            let slot: u16 = say(&mut foreign, &format!("CLUSTER KEYSLOT {tag}")).await;
            if usize::from(slot / (SLOTS / 3)).min(2) == node {
                if left == 0 {
                    return tag;
                }
                left -= 1;
            }
        }
        unreachable!("numbers have no end")
    }

    /// The first half of a move: the slot is open at both, and has its keys where it was.
    pub async fn open_slot(&self, slot: u16, from: usize, to: usize) {
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        to.say::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", from.id)).await;
        from.say::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", to.id)).await;
    }

    /// Moves what keys a slot has.
    pub async fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let mut foreign = self.nodes[from].foreign().await;
        loop {
            let get = format!("CLUSTER GETKEYSINSLOT {slot} 5");
            let keys: Vec<String> = say(&mut foreign, &get).await;
            if keys.is_empty() {
                return;
            }
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(self.nodes[to].port).arg("").arg(0).arg(5_000);
            migrate.arg("KEYS").arg(&keys);
            // NOKEY: they have ended meanwhile.
            migrate.query_async::<String>(&mut foreign).await.unwrap();
        }
    }

    /// The end of a move: all are told, the new owner first.
    pub async fn close_slot(&self, slot: u16, to: usize) {
        let set = format!("CLUSTER SETSLOT {slot} NODE {}", self.nodes[to].id);
        self.nodes[to].say::<()>(&set).await;
        for node in self.nodes.iter().take(3) {
            node.say::<()>(&set).await;
        }
    }

    pub async fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.open_slot(slot, from, to).await;
        self.move_keys(slot, from, to).await;
        self.close_slot(slot, to).await;
    }

    pub async fn flush(&self) {
        for node in &self.nodes {
            node.say::<()>("FLUSHALL").await;
        }
    }
}
