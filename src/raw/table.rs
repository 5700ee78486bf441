//! The stories of the map, each from top to bottom: get, put, update, remove, renew, clear.
//!
//! Nothing here is unsafe. An operation that changes an entry finds it, judges its state, and
//! changes the state word once, from what it judged; the rest is tidying. What a write does beyond
//! its own effect is in `upkeep.rs`.

use core::convert::Infallible;

use crate::{
    clock::{ClockSource, Ttl},
    sync::{AtomicBool, Ordering, planted},
};

use super::{
    blocks::block_of,
    directory::Directory,
    draft::Draft,
    guard::{self, Guard},
    link::{Link, Order, SlotIndex, SplitKey},
    list::{Found, Hit, List, Located},
    retire::Limbo,
    slab::Slab,
    state::State,
    stripe::{Stripes, Turn},
    sweeping::{SweepRate, Sweeping},
};

/// Buckets and entries that `clear` deals with under one pin.
const STEPS_PER_PIN: usize = 1024;

/// The map without hashing: entries `T` by split-order key and a closure that knows equality.
pub(crate) struct Table<T> {
    pub(super) list: List<T>,
    pub(crate) clock: ClockSource,
    pub(super) sweep_rate: Option<SweepRate>,
    /// Whether any entry ever had a deadline: until then writes do not sweep.
    pub(super) has_deadlines: AtomicBool,
    pub(super) sweeping: Box<Sweeping>,
}

/// A key that was there already: its visible entry, and the one that did not get in.
pub(crate) struct Occupied<'g, T> {
    pub(crate) current: &'g T,
    pub(crate) rejected: T,
}

impl<T> Table<T> {
    pub(crate) fn new(
        capacity: usize,
        max_slots: u32,
        sweep_per_write: u32,
        clock: ClockSource,
    ) -> Self {
        let stripes = Stripes::new();
        // A stripe has up to a share in each of its magazine, its block and its batch: an eighth of the slots at
        // most while up to 16 threads write.
        let share = max_slots / (3 * 8 * stripes.chains().min(16));
        Self {
            list: List {
                directory: Directory::with_capacity(capacity),
                slab: Slab::new(max_slots, share),
                limbo: Limbo::new(share),
                stripes,
            },
            clock,
            sweep_rate: SweepRate::new(sweep_per_write),
            has_deadlines: AtomicBool::new(false),
            sweeping: Box::new(Sweeping::new()),
        }
    }

    pub(crate) fn entries(&self) -> usize {
        self.list.stripes.entries()
    }

    pub(crate) fn pending(&self) -> usize {
        self.list.stripes.pending()
    }

    pub(crate) fn max_slots(&self) -> u32 {
        self.list.slab.blocks.max_slots()
    }

