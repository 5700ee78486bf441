//! Iteration.

use core::{fmt, iter::FusedIterator};
use std::hash::RandomState;

use crate::{
    pinned::{EntryRef, Pinned},
    raw::Position,
};

/// An iterator over the visible entries of a map, from [`Pinned::iter`].
pub struct Iter<'p, K, V, S = RandomState> {
    pub(crate) pinned: &'p Pinned<'p, K, V, S>,
    pub(crate) position: Position,
}

impl<'p, K, V, S> Iterator for Iter<'p, K, V, S> {
    type Item = (&'p K, &'p V);

    fn next(&mut self) -> Option<Self::Item> {
        let Pinned { map, guard } = self.pinned;
        map.table.next(&mut self.position, guard).map(|(key, value)| (key, value))
    }
}

impl<K, V, S> FusedIterator for Iter<'_, K, V, S> {}

impl<'p, K, V, S> IntoIterator for &'p Pinned<'_, K, V, S> {
    type Item = (&'p K, &'p V);
    type IntoIter = Iter<'p, K, V, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V, S> Clone for Iter<'_, K, V, S> {
    fn clone(&self) -> Self {
        Self { pinned: self.pinned, position: self.position.clone() }
    }
}

impl<K: fmt::Debug, V: fmt::Debug, S> fmt::Debug for Iter<'_, K, V, S> {
    /// Shows the entries still to come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

/// An iterator over the keys of the visible entries of a map, from [`Pinned::keys`].
pub struct Keys<'p, K, V, S = RandomState>(pub(crate) Iter<'p, K, V, S>);

/// An iterator over the values of the visible entries of a map, from [`Pinned::values`].
pub struct Values<'p, K, V, S = RandomState>(pub(crate) Iter<'p, K, V, S>);

/// An iterator over the visible entries of a map with their deadlines, from [`Pinned::iter_entries`].
///
/// An entry that ends, or is replaced, at the moment when the iterator stands on it may be passed over.
pub struct Entries<'p, K, V, S = RandomState>(pub(crate) Iter<'p, K, V, S>);

/// An iterator over the entries that a map holds, visible or not, from [`Pinned::iter_linked`].
pub struct Linked<'p, K, V, S = RandomState>(pub(crate) Iter<'p, K, V, S>);

impl<'p, K, V, S> Iterator for Keys<'p, K, V, S> {
    type Item = &'p K;

    fn next(&mut self) -> Option<&'p K> {
        self.0.next().map(|(key, _)| key)
    }
}

impl<'p, K, V, S> Iterator for Values<'p, K, V, S> {
    type Item = &'p V;

    fn next(&mut self) -> Option<&'p V> {
        self.0.next().map(|(_, value)| value)
    }
}

impl<'p, K, V, S> Iterator for Entries<'p, K, V, S> {
    type Item = EntryRef<'p, K, V>;

    fn next(&mut self) -> Option<EntryRef<'p, K, V>> {
        let Pinned { map, guard } = self.0.pinned;
        let next = map.table.next_timed(&mut self.0.position, guard);
        next.map(|(entry, state, ttl)| EntryRef::new(entry, state, ttl))
    }
}

impl<'p, K, V, S> Iterator for Linked<'p, K, V, S> {
    type Item = (&'p K, &'p V);

    fn next(&mut self) -> Option<Self::Item> {
        let Pinned { map, guard } = self.0.pinned;
        map.table.next_linked(&mut self.0.position, guard).map(|(key, value)| (key, value))
    }
}

macro_rules! like_iter {
    ($($name:ident: $($item:ident)+;)+) => { $(
        impl<K, V, S> FusedIterator for $name<'_, K, V, S> {}

        impl<K, V, S> Clone for $name<'_, K, V, S> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<K, V, S> fmt::Debug for $name<'_, K, V, S>
        where
            $($item: fmt::Debug,)+
        {
            /// Shows the items still to come.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.clone()).finish()
            }
        }
    )+ };
}

like_iter! { Keys: K; Values: V; Entries: K V; Linked: K V; }
