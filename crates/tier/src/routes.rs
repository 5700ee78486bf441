//! The words of a cluster's nodes, and what a change of its topology does to them (DESIGN.md, "Cluster"). It knows no connection.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use crate::{
    gate::{Changes, Gate, Origin},
    slots::Slot,
    sync::{Mutex, MutexGuard},
    topology::{Change, NodeId, Topology},
    view::Claim,
};

/// Who has which slot, and the gate of each node.
#[derive(Debug)]
pub(crate) struct Routes {
    changes: Arc<Changes>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    topology: Topology,
    gates: BTreeMap<NodeId, Arc<Gate>>,
    next: u32,
}

impl Routes {
    pub(crate) fn new() -> Self {
        let inner = Inner { topology: Topology::new(), gates: BTreeMap::new(), next: 0 };
        Self { changes: Arc::default(), inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node that claims nothing yet.
    pub(crate) fn add(&self) -> (NodeId, Arc<Gate>) {
        let mut inner = self.lock();
        let (node, gate) = (NodeId(inner.next), Arc::new(Gate::of(&self.changes)));
        inner.next += 1;
        inner.gates.insert(node, Arc::clone(&gate));
        (node, gate)
    }

    /// The node that has a slot.
    pub(crate) fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.lock().topology.owner(slot)
    }

    pub(crate) fn has_slots(&self, node: NodeId) -> bool {
        self.lock().topology.has_slots(node)
    }

    /// What is asked of a node from now on; and whether it may be kept, as the node has the slot. If it loses the slot later, that
    /// changes its word, which was read before.
    pub(crate) fn origin(&self, node: NodeId, gate: &Arc<Gate>, slot: Slot) -> (Origin, bool) {
        let is_other =
            |other: &&Arc<Gate>| planted!(word_of_another_node) && !Arc::ptr_eq(other, gate);
        let other = self.lock().gates.values().find(is_other).cloned();
        let origin = Origin::now(other.as_ref().unwrap_or(gate));
        (origin, self.owner(slot) == Some(node) || planted!(owner_not_checked))
    }

    /// A node says what it has. It has news if it says anything of the cluster that it has not said before.
    pub(crate) fn claims(&self, node: NodeId, claim: Claim, has_news: bool) -> bool {
        self.change(|topology| {
            let change = topology.claims(node, claim);
            Change { is_any: change.is_any || has_news, ..change }
        })
    }

    /// A node says that it has not this slot.
    pub(crate) fn disclaims(&self, node: NodeId, slot: Slot) -> bool {
        self.change(|topology| topology.disclaims(node, slot))
    }

    /// A node is no longer one of the cluster.
    pub(crate) fn forget(&self, node: NodeId) {
        self.change(|topology| topology.forget(node));
        self.lock().gates.remove(&node);
    }

    /// All that was read so far is to be forgotten.
    pub(crate) fn forget_all(&self) {
        self.lock().gates.values().for_each(|gate| gate.forget_all());
    }

    /// Changes who has what, and the words with it. Under one lock: whoever asks for a slot's node sees both or none.
    fn change(&self, change: impl FnOnce(&mut Topology) -> Change) -> bool {
        let mut inner = self.lock();
        let change = change(&mut inner.topology);
        if planted!(topology_not_compared) {
            return change.is_any;
        }
        change
            .losers
            .iter()
            .filter_map(|loser| inner.gates.get(loser))
            .for_each(|gate| gate.forget_all());
        if change.is_any {
            self.changes.add();
        }
        change.is_any
    }
}