    /// Finds the visible entry of `key` that `is_match` accepts. Wait-free; writes nothing; reads
    /// the clock only for an entry with a deadline.
    #[inline]
    pub(crate) fn get<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        if planted!(clock_read_before_the_word) {
            let early = self.clock.now();
            return Ok(self.list.lookup(key, guard, |_| early, is_match)?.map(Hit::entry));
        }
        let hit = self.list.lookup(key, guard, |state| self.clock.reading_for(state), is_match)?;
        Ok(hit.map(Hit::entry))
    }

    /// The same for several keys, [`TOGETHER`] at most, side by side; `tell` is given the answers in
    /// their order.
    #[inline]
    pub(crate) fn get_together<'g, E>(
        &'g self,
        keys: &[SplitKey],
        guard: &'g Guard,
        is_match: impl FnMut(usize, &T) -> Result<bool, E>,
        mut tell: impl FnMut(Option<&'g T>),
    ) -> Result<(), E> {
        let reading = |state| self.clock.reading_for(state);
        self.list.lookup_together(keys, guard, reading, is_match, |hit| tell(hit.map(Hit::entry)))
    }

    /// How long the visible entry of `key` has to live.
    ///
    /// Lock-free: it looks again when the entry was replaced or renewed, or has expired, before the
    /// clock was read and the state found unchanged. So the answer is exact for that reading.
    pub(crate) fn time_left<E>(
        &self,
        key: SplitKey,
        guard: &Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<Ttl>, E> {
        loop {
            let reading = |state| self.clock.reading_for(state);
            let Some(hit) = self.list.lookup(key, guard, reading, &mut is_match)? else {
                return Ok(None);
            };
            let state = hit.state();
            if state.is_never() {
                return Ok(Some(Ttl::Never));
            }
            let reading = self.clock.now();
            if state.is_visible_at(reading) && hit.is_still(state) {
                return Ok(Some(Ttl::Remaining(state.remaining(reading))));
            }
        }
    }

    /// Walks to the next visible entry behind `link`, from the head at first.
    pub(crate) fn next<'g>(&'g self, link: &mut Position, guard: &'g Guard) -> Option<&'g T> {
        self.list.next_visible(&mut link.0, guard, |state| self.clock.reading_for(state))
    }

    /// Puts `entry`, in the place of the entry of its key if there is one; returns the replaced
    /// entry if it was visible.
    pub(crate) fn insert<'g, E>(
        &'g self,
        key: SplitKey,
        entry: T,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&T, &T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let put = self.put(key, entry, state, guard, is_match, true)?;
        Ok(put.unwrap_or_else(|_| unreachable!("an insert replaces what it finds")).replaced)
    }

    /// Puts `entry` unless its key has a visible entry, and returns it in its place.
    pub(crate) fn try_insert<'g, E>(
        &'g self,
        key: SplitKey,
        entry: T,
        state: State,
        guard: &'g Guard,
        is_match: impl FnMut(&T, &T) -> Result<bool, E>,
    ) -> Result<Result<&'g T, Occupied<'g, T>>, E> {
        let put = self.put(key, entry, state, guard, is_match, false)?;
        Ok(put.map(|put| put.entry))
    }

    fn put<'g, E>(
        &'g self,
        key: SplitKey,
        entry: T,
        state: State,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T, &T) -> Result<bool, E>,
        replace_visible: bool,
    ) -> Result<Result<Put<'g, T>, Occupied<'g, T>>, E> {
        let node_key = key.node_key();
        let turn = &mut self.turn(guard);
        let mut draft = Draft::new(&self.list.slab, entry);
        loop {
            let found = self.list.find_entry(key, turn, |met| is_match(draft.entry(), met))?;
            let mut old = match found {
                Found::At(located) => located,
                Found::Gap(gap) => {
                    let slot = draft.place(node_key, state, gap.next, || self.take_slot(turn));
                    if !gap.append(slot) {
                        continue;
                    }
                    let entry = draft.publish(guard);
                    self.note_deadline(slot, state);
                    turn.count_entries(1);
                    self.after_write(turn);
                    return Ok(Ok(Put { entry, replaced: None }));
                }
            };
            // The key has an entry, visible or expired: one step of its state word replaces it.
            while !old.state.is_terminal() {
                let visible = self.is_visible(old.state);
                if visible && !replace_visible {
                    let rejected = draft.into_entry();
                    return Ok(Err(Occupied { current: old.entry(), rejected }));
                }
                let slot = draft.place(node_key, state, Link::UNSET, || self.take_slot(turn));
                let moved = State::moved(slot, visible);
                if old.advance(if planted!(replace_by_remove) { State::DEAD } else { moved }) {
                    let entry = draft.publish(guard);
                    self.note_deadline(slot, state);
                    old.finish(&self.list, turn);
                    self.after_write(turn);
                    return Ok(Ok(Put { entry, replaced: visible.then(|| old.entry()) }));
                }
            }
        }
    }

    /// Replaces the visible entry of a key by what `make` makes of it and of `carry`, keeping the
    /// deadline; `None` if there is none. `make` runs again, with what `unmake` brings back, only
    /// if another entry took the place of the one it saw; a renewal alone does not count.
    pub(crate) fn update<'g, C, E>(
        &'g self,
        key: SplitKey,
        mut carry: C,
        guard: &'g Guard,
        mut is_match: impl FnMut(&C, &T) -> Result<bool, E>,
        mut make: impl FnMut(C, &T) -> T,
        unmake: impl Fn(T) -> C,
    ) -> Result<Option<&'g T>, E> {
        let turn = &mut self.turn(guard);
        loop {
            let Found::At(mut old) =
                self.list.find_entry(key, turn, |met| is_match(&carry, met))?
            else {
                return Ok(None);
            };
            if !self.is_visible(old.state) {
                if old.confirm_expired() {
                    return Ok(None);
                }
                continue;
            }
            let mut draft = Draft::new(&self.list.slab, make(carry, old.entry()));
            let first = old.state;
            while !old.state.is_terminal() {
                if !self.is_visible(old.state) {
                    if old.confirm_expired() {
                        return Ok(None);
                    }
                    continue;
                }
                // The new entry takes over the deadline it is judged by, so a renewal between
                // fails the step and is not lost.
                let state = if planted!(renewal_lost_by_update) { first } else { old.state };
                let slot = draft.place(key.node_key(), state, Link::UNSET, || self.take_slot(turn));
                if old.advance(State::moved(slot, true)) {
                    let entry = draft.publish(guard);
                    self.note_deadline(slot, state);
                    old.finish(&self.list, turn);
                    self.after_write(turn);
                    return Ok(Some(entry));
                }
            }
            carry = unmake(draft.into_entry());
        }
    }

    /// Removes the visible entry of a key and returns it.
    pub(crate) fn remove<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<&'g T>, E> {
        let turn = &mut self.turn(guard);
        loop {
            let Found::At(mut old) = self.list.find_entry(key, turn, &mut is_match)? else {
                return Ok(None);
            };
            if !self.is_visible(old.state) {
                if old.confirm_expired() {
                    return Ok(None);
                }
            } else if old.advance(State::DEAD) {
                self.end(&old, turn);
                self.after_write(turn);
                return Ok(Some(old.entry()));
            }
        }
    }

    /// Gives the visible entry of a key a new deadline; false if there is none.
    pub(crate) fn renew<'g, E>(
        &'g self,
        key: SplitKey,
        state: State,
        guard: &'g Guard,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let turn = &mut self.turn(guard);
        loop {
            let Found::At(mut entry) = self.list.find_entry(key, turn, &mut is_match)? else {
                return Ok(false);
            };
            if !self.is_visible(entry.state) && !planted!(renew_expired) {
                if entry.confirm_expired() {
                    return Ok(false);
                }
                continue;
            }
            let judged = entry.state;
            if judged == state || entry.advance(state) {
                if state != judged && state.earlier(judged) == state {
                    // A later one is covered by the note of the one before, until a sweep has looked.
                    self.note_deadline(entry.slot(), state);
                }
                self.after_write(turn);
                return Ok(true);
            }
        }
    }

    /// Removes every entry that is in the list for the whole of the call. Entries put meanwhile may
    /// go or stay.
    pub(crate) fn clear(&self) {
        let mut guard = guard::pin();
        let mut steps = 0_usize;
        for (start, last) in self.list.directory.buckets() {
            // Each find begins at the bucket's sentinel and stops at the first node that is not
            // over, having unlinked those before it: linear, also for one bucket with all entries.
            let mut more = true;
            while more {
                more = self.end_first(start, last, &mut self.turn(&guard));
                steps += 1;
                if steps.is_multiple_of(STEPS_PER_PIN) {
                    guard.repin();
                }
            }
        }
        drop(guard);
        self.settle_all();
    }

    // The steps that the stories share.

    /// A write's turn of a stripe, not begun.
    pub(super) fn turn<'g>(&'g self, guard: &'g Guard) -> Turn<'g> {
        Turn::new(&self.list.stripes, guard)
    }

    /// Removes the first entry between two places, whatever its state; false if there is none.
    fn end_first<'g>(&'g self, start: SplitKey, last: Order, turn: &mut Turn<'g>) -> bool {
        let any = |_, _: &_| Ok::<_, Infallible>(true);
        let Ok(Found::At(mut first)) = self.list.find(start, last, turn, any) else {
            return false;
        };
        while !first.state.is_terminal() {
            if first.advance(State::DEAD) {
                self.end(&first, turn);
            }
        }
        true
    }

    /// Whether an entry in this state, which is not terminal, is visible now. The word was loaded before.
    fn is_visible(&self, state: State) -> bool {
        state.is_never() || state.is_visible_at(self.clock.reading_for(state))
    }

    /// After our step to a state that ends an entry for good: counts it and takes it off the list.
    pub(super) fn end<'g>(&'g self, old: &Located<'g, T>, turn: &mut Turn<'g>) {
        turn.count_entries(-1);
        old.finish(&self.list, turn);
    }

    /// Notes the deadline of an entry that was published in a slot, so that sweeps come to it.
    fn note_deadline(&self, slot: SlotIndex, state: State) {
        if state.is_never() {
            return;
        }
        self.list.slab.blocks.note(block_of(slot), state);
        // Relaxed: a write that misses it does not sweep this time.
        if !self.has_deadlines.load(Ordering::Relaxed) {
            self.has_deadlines.store(true, Ordering::Relaxed);
        }
    }
}

/// What [`Table::put`] did.
struct Put<'g, T> {
    entry: &'g T,
    replaced: Option<&'g T>,
}

/// Where an iteration stands; at the head by default.
#[derive(Clone, Default)]
pub(crate) struct Position(Option<Link>);
