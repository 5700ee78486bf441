//! How much writes sweep, and what sweeps share.

use crate::{
    raw::words::numbers::BLOCK_SLOTS,
    sync::{AtomicU32, AtomicU64, MODEL, Ordering, SettingWord},
};

/// How often writes sweep, and how much: slots a step, above one less than the writes of a stripe between two
/// steps, which are a power of two. Zero slots: never.
pub(in crate::raw) struct SweepRate(SettingWord);

impl SweepRate {
    /// No slots, each two thousand millionth write: so few come to ask for them.
    const NEVER: u64 = (1 << 31) - 1;

    /// For `sweep_per_write` slots a write, on average.
    pub(in crate::raw) fn new(sweep_per_write: u32) -> Self {
        let rate = Self(SettingWord::new(0));
        rate.set(sweep_per_write);
        rate
    }

    /// A block at a time where that is more, since any block may have all entries due, and so that the shared
    /// cursor is touched rarely.
    pub(in crate::raw) fn set(&self, sweep_per_write: u32) {
        let block = if MODEL { 1 } else { BLOCK_SLOTS };
        let rate = block.checked_div(sweep_per_write).map_or(Self::NEVER, |writes| {
            let writes = 1 << writes.max(1).ilog2();
            u64::from(sweep_per_write * writes) << 32 | u64::from(writes - 1)
        });
        // Relaxed: which write is the first to see it does not matter.
        self.0.store(rate, Ordering::Relaxed);
    }

    /// The slots a write, on average.
    pub(in crate::raw) fn per_write(&self) -> u32 {
        let rate = self.0.load(Ordering::Relaxed);
        (rate >> 32) as u32 / (rate as u32 + 1)
    }

    /// Whether the stripe's write of this number may have to sweep.
    #[inline]
    pub(in crate::raw) fn is_at(&self, write: u32) -> bool {
        write & self.0.load(Ordering::Relaxed) as u32 == 0
    }

    /// How many slots the stripe's write of this number sweeps, if any.
    #[inline]
    pub(in crate::raw) fn at(&self, write: u32) -> Option<u32> {
        let rate = self.0.load(Ordering::Relaxed);
        let slots = (rate >> 32) as u32;
        (write & rate as u32 == 0 && slots > 0).then_some(slots)
    }
}

/// What sweeps share.
pub(in crate::raw) struct Sweeping {
    /// The count of the block that the next step begins at.
    pub(in crate::raw) cursor: AtomicU32,
    pub(in crate::raw) removed: AtomicU64,
    pub(in crate::raw) max_lag_nanos: AtomicU64,
}

impl Sweeping {
    pub(in crate::raw) fn new() -> Self {
        Self {
            cursor: AtomicU32::new(0),
            removed: AtomicU64::new(0),
            max_lag_nanos: AtomicU64::new(0),
        }
    }
}
