//! Calls that walk over the entries.

use crate::{
    iter::{Entries, Iter, Keys, Values},
    raw::Position,
};

use super::Pinned;

impl<K, V, S> Pinned<'_, K, V, S> {
    /// Returns an iterator over the visible entries, in no useful order.
    ///
    /// # Consistency
    ///
    /// A key that is in the map throughout is seen exactly once, with a value it had at some time
    /// meanwhile. One that comes or goes meanwhile may be seen or not, and is not seen twice. It never blocks, and
    /// the map may be changed while it goes on. It allocates only where keys collide in 32 bits of their hashes.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert(1, "one");
    /// pinned.insert(2, "two");
    /// let mut all: Vec<_> = pinned.iter().collect();
    /// all.sort();
    /// assert_eq!(all, [(&1, &"one"), (&2, &"two")]);
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V, S> {
        Iter { pinned: self, position: Position::default() }
    }

    /// Returns an iterator over the keys of the visible entries; otherwise as [`Pinned::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: evanesce::TtlMap<_, _> = [(1, "one"), (2, "two")].into_iter().collect();
    /// assert_eq!(map.pin().keys().sum::<i32>(), 3);
    /// ```
    #[must_use]
    pub fn keys(&self) -> Keys<'_, K, V, S> {
        Keys(self.iter())
    }

    /// Returns an iterator over the values of the visible entries; otherwise as [`Pinned::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: evanesce::TtlMap<_, _> = [("one", 1), ("two", 2)].into_iter().collect();
    /// assert_eq!(map.pin().values().sum::<i32>(), 3);
    /// ```
    #[must_use]
    pub fn values(&self) -> Values<'_, K, V, S> {
        Values(self.iter())
    }

    /// Returns an iterator over the visible entries with their deadlines; otherwise as [`Pinned::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Ttl, TtlMap};
    ///
    /// let map = TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// let entry = pinned.iter_entries().next().unwrap();
    /// assert_eq!((entry.key(), entry.value(), entry.ttl()), (&"a", &1, Ttl::Never));
    /// ```
    #[must_use]
    pub fn iter_entries(&self) -> Entries<'_, K, V, S> {
        Entries(self.iter())
    }
}
