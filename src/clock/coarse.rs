//! What is far from its deadline, by the system's coarse view of its monotonic clock: the time at the last timer interrupt,
//! which is a load from memory.

use crate::{
    raw::{Now, State},
    sync::{Ordering, SettingWord, planted},
};

/// What the coarse clock may lag, at most: 400 timer interrupts at the lowest rate in use.
fn lag() -> u64 {
    if planted!(coarse_clock_does_not_lag) { 0 } else { 4_000_000_000 }
}

/// What one map knows of it.
pub(super) struct Coarse {
    /// A state that is not beyond this, inverted, is near, or over: then the coarse clock would not tell.
    horizon: SettingWord,
    /// The latest time that it can be where the coarse clock says zero.
    latest_at_boot: Now,
}

impl Coarse {
    /// By the system's clock, of which `latest_at_boot` was told.
    pub(super) fn new(latest_at_boot: Option<Now>) -> Self {
        Self {
            horizon: SettingWord::new(latest_at_boot.map_or(0, |_| Now::BEFORE_ALL.inverted())),
            latest_at_boot: latest_at_boot.unwrap_or(Now::BEFORE_ALL),
        }
    }

    /// What [`Coarse::new`] wants to know, with the present as the clock's origin; `None` if there is no coarse clock.
    pub(super) fn latest_at_boot() -> Option<Now> {
        let present = imp::present()?;
        Some(Now::from_tick(0).after(lag().wrapping_sub(present)))
    }

    /// A reading that the exact clock has not reached yet, if one is at hand at which this state is visible.
    #[inline]
    pub(super) fn reading_before(&self, state: State) -> Option<Now> {
        // Relaxed: a hint.
        if state.inverted() >= self.horizon.load(Ordering::Relaxed) {
            return None;
        }
        // If the clock fails (zero), this is a reading at which nothing is visible, by the origin.
        let latest = self.latest_at_boot.after(imp::coarse());
        state.is_visible_at(latest).then_some(latest)
    }

    /// Moves the horizon on, by the exact time, which a writer has read: four times a second at most, since readers have
    /// it in their caches.
    #[inline]
    pub(super) fn note(&self, exact: Now) {
        const STEP_NANOS: u64 = 250_000_000;
        let before = self.horizon.load(Ordering::Relaxed);
        let horizon = exact.after(lag());
        if horizon.inverted() < before.saturating_sub(STEP_NANOS << 2) {
            self.horizon.store(horizon.inverted(), Ordering::Relaxed);
        }
    }
}

impl Clone for Coarse {
    fn clone(&self) -> Self {
        let horizon = self.horizon.load(Ordering::Relaxed);
        Self { horizon: SettingWord::new(horizon), latest_at_boot: self.latest_at_boot }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use core::ptr::from_mut;

    use libc::{CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, clock_gettime, clockid_t, timespec};

    /// The exact time since boot, if there is a coarse one as well.
    pub(super) fn present() -> Option<u64> {
        let (present, coarse) = (read(CLOCK_MONOTONIC), read(CLOCK_MONOTONIC_COARSE));
        (coarse != 0).then_some(present)
    }

    #[inline]
    pub(super) fn coarse() -> u64 {
        read(CLOCK_MONOTONIC_COARSE)
    }

    /// A reading in nanoseconds since boot. Zero from a system that has no such clock (Linux before 2.6.32).
    #[inline]
    #[allow(clippy::cast_sign_loss, reason = "both are positive, and since boot")]
    fn read(clock: clockid_t) -> u64 {
        let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: it writes to `time` alone, which is ours, and is told of a clock by its number.
        unsafe { clock_gettime(clock, from_mut(&mut time)) };
        (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
    }
}

/// Elsewhere there is none.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    pub(super) fn present() -> Option<u64> {
        None
    }

    /// Not asked, as the horizon is beyond all.
    pub(super) fn coarse() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn is_beyond_horizon(coarse: &Coarse, state: State) -> bool {
        state.inverted() < coarse.horizon.load(Ordering::Relaxed)
    }

    #[test]
    fn without_a_coarse_clock_nothing_is_far_and_no_horizon_moves() {
        let none = Coarse::new(None);
        none.note(Now::from_tick(SECOND));
        for coarse in [none.clone(), none] {
            assert!(!is_beyond_horizon(&coarse, State::until(u64::MAX >> 3)));
            assert!(coarse.reading_before(State::until(u64::MAX >> 3)).is_none());
        }
    }

    #[test]
    fn the_horizon_goes_on_by_steps_and_never_back() {
        let coarse = Coarse::new(Some(Now::from_tick(0)));
        assert!(is_beyond_horizon(&coarse, State::until(1)));
        for terminal in [State::FREE, State::DEAD] {
            assert!(!is_beyond_horizon(&coarse, terminal));
        }
        let is_at = |tick| {
            let (near, far) = (State::until(tick), State::until(tick + 1));
            !is_beyond_horizon(&coarse, near) && is_beyond_horizon(&coarse.clone(), far)
        };
        for tick in [10 * SECOND, 0, 9 * SECOND, 10 * SECOND, 10 * SECOND + SECOND / 4] {
            coarse.note(Now::from_tick(tick));
            assert!(is_at(14 * SECOND));
        }
        coarse.note(Now::from_tick(10 * SECOND + SECOND / 4 + 1));
        assert!(is_at(14 * SECOND + SECOND / 4 + 1));
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn what_is_near_by_the_lag_is_not_far() {
        // Its present is tick 0.
        let coarse = Coarse::new(Coarse::latest_at_boot());
        let far =
            coarse.reading_before(State::until(1_000_000 * SECOND)).expect("eleven days are far");
        assert!(far.inverted() < Now::from_tick(0).inverted(), "C1");
        assert!(coarse.reading_before(State::until(1)).is_none());
    }
}
