//! How a reader judges an entry that it met: by its state word, and that of its replacement (DESIGN.md, section 4).

use core::cell::Cell;

use crate::{
    clock::ClockSource,
    raw::{
        reclaim::guard::Guard,
        slab::{Slab, node::Node},
        words::{
            key::SlotIndex,
            state::{Now, State},
        },
    },
    sync::{Ordering, fence, order, planted},
};

/// An entry that a lookup found visible, and the slot where it is, for who wants that: then `P` is [`SlotIndex`].
pub(in crate::raw) struct Hit<'g, T, P = ()> {
    node: &'g Node<T>,
    place: P,
}

/// What a lookup keeps of the slot that it met: all, or nothing, which costs nothing.
pub(in crate::raw) trait Place: Copy {
    fn of(slot: SlotIndex) -> Self;
}

impl Place for () {
    #[inline]
    fn of(_: SlotIndex) -> Self {}
}

impl Place for SlotIndex {
    #[inline]
    fn of(slot: SlotIndex) -> Self {
        slot
    }
}

impl<T> Hit<'_, T, SlotIndex> {
    /// Where the entry is.
    #[inline]
    pub(in crate::raw) fn slot(&self) -> SlotIndex {
        self.place
    }
}

impl<'g, T, P> Hit<'g, T, P> {
    #[inline]
    pub(in crate::raw) fn entry(self) -> &'g T {
        // SAFETY: I4: a line named it, or what it replaced, under a guard for `'g`.
        unsafe { self.node.entry() }
    }

    /// The state it is in now.
    pub(in crate::raw) fn state(&self) -> State {
        // Acquire (O2), like every load of a state that is judged.
        self.node.state.load(order!(hit_state, Acquire))
    }

    /// Renews it from the state that it was judged by; not, if it is in another by now.
    pub(in crate::raw) fn renew(&self, judged: State, renewed: State) {
        if planted!(hit_renews_blindly) {
            return self.node.state.store(renewed, Ordering::Release); // planted
        }
        _ = self.node.state.advance(judged, renewed);
    }

    /// Whether it is in this state, behind a clock reading.
    pub(in crate::raw) fn is_still(&self, state: State) -> bool {
        reload(self.node) == state
    }
}

/// What an entry is judged by.
pub(in crate::raw) trait Reading: Copy {
    /// Whether an entry in this state is known to be visible without a reading.
    fn is_before_deadline(self, state: State) -> bool;

    /// Whether an entry in this state is visible by a reading that is cheaper than that for near deadlines.
    #[inline]
    fn is_far(self, _: State) -> bool {
        false
    }

    /// A reading to judge this state by.
    fn reading_for(self, state: State) -> Now;

    /// The same where `is_far` has said no.
    #[inline]
    fn near_reading_for(self, state: State) -> Now {
        self.reading_for(state)
    }

    /// Whether an entry that had expired when it was replaced is told of: then it is an answer, and no absence.
    #[inline]
    fn tells_of_replaced(self) -> bool {
        false
    }
}

impl Reading for &ClockSource {
    #[inline]
    fn is_before_deadline(self, state: State) -> bool {
        self.is_before_deadline(state)
    }

    #[inline]
    fn is_far(self, state: State) -> bool {
        self.is_far(state)
    }

    #[inline]
    fn reading_for(self, state: State) -> Now {
        self.reading_for(state)
    }

    #[inline]
    fn near_reading_for(self, _: State) -> Now {
        self.now()
    }
}

/// The same reading for all.
impl Reading for Now {
    fn is_before_deadline(self, _: State) -> bool {
        false
    }

    fn reading_for(self, _: State) -> Now {
        self
    }
}

/// The clock's reading, moved back: what has expired counts as visible for so many nanoseconds more.
#[derive(Clone, Copy)]
pub(in crate::raw) struct InGrace<'a> {
    pub(in crate::raw) clock: &'a ClockSource,
    pub(in crate::raw) grace: u64,
}

impl Reading for InGrace<'_> {
    fn is_before_deadline(self, state: State) -> bool {
        self.clock.is_before_deadline(state)
    }

    fn reading_for(self, state: State) -> Now {
        self.clock.reading_for(state).earlier_by(self.grace)
    }

    /// Its replacer went by the clock as it is, and may have met an entry in its grace.
    fn tells_of_replaced(self) -> bool {
        !planted!(replaced_in_grace_is_absent)
    }
}

/// Puts the judgement of an entry with a deadline off: it passes for visible, and `met` is told the state it was in. That
/// of a replacement is not put off.
#[derive(Clone, Copy)]
pub(in crate::raw) struct Later<'a, R> {
    pub(in crate::raw) reading: R,
    pub(in crate::raw) met: &'a Cell<State>,
}

impl<R: Reading> Reading for Later<'_, R> {
    #[inline]
    fn is_before_deadline(self, state: State) -> bool {
        if self.reading.is_before_deadline(state) {
            return true;
        }
        let is_put_off = !state.is_terminal();
        if is_put_off {
            self.met.set(state);
        }
        is_put_off
    }

    fn reading_for(self, state: State) -> Now {
        self.reading.reading_for(state)
    }
}

/// What one node's state word tells a reader.
enum Look {
    Visible,
    Expired,
    Over(State),
}

