//! The state word: the one word that decides an entry's life (DESIGN.md, section 2).

use core::time::Duration;

use crate::{
    raw::words::key::SlotIndex,
    sync::{AtomicU64, Ordering, order, planted},
};

/// The state of a slot.
///
/// | word | meaning |
/// | --- | --- |
/// | 0 | free: no entry; the zero of fresh memory |
/// | 1 | dead: removed or expired and claimed |
/// | `n << 2 \| 2 \| live` | moved: replaced by slot `n`; `live` when its replacer found it alive |
/// | `(tick + 2^30) << 2 \| flags` | visible while `now < tick`; the flags are zero, or 2: hits renew it ([`State::sliding`]) |
/// | `2^30 << 2 \| 1` | hidden: named, and not shown yet ([`State::HIDDEN`]) |
/// | all ones above the flags | never expires |
///
/// Every special word is below every stored tick, so liveness is one comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State(u64);

impl State {
    pub(in crate::raw) const FREE: Self = Self(0);
    pub(in crate::raw) const DEAD: Self = Self(1);
    pub(crate) const NEVER: Self = Self(!Self::FLAGS);
    /// Over before every reading: what a TTL of zero means, and what a renewal to a passed deadline stores. No
    /// entry was ever judged visible by this word, so no step from such a judgement can succeed on it, as it could
    /// on a tick that the entry had before (DESIGN.md, section 5).
    pub(crate) const OVER: Self = Self(Self::FIRST_TICK);

    /// Living, and visible at no reading: what a load has put, before it is known whether the load has lost. It is no
    /// deadline: it is not swept, not told of, and not counted (docs/lab/loading.md).
    pub(in crate::raw) const HIDDEN: Self = Self(Self::FIRST_TICK | 1);

    /// Two low bits. Above a tick no comparison with a reading sees them (DESIGN.md, section 2).
    const FLAGS: u64 = 3;
    const MOVED: u64 = 2;
    const LIVE: u64 = 1;
    /// In a living state: a hit renews it.
    const SLIDES: u64 = 2;
    /// Lifts tick 0 above `moved(SlotIndex::MAX)`, which is below 2^32.
    const TICK_OFFSET: u64 = 1 << 30;
    const FIRST_TICK: u64 = Self::TICK_OFFSET << 2;
    /// The largest tick that is not "never": 146 years in nanoseconds.
    const MAX_TICK: u64 = (u64::MAX >> 2) - Self::TICK_OFFSET - 1;

    /// An entry that is visible before `tick`, in nanoseconds; "never" past the range.
    #[inline]
    pub(crate) fn until(tick: u64) -> Self {
        if tick > Self::MAX_TICK { Self::NEVER } else { Self((tick + Self::TICK_OFFSET) << 2) }
    }

    #[inline]
    pub(in crate::raw) fn moved(to: SlotIndex, live: bool) -> Self {
        Self(u64::from(to.0) << 2 | Self::MOVED | u64::from(live))
    }

    /// Whether the entry is over: dead, moved or free.
    #[inline]
    pub(in crate::raw) fn is_terminal(self) -> bool {
        self.0 < Self::FIRST_TICK
    }

    #[inline]
    pub(crate) fn is_never(self) -> bool {
        self.0 >= Self::NEVER.0
    }

    /// Whether an entry of this state is visible at `now`. False for every terminal state.
    #[inline]
    pub(crate) fn is_visible_at(self, now: Now) -> bool {
        if planted!(deadline_off_by_one) {
            return self.0 | Self::FLAGS >= now.0;
        }
        self.0 > now.0
    }

    /// Whether an entry of this state is one that a load has not shown yet.
    #[inline]
    pub(in crate::raw) fn is_hidden(self) -> bool {
        self == Self::HIDDEN
    }

    /// Whether an entry of this state has a deadline, or lives for ever: what a sweep looks at.
    #[inline]
    pub(in crate::raw) fn has_deadline(self) -> bool {
        !self.is_terminal() && !self.is_hidden()
    }

    /// Whether an entry of this state is past its deadline at `now`. A hidden one counts as such.
    #[inline]
    pub(in crate::raw) fn is_due_at(self, now: Now) -> bool {
        !self.is_terminal() && !self.is_visible_at(now)
    }

    /// The same deadline, but one that hits put off (a map's time to idle). "Never", and one that is over, stay.
    pub(crate) fn sliding(self) -> Self {
        if self.is_never() || self == Self::OVER { self } else { Self(self.0 | Self::SLIDES) }
    }

