//! The list: every node of the map in split order, between the sentinels (Harris 2001, Michael
//! 2002, Shalev and Shavit 2006).
//!
//! *Lookup* is the reader's walk: it goes forward only, writes nothing and helps nobody. *Find* is
//! the writer's: it unlinks every node on its way whose state word says that it is over. What an
//! entry is, its state word alone decides; links only lag behind it (DESIGN.md, sections 2 to 5).

use core::{convert::Infallible, hint::black_box};

use crate::sync::{MODEL, Ordering, fence, planted};

use super::{
    directory::Directory,
    guard::Guard,
    link::{AtomicLink, Link, Order, SentinelId, SlotIndex, SplitKey, Target},
    retire::{DueBatch, Limbo},
    slab::{Life, Node, Slab},
    state::{Now, State},
    stripe::{Stripes, Turn},
};

/// How many lookups go side by side in [`List::lookup_together`]: as many cache misses as a processor
/// keeps under way at once (10 to 20).
pub(crate) const TOGETHER: usize = 16;

pub(super) struct List<T> {
    pub(super) directory: Directory,
    pub(super) slab: Slab<T>,
    pub(super) limbo: Limbo,
    pub(super) stripes: Stripes,
}

/// An entry that a lookup found visible.
pub(super) struct Hit<'g, T>(&'g Node<T>);

impl<'g, T> Hit<'g, T> {
    #[inline]
    pub(super) fn entry(self) -> &'g T {
        // SAFETY: I4: linked, or the replacement of a node that was, under a guard for `'g`.
        unsafe { self.0.entry() }
    }

    /// The state it is in now.
    pub(super) fn state(&self) -> State {
        // Acquire (O2), like every load of a state that is judged.
        self.0.state.load(Ordering::Acquire)
    }

    /// Whether it is in this state, behind a clock reading.
    pub(super) fn is_still(&self, state: State) -> bool {
        reload(self.0) == state
    }
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

/// What one node's state word tells a reader.
enum Look {
    Visible,
    Expired,
    Over(State),
}

impl<T> List<T> {
    /// Finds the visible entry of `key` that `is_match` accepts, and gives `answer` of it. (Made where the entry is
    /// found: of a `None` no part is taken then, which `map` outside would test for again.)
    ///
    /// Wait-free: forward through the bucket, then at most one step to a replacement and three
    /// loads of each of the two state words.
    #[inline]
    pub(super) fn lookup<'g, R, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
        is_match: impl FnMut(&T) -> Result<bool, E>,
        answer: impl Fn(Hit<'g, T>) -> R,
    ) -> Result<Option<R>, E> {
        let (_, link) = self.directory.start(key);
        self.lookup_from(link, key, guard, reading, is_match, answer)
    }

    /// The lookup from a ready link of the bucket of `key` or of one before it.
    #[inline]
    fn lookup_from<'g, R, E>(
        &'g self,
        mut link: Link,
        key: SplitKey,
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
        answer: impl Fn(Hit<'g, T>) -> R,
    ) -> Result<Option<R>, E> {
        let node_key = key.node_key();
        loop {
            let node = match link.target() {
                Target::Node(slot) => self.slab.node(slot),
                Target::Sentinel(id) => match self.pass(id, node_key) {
                    Some(behind) => {
                        link = behind;
                        continue;
                    }
                    None => return Ok(None),
                },
                Target::End => return Ok(None),
            };
            let met = node.key();
            if met >= node_key {
                if met > node_key {
                    return Ok(None);
                }
                // SAFETY: I4: reached by links under the guard.
                if is_match(unsafe { node.entry() })? {
                    return Ok(self.judge(node, guard, reading, answer));
                }
            }
            // Acquire (O1): the fields of what it leads to.
            link = node.next.load(Ordering::Acquire);
        }
    }

    /// The link behind a sentinel that a lookup meets, if the key may still come: the sentinel is of a
    /// deeper level than the walk began at. None: the bucket is over. (Not in line: no hit comes here while
    /// no level is being built, and a shorter lookup overlaps further with the next.)
    #[inline(never)]
    fn pass(&self, id: SentinelId, node_key: u32) -> Option<Link> {
        // Its cell may still be marked by its claimer; the link in it holds (I7). Acquire (O1): as below.
        let behind = || self.directory.cell(id).load(Ordering::Acquire);
        (id.order() < Order::of_node(node_key)).then(behind)
    }

