//! Putting entries in and taking them out.

use core::{
    fmt,
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::{
    clock::Deadline,
    raw::{State, Waiting},
};

use super::{Pinned, infallible, matches, same_key};

/// A key had a visible value already. From [`Pinned::try_insert`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OccupiedError<'p, V> {
    /// The value that is there.
    pub current: &'p V,
    /// The value that was not inserted.
    pub not_inserted: V,
}

/// The answer of a call that puts what waits if its key has no value.
#[inline]
pub(super) fn put_or_occupied<'p, K, V>(
    put: Result<&'p V, &'p V>,
    waiting: &mut Waiting<K, V>,
) -> Result<&'p V, OccupiedError<'p, V>> {
    match put {
        Ok(value) => Ok(value),
        Err(current) => Err(OccupiedError { current, not_inserted: waiting.take_value() }),
    }
}

impl<V: fmt::Debug> fmt::Display for OccupiedError<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key has the value {:?} already", self.current)
    }
}

impl<V: fmt::Debug> core::error::Error for OccupiedError<'_, V> {}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Puts a value, in the place of the key's value if it has one, with the map's default TTL.
    ///
    /// Returns the value that was replaced; `None` if the key was absent or expired. The key itself
    /// is replaced as well. At no moment is the key without a value.
    ///
    /// # Progress
    ///
    /// Lock-free, the allocator apart. A write also does a bounded share of the map's work: growth,
    /// sweeping, dropping keys and values that were removed earlier.
    ///
    /// # Panics
    ///
    /// If the map is at its limit of slots; nothing is changed. If the `Hash` or `Eq` of a key panics;
    /// nothing is changed. If the `Drop` of an earlier key or value panics; the value is in the map
    /// then, except on a map at its limit, where room is made first.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.insert("a", 1), None);
    /// assert_eq!(pinned.insert("a", 2), Some(&1));
    /// assert_eq!(pinned.get("a"), Some(&2));
    /// ```
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        self.put(&mut Waiting::new(key, value), self.map.default_state())
    }

    /// Puts a value that expires after `ttl`, as [`Pinned::insert`] otherwise.
    ///
    /// With a TTL of zero the key is absent at once; one past the clock's range means "never".
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, i32>::builder().clock(clock.clone()).build()?;
    /// map.pin().insert_with_ttl("a", 1, Duration::from_millis(5));
    /// clock.advance(Duration::from_nanos(4_999_999));
    /// assert_eq!(map.pin().get("a"), Some(&1));
    /// clock.advance(Duration::from_nanos(1));
    /// assert_eq!(map.pin().get("a"), None);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "SETEX")]
    #[inline]
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Option<&V> {
        self.put(&mut Waiting::new(key, value), self.map.table.clock.state_after(ttl))
    }

    /// Puts a value that expires at `deadline`, as [`Pinned::insert`] otherwise.
    ///
    /// With a deadline that has passed the key is absent at once.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Ttl, TtlMap};
    /// use std::time::{Duration, Instant};
    ///
    /// let map = TtlMap::new();
    /// let pinned = map.pin();
    /// let midnight = map.now() + Duration::from_secs(3600); // one for many
    /// pinned.insert_with_deadline("a", 1, midnight);
    /// pinned.insert_with_deadline("b", 2, midnight);
    /// assert_eq!(pinned.get_entry("a").unwrap().expires_at(), Some(midnight));
    /// // On the default clock an `Instant` is a deadline as well.
    /// pinned.insert_with_deadline("c", 3, Instant::now().into());
    /// assert_eq!(pinned.get("c"), None);
    /// ```
    #[inline]
    pub fn insert_with_deadline(&self, key: K, value: V, deadline: Deadline) -> Option<&V> {
        self.put(&mut Waiting::new(key, value), deadline.state())
    }

    /// Puts a value if the key is absent or expired, with the map's default TTL, and returns it.
    ///
    /// # Errors
    ///
    /// If the key has a value: that one, and the one not inserted.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.try_insert("a", 1), Ok(&1));
    /// let refused = pinned.try_insert("a", 2).unwrap_err();
    /// assert_eq!((refused.current, refused.not_inserted), (&1, 2));
    /// ```
    #[doc(alias = "SETNX")]
    #[inline]
    pub fn try_insert(&self, key: K, value: V) -> Result<&V, OccupiedError<'_, V>> {
        let waiting = &mut Waiting::new(key, value);
        let put = self.try_put(waiting, self.map.default_state());
        put_or_occupied(put, waiting)
    }

    /// Puts a value that expires after `ttl` if the key is absent or expired; otherwise as
    /// [`Pinned::try_insert`].
    ///
    /// # Errors
    ///
    /// If the key has a value: that one, and the one not inserted.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, u32>::builder().clock(clock.clone()).build()?;
    /// let pinned = map.pin();
    /// assert!(pinned.try_insert_with_ttl("lock", 1, 5 * SECOND).is_ok()); // holder 1 has it
    /// assert!(pinned.try_insert_with_ttl("lock", 2, 5 * SECOND).is_err());
    /// clock.advance(5 * SECOND);
    /// assert_eq!(pinned.try_insert_with_ttl("lock", 2, 5 * SECOND), Ok(&2));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn try_insert_with_ttl(
        &self,
        key: K,
        value: V,
        ttl: Duration,
    ) -> Result<&V, OccupiedError<'_, V>> {
        let waiting = &mut Waiting::new(key, value);
        let put = self.try_put(waiting, self.map.table.clock.state_after(ttl));
        put_or_occupied(put, waiting)
    }

    /// Returns the value of `key`, after putting what `make` returns, with the map's default TTL, if
    /// the key is absent or expired.
    ///
    /// `make` runs once at most. If another thread puts a value meanwhile, that one is returned and
    /// the one made is dropped. Where the value made is expired at once, by a default TTL of zero,
    /// it is returned all the same.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`], and if `make` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.get_or_insert_with("a", || 1), &1);
    /// assert_eq!(pinned.get_or_insert_with("a", || 2), &1);
    /// ```
    #[inline]
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> &V {
        self.get_or_put(key, make, || self.map.default_state())
    }

    /// Returns the value of `key`, after putting what `make` returns, to expire after `ttl`, if the key is
    /// absent or expired; otherwise as [`Pinned::get_or_insert_with`]. The time counts from when `make` has
    /// returned.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`], and if `make` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, u32>::builder().clock(clock.clone()).build()?;
    /// let pinned = map.pin();
    /// assert_eq!(pinned.get_or_insert_with_ttl("a", 5 * SECOND, || 1), &1);
    /// assert_eq!(pinned.get_or_insert_with_ttl("a", 5 * SECOND, || 2), &1);
    /// clock.advance(5 * SECOND);
    /// assert_eq!(pinned.get_or_insert_with_ttl("a", 5 * SECOND, || 3), &3);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn get_or_insert_with_ttl(&self, key: K, ttl: Duration, make: impl FnOnce() -> V) -> &V {
        self.get_or_put(key, make, || self.map.table.clock.state_after(ttl))
    }

    /// Removes `key` and returns its value; `None` if it was absent or expired.
    ///
    /// The value is dropped when no pinned thread may see it any more, by a later write or sweep.
    ///
    /// # Progress
    ///
    /// Lock-free, with a bounded share of the map's work, as [`Pinned::insert`].
    ///
    /// # Panics
    ///
    /// If the `Hash` or `Eq` of a key panics; then nothing is changed. If the `Drop` of an earlier
    /// key or value panics; then the key is removed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// assert_eq!(pinned.remove("a"), Some(&1));
    /// assert_eq!(pinned.remove("a"), None);
    /// ```
    #[doc(alias = "invalidate")]
    pub fn remove<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let place = self.split_key(key);
        self.outrun_load(place, key);
        let removed = self.map.table.remove(place, &self.guard, matches(key));
        infallible(removed).map(|(_, value)| value)
    }

    /// Removes `key` and returns the key that was in the map, and its value; `None` if it was absent or
    /// expired. Otherwise as [`Pinned::remove`].
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert(String::from("a"), 1);
    /// assert_eq!(pinned.remove_entry("a"), Some((&String::from("a"), &1)));
    /// assert_eq!(pinned.remove_entry("a"), None);
    /// ```
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let place = self.split_key(key);
        self.outrun_load(place, key);
        let removed = self.map.table.remove(place, &self.guard, matches(key));
        infallible(removed).map(|(key, value)| (key, value))
    }

    #[inline]
    pub(crate) fn put(&self, waiting: &mut Waiting<K, V>, state: State) -> Option<&V> {
        let split_key = self.split_key(waiting.key());
        self.outrun_load(split_key, waiting.key());
        let put = self.map.table.insert(split_key, waiting, state, &self.guard, same_key);
        infallible(put).map(|(_, value)| value)
    }

    /// Puts what waits if its key has no value, and returns the value; or else, as an error, the one it has.
    #[inline]
    pub(super) fn try_put(&self, waiting: &mut Waiting<K, V>, state: State) -> Result<&V, &V> {
        let split_key = self.split_key(waiting.key());
        self.outrun_load(split_key, waiting.key());
        let put = self.map.table.try_insert(split_key, waiting, state, &self.guard, same_key);
        infallible(put).map(|put| &put.entry.1).map_err(|(_, current)| current)
    }

    /// The value of `key`, after `make` has run for it if there was none.
    #[inline]
    fn get_or_put(&self, key: K, make: impl FnOnce() -> V, state: impl FnOnce() -> State) -> &V {
        if let Some(value) = self.get(&key) {
            return value;
        }
        let waiting = &mut Waiting::new(key, make());
        let (Ok(value) | Err(value)) = self.try_put(waiting, state());
        value
    }
}
