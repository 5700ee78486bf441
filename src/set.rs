//! A set: a map whose values are nothing.

use core::{
    fmt,
    hash::{BuildHasher, Hash},
    time::Duration,
};
use std::hash::RandomState;

use equivalent::Equivalent;

use crate::{
    clock::{Deadline, Ttl},
    iter::Keys,
    map::TtlMap,
    pinned::Pinned,
    raw::Waiting,
};

/// A lock-free concurrent hash set whose elements can expire: a [`TtlMap`] without values.
///
/// What it has no call for, the map behind it has ([`TtlSet::as_map`]); and a set with options is made of a
/// map with options.
///
/// # Examples
///
/// ```
/// use evanesce::{ManualClock, TtlMap, TtlSet};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let revoked = TtlSet::from(TtlMap::<u64, ()>::builder().clock(clock.clone()).build()?);
/// assert!(revoked.insert_with_ttl(17, Duration::from_secs(60)));
/// assert!(revoked.contains(&17));
/// clock.advance(Duration::from_secs(60));
/// assert!(!revoked.contains(&17));
/// # Ok::<_, evanesce::BuildError>(())
/// ```
pub struct TtlSet<T, S = RandomState>(TtlMap<T, (), S>);

/// A set, seen by a pinned thread, as [`Pinned`] is for a map. From [`TtlSet::pin`].
pub struct PinnedSet<'s, T, S = RandomState>(Pinned<'s, T, (), S>);

impl<T> TtlSet<T> {
    /// Creates an empty set whose elements never expire unless they are put with a TTL.
    #[must_use]
    pub fn new() -> Self {
        Self(TtlMap::new())
    }

    /// Creates an empty set whose index is laid out for `capacity` elements.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(TtlMap::with_capacity(capacity))
    }
}

impl<T, S> TtlSet<T, S> {
    /// Creates an empty set that hashes with `hasher`.
    #[must_use]
    pub fn with_hasher(hasher: S) -> Self {
        Self(TtlMap::with_hasher(hasher))
    }

    /// Returns the map behind the set, for sweeping, statistics, policy and whatever else it has.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, TtlSet};
    /// use std::time::Duration;
    ///
    /// let set = TtlSet::new();
    /// set.insert_with_ttl(1, Duration::ZERO);
    /// assert_eq!(set.as_map().live_len(), 0);
    /// set.as_map().sweep(Budget::full_pass());
    /// assert!(set.is_empty());
    /// ```
    #[must_use]
    pub fn as_map(&self) -> &TtlMap<T, (), S> {
        &self.0
    }

    /// Returns the map behind the set.
    #[must_use]
    pub fn into_map(self) -> TtlMap<T, (), S> {
        self.0
    }

    /// Pins the current thread, as [`TtlMap::pin`] does.
    #[inline]
    pub fn pin(&self) -> PinnedSet<'_, T, S> {
        PinnedSet(self.0.pin())
    }

    /// Returns the number of elements, those included that have expired and are not swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether [`TtlSet::len`] is 0. It may be false although every element has expired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes all elements, as [`TtlMap::clear`] does.
    ///
    /// # Panics
    ///
    /// If the `Drop` of an element panics; the set stays usable.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Removes the elements for which `keep` returns false, as [`TtlMap::retain`] does.
    ///
    /// # Panics
    ///
    /// If `keep` panics, or the `Drop` of an element; the set stays usable.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: evanesce::TtlSet<u32> = (0..10).collect();
    /// set.retain(|n| n % 2 == 0);
    /// assert_eq!((set.len(), set.contains(&3), set.contains(&4)), (5, false, true));
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|element, ()| keep(element));
    }
}

impl<T, S> TtlSet<T, S>
where
    T: Hash + Eq,
    S: BuildHasher,
{
    /// As [`PinnedSet::contains`], but pins for itself.
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.pin().contains(element)
    }

    /// As [`PinnedSet::insert`], but pins for itself. Returns true if the element was **new**.
    ///
    /// **[`TtlMap::insert`] answers the other way round**: true if a value was replaced. Both are as in std.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set = evanesce::TtlSet::new();
    /// assert!(set.insert("a") && !set.insert("a"));
    /// assert!(set.contains("a") && set.remove("a") && !set.remove("a"));
    /// ```
    #[inline]
    pub fn insert(&self, element: T) -> bool {
        self.pin().insert(element)
    }

    /// As [`PinnedSet::insert_with_ttl`], but pins for itself. Returns true if the element was **new**, as
    /// [`TtlSet::insert`] does.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn insert_with_ttl(&self, element: T, ttl: Duration) -> bool {
        self.pin().insert_with_ttl(element, ttl)
    }

    /// As [`PinnedSet::remove`], but pins for itself.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    pub fn remove<Q>(&self, element: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.pin().remove(element)
    }
}

impl<T, S> PinnedSet<'_, T, S> {
    /// Lets the epoch move on, as [`Pinned::repin`] does.
    #[inline]
    pub fn repin(&mut self) {
        self.0.repin();
    }

    /// Returns an iterator over the visible elements, as [`Pinned::iter`] does.
    #[must_use]
    pub fn iter(&self) -> Keys<'_, T, (), S> {
        self.0.keys()
    }
}

