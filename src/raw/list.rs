//! The list: every node of the map in split order, between the sentinels (Harris 2001, Michael
//! 2002, Shalev and Shavit 2006).
//!
//! *Find* is the writer's walk: it unlinks every node on its way whose state word says that it is over. What an
//! entry is, its state word alone decides; links only lag behind it (DESIGN.md, sections 2 to 5). The reader's walk,
//! *lookup*, is in `lookup.rs`.

use core::convert::Infallible;

use crate::sync::{MODEL, Ordering, order, planted};

use super::{
    directory::Directory,
    guard::Guard,
    link::{AtomicLink, Link, Order, SentinelId, SlotIndex, SplitKey, Target},
    lookup::reload,
    retire::{DueBatch, Limbo},
    slab::{Life, Node, Slab},
    state::State,
    stripe::{Stripes, Turn},
};

pub(super) struct List<T> {
    pub(super) directory: Directory,
    pub(super) slab: Slab<T>,
    pub(super) limbo: Limbo,
    pub(super) stripes: Stripes,
}

/// Where a find stopped.
pub(super) enum Found<'g, T> {
    /// At a node that the probe accepted; its state was not terminal.
    At(Located<'g, T>),
    /// Behind the last node within the limit: the place to append.
    Gap(Gap<'g>),
}

/// A node that was linked when a find met it.
pub(super) struct Located<'g, T> {
    pred: &'g AtomicLink,
    slot: SlotIndex,
    node: &'g Node<T>,
    life: Life,
    /// Its state then.
    pub(super) state: State,
}

/// A place between two neighbours.
pub(super) struct Gap<'g> {
    pred: &'g AtomicLink,
    pub(super) next: Link,
}

