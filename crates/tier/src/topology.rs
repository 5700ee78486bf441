//! Who has which slot, by what the nodes say of themselves (DESIGN.md, "Cluster"). It knows no connection.

use std::collections::BTreeMap;

use crate::{
    slots::{SLOTS, Slot},
    view::Claim,
};

/// A node, for as long as it is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NodeId(pub(crate) u32);

/// The nodes' claims, and who has each slot by them.
#[derive(Debug)]
pub(crate) struct Topology {
    claims: BTreeMap<NodeId, Claim>,
    owners: Vec<Option<NodeId>>,
}

/// What a change of claims means.
#[derive(PartialEq, Eq, Debug, Default)]
pub(crate) struct Change {
    /// Nodes that have lost a slot, or may have lost one and got it back: what was read from them is not to be served.
    pub(crate) losers: Vec<NodeId>,
    /// Something is not as it was.
    pub(crate) is_any: bool,
}

impl Topology {
    pub(crate) fn new() -> Self {
        Self { claims: BTreeMap::new(), owners: vec![None; usize::from(SLOTS)] }
    }

    /// The node that has a slot.
    pub(crate) fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.owners[usize::from(slot)]
    }

    pub(crate) fn has_slots(&self, node: NodeId) -> bool {
        self.owners.contains(&Some(node))
    }

    /// A node says what it has.
    pub(crate) fn claims(&mut self, node: NodeId, claim: Claim) -> Change {
        let old = self.claims.get(&node);
        if old == Some(&claim) {
            return Change::default();
        }
        // With another epoch it may have lost slots meanwhile, and got them back.
        let is_other = old.is_some_and(|old| old.epoch != claim.epoch);
        self.claims.insert(node, claim);
        let mut change = Change { losers: self.settle(), is_any: true };
        if is_other && !change.losers.contains(&node) {
            change.losers.push(node);
        }
        change
    }

    /// A node says that it has not this slot (`MOVED`).
    pub(crate) fn disclaims(&mut self, node: NodeId, slot: Slot) -> Change {
        match self.claims.get_mut(&node) {
            Some(claim) if claim.slots.contains(slot) => claim.slots.remove(slot),
            _ => return Change::default(),
        }
        Change { losers: self.settle(), is_any: true }
    }

    /// A node is no longer one of the cluster.
    pub(crate) fn forget(&mut self, node: NodeId) -> Change {
        let is_any = self.claims.remove(&node).is_some();
        Change { losers: self.settle(), is_any }
    }

    /// Gives each slot to the one that claims it with the greatest epoch; among equals to the one that has it. Returns those
    /// who have lost one.
    fn settle(&mut self) -> Vec<NodeId> {
        let mut losers = Vec::new();
        for (slot, owner) in (0..SLOTS).zip(&mut self.owners) {
            let claims = self.claims.iter().filter(|(_, claim)| claim.slots.contains(slot));
            let best = claims.max_by_key(|(node, claim)| (claim.epoch, Some(**node) == *owner));
            let best = best.map(|(node, _)| *node);
            if let Some(loser) = owner.filter(|_| *owner != best)
                && !losers.contains(&loser)
            {
                losers.push(loser);
            }
            *owner = best;
        }
        losers
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;
    use crate::slots::Slots;

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn claim(epoch: u64, first: Slot, last: Slot) -> Claim {
        let mut slots = Slots::new();
        slots.add(first, last);
        Claim { epoch, slots }
    }

    /// A has 0 to 9, B has 10 to 19.
    fn two() -> Topology {
        let mut topology = Topology::new();
        for (node, claim) in [(A, claim(1, 0, 9)), (B, claim(2, 10, 19))] {
            let change = topology.claims(node, claim);
            assert_eq!(change, Change { losers: vec![], is_any: true });
        }
        assert_eq!([9, 10, 20].map(|slot| topology.owner(slot)), [Some(A), Some(B), None]);
        topology
    }

    #[test]
    fn the_same_again_changes_nothing() {
        assert_eq!(two().claims(A, claim(1, 0, 9)), Change::default());
    }

    #[test]
    fn a_slot_is_lost_when_its_owner_or_a_later_one_says_so() {
        let mut topology = two();
        assert_eq!(topology.claims(A, claim(1, 0, 8)).losers, [A]);
        assert_eq!(topology.owner(9), None);
        assert_eq!(topology.claims(B, claim(2, 9, 19)).losers, []);
        assert_eq!(topology.owner(9), Some(B));
        // An older claim takes nothing.
        assert_eq!(topology.claims(A, claim(1, 0, 9)).losers, []);
        assert_eq!(topology.owner(9), Some(B));
        let mut topology = two();
        let change = topology.claims(B, claim(3, 5, 19));
        assert_eq!((topology.owner(5), change.losers.contains(&A)), (Some(B), true));
    }

    #[test]
    fn among_equals_the_one_that_has_it_keeps_it() {
        let mut topology = two();
        topology.claims(A, claim(2, 0, 10));
        assert_eq!(topology.owner(10), Some(B));
    }

    #[test]
    fn another_epoch_with_the_same_slots_is_a_loss() {
        assert_eq!(two().claims(A, claim(7, 0, 9)).losers, [A]);
    }

    #[test]
    fn moved_is_a_loss_once() {
        let mut topology = two();
        assert_eq!(topology.disclaims(A, 3).losers, [A]);
        assert_eq!((topology.owner(3), topology.disclaims(A, 3)), (None, Change::default()));
        assert_eq!(topology.disclaims(A, 15), Change::default());
    }

    #[test]
    fn a_node_that_goes_loses_all() {
        let mut topology = two();
        assert_eq!(topology.forget(B).losers, [B]);
        assert!(!topology.has_slots(B) && topology.has_slots(A));
    }
}