impl<T, S> PinnedSet<'_, T, S>
where
    T: Hash + Eq,
    S: BuildHasher,
{
    /// Returns whether the element is in the set and has not expired. Wait-free, as [`Pinned::get`] is.
    #[inline]
    pub fn contains<Q>(&self, element: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.contains_key(element)
    }

    /// Returns the element of the set that is equal to this one; `None` if it is absent or expired.
    ///
    /// # Examples
    ///
    /// ```
    /// let set: evanesce::TtlSet<String> = ["a".to_owned()].into_iter().collect();
    /// assert_eq!(set.pin().get("a").map(String::as_str), Some("a"));
    /// ```
    pub fn get<Q>(&self, element: &Q) -> Option<&T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.get_key_value(element).map(|(element, ())| element)
    }

    /// Puts an element, with the default TTL, in the place of one that is equal. Returns true if it was **new**: absent
    /// or expired.
    ///
    /// **[`TtlMap::insert`] answers the other way round**: true if a value was replaced.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn insert(&self, element: T) -> bool {
        self.0.put(&mut Waiting::new(element, ()), self.0.map.default_state()).is_none()
    }

    /// Puts an element that expires after `ttl`, as [`PinnedSet::insert`] otherwise.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn insert_with_ttl(&self, element: T, ttl: Duration) -> bool {
        let waiting = &mut Waiting::new(element, ());
        self.0.put(waiting, self.0.map.table.clock.state_after(ttl)).is_none()
    }

    /// Puts an element that expires at `deadline`, as [`PinnedSet::insert`] otherwise.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn insert_with_deadline(&self, element: T, deadline: Deadline) -> bool {
        self.0.put(&mut Waiting::new(element, ()), deadline.state()).is_none()
    }

    /// Removes the element; returns false if it was absent or expired.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    pub fn remove<Q>(&self, element: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.remove(element).is_some()
    }

    /// Removes the element that is equal to this one, and returns it; `None` if it was absent or expired.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let set: evanesce::TtlSet<String> = ["a".to_owned()].into_iter().collect();
    /// let pinned = set.pin();
    /// assert_eq!(pinned.take("a").map(String::as_str), Some("a"));
    /// assert_eq!(pinned.take("a"), None);
    /// ```
    pub fn take<Q>(&self, element: &Q) -> Option<&T>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.remove_entry(element).map(|(element, ())| element)
    }

    /// Returns how long the element has to live, as [`Pinned::ttl`] does.
    pub fn ttl<Q>(&self, element: &Q) -> Option<Ttl>
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.ttl(element)
    }

    /// Lets the element expire after `ttl` from now, as [`Pinned::set_ttl`] does.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    pub fn set_ttl<Q>(&self, element: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.set_ttl(element, ttl)
    }

    /// Lets the element expire at `deadline`, as [`Pinned::set_deadline`] does.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    pub fn set_deadline<Q>(&self, element: &Q, deadline: Deadline) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.set_deadline(element, deadline)
    }

    /// Lets the element live for `ttl` from now if it would expire sooner, as [`Pinned::extend_ttl`] does.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    pub fn extend_ttl<Q>(&self, element: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.extend_ttl(element, ttl)
    }

    /// Lets the element stay until it is removed, as [`Pinned::persist`] does.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    pub fn persist<Q>(&self, element: &Q) -> bool
    where
        Q: Hash + Equivalent<T> + ?Sized,
    {
        self.0.persist(element)
    }
}

impl<T, S> From<TtlMap<T, (), S>> for TtlSet<T, S> {
    fn from(map: TtlMap<T, (), S>) -> Self {
        Self(map)
    }
}

impl<T, S: Default> Default for TtlSet<T, S> {
    fn default() -> Self {
        Self(TtlMap::default())
    }
}

impl<T: fmt::Debug, S> fmt::Debug for TtlSet<T, S> {
    /// Shows the visible elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pin().fmt(f)
    }
}

impl<T: fmt::Debug, S> fmt::Debug for PinnedSet<'_, T, S> {
    /// Shows the visible elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<'p, T, S> IntoIterator for &'p PinnedSet<'p, T, S> {
    type Item = &'p T;
    type IntoIter = Keys<'p, T, (), S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T, S> Clone for TtlSet<T, S>
where
    T: Clone + Hash + Eq,
    S: Clone + BuildHasher,
{
    /// A set of the visible elements, with their deadlines, and with the same options.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, S> PartialEq for TtlSet<T, S>
where
    T: Hash + Eq,
    S: BuildHasher,
{
    /// Whether both have equal visible elements, their deadlines apart.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T, S> PartialEq for PinnedSet<'_, T, S>
where
    T: Hash + Eq,
    S: BuildHasher,
{
    /// Whether the sets are equal.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T, S> IntoIterator for TtlSet<T, S> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    /// The visible elements, in no useful order.
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(element, ())| element).collect::<Vec<_>>().into_iter()
    }
}
