//! The pinned view: every operation on entries.

use core::{
    convert::Infallible,
    fmt,
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::{
    clock::{Deadline, Ttl},
    iter::Iter,
    map::TtlMap,
    raw::{Guard, Position, SplitKey, State, TOGETHER},
};

/// A map, seen by a pinned thread. From [`TtlMap::pin`].
///
/// References to values live as long as the borrow of this view: no one can drop a value under
/// them. It is not [`Send`]: it belongs to the thread that pinned, and a future that holds one over
/// an `.await` cannot be spawned on a multi-threaded executor.
///
/// ```compile_fail,E0277
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// fn send_to_a_thread(_: impl Send) {}
/// send_to_a_thread(map.pin());
/// ```
///
/// ```compile_fail
/// fn spawn(_: impl std::future::Future + Send) {}
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// spawn(async {
///     let pinned = map.pin();
///     std::future::ready(()).await; // held over the await
///     pinned.get(&1).copied()
/// });
/// ```
///
/// ```compile_fail,E0505
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// let pinned = map.pin();
/// let value = pinned.get(&1);
/// drop(pinned); // the reference would outlive the pin
/// assert_eq!(value, None);
/// ```
///
/// ```compile_fail,E0502
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// let mut pinned = map.pin();
/// let value = pinned.get(&1);
/// pinned.repin(); // the reference would outlive the pin
/// assert_eq!(value, None);
/// ```
pub struct Pinned<'m, K, V, S> {
    pub(crate) map: &'m TtlMap<K, V, S>,
    pub(crate) guard: Guard,
}

/// A key had a visible value already. From [`Pinned::try_insert`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OccupiedError<'p, V> {
    /// The value that is there.
    pub current: &'p V,
    /// The value that was not inserted.
    pub not_inserted: V,
}

impl<V: fmt::Debug> fmt::Display for OccupiedError<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key has the value {:?} already", self.current)
    }
}

impl<V: fmt::Debug> core::error::Error for OccupiedError<'_, V> {}

