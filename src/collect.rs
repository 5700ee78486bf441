//! How maps and sets are made of other collections, and extended by them: the traits that std's `HashMap` has.

use core::hash::{BuildHasher, Hash};
use std::hash::RandomState;

use crate::{map::TtlMap, set::TtlSet};

impl<K, V, S> FromIterator<(K, V)> for TtlMap<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher + Default,
{
    /// Entries that never expire; of several with one key the last.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        /// A hint may lie, and an index takes memory before the entries come: half a MiB for so many.
        const BELIEVED: usize = 1 << 16;
        let entries = entries.into_iter();
        let capacity = entries.size_hint().0.min(BELIEVED);
        let map = Self::with_capacity_and_hasher(capacity, S::default());
        (&map).extend(entries);
        map
    }
}

impl<K: Hash + Eq, V, const N: usize> From<[(K, V); N]> for TtlMap<K, V, RandomState> {
    /// Entries that never expire; of several with one key the last.
    ///
    /// ```
    /// let map = evanesce::TtlMap::from([("a", 1), ("b", 2)]);
    /// assert_eq!((map.len(), map.get_cloned("b")), (2, Some(2)));
    /// ```
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K, V, S> Extend<(K, V)> for &TtlMap<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Inserts all, with the default TTL. For maps that are shared, as all writes are.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// let map = Arc::new(evanesce::TtlMap::new());
    /// (&*map).extend([("a", 1), ("b", 2)]);
    /// assert_eq!(map.len(), 2);
    /// ```
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let mut pinned = self.pin();
        for (key, value) in entries {
            pinned.insert(key, value);
            pinned.repin();
        }
    }
}

impl<K, V, S> Extend<(K, V)> for TtlMap<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Inserts all, with the default TTL.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<'a, K, V, S> Extend<(&'a K, &'a V)> for &TtlMap<K, V, S>
where
    K: Hash + Eq + Copy,
    V: Copy,
    S: BuildHasher,
{
    /// Inserts copies of all, with the default TTL.
    fn extend<I: IntoIterator<Item = (&'a K, &'a V)>>(&mut self, entries: I) {
        self.extend(entries.into_iter().map(|(key, value)| (*key, *value)));
    }
}

impl<'a, K, V, S> Extend<(&'a K, &'a V)> for TtlMap<K, V, S>
where
    K: Hash + Eq + Copy,
    V: Copy,
    S: BuildHasher,
{
    /// Inserts copies of all, with the default TTL.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// let more = HashMap::from([(1, 10), (2, 20)]);
    /// let mut map = evanesce::TtlMap::new();
    /// map.extend(&more);
    /// assert_eq!(map.get_cloned(&2), Some(20));
    /// ```
    fn extend<I: IntoIterator<Item = (&'a K, &'a V)>>(&mut self, entries: I) {
        (&*self).extend(entries);
    }
}

impl<T, S> FromIterator<T> for TtlSet<T, S>
where
    T: Hash + Eq,
    S: BuildHasher + Default,
{
    /// Elements that never expire.
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        elements.into_iter().map(|element| (element, ())).collect::<TtlMap<_, _, _>>().into()
    }
}

impl<T: Hash + Eq, const N: usize> From<[T; N]> for TtlSet<T, RandomState> {
    /// Elements that never expire.
    ///
    /// ```
    /// let set = evanesce::TtlSet::from(["a", "b", "a"]);
    /// assert_eq!((set.len(), set.contains("b")), (2, true));
    /// ```
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

impl<T, S> Extend<T> for &TtlSet<T, S>
where
    T: Hash + Eq,
    S: BuildHasher,
{
    /// Inserts all, with the default TTL.
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        self.as_map().extend(elements.into_iter().map(|element| (element, ())));
    }
}

impl<T, S> Extend<T> for TtlSet<T, S>
where
    T: Hash + Eq,
    S: BuildHasher,
{
    /// Inserts all, with the default TTL.
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        (&*self).extend(elements);
    }
}

impl<'a, T, S> Extend<&'a T> for &TtlSet<T, S>
where
    T: Hash + Eq + Copy,
    S: BuildHasher,
{
    /// Inserts copies of all, with the default TTL.
    fn extend<I: IntoIterator<Item = &'a T>>(&mut self, elements: I) {
        self.extend(elements.into_iter().copied());
    }
}

impl<'a, T, S> Extend<&'a T> for TtlSet<T, S>
where
    T: Hash + Eq + Copy,
    S: BuildHasher,
{
    /// Inserts copies of all, with the default TTL.
    fn extend<I: IntoIterator<Item = &'a T>>(&mut self, elements: I) {
        (&*self).extend(elements);
    }
}