    /// Whether hits put the deadline off. Not to be asked of a terminal state.
    #[inline]
    pub(crate) fn is_sliding(self) -> bool {
        debug_assert!(!self.is_terminal());
        self.0 & Self::SLIDES != 0 && !self.is_never()
    }

    /// The one of two living states whose deadline comes first.
    #[inline]
    pub(in crate::raw) fn earlier(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The one of two living states whose deadline comes last.
    #[inline]
    pub(crate) fn later(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The state of an entry whose deadline is so many nanoseconds earlier; of one that never expires, the same.
    pub(in crate::raw) fn earlier_by(self, nanos: u64) -> Self {
        debug_assert!(!self.is_terminal());
        self.tick().map_or(Self::NEVER, |tick| Self::until(tick.saturating_sub(nanos)))
    }

    /// The state of an entry whose deadline is so many nanoseconds later; of one that never expires, or that was over
    /// from the beginning, the same.
    pub(in crate::raw) fn later_by(self, nanos: u64) -> Self {
        debug_assert!(!self.is_terminal());
        match self.tick() {
            Some(tick) if self != Self::OVER => Self::until(tick.saturating_add(nanos)),
            _ => self,
        }
    }

    /// All bits turned over: the earlier the deadline, the larger; and small for "never".
    #[inline]
    pub(crate) fn inverted(self) -> u64 {
        !self.0
    }

    /// The state whose [`State::inverted`] this is; "never" for zero.
    #[inline]
    pub(in crate::raw) fn from_inverted(inverted: u64) -> Self {
        Self(!inverted)
    }

    /// Where a moved entry went, and whether it was visible when it was replaced.
    #[inline]
    pub(in crate::raw) fn destination(self) -> Option<(SlotIndex, bool)> {
        (self.is_terminal() && self.0 & Self::MOVED != 0)
            .then_some((SlotIndex((self.0 >> 2) as u32), self.0 & Self::LIVE != 0))
    }

    /// The deadline of a living state as a tick; `None` for "never".
    pub(crate) fn tick(self) -> Option<u64> {
        (!self.is_never()).then(|| (self.0 >> 2) - Self::TICK_OFFSET)
    }

    /// From `now` to the deadline: zero when it has passed.
    pub(crate) fn remaining(self, now: Now) -> Duration {
        Duration::from_nanos((self.0 >> 2).saturating_sub(now.0 >> 2))
    }

    /// From the deadline to `now`: zero while it has not passed, and for [`State::OVER`], which is none.
    pub(in crate::raw) fn lag(self, now: Now) -> Duration {
        if self == Self::OVER {
            return Duration::ZERO;
        }
        Duration::from_nanos((now.0 >> 2).saturating_sub(self.0 >> 2))
    }
}

/// A clock reading, in the form states are compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Now(u64);

impl Now {
    /// Before every deadline, also that of [`State::OVER`].
    pub(crate) const BEFORE_ALL: Self = Self(State::FIRST_TICK - 1);

    /// From a tick in nanoseconds. A tick past the range counts as the last one in it, so that
    /// "never" stays beyond every reading.
    #[inline]
    pub(crate) fn from_tick(tick: u64) -> Self {
        Self((tick.min(State::MAX_TICK) + State::TICK_OFFSET) << 2 | State::FLAGS)
    }

    /// All bits turned over: not zero, as there is a last tick.
    pub(crate) fn inverted(self) -> u64 {
        !self.0
    }

    /// The reading whose [`Now::inverted`] this is; `None` for zero.
    #[inline]
    pub(crate) fn from_inverted(inverted: u64) -> Option<Self> {
        (inverted != 0).then_some(Self(!inverted))
    }

    /// The reading of so many nanoseconds before; at the earliest that of tick 0, at which what is over is over.
    #[inline]
    pub(in crate::raw) fn earlier_by(self, nanos: u64) -> Self {
        let tick = (self.0 >> 2).saturating_sub(State::TICK_OFFSET);
        Self::from_tick(tick.saturating_sub(nanos))
    }

    /// The state of an entry that is visible for `nanos` more. None at all, at any reading, means
    /// expired, not "past the range".
    pub(crate) fn plus(self, nanos: u64) -> State {
        let tick = (self.0 >> 2) - State::TICK_OFFSET;
        State::until(tick.saturating_add(nanos))
    }
}

/// A state word in memory.
#[derive(Debug)]
#[repr(transparent)]
pub(in crate::raw) struct AtomicState(AtomicU64);

impl AtomicState {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    pub(in crate::raw) fn free() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(in crate::raw) fn load(&self, order: Ordering) -> State {
        State(self.0.load(order))
    }

    #[inline]
    pub(in crate::raw) fn store(&self, state: State, order: Ordering) {
        self.0.store(state.0, order);
    }

    /// The one step by which an entry is renewed, replaced, removed or claimed: from the state
    /// that was judged, or not at all.
    #[inline]
    pub(in crate::raw) fn advance(&self, judged: State, next: State) -> Result<(), State> {
        debug_assert!(!judged.is_terminal(), "I1: terminal states are final");
        if planted!(state_stored_blindly) {
            self.0.store(next.0, Ordering::Release); // planted
            return Ok(());
        }
        // Release (O2): publishes the fields of the slot that `next` names. Nothing is followed from `judged`, which
        // is living, nor from what stands there if it is lost: Acquire keeps a clock reading behind that.
        let (changed, lost) = (order!(state_changed, Release), order!(state_lost, Acquire));
        self.0.compare_exchange(judged.0, next.0, changed, lost).map(drop).map_err(State)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_states_are_terminal_and_below_every_tick() {
        let moved = State::moved(SlotIndex(SlotIndex::MAX), true);
        for special in [State::FREE, State::DEAD, moved] {
            assert!(special.is_terminal());
            assert!(!special.is_visible_at(Now::from_tick(0)));
            assert!(!special.is_due_at(Now::from_tick(u64::MAX)));
        }
        assert!(!State::until(0).is_terminal());
        assert_eq!(moved.destination(), Some((SlotIndex(SlotIndex::MAX), true)));
        assert_eq!(State::moved(SlotIndex(1), false).destination(), Some((SlotIndex(1), false)));
        for state in [State::FREE, State::DEAD, State::until(0), State::NEVER] {
            assert_eq!(state.destination(), None);
        }
    }

    #[test]
    fn visible_is_exact_on_both_sides_of_the_deadline() {
        for tick in [1, 2, 1000, State::MAX_TICK - 1, State::MAX_TICK] {
            assert!(State::until(tick).is_visible_at(Now::from_tick(tick - 1)));
            assert!(!State::until(tick).is_visible_at(Now::from_tick(tick)));
            assert!(State::until(tick).is_due_at(Now::from_tick(tick)));
        }
    }

    #[test]
    fn hidden_is_living_and_visible_at_no_reading() {
        let hidden = State::HIDDEN;
        assert!(!hidden.is_terminal() && !hidden.has_deadline() && hidden.destination().is_none());
        for tick in [0, 1, u64::MAX] {
            let now = Now::from_tick(tick);
            assert!(!hidden.is_visible_at(now) && hidden.is_due_at(now));
            // As a clock in a word is compared with it.
            assert!(hidden.inverted() >= now.inverted());
        }
        assert!((0..3).all(|tick| State::until(tick) != hidden) && State::OVER.has_deadline());
    }

    #[test]
    fn sliding_changes_no_deadline() {
        for tick in [1, 2, 1000, State::MAX_TICK] {
            let (fixed, sliding) = (State::until(tick), State::until(tick).sliding());
            assert!(sliding.is_sliding() && !fixed.is_sliding() && sliding.has_deadline());
            assert_eq!((sliding.tick(), sliding.destination()), (Some(tick), None));
            assert!(sliding.is_visible_at(Now::from_tick(tick - 1)));
            assert!(sliding.is_due_at(Now::from_tick(tick)));
        }
        assert_eq!((State::NEVER.sliding(), State::OVER.sliding()), (State::NEVER, State::OVER));
        assert!(!State::NEVER.is_sliding() && !State::OVER.is_sliding());
    }

    #[test]
    fn a_reading_moved_back_stops_at_tick_zero() {
        let moved = |tick, nanos| Now::from_tick(tick).earlier_by(nanos);
        assert_eq!(moved(10, 4), Now::from_tick(6));
        assert_eq!(moved(10, u64::MAX), Now::from_tick(0));
        assert!(State::OVER.is_due_at(moved(10, u64::MAX)) && State::HIDDEN.is_due_at(moved(1, 2)));
        assert!(State::until(1).is_visible_at(moved(10, 10)));
        assert_eq!(State::until(3).later_by(4), State::until(7));
        assert_eq!(
            (State::OVER.later_by(4), State::NEVER.later_by(4)),
            (State::OVER, State::NEVER)
        );
    }

    #[test]
    fn ticks_past_the_range_are_never() {
        assert_eq!(State::until(State::MAX_TICK + 1), State::NEVER);
        assert_eq!(State::until(u64::MAX), State::NEVER);
        assert!(!State::until(State::MAX_TICK).is_never());
        assert!(State::NEVER.is_visible_at(Now::from_tick(u64::MAX)));
    }
}