impl<K, V, S> Pinned<'_, K, V, S> {
    /// Lets the epoch move on, as if this view were dropped and made anew, at a fraction of the
    /// cost. Does nothing while the thread holds a second view.
    #[inline]
    pub fn repin(&mut self) {
        self.guard.repin();
    }

    /// Returns an iterator over the visible entries, in no useful order.
    ///
    /// # Consistency
    ///
    /// A key that is in the map throughout is seen exactly once, with a value it had at some time
    /// meanwhile. One that comes or goes meanwhile may be seen or not. It never blocks, and the map
    /// may be changed while it goes on.
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
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Returns the value of `key`; `None` if the key is absent or expired.
    ///
    /// # Progress
    ///
    /// Wait-free: it walks forward through a bucket, writes nothing, helps nobody, and reads the
    /// clock only for an entry that has a deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// assert_eq!(pinned.get("a"), Some(&1));
    /// assert_eq!(pinned.get("b"), None);
    /// ```
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = self.map.table.get(self.split_key(key), &self.guard, matches(key));
        infallible(found).map(|(_, value)| value)
    }

    /// Returns the values of several keys, in their order: `None` for each that is absent or expired.
    ///
    /// The lookups go side by side, 16 at a time, so that their cache misses overlap: on a map that is
    /// larger than the cache this takes two thirds of the time of as many [`get`](Self::get)s.
    ///
    /// # Progress
    ///
    /// Wait-free, as `get` is.
    ///
    /// # Consistency
    ///
    /// Each answer is right for an instant of the call, but not all for the same.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// pinned.insert("a".into(), 1);
    /// pinned.insert("b".into(), 2);
    /// assert_eq!(pinned.get_many(["b", "c", "a"]), [Some(&2), None, Some(&1)]);
    /// ```
    pub fn get_many<Q, const N: usize>(&self, keys: [&Q; N]) -> [Option<&V>; N]
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let mut values = [None; N];
        let mut places = values.iter_mut();
        self.get_each(keys, |value| {
            if let Some(place) = places.next() {
                *place = value;
            }
        });
        values
    }

    /// Appends the values of any number of keys to `values`, in their order: `None` for each that is
    /// absent or expired. Otherwise as [`get_many`](Self::get_many); what was in `values` stays.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u64, u64>::new();
    /// let pinned = map.pin();
    /// pinned.insert(7, 49);
    /// let mut values = Vec::new();
    /// pinned.get_many_into(&[6, 7], &mut values);
    /// assert_eq!(values, [None, Some(&49)]);
    /// ```
    pub fn get_many_into<'p, 'q, Q>(
        &'p self,
        keys: impl IntoIterator<Item = &'q Q>,
        values: &mut Vec<Option<&'p V>>,
    ) where
        Q: Hash + Equivalent<K> + ?Sized + 'q,
    {
        self.get_each(keys, |value| values.push(value));
    }

    /// Returns whether `key` has a value: false if it is absent or expired.
    ///
    /// # Progress
    ///
    /// Wait-free, as [`Pinned::get`].
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get(key).is_some()
    }

    /// Returns how long `key` has to live; `None` if it is absent or expired. The time left is never
    /// zero.
    ///
    /// # Progress
    ///
    /// Lock-free: it looks again if the entry is renewed, replaced, or expires while it looks.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, i32>::builder().clock(clock.clone()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("a", 1, Duration::from_secs(60));
    /// pinned.insert("b", 2);
    /// clock.advance(Duration::from_secs(20));
    /// assert_eq!(pinned.ttl("a"), Some(Ttl::Remaining(Duration::from_secs(40))));
    /// assert_eq!(pinned.ttl("b"), Some(Ttl::Never));
    /// assert_eq!(pinned.ttl("c"), None);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "TTL")]
    pub fn ttl<Q>(&self, key: &Q) -> Option<Ttl>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        infallible(self.map.table.time_left(self.split_key(key), &self.guard, matches(key)))
    }

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
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        self.put(key, value, self.map.default_state())
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
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Option<&V> {
        self.put(key, value, self.map.table.clock.state_after(ttl))
    }

    /// Puts a value that expires at `deadline`, as [`Pinned::insert`] otherwise.
    ///
    /// With a deadline that has passed the key is absent at once.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    pub fn insert_with_deadline(&self, key: K, value: V, deadline: Deadline) -> Option<&V> {
        self.put(key, value, deadline.state())
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
    pub fn try_insert(&self, key: K, value: V) -> Result<&V, OccupiedError<'_, V>> {
        let split_key = self.split_key(&key);
        let state = self.map.default_state();
        let table = &self.map.table;
        let put = table.try_insert(split_key, (key, value), state, &self.guard, same_key);
        match infallible(put) {
            Ok((_, value)) => Ok(value),
            Err(occupied) => {
                let (_, current) = occupied.current;
                let (key, not_inserted) = occupied.rejected;
                // Before the answer is made: a panic in here drops the value as well.
                drop(key);
                Err(OccupiedError { current, not_inserted })
            }
        }
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
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> &V {
        match self.get(&key) {
            Some(value) => value,
            None => self.try_insert(key, make()).unwrap_or_else(|occupied| occupied.current),
        }
    }

    /// Replaces the value of `key` by what `f` makes of it, keeps the deadline, and returns the new
    /// value; `None` if the key is absent or expired.
    ///
    /// `f` runs again, with the newer value, if another thread replaces the value meanwhile; a
    /// renewal of the deadline does not make it run again, and is not lost.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`], and if `f` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("hits", 1);
    /// assert_eq!(pinned.update("hits", |n| n + 1), Some(&2));
    /// assert_eq!(pinned.update("misses", |n| n + 1), None);
    /// ```
    pub fn update(&self, key: K, mut f: impl FnMut(&V) -> V) -> Option<&V> {
        let split_key = self.split_key(&key);
        let updated = self.map.table.update(
            split_key,
            key,
            &self.guard,
            |key, (met, _)| Ok(key == met),
            |key, (_, value)| (key, f(value)),
            |(key, value)| {
                drop(value);
                key
            },
        );
        infallible(updated).map(|(_, value)| value)
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
        let removed = self.map.table.remove(self.split_key(key), &self.guard, matches(key));
        infallible(removed).map(|(_, value)| value)
    }

    /// Lets the value of `key` expire after `ttl` from now, sooner or later than before. Returns
    /// false if the key is absent or expired.
    ///
    /// With a TTL of zero the key is absent at once; one past the clock's range means "never".
    ///
    /// # Panics
    ///
    /// If the `Hash` or `Eq` of a key panics; nothing is changed. If the `Drop` of an earlier key or
    /// value panics; the deadline is set then.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// assert!(pinned.set_ttl("a", Duration::from_secs(5)));
    /// assert!(matches!(pinned.ttl("a"), Some(Ttl::Remaining(_))));
    /// assert!(pinned.set_ttl("a", Duration::ZERO));
    /// assert!(!pinned.set_ttl("a", Duration::from_secs(5)));
    /// ```
    #[doc(alias = "EXPIRE")]
    #[doc(alias = "touch")]
    pub fn set_ttl<Q>(&self, key: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let table = &self.map.table;
        let state = table.clock.state_after(ttl);
        infallible(table.renew(self.split_key(key), state, &self.guard, matches(key)))
    }

    #[inline]
    fn get_each<'p, 'q, Q>(
        &'p self,
        keys: impl IntoIterator<Item = &'q Q>,
        mut tell: impl FnMut(Option<&'p V>),
    ) where
        Q: Hash + Equivalent<K> + ?Sized + 'q,
    {
        let mut keys = keys.into_iter();
        while let Some(first) = keys.next() {
            let mut group = [first; TOGETHER];
            let mut split_keys = [self.split_key(first); TOGETHER];
            let mut len = 1;
            while len < TOGETHER
                && let Some(key) = keys.next()
            {
                group[len] = key;
                split_keys[len] = self.split_key(key);
                len += 1;
            }
            let looked_up = self.map.table.get_together(
                &split_keys[..len],
                &self.guard,
                |i, (met, _)| Ok(group[i].equivalent(met)),
                |entry| tell(entry.map(|(_, value)| value)),
            );
            infallible(looked_up);
        }
    }

    fn put(&self, key: K, value: V, state: State) -> Option<&V> {
        let split_key = self.split_key(&key);
        let table = &self.map.table;
        let put = table.insert(split_key, (key, value), state, &self.guard, same_key);
        infallible(put).map(|(_, value)| value)
    }

    #[inline]
    fn split_key<Q: Hash + ?Sized>(&self, key: &Q) -> SplitKey {
        SplitKey::from_hash(self.map.hasher.hash_one(key))
    }
}

impl<K, V, S> fmt::Debug for Pinned<'_, K, V, S>
where
    K: fmt::Debug,
    V: fmt::Debug,
{
    /// Shows the visible entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether an entry has this key.
#[inline]
fn matches<K, V, Q>(key: &Q) -> impl FnMut(&(K, V)) -> Result<bool, Infallible>
where
    Q: Equivalent<K> + ?Sized,
{
    move |(met, _)| Ok(key.equivalent(met))
}

/// Whether two entries have one key.
#[allow(clippy::unnecessary_wraps)] // the form of all comparisons
fn same_key<K: Eq, V>((mine, _): &(K, V), (met, _): &(K, V)) -> Result<bool, Infallible> {
    Ok(mine == met)
}

/// The answer of a search whose comparison cannot fail.
#[inline]
fn infallible<T>(Ok(answer): Result<T, Infallible>) -> T {
    answer
}
