//! What upkeep a thread is in the middle of: upkeep runs the user's code, which may write to this map or another, and
//! that write has upkeep to do as well.
//!
//! Each kind of upkeep of a map goes on once a thread, and of a few maps at a time. So it nests to a limit, however
//! maps write to each other. Who is refused leaves it: reclaiming to whoever may next
//! ([`Limbo::owe`](crate::raw::reclaim::limbo::Limbo::owe)), sweeping to the sweep that goes on.

use core::cell::Cell;

use crate::sync::{per_thread, planted};

/// Maps whose upkeep may nest on one thread: more than one program is likely to chain by the drops of their values;
/// and so many levels, of a few hundred bytes each beside the user's own, fit on any stack.
const MAPS: usize = 8;

per_thread! { static GOES_ON: [Cell<Level>; MAPS] = [const { Cell::new(Level::FREE) }; MAPS] }

/// A map, by its address, and the kinds of upkeep of it that this thread is in.
#[derive(Clone, Copy)]
struct Level {
    map: usize,
    kinds: u8,
}

impl Level {
    const FREE: Self = Self { map: 0, kinds: 0 };
}

/// A kind of upkeep that runs user code.
#[derive(Clone, Copy)]
pub(in crate::raw) enum Upkeep {
    /// A write's step of sweeping, which tells the listener and reads the clock.
    Sweeping = 1,
    /// Reclaiming, which drops keys and values.
    Reclaiming = 2,
}

/// While a thread is in some upkeep of a map.
pub(in crate::raw) struct GoesOn {
    place: usize,
    kind: Upkeep,
}

impl GoesOn {
    /// Begins upkeep of the map that stands at this address, unless this thread is in it already, or in that of too
    /// many maps. (Or if its thread-locals are gone, where there is no telling.)
    pub(in crate::raw) fn begin(map: usize, kind: Upkeep) -> Option<Self> {
        let begin = |levels: &[Cell<Level>; MAPS]| {
            // The map stays where it is: whoever is in its upkeep borrows it.
            let place = levels.iter().position(|level| level.get().map == map);
            let place = place.or_else(|| levels.iter().position(|level| level.get().map == 0))?;
            let kinds = levels[place].get().kinds;
            levels[place].set(Level { map, kinds: kinds | kind as u8 });
            // Lazily: one made and dropped here would end the one that goes on.
            let is_new = kinds & kind as u8 == 0 || planted!(upkeep_nests);
            is_new.then(|| Self { place, kind })
        };
        GOES_ON.try_with(begin).ok().flatten()
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        let _ = GOES_ON.try_with(|levels| {
            let Level { map, kinds } = levels[self.place].get();
            let kinds = kinds & !(self.kind as u8);
            levels[self.place].set(if kinds == 0 { Level::FREE } else { Level { map, kinds } });
        });
    }
}