    /// Looks up to [`TOGETHER`] keys up, and tells what it found in their order.
    ///
    /// First every bucket's cell is loaded, then every first node, then the second where that is needed;
    /// so the misses of all keys overlap, which those of one lookup cannot. The walks go on from the
    /// links read then, as if each had waited there; one that came to a link that is not ready (its cell
    /// not linked, its node deleted) starts anew. Each lookup is right for an instant of its own.
    pub(super) fn lookup_together<'g, E>(
        &'g self,
        keys: &[SplitKey],
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
        mut is_match: impl FnMut(usize, &T) -> Result<bool, E>,
        mut tell: impl FnMut(Option<Hit<'g, T>>),
    ) -> Result<(), E> {
        let mut links = self.first_links(keys.iter().copied());
        self.step(&mut links, keys);
        for (i, (key, link)) in keys.iter().zip(links).enumerate() {
            let link = if link.is_ready() { link } else { self.directory.start(*key).1 };
            tell(self.lookup_from(
                link,
                *key,
                guard,
                &reading,
                |entry| is_match(i, entry),
                |hit| hit,
            )?);
        }
        Ok(())
    }

    /// The link in the cell of each key's bucket, which may not be ready, for [`TOGETHER`] keys at most;
    /// and what it leads to is in the cache.
    #[inline]
    fn first_links(&self, keys: impl Iterator<Item = SplitKey>) -> [Link; TOGETHER] {
        // All places first, so that nothing stands between the loads.
        let mut cells = [self.directory.cell(SentinelId::HEAD); TOGETHER];
        let mut len = 0;
        for (cell, key) in cells.iter_mut().zip(keys) {
            *cell = self.directory.first_cell(key);
            len += 1;
        }
        let mut links = [Link::UNSET; TOGETHER];
        for (link, cell) in links.iter_mut().zip(&cells[..len]) {
            // ThreadSanitizer knows no fences: for it each load acquires.
            *link = cell.load(if cfg!(tsan) { Ordering::Acquire } else { Ordering::Relaxed });
        }
        if !planted!(links_unfenced) {
            // Acquire (O1): the fields of what the links lead to. One for all: an Acquire load each
            // would keep the next from starting on processors that order loads by it.
            fence(Ordering::Acquire);
        }
        self.touch(&links);
        links
    }

    /// Takes each walk whose node comes before its key a node further, and brings that into the cache as
    /// well. At half an entry a bucket a hit's entry is in the first or the second node nearly always.
    #[inline]
    fn step(&self, links: &mut [Link; TOGETHER], keys: &[SplitKey]) {
        for (link, key) in links.iter_mut().zip(keys) {
            if link.is_ready()
                && let Target::Node(slot) = link.target()
                && let node = self.slab.node(slot)
                && node.key() < key.node_key()
            {
                // Acquire (O1): the fields of what it leads to.
                *link = node.next.load(Ordering::Acquire);
            }
        }
        self.touch(links);
    }

    /// Brings the nodes that links lead to into the cache, side by side.
    #[inline]
    fn touch(&self, links: &[Link; TOGETHER]) {
        let mut touched = 0;
        for link in links.iter().filter(|link| link.is_ready()) {
            if let Target::Node(slot) = link.target() {
                touched ^= self.slab.node(slot).key();
            }
        }
        black_box(touched);
    }

    /// Whether the entry that this node, reached by links, stands for is visible: itself, or its
    /// replacement.
    ///
    /// That of an entry without a deadline is told here, in line; the rest apart from it.
    #[inline]
    fn judge<'g, R>(
        &'g self,
        node: &'g Node<T>,
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
        answer: impl Fn(Hit<'g, T>) -> R,
    ) -> Option<R> {
        // Acquire (O2): the fields of the slot that it may name.
        let state = node.state.load(Ordering::Acquire);
        if state.is_never() {
            return Some(answer(Hit(node)));
        }
        self.judge_mortal(node, state, guard, reading).map(answer)
    }