impl<T> List<T> {
    /// Walks to the first node that `probe` accepts among those from the bucket of `key` up to
    /// `limit`, or to the place behind them. Unlinks every node on the way that is over.
    ///
    /// Lock-free: it starts again only when another thread has changed the list under it.
    pub(super) fn find<'g, E>(
        &'g self,
        key: SplitKey,
        limit: Order,
        turn: &mut Turn<'g>,
        mut probe: impl FnMut(SlotIndex, &Node<T>) -> Result<bool, E>,
    ) -> Result<Found<'g, T>, E> {
        'restart: loop {
            let (mut pred, mut link) = self.directory.start(key);
            loop {
                // Here `link` was read from `pred`, unmarked.
                match link.target() {
                    Target::Node(slot) => {
                        let node = self.slab.node(slot);
                        if Order::of_node(node.key()) > limit {
                            return Ok(Found::Gap(Gap { pred, next: link }));
                        }
                        let life = node.life();
                        // Acquire (O2): the fields of the slot that it may name.
                        let state = node.state.load(order!(find_state, Acquire));
                        if state.is_terminal() {
                            let Some(next) = self.unlink(pred, slot, node, state, turn) else {
                                continue 'restart;
                            };
                            link = next;
                            continue;
                        }
                        if probe(slot, node)? {
                            return Ok(Found::At(Located { pred, slot, node, life, state }));
                        }
                        pred = &node.next;
                    }
                    Target::Sentinel(id) if id.order() < limit => {
                        let cell = self.directory.cell(id);
                        let behind = cell.load(order!(find_sentinel, Acquire));
                        if behind.is_marked() && self.directory.is_given_up(id, turn.guard) {
                            // AcqRel (O1): hands the frozen link on.
                            let unlinked = order!(sentinel_unlinked, AcqRel);
                            if !pred.replace(link, behind.unmarked(), unlinked) {
                                continue 'restart;
                            }
                            link = behind.unmarked();
                            continue;
                        }
                        if behind.is_marked() {
                            // Its claimer has not come back. We came by a link, so it is linked,
                            // and anyone may say so (I7). Release (O1): hands the link on.
                            let opened = order!(sentinel_opened, Release);
                            cell.replace(behind, behind.unmarked(), opened);
                        }
                        pred = cell;
                    }
                    Target::Sentinel(_) | Target::End => {
                        return Ok(Found::Gap(Gap { pred, next: link }));
                    }
                }
                // Acquire (O1): the fields of what it leads to.
                link = pred.load(order!(find_link, Acquire));
                if link.is_marked() {
                    // The node that holds it is over by now.
                    continue 'restart;
                }
            }
        }
    }

    /// Finds the node of `key` whose entry `is_match` accepts, or the end of the key's run.
    pub(super) fn find_entry<'g, E>(
        &'g self,
        key: SplitKey,
        turn: &mut Turn<'g>,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Found<'g, T>, E> {
        let node_key = key.node_key();
        let found = self.find(key, Order::of_node(node_key), turn, |_, node| {
            // SAFETY: I4: `find` met the node in the list under the guard.
            Ok(node.key() == node_key && is_match(unsafe { node.entry() })?)
        });
        if planted!(insert_at_the_front) && matches!(found, Ok(Found::Gap(_))) {
            return self.find(key, Order::of_node(node_key - 1), turn, |_, _| Ok(false));
        }
        found
    }

    /// The node in `slot`, if it is linked: the hint that a sweep has, verified.
    pub(super) fn locate<'g>(
        &'g self,
        slot: SlotIndex,
        turn: &mut Turn<'g>,
    ) -> Option<Located<'g, T>> {
        let key = self.slab.node(slot).key();
        let is_slot = |met, _: &Node<T>| Ok::<_, Infallible>(met == slot);
        let Ok(found) = self.find(SplitKey::of_node(key), Order::of_node(key), turn, is_slot);
        match found {
            Found::At(located) => Some(located),
            Found::Gap(_) => None,
        }
    }

    /// Brings the buckets of the nodes in some slots, [`TOGETHER`] at most, into the cache side by side.
    pub(super) fn bring_buckets(&self, slots: impl Iterator<Item = SlotIndex>) {
        if !MODEL {
            self.first_links(slots.map(|slot| SplitKey::of_node(self.slab.node(slot).key())));
        }
    }

    /// The entry of a node that a find met under the guard.
    pub(super) fn entry<'g>(node: &'g Node<T>, _guard: &'g Guard) -> &'g T {
        // SAFETY: I4: met in the list under the guard.
        unsafe { node.entry() }
    }

    /// Unlinks a node that is over, met behind `pred`: freezes its link, gives its place to its
    /// replacement or its successor, retires it. `None` if `pred` has changed.
    ///
    /// Any number of threads may do this for one node at once; the CAS on `pred` has one winner,
    /// for a node is never linked again (I4), and the winner retires.
    fn unlink(
        &self,
        pred: &AtomicLink,
        slot: SlotIndex,
        node: &Node<T>,
        state: State,
        turn: &mut Turn<'_>,
    ) -> Option<Link> {
        let next =
            if planted!(no_mark) { node.next.load(Ordering::Acquire) } else { node.next.freeze() };
        let heir = match state.destination() {
            Some((to, _)) => {
                // Release (O1): hands the frozen link on. Fails if someone did it before.
                let linked = order!(heir_linked, Release);
                self.slab.node(to).next.replace(Link::UNSET, next, linked);
                Link::to_node(to)
            }
            None => next,
        };
        let early = planted!(early_retire);
        if early {
            self.limbo.retire(slot, turn);
        }
        // AcqRel (O1): publishes the heir's fields, which the state word's Acquire gave us.
        if !pred.replace(Link::to_node(slot), heir, order!(node_unlinked, AcqRel)) {
            if planted!(double_retire) {
                self.limbo.retire(slot, turn);
            }
            return None;
        }
        if !early {
            self.limbo.retire(slot, turn);
        }
        Some(heir)
    }

    /// Links sentinels that the caller claimed: neighbours, so their buckets are brought into the cache
    /// side by side first.
    pub(super) fn link_sentinels<'g>(
        &'g self,
        ids: impl Iterator<Item = SentinelId> + Clone,
        turn: &mut Turn<'g>,
    ) {
        self.first_links(ids.clone().map(SplitKey::of_sentinel));
        for id in ids {
            self.link_sentinel(id, turn);
        }
    }

    /// Links one.
    ///
    /// Until the CAS on its predecessor the cell is the claimer's alone and carries the mark, so
    /// nobody starts from it or appends to it. After the CAS, whoever meets it takes the mark off.
    fn link_sentinel<'g>(&'g self, id: SentinelId, turn: &mut Turn<'g>) {
        let cell = self.directory.cell(id);
        let key = SplitKey::of_sentinel(id);
        loop {
            let none = |_, _: &Node<T>| Ok::<_, Infallible>(false);
            let Ok(Found::Gap(gap)) = self.find(key, id.order(), turn, none) else {
                unreachable!("a probe that accepts nothing ends in a gap")
            };
            let link = if planted!(sentinel_unmarked) { gap.next } else { gap.next.marked() };
            // Release (O1): a start that finds it unmarked later reads through it.
            cell.store(link, order!(sentinel_set, Release));
            // Release (O1): publishes the cell.
            let linked = order!(sentinel_linked, Release);
            if gap.pred.replace(gap.next, Link::to_sentinel(id), linked) {
                cell.replace(gap.next.marked(), gap.next, order!(sentinel_said, Release));
                return;
            }
        }
    }

    /// Unlinks sentinels of a level that is given up: freezes each, so that nothing is appended to it any more
    /// and nothing behind it unlinked, and walks over its place until it is not there.
    pub(super) fn unlink_sentinels<'g>(
        &'g self,
        ids: impl Iterator<Item = SentinelId> + Clone,
        turn: &mut Turn<'g>,
    ) {
        self.first_links(ids.clone().map(SplitKey::of_sentinel));
        for id in ids {
            if !planted!(unlinked_without_freezing) {
                self.directory.cell(id).freeze();
            }
            let key = SplitKey::of_sentinel(id);
            let none = |_, _: &Node<T>| Ok::<_, Infallible>(false);
            let _ = self.find(key, Order::of_node(key.node_key()), turn, none);
        }
    }

    /// Takes the next entry of a batch out and frees its slot; so a panic in the drop of one leaves the
    /// others in the batch.
    pub(super) fn drain(&self, batch: &mut DueBatch<'_>, turn: &mut Turn<'_>) -> Option<T> {
        let slot = batch.take()?;
        turn.count_pending(-1);
        debug_assert!(
            matches!(self.slab.node(slot).state.load(Ordering::Relaxed), state
                if state.is_terminal() && state != State::FREE),
            "I4: {slot:?} is retired, yet not over",
        );
        // SAFETY: I4: only `unlink` retires, each slot once, and only a batch whose grace
        // period is over is due.
        Some(unsafe { self.slab.reclaim(slot, turn) })
    }
}

