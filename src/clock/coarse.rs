//! The system's coarse view of its monotonic clock: the time at the last timer interrupt, which is a load from memory.

pub(super) use imp::Coarse;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use core::ptr::from_mut;

    use libc::{CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, clock_gettime, clockid_t, timespec};

    use crate::{raw::Now, sync::planted};

    /// What it may lag, at most: 400 timer interrupts at the lowest rate in use.
    const LAG_NANOS: u64 = 4_000_000_000;

    #[derive(Clone, Copy)]
    pub(crate) struct Coarse {
        origin: u64,
    }

    impl Coarse {
        /// With the present as the origin.
        pub(crate) fn from_here() -> Self {
            Self { origin: read(CLOCK_MONOTONIC) }
        }

        /// A reading that the exact clock has not reached yet.
        #[inline]
        #[allow(clippy::unnecessary_wraps)] // the form of those that have none
        pub(crate) fn latest(self) -> Option<Now> {
            let lag = if planted!(coarse_clock_does_not_lag) { 0 } else { LAG_NANOS };
            // Never below zero, by the lag. (If it were, the reading would be one at which nothing is visible, and the
            // exact clock would be asked.)
            let tick = read(CLOCK_MONOTONIC_COARSE).wrapping_add(lag.wrapping_sub(self.origin));
            Some(Now::from_tick(tick))
        }
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
    use crate::raw::Now;

    #[derive(Clone, Copy)]
    pub(crate) struct Coarse;

    impl Coarse {
        pub(crate) fn from_here() -> Self {
            Self
        }

        pub(crate) fn latest(self) -> Option<Now> {
            None
        }
    }
}
