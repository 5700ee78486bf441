//! Walks over many entries: iteration, and what whole-map calls begin with. They go forward only and write nothing.
//!
//! A run of colliding keys is listed at once, before anything of it is told: a key that is removed and put again stands
//! at the end of its run, so a walk that stood within would come to it a second time.

use crate::{
    clock::Ttl,
    sync::{Ordering, planted},
};

use super::{
    guard::Guard,
    link::{Link, Order, SentinelId, SlotIndex, SplitKey, Target},
    list::List,
    lookup::{Hit, Look},
    slab::Node,
    state::{Now, State},
    table::Table,
};

/// Where an iteration stands; at the head by default.
#[derive(Clone, Default)]
pub(crate) struct Position {
    link: Option<Link>,
    /// Of the run it is in, if that has several nodes, those to come, the next one last.
    run: Vec<SlotIndex>,
}

/// Some neighbouring places of the list: a bucket of a level that was published once.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(super) start: SplitKey,
    pub(super) last: Order,
}

impl<T> List<T> {
    /// Walks on to the next visible entry; `None` at the end of the list.
    ///
    /// It follows the link of the node it stands on, never the replacement's: behind the one it
    /// meets other keys only, behind the other perhaps the same key again.
    pub(super) fn next_visible<'g>(
        &'g self,
        position: &mut Position,
        guard: &'g Guard,
        reading: impl Fn(State) -> Now,
    ) -> Option<Hit<'g, T>> {
        let Position { link, run } = position;
        while let Some(slot) = run.pop() {
            if let Some(hit) = self.judge_listed(slot, guard, &reading) {
                return Some(hit);
            }
        }
        let mut at = link.unwrap_or_else(|| {
            // Acquire (O1), as below.
            self.directory.cell(SentinelId::HEAD).load(Ordering::Acquire)
        });
        let mut hit = None;
        while hit.is_none() {
            match at.target() {
                Target::Node(slot) => {
                    let node = self.slab.node(slot);
                    // Before the node is judged: what is put behind it later is not come to. Acquire (O1): the
                    // fields of what it leads to.
                    let next = node.next.load(Ordering::Acquire);
                    if self.is_of_run(next, node.key()) && !planted!(run_told_while_walked) {
                        let last = Order::of_node(node.key());
                        at = self.list_nodes(at, node.key(), last, guard, run);
                        run.reverse();
                        hit = core::iter::from_fn(|| run.pop())
                            .find_map(|slot| self.judge_listed(slot, guard, &reading));
                        continue;
                    }
                    hit = self.judge(node, guard, &reading, |hit| hit);
                    let heir = || self.heir(node.state.load(Ordering::Acquire));
                    let bug = planted!(iteration_follows_the_heir).then(heir).flatten();
                    at = bug.map_or(next, |heir| heir.next.load(Ordering::Acquire));
                }
                Target::Sentinel(id) => at = self.directory.cell(id).load(Ordering::Acquire),
                Target::End => break,
            }
        }
        *link = Some(at);
        hit
    }

    /// Whether a link, met under the guard, leads to a node of this key.
    fn is_of_run(&self, link: Link, key: u32) -> bool {
        matches!(link.target(), Target::Node(slot) if self.slab.node(slot).key() == key)
    }

    /// Lists the slots of the nodes of a range in their order, in place of what is in `slots`. Those of dead nodes too.
    pub(super) fn list_range<'g>(
        &'g self,
        range: Range,
        guard: &'g Guard,
        slots: &mut Vec<SlotIndex>,
    ) {
        slots.clear();
        let (_, link) = self.directory.start(range.start);
        self.list_nodes(link, range.start.node_key(), range.last, guard, slots);
    }

    /// Appends the slots of the nodes from a key on, up to the last place, that a walk from `link` meets; returns the
    /// link behind them.
    ///
    /// It ends though others append ahead of it: each of them has to walk as far as this one has first, and
    /// under the guard no slot is met twice.
    fn list_nodes<'g>(
        &'g self,
        mut link: Link,
        first: u32,
        last: Order,
        _guard: &'g Guard,
        slots: &mut Vec<SlotIndex>,
    ) -> Link {
        loop {
            // Acquire (O1): the fields of what it leads to.
            link = match link.target() {
                Target::Node(slot) => {
                    let node = self.slab.node(slot);
                    if Order::of_node(node.key()) > last {
                        return link;
                    }
                    // The walk may have begun before the range, whose own sentinel is not linked then.
                    if node.key() >= first {
                        slots.push(slot);
                    }
                    node.next.load(Ordering::Acquire)
                }
                Target::Sentinel(id) if id.order() < last => {
                    self.directory.cell(id).load(Ordering::Acquire)
                }
                Target::Sentinel(_) | Target::End => return link,
            };
        }
    }

    /// Whether the entry that a listed node stands for is visible: itself, or the last of its replacements, since one
    /// before that may have been followed by others and by an end, and the key be put again and listed too.
    /// Lock-free: it goes as far as others replace.
    pub(super) fn judge_listed<'g>(
        &'g self,
        slot: SlotIndex,
        _guard: &'g Guard,
        reading: impl Fn(State) -> Now,
    ) -> Option<Hit<'g, T>> {
        let mut node: &Node<T> = self.slab.node(slot);
        loop {
            // Acquire (O2): the fields of the slot that it may name.
            match Self::look(node, node.state.load(Ordering::Acquire), &reading) {
                Look::Visible => return Some(Hit(node)),
                Look::Expired => return None,
                Look::Over(state) => node = self.heir(state)?,
            }
        }
    }
}

impl<T> Table<T> {
    /// Walks on to the next visible entry.
    pub(crate) fn next<'g>(&'g self, position: &mut Position, guard: &'g Guard) -> Option<&'g T> {
        let reading = |state| self.clock.reading_for(state);
        self.list.next_visible(position, guard, reading).map(Hit::entry)
    }

    /// The same with expired entries that are still linked.
    pub(crate) fn next_linked<'g>(
        &'g self,
        position: &mut Position,
        guard: &'g Guard,
    ) -> Option<&'g T> {
        self.list.next_visible(position, guard, |_| Now::BEFORE_ALL).map(Hit::entry)
    }

    /// The same as `next`, with the entry's state and how long it has to live; one that ends meanwhile is passed over.
    pub(crate) fn next_timed<'g>(
        &'g self,
        position: &mut Position,
        guard: &'g Guard,
    ) -> Option<(&'g T, State, Ttl)> {
        loop {
            let reading = |state| self.clock.reading_for(state);
            let hit = self.list.next_visible(position, guard, reading)?;
            // Renewed while the clock was read: the next reading may do. Three times at most.
            if let Some((state, ttl)) = (0..3).find_map(|_| self.time_left(&hit)) {
                return Some((hit.entry(), state, ttl));
            }
        }
    }

    /// The ranges that make up the list, in its order: between two of them a walk may let go of its guard.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range> + use<T> {
        self.list.directory.buckets().map(|(start, last)| Range { start, last })
    }

    /// Begins to walk over the entries of a range: lists them in `position`, whatever was there.
    pub(crate) fn enter(&self, range: Range, position: &mut Position, guard: &Guard) {
        self.list.list_range(range, guard, &mut position.run);
        position.run.reverse();
        position.link = Some(Link::END);
    }
}
