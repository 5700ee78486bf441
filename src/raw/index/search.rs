//! The writers' search, which helps; and the end of an entry's name in a line (DESIGN.md, section 5).

use super::{
    Index,
    array::Root,
    line::{Cell, Cells, Fingerprint, Line, Presence},
    publish::Gap,
    walk::Named,
};
use crate::{
    raw::{
        reclaim::{guard::Guard, stripe::Turn},
        slab::{
            judge::reload,
            node::{Life, Node},
        },
        words::{
            key::{SlotIndex, SplitKey},
            state::State,
        },
    },
    sync::{Ordering, order, planted},
};

/// Where a search stopped.
enum Found<'g, T> {
    /// At an entry that was accepted; its state was not terminal.
    At(Located<'g, T>),
    /// Nowhere: the place to publish one.
    Gap(Gap<'g>),
}

/// A present cell, as a search saw it, and the slot in it.
#[derive(Clone, Copy)]
struct Place<'g> {
    line: &'g Line,
    presence: Presence,
    number: u32,
    cell: Cell,
    slot: SlotIndex,
}

/// An entry that a line named when a search met it.
pub(in crate::raw) struct Located<'g, T> {
    place: Place<'g>,
    node: &'g Node<T>,
    life: Life,
    /// Its state then.
    pub(in crate::raw) state: State,
}

// Not derived: that would ask the same of `T`.
impl<T> Clone for Located<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Located<'_, T> {}

impl<'g, T> Found<'g, T> {
    /// The entry; or else the place to publish one, in `gap`.
    #[inline]
    fn or_gap(self, gap: &mut Option<Gap<'g>>) -> Option<Located<'g, T>> {
        match self {
            Self::At(located) => Some(located),
            Self::Gap(there) => {
                *gap = Some(there);
                None
            }
        }
    }
}

/// The line where writes of a key begin, of the array that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Start<'g> {
    pub(super) array: Root,
    pub(super) line: &'g Line,
    pub(super) presence: Presence,
}

impl<T> Index<T> {
    /// The line where writes of `key` begin: not frozen when its presence was loaded. Migrates a frozen one.
    pub(super) fn start<'g>(&'g self, key: SplitKey, guard: &'g Guard) -> Start<'g> {
        loop {
            let array = self.lines.root();
            // SAFETY: the root, under the guard.
            let line: &'g Line = unsafe { array.line_of(key) };
            let presence = line.presence();
            if !presence.is_frozen() {
                return Start { array, line, presence };
            }
            let array = self.migrate(array, array.index_of(key), guard);
            // SAFETY: the next of the root, under the guard.
            let line: &'g Line = unsafe { array.line_of(key) };
            let presence = line.presence();
            if !presence.is_frozen() {
                return Start { array, line, presence };
            }
            // Only who loaded an array as the root freezes its lines: the root has moved.
        }
    }

