//! Iteration.

use core::{fmt, iter::FusedIterator};

use crate::{pinned::Pinned, raw::Position};

/// An iterator over the visible entries of a map, from [`Pinned::iter`].
pub struct Iter<'p, K, V, S> {
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