/// What is left to judge of a state with a deadline: "never" if that is far. And the node, so that the caller need not
/// keep it elsewhere through this call.
#[inline(never)]
fn unless_far<T>(state: State, node: &Node<T>, reading: impl Reading) -> (State, &Node<T>) {
    (if reading.is_far(state) { State::NEVER } else { state }, node)
}

impl<T> Slab<T> {
    /// Whether the entry that this node, named by a line, stands for is visible: itself, or its
    /// replacement.
    ///
    /// In line: an entry without a deadline, or before it by a word that a thread keeps. The usual one with a deadline
    /// takes one call that has little to keep, as it counts in each lookup; the rest apart from it.
    #[inline(always)] // as `lookup`
    pub(in crate::raw) fn judge<'g, R, P: Place>(
        &'g self,
        place: P,
        node: &'g Node<T>,
        guard: &'g Guard,
        reading: impl Reading,
        answer: impl Fn(Hit<'g, T, P>) -> R,
    ) -> Option<R> {
        // Acquire (O2): the fields of the slot that it may name.
        let state = node.state.load(order!(state_judged, Acquire));
        if state.is_never() || reading.is_before_deadline(state) {
            return Some(answer(Hit { node, place }));
        }
        let (left, node) = unless_far(state, node, reading);
        if left.is_never() {
            return Some(answer(Hit { node, place }));
        }
        self.judge_mortal(Hit { node, place }, left, guard, reading).map(answer)
    }

    /// One with a deadline that is near, or over.
    #[cold]
    #[inline(never)]
    fn judge_mortal<'g, P: Place>(
        &'g self,
        met: Hit<'g, T, P>,
        state: State,
        guard: &'g Guard,
        reading: impl Reading,
    ) -> Option<Hit<'g, T, P>> {
        if state.is_terminal() {
            return self.judge_rest(met, state, guard, reading);
        }
        let now = reading.near_reading_for(state);
        if state.is_visible_at(now) {
            return Some(met);
        }
        self.judge_late(met, now, guard, reading)
    }

    /// Confirms that an entry has expired which was past its deadline by a reading, as in `look`; or judges it anew.
    #[cold]
    #[inline(never)]
    fn judge_late<'g, P: Place>(
        &'g self,
        met: Hit<'g, T, P>,
        now: Now,
        guard: &'g Guard,
        reading: impl Reading,
    ) -> Option<Hit<'g, T, P>> {
        let state = reload(met.node);
        if state.is_due_at(now) || planted!(absence_not_confirmed) {
            return None;
        }
        self.judge_rest(met, state, guard, reading)
    }

    /// Judges a node that was met in a state that is over, or was changed while it was judged.
    ///
    /// One step to a replacement is enough. A line named the node at an instant of this lookup; its
    /// replacement was named only after that, was replaced in turn only after that, and by a
    /// writer who read the clock after that. So if the replacement is over as well, then what that
    /// writer found is an answer for an instant of this lookup (I3).
    #[cold]
    #[inline(never)]
    fn judge_rest<'g, P: Place>(
        &'g self,
        met: Hit<'g, T, P>,
        state: State,
        _guard: &'g Guard,
        reading: impl Reading,
    ) -> Option<Hit<'g, T, P>> {
        let (node, life) = (met.node, met.node.life());
        let hit = match Self::look(node, state, reading, 1) {
            Look::Visible => met,
            Look::Expired => return None,
            Look::Over(state) => {
                // Dead: no younger entry of this key was named while this one was.
                let (slot, _) = state.destination()?;
                let heir = Hit { node: self.node(slot), place: P::of(slot) };
                // Acquire (O2): as above.
                let state = heir.node.state.load(order!(heir_judged, Acquire));
                match Self::look(heir.node, state, reading, 2) {
                    Look::Visible => heir,
                    Look::Expired => return None,
                    Look::Over(state) => match state.destination() {
                        Some((_, true)) if !planted!(heir_is_absent) => heir,
                        Some(_) if reading.tells_of_replaced() => heir,
                        _ => return None,
                    },
                }
            }
        };
        debug_assert_eq!(node.life(), life, "I4: a node was recycled under a guard");
        Some(hit)
    }

    /// Looks at a state word, loaded by the caller, until it gives an answer: so many times more at most.
    ///
    /// The word comes first and the clock after it. "Visible" is final. "Expired" is an answer only
    /// if the word, loaded again, is past its deadline by the same reading: otherwise the entry may
    /// have been renewed or replaced in time, and never have been absent. A word found later than
    /// the reading twice is a renewal that goes on meanwhile.
    #[inline]
    fn look(node: &Node<T>, mut state: State, reading: impl Reading, times: u32) -> Look {
        for _ in 0..times {
            if state.is_never() {
                return Look::Visible;
            }
            if state.is_terminal() {
                return Look::Over(state);
            }
            let reading = reading.reading_for(state);
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
}

/// Loads a state word once more, behind the clock reading that called it expired.
#[cold]
pub(in crate::raw) fn reload<T>(node: &Node<T>) -> State {
    // SeqCst (O7): the reading comes before the load also where the clock is a register that is
    // read out of order. Without it "expired" could be told of a word from before the deadline.
    fence(order!(clock_fenced, SeqCst));
    node.state.load(order!(state_reloaded, Acquire))
}

/// The entry of a node that was met under the guard.
pub(in crate::raw) fn entry<'g, T>(node: &'g Node<T>, _guard: &'g Guard) -> &'g T {
    // SAFETY: I4: a cell that was present named it, under the guard.
    unsafe { node.entry() }
}