    /// Walks over the present cells among `pick`ed ones of the lines where `key` belongs until `probe` gives an
    /// answer; or gives the place behind them. Begins again where the answer could be an old one.
    fn search<'g, E>(
        &'g self,
        key: SplitKey,
        guard: &'g Guard,
        pick: impl Fn(&Line, Presence) -> Cells,
        mut probe: impl FnMut(Place<'g>) -> Result<Probe<'g, T>, E>,
    ) -> Result<Found<'g, T>, E> {
        'again: loop {
            let Start { array, mut line, mut presence } = self.start(key, guard);
            let mut left = pick(line, presence);
            loop {
                for number in left {
                    // Acquire: the entry.
                    let cell = line.cell(number).load(order!(search_cell, Acquire));
                    let is_old = || cell.is_unsure() && line.presence_again() != presence;
                    let Some(slot) = cell.slot() else { continue 'again };
                    if cell.is_marked() || is_old() {
                        continue 'again;
                    }
                    match probe(Place { line, presence, number, cell, slot })? {
                        Probe::Found(located) => return Ok(Found::At(located)),
                        Probe::Other => {}
                        Probe::Again => continue 'again,
                    }
                }
                let Some(next) = presence.chained() else {
                    let fingerprint = Fingerprint::of(key);
                    return Ok(Found::Gap(Gap { array, line, presence, fingerprint }));
                };
                // SAFETY: the root or its next, under the guard.
                let behind = unsafe { array.array() }.overflow_line(next);
                let there = behind.presence();
                if there.is_frozen() {
                    continue 'again;
                }
                if (there.is_passed() || planted!(passed_with_entries))
                    && let Some(next) = there.chained()
                {
                    // Nothing comes into it any more: the chain goes past it.
                    let shorter = presence.chained_to(next);
                    if !line.advance(presence, shorter) {
                        continue 'again;
                    }
                    presence = shorter;
                    left = Cells::NONE;
                    continue;
                }
                (line, presence) = (behind, there);
                left = pick(line, presence);
            }
        }
    }

    /// Finds the entry of `key` that `is_match` accepts, or else, in `gap`, the place to publish one. Tidies what is over
    /// on its way. Lock-free: it begins again only when another thread's step has changed the line.
    ///
    /// This is the usual case, in line: a line that is neither frozen nor a chain, whose candidates are plain and
    /// living. Any other is found by the whole search, from the beginning.
    ///
    /// (The gap comes apart: an answer that may be either is put together in memory, and copied.)
    #[inline(always)] // what was found stays in registers: an overwrite takes a tenth fewer instructions
    pub(in crate::raw) fn find_entry<'g, E>(
        &'g self,
        key: SplitKey,
        gap: &mut Option<Gap<'g>>,
        turn: &mut Turn<'g>,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<Located<'g, T>>, E> {
        let array = self.lines.root();
        // SAFETY: the root, under the guard.
        let line: &'g Line = unsafe { array.line_of(key) };
        let presence = line.presence();
        if presence.is_more() {
            return self.find_whole(key, gap, turn, is_match);
        }
        let fingerprint = Fingerprint::of(key);
        let mut candidates = line.candidates(presence, fingerprint);
        while let Some(number) = candidates.first() {
            // Acquire: the entry.
            let cell = line.cell(number).load(order!(find_cell, Acquire));
            let Some(slot) = cell.plain() else {
                return self.find_whole(key, gap, turn, is_match);
            };
            let located = self.locate_at(Place { line, presence, number, cell, slot });
            if located.state.is_terminal() {
                return self.find_whole(key, gap, turn, is_match);
            }
            // SAFETY: I4: a cell that was present named it, under the guard.
            if is_match(unsafe { located.node.entry() })? {
                return Ok(Some(located));
            }
            candidates = candidates.rest();
        }
        *gap = Some(Gap { array, line, presence, fingerprint });
        Ok(None)
    }

    /// The whole search of [`Index::find_entry`], out of line; also for who comes once more.
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn find_whole<'g, E>(
        &'g self,
        key: SplitKey,
        gap: &mut Option<Gap<'g>>,
        turn: &mut Turn<'g>,
        mut is_match: impl FnMut(&T) -> Result<bool, E>,
    ) -> Result<Option<Located<'g, T>>, E> {
        let candidates = |line: &Line, presence| line.candidates(presence, Fingerprint::of(key));
        let found = self.search(key, turn.guard, candidates, |place| {
            let located = self.locate_at(place);
            if located.state.is_terminal() {
                located.place.take_off_aside(self, located.state, turn);
                return Ok(Probe::Again);
            }
            // SAFETY: I4: a cell that was present named it, under the guard.
            let is_match = is_match(unsafe { located.node.entry() })?;
            Ok(if is_match { Probe::Found(located) } else { Probe::Other })
        });
        Ok(found?.or_gap(gap))
    }

    /// The entry in `slot`, if a line names it: the hint that a sweep has, verified. Its state may be terminal.
    pub(in crate::raw) fn locate<'g>(
        &'g self,
        slot: SlotIndex,
        turn: &Turn<'g>,
    ) -> Option<Located<'g, T>> {
        let key = SplitKey::of_node(self.slab.key(slot));
        let Ok(found) = self.search(
            key,
            turn.guard,
            |_, presence| presence.cells(),
            |place| {
                Ok::<_, core::convert::Infallible>(if place.slot == slot {
                    Probe::Found(self.locate_at(place))
                } else {
                    Probe::Other
                })
            },
        );
        found.or_gap(&mut None)
    }

    #[inline]
    fn locate_at<'g>(&'g self, place: Place<'g>) -> Located<'g, T> {
        let node = self.slab.node(place.slot);
        let life = node.life();
        // Acquire (O2): the fields of the slot that it may name.
        let state = node.state.load(order!(search_state, Acquire));
        Located { place, node, life, state }
    }

    /// Swings the cell that names an entry which was replaced by the one in `slot`, if somebody has not come to that.
    /// False if there is none.
    #[cold]
    pub(in crate::raw) fn swing_to<'g>(&'g self, slot: SlotIndex, turn: &mut Turn<'g>) -> bool {
        let key = SplitKey::of_node(self.slab.key(slot));
        let mut swung = false;
        let Ok(_) = self.search(
            key,
            turn.guard,
            |_, presence| presence.cells(),
            |place| {
                let located = self.locate_at(place);
                if located.state.destination().is_some_and(|(heir, _)| heir == slot) {
                    swung |= located.place.take_off_aside(self, located.state, turn);
                }
                Ok::<_, core::convert::Infallible>(Probe::Other)
            },
        );
        swung
    }

    /// Takes an entry that is dead off the line that named it in this cell; or off where it is.
    pub(in crate::raw) fn take_off_named<'g>(&'g self, named: &Named<'g>, turn: &mut Turn<'g>) {
        let Named { line, number, slot } = *named;
        let presence = line.presence();
        // Relaxed: it is compared, and not followed.
        let cell = line.cell(number).load(Ordering::Relaxed);
        let is_there = !presence.is_frozen() && presence.has(number) && cell.slot() == Some(slot);
        let place = Place { line, presence, number, cell, slot };
        if !is_there || !place.take_off_aside(self, State::DEAD, turn) {
            self.tidy(slot, turn);
        }
    }

    /// Takes an entry that is over off its line, unless it is off already: whoever ended it does not return
    /// before. By its slot, so that no user's code runs.
    #[cold]
    pub(in crate::raw) fn tidy<'g>(&'g self, slot: SlotIndex, turn: &mut Turn<'g>) {
        while let Some(located) = self.locate(slot, turn) {
            debug_assert!(located.state.is_terminal(), "{slot:?} is tidied, and not over");
            if located.place.take_off_aside(self, located.state, turn) {
                return;
            }
        }
    }
}

