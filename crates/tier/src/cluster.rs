//! The nodes of a cluster: a link to each primary, who has which slot, and the way of a request to the node that has its key
//! (DESIGN.md, "Cluster").

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use redis::{Client, ConnectionAddr, ConnectionInfo};

use crate::{
    error::Error,
    gate::{Changes, Gate, Origin},
    link::{self, KeptOpen, Link, State, Told},
    options::Options,
    servers::At,
    slots::{Slot, slot},
    topology::{Change, NodeId, Topology},
    view::{Address, View},
};

/// A cluster, as this process knows it.
pub(crate) struct Cluster {
    me: Weak<Self>,
    /// User, password and settings for all nodes.
    login: ConnectionInfo,
    options: Options,
    told: Arc<dyn Told>,
    changes: Arc<Changes>,
    nodes: Mutex<Nodes>,
}

struct Nodes {
    topology: Topology,
    known: BTreeMap<NodeId, Known>,
    next: u32,
}

struct Known {
    node: Arc<Node>,
    /// Under which other addresses it goes.
    aliases: Vec<Address>,
    /// What it said last.
    view: Option<View>,
}

struct Node {
    id: NodeId,
    address: Address,
    link: Arc<Link>,
    _open: KeptOpen,
}

/// Between two attempts of one request, in milliseconds, after the first two.
const PAUSES: [u64; 5] = [1, 2, 5, 10, 20];

