//! Random schedules of fills, a slot that moves, and what its nodes say of that, on the map, the words and the routes as they are, before two
//! nodes of a few words. They run with those of `model.rs`.

use std::{sync::Arc, time::Duration};

use evanesce::TtlMap;
use shuttle::{sync::Mutex, thread};

use crate::{
    error::Error,
    gate::Gate,
    model::explore,
    near::{Look, Near, Read},
    routes::Routes,
    slots::Slots,
    topology::NodeId,
    view::Claim,
};

const KEY: &[u8] = b"a";
const SLOT: u16 = 7;

/// What a node has of the slot and its key, in the node's own eyes.
#[derive(Default)]
struct Node {
    has_slot: bool,
    epoch: u64,
    value: Option<u64>,
}

struct World {
    near: Near<u64>,
    routes: Routes,
    gates: [(NodeId, Arc<Gate>); 2],
    nodes: [Mutex<Node>; 2],
    /// Views of a node are told in their order.
    viewing: [Mutex<()>; 2],
    /// Whether a node is asked for its view after a `MOVED` to it. As if not: its answer is out of date when it comes.
    asks_for_views: bool,
}

impl World {
    /// The first of two nodes has the slot; both are connected, and have said so.
    fn new(asks_for_views: bool) -> Arc<Self> {
        let map = TtlMap::builder().sweep_per_write(0).build().unwrap();
        let near = Near::new(map, Duration::ZERO, None, Duration::MAX);
        let routes = Routes::new();
        let gates = [routes.add(), routes.add()];
        for (_, gate) in &gates {
            assert!(gate.connected(gate.next_session()));
        }
        let nodes: [Mutex<Node>; 2] = Default::default();
        *nodes[0].lock().unwrap() = Node { has_slot: true, epoch: 1, value: None };
        nodes[1].lock().unwrap().epoch = 2;
        let viewing = Default::default();
        let world = Arc::new(Self { near, routes, gates, nodes, viewing, asks_for_views });
        world.tell(0);
        world.tell(1);
        world
    }

    /// A heartbeat: a node says what it has.
    fn tell(&self, node: usize) {
        let _viewing = self.viewing[node].lock().unwrap();
        let mut slots = Slots::new();
        let epoch = {
            let node = self.nodes[node].lock().unwrap();
            if node.has_slot {
                slots.add(SLOT, SLOT);
            }
            node.epoch
        };
        self.routes.claims(self.gates[node].0, Claim { epoch, slots }, true);
    }

    fn owner(&self) -> usize {
        let owner = self.routes.owner(SLOT);
        self.gates.iter().position(|(node, _)| Some(*node) == owner).unwrap_or(0)
    }

    /// What a fill does: asks the node, and goes where that says that the slot is.
    fn ask(&self) -> Result<Read<u64>, Error> {
        let mut node = self.owner();
        loop {
            let (id, gate) = &self.gates[node];
            let (origin, may_keep) = self.routes.origin(*id, gate, SLOT);
            let answer = {
                let asked = self.nodes[node].lock().unwrap();
                if asked.has_slot { Ok(asked.value) } else { Err(()) }
            };
            thread::yield_now();
            if let Ok(value) = answer {
                let ttl = if may_keep { Duration::from_secs(60) } else { Duration::ZERO };
                return Ok(Read { origin, value: value.map(Arc::new), ttl, ends_near: true });
            }
            self.routes.disclaims(*id, SLOT);
            node = 1 - node;
            if self.asks_for_views {
                self.tell(node);
            }
        }
    }

    fn get(&self) -> Option<u64> {
        match self.near.look(KEY, false) {
            Look::Hit(value) | Look::Due(value, _) => value.map(|value| *value),
            Look::Lost(_) | Look::Turn => unreachable!("connected, and few hits"),
            Look::Miss => {
                let gate = &self.gates[self.owner()].1;
                let filled = self.near.fill(gate, KEY, || async { self.ask() });
                shuttle::future::block_on(filled).unwrap().value().map(|value| **value)
            }
        }
    }

    /// The slot goes from one to the other, without a key. The other gets a new epoch, unless it has the greatest already.
    fn move_slot(&self, from: usize) {
        let epoch = {
            let mut old = self.nodes[from].lock().unwrap();
            old.has_slot = false;
            old.epoch
        };
        thread::yield_now();
        let mut new = self.nodes[1 - from].lock().unwrap();
        (new.has_slot, new.epoch) = (true, new.epoch.max(epoch + 1));
    }
}

fn spawn(world: &Arc<World>, run: impl FnOnce(&World) + Send + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || run(&world))
}

/// An absence is read while the slot moves; then there is a value, which nobody announces.
#[test]
fn racy_absence_vs_move() {
    explore(|| {
        let world = World::new(true);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                spawn(&world, |world| {
                    for _ in 0..2 {
                        world.get();
                    }
                })
            })
            .collect();
        let heartbeats = [0, 1].map(|node| spawn(&world, move |world| world.tell(node)));
        let mover = spawn(&world, |world| {
            world.move_slot(0);
            world.nodes[1].lock().unwrap().value = Some(1);
            // The next heartbeat of the one that had it. From then on:
            world.tell(0);
            assert_eq!(world.get(), Some(1), "stale after the loss was told");
        });
        for thread in readers.into_iter().chain(heartbeats).chain([mover]) {
            thread.join().unwrap();
        }
        assert_eq!(world.get(), Some(1), "stale for good");
    });
}

/// The slot goes to the other node and comes back before that one has said that it has it. Nobody announces a thing.
#[test]
fn racy_fill_vs_move_there_and_back() {
    explore(|| {
        let world = World::new(false);
        world.nodes[0].lock().unwrap().value = Some(0);
        world.nodes[1].lock().unwrap().value = Some(1);
        let readers: Vec<_> = (0..2).map(|_| spawn(&world, |world| _ = world.get())).collect();
        let mover = spawn(&world, |world| {
            world.move_slot(0);
            thread::yield_now();
            world.move_slot(1);
            world.nodes[0].lock().unwrap().value = Some(2);
        });
        for thread in readers.into_iter().chain([mover]) {
            thread.join().unwrap();
        }
        world.tell(0);
        world.tell(1);
        assert_eq!(world.get(), Some(2), "stale for good");
    });
}

/// The first node's word is changed by its flush, not by the other's.
#[test]
fn racy_fill_vs_flush_of_its_node() {
    explore(|| {
        let world = World::new(true);
        let reader = spawn(&world, |world| _ = world.get());
        let flusher = spawn(&world, |world| {
            world.nodes[0].lock().unwrap().value = Some(1);
            world.gates[0].1.forget_all();
            assert_eq!(world.get(), Some(1), "read before the flush");
            world.gates[1].1.forget_all();
        });
        reader.join().unwrap();
        flusher.join().unwrap();
        assert_eq!(world.get(), Some(1), "stale for good");
    });
}