enum Probe<'g, T> {
    Found(Located<'g, T>),
    Other,
    Again,
}

impl Place<'_> {
    /// The same as `take_off`, out of line.
    #[cold]
    #[inline(never)]
    fn take_off_aside<'g, T>(
        &self,
        index: &'g Index<T>,
        state: State,
        turn: &mut Turn<'g>,
    ) -> bool {
        self.take_off(index, state, turn)
    }

    /// Ends the naming of an entry that is over: its cell names its replacement, or becomes free. Of all who try,
    /// one does, and retires the slot. False if it was another, or the line has changed.
    #[inline(always)] // into the writes that end an entry; others come by `take_off_aside`
    fn take_off<'g, T>(&self, index: &'g Index<T>, state: State, turn: &mut Turn<'g>) -> bool {
        let cell = self.line.cell(self.number);
        if let Some((heir, _)) = state.destination() {
            // Release: the replacement's fields, which the state's Acquire gave us.
            let swung = cell.replace(self.cell, Cell::of(heir), order!(cell_swung, Release));
            if planted!(swung_blindly) && !swung {
                cell.store(Cell::of(heir), Ordering::Release); // planted
            }
            if swung || planted!(double_retire) {
                index.limbo.retire(self.slot, turn);
            }
            return swung;
        }
        let early = planted!(vacated_before_the_clear);
        if early {
            cell.vacate(Cell::VACANT);
        }
        let cleared = self.line.advance(self.presence, self.presence.without(self.number));
        if cleared || planted!(double_retire) {
            index.limbo.retire(self.slot, turn);
        }
        if cleared && !early {
            let free = if planted!(vacated_as_never_used) { Cell::UNSET } else { Cell::VACANT };
            cell.vacate(free);
        }
        cleared
    }
}

impl<'g, T> Located<'g, T> {
    /// The entry.
    pub(in crate::raw) fn entry(&self) -> &'g T {
        debug_assert_eq!(
            self.node.life(),
            self.life,
            "I4: {:?} recycled under a guard",
            self.slot()
        );
        // SAFETY: I4: a cell that was present named it, under a guard for `'g`.
        unsafe { self.node.entry() }
    }

    pub(in crate::raw) fn slot(&self) -> SlotIndex {
        self.place.slot
    }

    /// Changes the state from the one that was judged. Linearization: of every operation on an
    /// entry that is there. In either case `state` becomes what stands there now.
    pub(in crate::raw) fn advance(&mut self, next: State) -> bool {
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
    pub(in crate::raw) fn confirm_expired(&mut self) -> bool {
        self.is_unchanged()
    }

    /// Whether the state is still the same, behind a clock reading. Otherwise `state` becomes what stands there now.
    pub(in crate::raw) fn is_unchanged(&mut self) -> bool {
        let judged = self.state;
        self.state = reload(self.node);
        self.state == judged
    }

    /// Takes the entry off its line, after its state became terminal by our [`Located::advance`].
    #[inline(always)] // it is the last use of what was found, which stays in registers so
    pub(in crate::raw) fn take_off(&self, index: &'g Index<T>, turn: &mut Turn<'g>) {
        debug_assert_eq!(
            self.node.life(),
            self.life,
            "I4: {:?} recycled under a guard",
            self.slot()
        );
        if !self.place.take_off(index, self.state, turn) && !planted!(remover_does_not_tidy) {
            index.tidy(self.slot(), turn);
        }
    }
}