    /// Judges a node that was met in a state with a deadline, or over.
    ///
    /// One step to a replacement is enough. The node was linked at an instant of this lookup; its
    /// replacement was linked only after that, was replaced in turn only after that, and by a
    /// writer who read the clock after that. So if the replacement is over as well, then what that
    /// writer found is an answer for an instant of this lookup (I3).
    #[inline(never)]
    fn judge_mortal<'g>(
        &'g self,
        node: &'g Node<T>,
        state: State,
        _guard: &'g Guard,
        reading: impl Fn(State) -> Now,
    ) -> Option<Hit<'g, T>> {
        let (met, life) = (node, node.life());
        let node = match Self::look(node, state, &reading) {
            Look::Visible => node,
            Look::Expired => return None,
            Look::Over(state) => {
                // Dead: no younger entry of this key was linked while this node was.
                let heir = self.heir(state)?;
                // Acquire (O2): as above.
                match Self::look(heir, heir.state.load(Ordering::Acquire), &reading) {
                    Look::Visible => heir,
                    Look::Expired => return None,
                    Look::Over(state) => match state.destination() {
                        Some((_, true)) if !planted!(heir_is_absent) => heir,
                        _ => return None,
                    },
                }
            }
        };
        debug_assert_eq!(met.life(), life, "I4: a node was recycled under a guard");
        Some(Hit(node))
    }

    /// The replacement that a state names.
    #[inline]
    fn heir(&self, state: State) -> Option<&Node<T>> {
        state.destination().map(|(slot, _)| self.slab.node(slot))
    }

    /// Looks at a state word, loaded by the caller, until it gives an answer: three times at most.
    ///
    /// The word comes first and the clock after it. "Visible" is final. "Expired" is an answer only
    /// if the word, loaded again, is past its deadline by the same reading: otherwise the entry may
    /// have been renewed or replaced in time, and never have been absent. A word found later than
    /// the reading twice is a renewal that goes on meanwhile.
    #[inline]
    fn look(node: &Node<T>, mut state: State, reading: impl Fn(State) -> Now) -> Look {
        for _ in 0..2 {
            if state.is_never() {
                return Look::Visible;
            }
            if state.is_terminal() {
                return Look::Over(state);
            }
            let reading = reading(state);
            if state.is_visible_at(reading) {
                return Look::Visible;
            }
            state = reload(node);
            if state.is_due_at(reading) || planted!(absence_not_confirmed) {
                return Look::Expired;
            }
        }
        if state.is_terminal() { Look::Over(state) } else { Look::Visible }
    }

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
                        let state = node.state.load(Ordering::Acquire);
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
                        let behind = cell.load(Ordering::Acquire);
                        if behind.is_marked() && self.directory.is_given_up(id, turn.guard) {
                            // AcqRel (O1): hands the frozen link on.
                            if !pred.replace(link, behind.unmarked(), Ordering::AcqRel) {
                                continue 'restart;
                            }
                            link = behind.unmarked();
                            continue;
                        }
                        if behind.is_marked() {
                            // Its claimer has not come back. We came by a link, so it is linked,
                            // and anyone may say so (I7). Release (O1): hands the link on.
                            cell.replace(behind, behind.unmarked(), Ordering::Release);
                        }
                        pred = cell;
                    }
                    Target::Sentinel(_) | Target::End => {
                        return Ok(Found::Gap(Gap { pred, next: link }));
                    }
                }
                // Acquire (O1): the fields of what it leads to.
                link = pred.load(Ordering::Acquire);
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
                self.slab.node(to).next.replace(Link::UNSET, next, Ordering::Release);
                Link::to_node(to)
            }
            None => next,
        };
        let early = planted!(early_retire);
        if early {
            self.limbo.retire(slot, turn);
        }
        // AcqRel (O1): publishes the heir's fields, which the state word's Acquire gave us.
        if !pred.replace(Link::to_node(slot), heir, Ordering::AcqRel) {
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
            cell.store(link, Ordering::Release);
            // Release (O1): publishes the cell.
            if gap.pred.replace(gap.next, Link::to_sentinel(id), Ordering::Release) {
                cell.replace(gap.next.marked(), gap.next, Ordering::Release);
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

    /// Walks on from `link` to the next visible entry; `None` at the end of the list. Read-only.
    ///
    /// It follows the link of the node it stands on, never the replacement's: behind the one it
    /// meets other keys only, behind the other perhaps the same key again.
    pub(super) fn next_visible<'g>(
        &'g self,
        link: &mut Option<Link>,
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
    ) -> Option<Hit<'g, T>> {
        let mut at = link.unwrap_or_else(|| {
            // Acquire (O1), as below.
            self.directory.cell(SentinelId::HEAD).load(Ordering::Acquire)
        });
        let mut hit = None;
        while hit.is_none() {
            match at.target() {
                Target::Node(slot) => {
                    let node = self.slab.node(slot);
                    hit = self.judge(node, guard, &reading, |hit| hit);
                    let heir = || self.heir(node.state.load(Ordering::Acquire));
                    let bug = planted!(iteration_follows_the_heir).then(heir).flatten();
                    at = bug.unwrap_or(node).next.load(Ordering::Acquire);
                }
                Target::Sentinel(id) => at = self.directory.cell(id).load(Ordering::Acquire),
                Target::End => break,
            }
        }
        *link = Some(at);
        hit
    }
}

/// Loads a state word once more, behind the clock reading that called it expired.
#[cold]
fn reload<T>(node: &Node<T>) -> State {
    // SeqCst (O7): the reading comes before the load also where the clock is a register that is
    // read out of order. Without it "expired" could be told of a word from before the deadline.
    fence(Ordering::SeqCst);
    node.state.load(Ordering::Acquire)
}

impl Gap<'_> {
    /// Puts the node in `slot`, which has `next` as its link, in here. Linearization: of an insert
    /// of a key that was not there. False if the gap has closed.
    pub(super) fn append(&self, slot: SlotIndex) -> bool {
        // Release (O1): publishes the slot's fields.
        let release = if planted!(relaxed_publish) { Ordering::Relaxed } else { Ordering::Release };
        self.pred.replace(self.next, Link::to_node(slot), release)
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
