//! Lookup, the reader's walk: it goes forward only, writes nothing and helps nobody (DESIGN.md, section 4).

use core::hint::black_box;

use crate::sync::{Ordering, fence, order, planted};

use super::{
    guard::Guard,
    link::{Link, Order, SentinelId, SplitKey, Target},
    list::List,
    slab::Node,
    state::{Now, State},
};

/// How many lookups go side by side in [`List::lookup_together`]: as many cache misses as a processor
/// keeps under way at once (10 to 20).
pub(crate) const TOGETHER: usize = 16;

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
        self.0.state.load(order!(hit_state, Acquire))
    }

    /// Whether it is in this state, behind a clock reading.
    pub(super) fn is_still(&self, state: State) -> bool {
        reload(self.0) == state
    }
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
            link = node.next.load(order!(link_followed, Acquire));
        }
    }

    /// The link behind a sentinel that a lookup meets, if the key may still come: the sentinel is of a
    /// deeper level than the walk began at. None: the bucket is over. (Not in line: no hit comes here while
    /// no level is being built, and a shorter lookup overlaps further with the next.)
    #[inline(never)]
    fn pass(&self, id: SentinelId, node_key: u32) -> Option<Link> {
        // Its cell may still be marked by its claimer; the link in it holds (I7). Acquire (O1): as below.
        let behind = || self.directory.cell(id).load(order!(sentinel_passed, Acquire));
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
    pub(super) fn first_links(&self, keys: impl Iterator<Item = SplitKey>) -> [Link; TOGETHER] {
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
        // Acquire (O1): the fields of what the links lead to. One for all: an Acquire load each
        // would keep the next from starting on processors that order loads by it.
        fence(order!(links_fenced, Acquire));
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
                *link = node.next.load(order!(step_followed, Acquire));
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
        let state = node.state.load(order!(state_judged, Acquire));
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
                // Acquire: nothing is followed from it; it keeps a clock reading behind it.
                let state = heir.state.load(order!(heir_judged, Acquire));
                match Self::look(heir, state, &reading) {
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
            self.directory.cell(SentinelId::HEAD).load(order!(iteration_begun, Acquire))
        });
        let mut hit = None;
        while hit.is_none() {
            match at.target() {
                Target::Node(slot) => {
                    let node = self.slab.node(slot);
                    hit = self.judge(node, guard, &reading, |hit| hit);
                    let heir = || self.heir(node.state.load(Ordering::Acquire)); // planted
                    let bug = planted!(iteration_follows_the_heir).then(heir).flatten();
                    at = bug.unwrap_or(node).next.load(order!(iteration_node, Acquire));
                }
                Target::Sentinel(id) => {
                    at = self.directory.cell(id).load(order!(iteration_sentinel, Acquire));
                }
                Target::End => break,
            }
        }
        *link = Some(at);
        hit
    }
}

/// Loads a state word once more, behind the clock reading that called it expired.
#[cold]
pub(super) fn reload<T>(node: &Node<T>) -> State {
    // SeqCst (O7): the reading comes before the load also where the clock is a register that is
    // read out of order. Without it "expired" could be told of a word from before the deadline.
    fence(order!(clock_fenced, SeqCst));
    node.state.load(order!(state_reloaded, Acquire))
}
