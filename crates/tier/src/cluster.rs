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
    address::client,
    error::Error,
    gate::Gate,
    link::{KeptOpen, Link, State, Told},
    options::Options,
    request::At,
    routes::Routes,
    slots::{Slot, slot},
    topology::NodeId,
    view::{Address, View},
};

/// A cluster, as this process knows it.
pub(crate) struct Cluster {
    me: Weak<Self>,
    /// User, password and settings for all nodes.
    login: ConnectionInfo,
    /// Where it was first found.
    seeds: Vec<Address>,
    options: Options,
    told: Arc<dyn Told>,
    routes: Routes,
    nodes: Mutex<Nodes>,
}

type Nodes = BTreeMap<NodeId, Known>;

struct Known {
    node: Arc<Node>,
    /// Under which other addresses it goes.
    aliases: Vec<Address>,
    /// What it said last.
    view: Option<View>,
}

impl Known {
    fn is_at(&self, address: &Address) -> bool {
        self.node.address == *address || self.aliases.contains(address)
    }
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
            seeds: seeds.iter().map(|(_, address)| address.clone()).collect(),
            options,
            told,
            routes: Routes::new(),
            nodes: Mutex::default(),
        });
        let mut failed = None;
        for address in &cluster.seeds {
            let seed = cluster.node_at(address)?;
            match seed.link.connected().await {
                Ok(()) => {
                    cluster.others_connected().await?;
                    return Ok(cluster);
                }
                Err(error) => _ = failed.get_or_insert(error),
            }
            cluster.forget(&mut cluster.nodes(), seed.id);
        }
        Err(failed.unwrap_or_else(|| unreachable!("there is one address or more")))
    }

    /// Waits until there is a connection to each node, or that is known to be impossible for now.
    async fn others_connected(&self) -> Result<(), Error> {
        let nodes: Vec<_> = self.nodes().values().map(|of| Arc::clone(&of.node)).collect();
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
        if let Some(known) = nodes.values().find(|of| of.is_at(address)) {
            return Ok(Arc::clone(&known.node));
        }
        let at = ConnectionAddr::Tcp(address.host.clone(), address.port);
        let client = Client::open(self.login.clone().set_addr(at)).map_err(|error| {
            Error::Address { server: address.to_string(), words: error.to_string() }
        })?;
        let (id, gate) = self.routes.add();
        let told = Arc::new(ToldBy {
            node: id,
            cluster: Weak::clone(&self.me),
            told: Arc::clone(&self.told),
        });
        let server = (client, format!("redis://{address}"));
        let link = Link::new(server, Some(address.clone()), gate, self.options.clone(), told);
        let open = link.connect_later();
        let node = Arc::new(Node { id, address: address.clone(), link, _open: open });
        let known = Known { node: Arc::clone(&node), aliases: Vec::new(), view: None };
        nodes.insert(id, known);
        Ok(node)
    }

    fn forget(&self, nodes: &mut Nodes, node: NodeId) {
        self.routes.forget(node);
        nodes.remove(&node);
    }

    /// A node says this of the cluster. Returns whether that is not as it was.
    fn heard(&self, from: NodeId, view: &View) -> bool {
        let nodes = &mut *self.nodes();
        let (Some(known), Some(own)) = (nodes.get_mut(&from), view.own()) else { return false };
        if known.view.as_ref() == Some(view) {
            return false;
        }
        known.aliases = own.addresses().cloned().collect();
        known.view = Some(view.clone());
        let is_changed = self.routes.claims(from, own.claim.clone(), true);
        for line in view.0.iter().filter(|line| !line.is_speaker) {
            let is_it = |of: &&Known| line.addresses().any(|address| of.is_at(address));
            match nodes.values().find(is_it).map(|of| of.node.id) {
                // An address that is none is the servers' business.
                None if line.is_primary => _ = self.known_or_new(nodes, &line.address),
                // A replica, or dead and replaced.
                Some(node) if !line.is_primary && !self.routes.has_slots(node) => {
                    self.forget(nodes, node);
                }
                _ => {}
            }
        }
        if !own.is_primary && !self.routes.has_slots(from) {
            self.forget(nodes, from);
        }
        is_changed
    }

    /// The node that has a slot; or, as nobody says that it has, another, which will say where it is.
    fn owner(&self, slot: Slot) -> Result<Arc<Node>, Error> {
        let nodes = &mut *self.nodes();
        let connected = nodes.values().find(|of| of.node.link.state() == State::Connected);
        let owner = self.routes.owner(slot).and_then(|owner| nodes.get(&owner));
        let node = owner.or(connected).map(|of| Arc::clone(&of.node));
        if connected.is_none() {
            // All may be elsewhere by now.
            for seed in &self.seeds {
                self.known_or_new(nodes, seed)?;
            }
        }
        node.ok_or(Error::Lost { ago: Duration::ZERO, why: None })
    }

    /// A request for a slot at this node.
    fn request(&self, node: &Node, slot: Slot) -> Result<At, Error> {
        let (origin, may_keep) = self.routes.origin(node.id, &node.link.gate, slot);
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
        if self.routes.disclaims(by.id, slot) {
            self.told.topology_changed();
            // What it says next counts, also if that is what it said before.
            if let Some(known) = self.nodes().get_mut(&by.id) {
                known.view = None;
            }
        }
        let node = self.redirected(by, to).await?;
        node.link.refresh_view(|| self.routes.owner(slot) != Some(node.id)).await?;
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
        let with_slots = nodes.values().filter(|of| self.routes.has_slots(of.node.id));
        let lost = with_slots.filter_map(|of| match of.node.link.state() {
            State::Connected => None,
            State::Lost { since } => Some(since),
        });
        lost.min().map_or(State::Connected, |since| State::Lost { since })
    }

    pub(crate) fn forget_all(&self) {
        self.routes.forget_all();
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
    let (client, server) = client(url)?;
    let info = client.get_connection_info().clone();
    let no = |words: &str| Error::Address { server: server.clone(), words: words.to_owned() };
    if info.redis_settings().db() != 0 {
        return Err(no("a cluster has database 0 alone"));
    }
    match info.addr().clone() {
        ConnectionAddr::Tcp(host, port) => Ok((info, Address { host, port })),
        _ => Err(no("nodes of a cluster have a host and a port, and no TLS")),
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

    fn view(&self, view: &View) {
        if self.cluster.upgrade().is_some_and(|cluster| cluster.heard(self.node, view)) {
            self.told.topology_changed();
        }
    }

    fn topology_changed(&self) {
        self.told.topology_changed();
    }
}
