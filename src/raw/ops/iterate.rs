//! Walks over the entries of a map.

use crate::{
    clock::Ttl,
    raw::{
        index::{Position, Range},
        reclaim::guard::Guard,
        slab::judge::{Hit, Reading},
        table::Table,
        words::state::{Now, State},
    },
    sync::planted,
};

/// Before every deadline; and what a load has not shown is not visible all the same.
#[derive(Clone, Copy)]
struct BeforeAll;

impl Reading for BeforeAll {
    fn is_before_deadline(self, _: State) -> bool {
        false
    }

    fn reading_for(self, state: State) -> Now {
        let is_hidden = state.is_hidden() && !planted!(hidden_is_told);
        if is_hidden { Now::from_tick(0) } else { Now::BEFORE_ALL }
    }
}

impl<T> Table<T> {
    /// Walks on to the next visible entry.
    pub(crate) fn next<'g>(&'g self, position: &mut Position, guard: &'g Guard) -> Option<&'g T> {
        self.index.next_visible(position, guard, &self.clock).map(Hit::entry)
    }

    /// The same with expired entries that are still named.
    pub(crate) fn next_linked<'g>(
        &'g self,
        position: &mut Position,
        guard: &'g Guard,
    ) -> Option<&'g T> {
        self.index.next_visible(position, guard, BeforeAll).map(Hit::entry)
    }

    /// The same as `next`, with the entry's state and how long it has to live; one that ends meanwhile is passed over.
    pub(crate) fn next_timed<'g>(
        &'g self,
        position: &mut Position,
        guard: &'g Guard,
    ) -> Option<(&'g T, State, Ttl)> {
        loop {
            let hit = self.index.next_visible(position, guard, &self.clock)?;
            // Renewed while the clock was read: the next reading may do. Three times at most.
            if let Some((state, ttl)) = (0..3).find_map(|_| self.time_left(&hit)) {
                return Some((hit.entry(), state, ttl));
            }
        }
    }

    /// The ranges that make up all keys, in order: between two of them a walk may let go of its guard.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range> + use<T> {
        self.index.ranges()
    }

    /// Begins to walk over the entries of a range: lists them in `position`, whatever was there.
    pub(crate) fn enter(&self, range: Range, position: &mut Position, guard: &Guard) {
        self.index.enter(range, position, guard);
    }
}