impl Gap<'_> {
    /// Puts the node in `slot`, which has `next` as its link, in here. Linearization: of an insert
    /// of a key that was not there. False if the gap has closed.
    pub(super) fn append(&self, slot: SlotIndex) -> bool {
        // Release (O1): publishes the slot's fields.
        self.pred.replace(self.next, Link::to_node(slot), order!(node_linked, Release))
    }
}

impl<'g, T> Located<'g, T> {
    /// The entry.
    pub(super) fn entry(&self) -> &'g T {
        debug_assert_eq!(self.node.life(), self.life, "I4: {:?} recycled under a guard", self.slot);
        // SAFETY: I4: the find that made this met the node in the list, under a guard for `'g`.
        unsafe { self.node.entry() }
    }

    pub(super) fn slot(&self) -> SlotIndex {
        self.slot
    }

    /// Changes the state from the one that was judged. Linearization: of every operation on an
    /// entry that is there. In either case `state` becomes what stands there now.
    pub(super) fn advance(&mut self, next: State) -> bool {
        match self.node.state.advance(self.state, next) {
            Ok(()) => {
                self.state = next;
                true
            }
            Err(now) => {
                self.state = now;
                false
            }
        }
    }

    /// Whether the state, found expired, is still the same: then the key is absent. Otherwise
    /// `state` becomes what stands there now.
    pub(super) fn confirm_expired(&mut self) -> bool {
        let judged = self.state;
        self.state = reload(self.node);
        self.state == judged
    }

    /// Takes the node off the list, after its state became terminal by our [`Located::advance`].
    pub(super) fn finish(&self, list: &'g List<T>, turn: &mut Turn<'g>) {
        debug_assert_eq!(self.node.life(), self.life, "I4: {:?} recycled under a guard", self.slot);
        if list.unlink(self.pred, self.slot, self.node, self.state, turn).is_none() {
            // The predecessor has changed; a find to the end of the key's run meets the node if
            // nobody else has unlinked it.
            let key = self.node.key();
            let none = |_, _: &Node<T>| Ok::<_, Infallible>(false);
            let _ = list.find(SplitKey::of_node(key), Order::of_node(key), turn, none);
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        // What the collector still has are numbers; the slab drops the entries behind them.
        self.limbo.close();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

#[cfg(all(test, loom, not(crossbeam_loom)))]
mod models;