impl Cluster {
    /// The cluster of which one of these is a node.
    pub(crate) async fn connect(
        urls: &[String],
        options: Options,
        told: Arc<dyn Told>,
    ) -> Result<Arc<Self>, Error> {
        let seeds = urls.iter().map(|url| seed(url)).collect::<Result<Vec<_>, _>>()?;
        let Some((login, _)) = seeds.first().cloned() else {
            let (value, allowed) = ("none".into(), "the address of one node or more");
            return Err(Error::Option { option: "nodes", value, allowed });
        };
        let cluster = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            login,
            options,
            told,
            changes: Arc::default(),
            nodes: Mutex::new(Nodes { topology: Topology::new(), known: BTreeMap::new(), next: 0 }),
        });
        let mut failed = None;
        for (_, address) in seeds {
            let seed = cluster.node_at(&address)?;
            match seed.link.connected().await {
                Ok(()) => {
                    cluster.others_connected().await?;
                    return Ok(cluster);
                }
                Err(error) => _ = failed.get_or_insert(error),
            }
            cluster.forget(seed.id);
        }
        Err(failed.unwrap_or_else(|| unreachable!("there is one address or more")))
    }

    /// Waits until there is a connection to each node, or that is known to be impossible for now.
    async fn others_connected(&self) -> Result<(), Error> {
        let nodes: Vec<_> = self.nodes().known.values().map(|of| Arc::clone(&of.node)).collect();
        for node in nodes {
            match node.link.connected().await {
                // It is down, and may come again. Whoever refuses us will go on to do so.
                Err(error) if !error.is_connection() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node at an address, to which a connection is made if it is new.
    fn node_at(&self, address: &Address) -> Result<Arc<Node>, Error> {
        self.known_or_new(&mut self.nodes(), address)
    }

    fn known_or_new(&self, nodes: &mut Nodes, address: &Address) -> Result<Arc<Node>, Error> {
        let is_it = |of: &&Known| of.node.address == *address || of.aliases.contains(address);
        if let Some(known) = nodes.known.values().find(is_it) {
            return Ok(Arc::clone(&known.node));
        }
        let id = NodeId(nodes.next);
        nodes.next += 1;
        let at = ConnectionAddr::Tcp(address.host.clone(), address.port);
        let client = Client::open(self.login.clone().set_addr(at)).map_err(|error| {
            Error::Address { server: address.to_string(), words: error.to_string() }
        })?;
        let told = Arc::new(ToldBy {
            node: id,
            cluster: Weak::clone(&self.me),
            told: Arc::clone(&self.told),
        });
        let server = (client, format!("redis://{address}"));
        let gate = Gate::of(&self.changes);
        let link = Link::new(server, Some(address.clone()), gate, self.options.clone(), told);
        let open = link.connect_later();
        let node = Arc::new(Node { id, address: address.clone(), link, _open: open });
        let known = Known { node: Arc::clone(&node), aliases: Vec::new(), view: None };
        nodes.known.insert(id, known);
        Ok(node)
    }

    fn forget(&self, node: NodeId) {
        let nodes = &mut *self.nodes();
        let change = nodes.topology.forget(node);
        self.apply(nodes, &change);
        nodes.known.remove(&node);
    }

    /// What a change means for what is kept. Under the lock: whoever asks for a slot's node sees all of it or nothing.
    fn apply(&self, nodes: &Nodes, change: &Change) {
        if planted!(topology_not_compared) {
            return;
        }
        for loser in change.losers.iter().filter_map(|loser| nodes.known.get(loser)) {
            loser.node.link.gate.forget_all();
        }
        if change.is_any {
            self.changes.add();
            self.told.topology_changed();
        }
    }

    /// A node says this of the cluster.
    fn heard(&self, from: NodeId, view: View) {
        let nodes = &mut *self.nodes();
        let (Some(known), Some(own)) = (nodes.known.get_mut(&from), view.own()) else { return };
        if known.view.as_ref() == Some(&view) {
            return;
        }
        known.aliases =
            [Some(own.address.clone()), own.alias.clone()].into_iter().flatten().collect();
        known.view = Some(view.clone());
        let mut change = nodes.topology.claims(from, own.claim.clone());
        change.is_any = true;
        self.apply(nodes, &change);
        for line in &view.0 {
            let addresses = [Some(&line.address), line.alias.as_ref()];
            let is_it = |of: &&Known| {
                line.is_speaker && of.node.id == from
                    || addresses
                        .iter()
                        .flatten()
                        .any(|address| of.node.address == **address || of.aliases.contains(address))
            };
            let known = nodes.known.values().find(is_it).map(|of| of.node.id);
            match known {
                // An address that is none: the servers' business.
                None if line.is_primary => _ = self.known_or_new(nodes, &line.address),
                // A replica, or dead and replaced.
                Some(node) if !line.is_primary && !nodes.topology.has_slots(node) => {
                    nodes.topology.forget(node);
                    nodes.known.remove(&node);
                }
                _ => {}
            }
        }
    }

    /// The node that has a slot; or, as nobody says that it has, another, which will say where it is.
    fn owner(&self, slot: Slot) -> Result<Arc<Node>, Error> {
        let nodes = self.nodes();
        let owner = nodes.topology.owner(slot).and_then(|owner| nodes.known.get(&owner));
        let is_connected = |of: &&Known| of.node.link.state() == State::Connected;
        let node = owner.or_else(|| nodes.known.values().find(is_connected));
        node.map(|of| Arc::clone(&of.node)).ok_or(Error::Lost { ago: Duration::ZERO })
    }

    fn has(&self, node: &Node, slot: Slot) -> bool {
        self.nodes().topology.owner(slot) == Some(node.id)
    }

    /// A request for a slot at this node.
    fn request(&self, node: &Node, slot: Slot) -> Result<At, Error> {
        let gate = if planted!(word_of_another_node) {
            self.nodes()
                .known
                .values()
                .find(|of| of.node.id != node.id)
                .map(|of| Arc::clone(&of.node.link.gate))
        } else {
            None
        };
        let origin = Origin::now(gate.as_ref().unwrap_or(&node.link.gate));
        // After the word was read: if the slot is lost later, that changes the word.
        let may_keep = self.has(node, slot);
        Ok(At { session: node.link.session()?, origin, may_keep })
    }

    /// Asks the node that has the key, going where the nodes say that it is.
    pub(crate) async fn at<T, Fut>(
        &self,
        key: &[u8],
        mut ask: impl FnMut(At) -> Fut,
    ) -> Result<T, Error>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        let slot = slot(key);
        let start = Instant::now();
        let mut pauses = PAUSES.into_iter();
        let (mut node, mut is_asking) = (self.owner(slot)?, false);
        for attempt in 0.. {
            let mut at = self.request(&node, slot)?;
            if is_asking {
                at.session = at.session.asking();
                at.may_keep = planted!(kept_while_moving);
            }
            let error = match ask(at).await {
                Err(error) if is_to_be_tried_again(&error) => error,
                other => return other,
            };
            if start.elapsed() > self.options.request_timeout {
                return Err(error);
            }
            if attempt > 1 {
                let pause = pauses.next().unwrap_or(PAUSES[PAUSES.len() - 1]);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            (node, is_asking) = match &error {
                Error::Redirected { to, is_moving: true, .. } => {
                    (self.redirected(&node, to).await?, true)
                }
                Error::Redirected { to, slot, .. } => (self.moved(&node, *slot, to).await?, false),
                _ => (self.owner(slot)?, false),
            };
        }
        unreachable!("attempts have no end")
    }

    /// The node to which one is sent by another.
    async fn redirected(&self, by: &Node, to: &str) -> Result<Arc<Node>, Error> {
        let words = || format!("`{to}`, where {} sends us, is no address", by.address);
        let to = Address::parse(to, &by.address).ok_or_else(|| Error::Server { words: words() })?;
        let node = self.node_at(&to)?;
        node.link.connected().await?;
        Ok(node)
    }

    /// A node says that it has not this slot, but that one.
    async fn moved(&self, by: &Node, slot: Slot, to: &str) -> Result<Arc<Node>, Error> {
        {
            let nodes = &mut *self.nodes();
            let change = nodes.topology.disclaims(by.id, slot);
            self.apply(nodes, &change);
            // What it says next counts, also if that is what it said before.
            if let Some(known) = nodes.known.get_mut(&by.id).filter(|_| change.is_any) {
                known.view = None;
            }
        }
        let node = self.redirected(by, to).await?;
        if !self.has(&node, slot) {
            node.link.refresh_view().await?;
        }
        Ok(node)
    }

    /// The request for a key at the node that has it, as far as is known.
    pub(crate) fn route(&self, key: &[u8]) -> Result<At, Error> {
        let slot = slot(key);
        self.request(&*self.owner(slot)?, slot)
    }

    /// The gate of the node that has a key, as far as is known.
    pub(crate) fn gate(&self, key: &[u8]) -> Result<Arc<Gate>, Error> {
        Ok(Arc::clone(&self.owner(slot(key))?.link.gate))
    }

    /// Connected, if all are that have slots.
    pub(crate) fn state(&self) -> State {
        let nodes = self.nodes();
        let with_slots = nodes.known.values().filter(|of| nodes.topology.has_slots(of.node.id));
        let lost = with_slots.filter_map(|of| match of.node.link.state() {
            State::Connected => None,
            State::Lost { since } => Some(since),
        });
        lost.min().map_or(State::Connected, |since| State::Lost { since })
    }

    pub(crate) fn forget_all(&self) {
        for known in self.nodes().known.values() {
            known.node.link.gate.forget_all();
        }
    }
}

/// Whether the nodes will know better.
fn is_to_be_tried_again(error: &Error) -> bool {
    match error {
        Error::Redirected { .. } => true,
        // Some keys of a script are here, and some where the slot goes.
        Error::Server { words } => words.starts_with("TRYAGAIN"),
        _ => false,
    }
}

/// How to speak to a node, and where it is.
fn seed(url: &str) -> Result<(ConnectionInfo, Address), Error> {
    let (client, server) = link::address(url)?;
    let info = client.get_connection_info().clone();
    let no = |words: &str| Error::Address { server: server.clone(), words: words.to_owned() };
    if info.redis_settings().db() != 0 {
        return Err(no("a cluster has database 0 alone"));
    }
    match info.addr().clone() {
        ConnectionAddr::Tcp(host, port) => Ok((info, Address { host, port })),
        _ => Err(no("nodes of a cluster have a host and a port")),
    }
}

/// What a node says is handed on, with its name.
struct ToldBy {
    node: NodeId,
    cluster: Weak<Cluster>,
    told: Arc<dyn Told>,
}

impl Told for ToldBy {
    fn changed(&self, key: &[u8]) {
        self.told.changed(key);
    }

    fn flushed(&self) {
        self.told.flushed();
    }

    fn lost(&self) {
        self.told.lost();
    }

    fn heartbeat_took(&self, time: Duration) {
        self.told.heartbeat_took(time);
    }

    fn view(&self, view: View) {
        if let Some(cluster) = self.cluster.upgrade() {
            cluster.heard(self.node, view);
        }
    }

    fn topology_changed(&self) {
        self.told.topology_changed();
    }
}
