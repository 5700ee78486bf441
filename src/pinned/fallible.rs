//! Operations whose comparison can fail, for bindings to languages with their own idea of equality.

use core::time::Duration;

use crate::{
    iter::Linked,
    raw::{Computed, Decision, Met, Put, SplitKey, State, Waiting},
};

use super::{EntryRef, OccupiedError, Pinned, write::put_or_occupied};

impl<K, V, S> Pinned<'_, K, V, S> {
    /// Returns the value of the key with this hash that `is_match` accepts; `None` if there is none, or it is
    /// expired. Otherwise as [`Pinned::get`].
    ///
    /// The map's hasher is not asked: all calls for one key must bring one hash.
    ///
    /// # Errors
    ///
    /// The first error of `is_match`.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let equal = |key: &String| if key.is_empty() { Err("an empty key") } else { Ok(key == "a") };
    /// assert_eq!(pinned.insert_by(7, "a".into(), 1, equal), Ok(None));
    /// assert_eq!(pinned.get_by(7, equal), Ok(Some(&1)));
    /// pinned.insert_by(8, String::new(), 2, equal).unwrap();
    /// assert_eq!(pinned.get_by(8, equal), Err("an empty key"));
    /// ```
    pub fn get_by<E>(
        &self,
        hash: u64,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<&V>, E> {
        let key = SplitKey::from_hash(hash);
        let is_match = |(key, _): &(K, V)| is_match(key);
        let found = self.map.table.get_and_note_use(key, &self.guard, is_match)?;
        self.map.lookups.count(found.is_some());
        Ok(found.map(|(_, value)| value))
    }

    /// Returns the entry of the key with this hash that `is_match` accepts, as [`Pinned::get_entry`]; the hash as for
    /// [`Pinned::get_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`.
    pub fn get_entry_by<E>(
        &self,
        hash: u64,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<EntryRef<'_, K, V>>, E> {
        let key = SplitKey::from_hash(hash);
        let found = self.map.table.get_timed(key, &self.guard, |(key, _)| is_match(key))?;
        self.map.lookups.count(found.is_some());
        Ok(found.map(|(entry, state, ttl)| EntryRef::new(entry, state, ttl)))
    }

    /// Returns an iterator over all entries that the map holds: the visible ones, and those that have expired and that
    /// no sweep has removed yet. Otherwise as [`Pinned::iter`]. It reads no clock. For the garbage collector of
    /// another language, which asks what the map refers to.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::<u32, u32>::builder().sweep_per_write(0).build()?;
    /// map.insert_with_ttl(1, 1, Duration::ZERO);
    /// map.insert(2, 2);
    /// assert_eq!((map.pin().iter().count(), map.pin().iter_linked().count()), (1, 2));
    /// map.sweep(Budget::full_pass());
    /// assert_eq!(map.pin().iter_linked().count(), 1);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub fn iter_linked(&self) -> Linked<'_, K, V, S> {
        Linked(self.iter())
    }

    /// Puts a value, in the place of that of the key with this hash that `is_match` accepts if there is one,
    /// with the map's default TTL. Otherwise as [`Pinned::insert`]; the hash as for [`Pinned::get_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed, and key and value are dropped.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let is_a = |key: &String| Ok::<_, std::fmt::Error>(key == "a");
    /// let fails = |_: &String| Err(std::fmt::Error);
    /// pinned.insert_by(7, "a".into(), 1, is_a)?;
    /// assert_eq!(pinned.insert_by(7, "a".into(), 2, fails), Err(std::fmt::Error));
    /// assert_eq!(pinned.insert_by(7, "a".into(), 3, is_a), Ok(Some(&1)));
    /// # Ok::<_, std::fmt::Error>(())
    /// ```
    #[inline]
    pub fn insert_by<E>(
        &self,
        hash: u64,
        key: K,
        value: V,
        is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<&V>, E> {
        let waiting = &mut Waiting::new(key, value);
        self.put_by(hash, waiting, self.map.default_state(), is_match)
    }

    /// Puts a value that expires after `ttl`; otherwise as [`Pinned::insert_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed, and key and value are dropped.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn insert_with_ttl_by<E>(
        &self,
        hash: u64,
        key: K,
        value: V,
        ttl: Duration,
        is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<&V>, E> {
        let waiting = &mut Waiting::new(key, value);
        self.put_by(hash, waiting, self.map.table.clock.state_after(ttl), is_match)
    }

    #[inline]
    fn put_by<E>(
        &self,
        hash: u64,
        waiting: &mut Waiting<K, V>,
        state: State,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<&V>, E> {
        let (table, split_key) = (&self.map.table, SplitKey::from_hash(hash));
        let outrun = self.outrun_load_by(split_key, &mut is_match);
        let put = outrun.and_then(|()| {
            table.insert(split_key, waiting, state, &self.guard, |_, met| is_match(met))
        });
        if put.is_err() {
            waiting.discard();
        }
        Ok(put?.map(|(_, value)| value))
    }

    /// Puts the value that `make` makes, with the map's default TTL, in the place of that of the key with this hash
    /// that `is_match` accepts, or where there is none; returns the value that it replaces, `None` if the key is absent
    /// or expired. The hash as for [`Pinned::get_by`].
    ///
    /// `make_key` makes the key that goes with it, which `is_match` must accept. Both are given what is there: so the
    /// first of two equal keys can stay. They run again if another thread changes the key meanwhile, and what they made
    /// before is dropped. The TTL counts from when they ran.
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed, and what was made is dropped.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`]; and if `make` or `make_key` panics, then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::{convert::Infallible, sync::Arc};
    ///
    /// let map = TtlMap::<Arc<str>, u32>::new();
    /// let pinned = map.pin();
    /// let first: Arc<str> = "a".into();
    /// let count = |key: &Arc<str>| {
    ///     pinned.upsert_by(
    ///         7,
    ///         |met| Ok::<_, Infallible>(met == key),
    ///         |met| Arc::clone(met.unwrap_or(key)),
    ///         |n| n.map_or(1, |n| n + 1),
    ///     )
    /// };
    /// assert_eq!(count(&first), Ok(None));
    /// assert_eq!(count(&"a".into()), Ok(Some(&1)));
    /// let (key, n) = pinned.iter().next().unwrap();
    /// assert!(Arc::ptr_eq(key, &first) && *n == 2);
    /// ```
    #[inline]
    pub fn upsert_by<E>(
        &self,
        hash: u64,
        is_match: impl FnMut(&K) -> Result<bool, E>,
        make_key: impl FnMut(Option<&K>) -> K,
        make: impl FnMut(Option<&V>) -> V,
    ) -> Result<Option<&V>, E> {
        self.upsert_at(hash, || self.map.default_state(), is_match, make_key, make)
    }

    /// Puts a value that expires after `ttl`; otherwise as [`Pinned::upsert_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed, and what was made is dropped.
    ///
    /// # Panics
    ///
    /// As [`Pinned::upsert_by`].
    #[inline]
    pub fn upsert_with_ttl_by<E>(
        &self,
        hash: u64,
        ttl: Duration,
        is_match: impl FnMut(&K) -> Result<bool, E>,
        make_key: impl FnMut(Option<&K>) -> K,
        make: impl FnMut(Option<&V>) -> V,
    ) -> Result<Option<&V>, E> {
        let state = || self.map.table.clock.state_after(ttl);
        self.upsert_at(hash, state, is_match, make_key, make)
    }

    #[inline]
    fn upsert_at<E>(
        &self,
        hash: u64,
        state: impl Fn() -> State,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
        mut make_key: impl FnMut(Option<&K>) -> K,
        mut make: impl FnMut(Option<&V>) -> V,
    ) -> Result<Option<&V>, E> {
        let split_key = SplitKey::from_hash(hash);
        self.outrun_load_by(split_key, &mut is_match)?;
        let waiting = &mut Waiting::empty();
        let computed = self.map.table.compute(
            split_key,
            waiting,
            &self.guard,
            |_, met| is_match(met),
            |new, met| {
                // What was made for nothing is dropped before another is made.
                new.discard();
                let (met, value) = met.map(|Met { entry: (met, value), .. }| (met, value)).unzip();
                new.value = Some(make(value));
                new.key = Some(make_key(met));
                Decision::Put(Some(state()))
            },
        );
        if computed.is_err() {
            waiting.discard();
        }
        match computed? {
            Computed::Put(Put { replaced, .. }) => Ok(replaced.map(|(_, value)| value)),
            _ => unreachable!("it is put"),
        }
    }

    /// Puts a value if the key with this hash that `is_match` accepts is absent or expired, with the map's default
    /// TTL. Otherwise as [`Pinned::try_insert`], whose answer is inside; the hash as for [`Pinned::get_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed, and key and value are dropped.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let is_a = |key: &String| Ok::<_, std::fmt::Error>(key == "a");
    /// let fails = |_: &String| Err(std::fmt::Error);
    /// assert_eq!(pinned.try_insert_by(7, "a".into(), 1, is_a)?, Ok(&1));
    /// assert_eq!(pinned.try_insert_by(7, "a".into(), 2, fails), Err(std::fmt::Error));
    /// assert_eq!(pinned.try_insert_by(7, "a".into(), 3, is_a)?.unwrap_err().current, &1);
    /// # Ok::<_, std::fmt::Error>(())
    /// ```
    #[inline]
    pub fn try_insert_by<E>(
        &self,
        hash: u64,
        key: K,
        value: V,
        is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Result<&V, OccupiedError<'_, V>>, E> {
        let waiting = &mut Waiting::new(key, value);
        let put = self.try_put_by(hash, waiting, self.map.default_state(), is_match)?;
        Ok(put_or_occupied(put, waiting))
    }

    /// Puts a value that expires after `ttl`; otherwise as [`Pinned::try_insert_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed, and key and value are dropped.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn try_insert_with_ttl_by<E>(
        &self,
        hash: u64,
        key: K,
        value: V,
        ttl: Duration,
        is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Result<&V, OccupiedError<'_, V>>, E> {
        let waiting = &mut Waiting::new(key, value);
        let put =
            self.try_put_by(hash, waiting, self.map.table.clock.state_after(ttl), is_match)?;
        Ok(put_or_occupied(put, waiting))
    }

    #[inline]
    fn try_put_by<E>(
        &self,
        hash: u64,
        waiting: &mut Waiting<K, V>,
        state: State,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Result<&V, &V>, E> {
        let (table, split_key) = (&self.map.table, SplitKey::from_hash(hash));
        let outrun = self.outrun_load_by(split_key, &mut is_match);
        let is_match = |_: &K, met: &K| is_match(met);
        let put = outrun
            .and_then(|()| table.try_insert(split_key, waiting, state, &self.guard, is_match));
        if put.is_err() {
            waiting.discard();
        }
        Ok(put?.map(|put| &put.entry.1).map_err(|(_, current)| current))
    }

    /// Lets the value of the key with this hash that `is_match` accepts expire after `ttl` from now. Otherwise as
    /// [`Pinned::set_ttl`]; the hash as for [`Pinned::get_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let is_a = |key: &String| Ok::<_, std::fmt::Error>(key == "a");
    /// pinned.insert_by(7, "a".into(), 1, is_a)?;
    /// assert_eq!(pinned.set_ttl_by(7, Duration::ZERO, |_| Err(std::fmt::Error)), Err(std::fmt::Error));
    /// assert_eq!(pinned.set_ttl_by(7, Duration::ZERO, is_a), Ok(true));
    /// assert_eq!(pinned.set_ttl_by(7, Duration::MAX, is_a), Ok(false));
    /// # Ok::<_, std::fmt::Error>(())
    /// ```
    pub fn set_ttl_by<E>(
        &self,
        hash: u64,
        ttl: Duration,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (table, split_key) = (&self.map.table, SplitKey::from_hash(hash));
        let state = table.clock.state_after(ttl);
        table.renew(split_key, |_| state, &self.guard, |(key, _)| is_match(key))
    }

    /// Lets the value of the key with this hash that `is_match` accepts expire as if it were put now without a TTL:
    /// after the map's default one, or its [`time_to_idle`](crate::Builder::time_to_idle), which hits renew then; or
    /// never. Otherwise as [`Pinned::set_ttl_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// let clock = ManualClock::new();
    /// let options = TtlMap::<String, u32>::builder().clock(clock.clone());
    /// let map = options.time_to_idle(10 * MINUTE).build()?;
    /// let pinned = map.pin();
    /// let is_a = |key: &String| Ok::<_, std::fmt::Error>(key == "a");
    /// pinned.insert_with_ttl_by(7, "a".into(), 1, MINUTE, is_a)?;
    /// assert_eq!(pinned.reset_ttl_by(7, is_a), Ok(true));
    /// clock.advance(6 * MINUTE);
    /// assert_eq!(pinned.get_by(7, is_a), Ok(Some(&1))); // which renews it
    /// assert_eq!(pinned.get_entry_by(7, is_a)?.unwrap().ttl(), Ttl::Remaining(10 * MINUTE));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset_ttl_by<E>(
        &self,
        hash: u64,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (table, split_key) = (&self.map.table, SplitKey::from_hash(hash));
        let state = self.map.default_state();
        table.renew(split_key, |_| state, &self.guard, |(key, _)| is_match(key))
    }

    /// Removes the key with this hash that `is_match` accepts and returns its value. Otherwise as
    /// [`Pinned::remove`]; the hash as for [`Pinned::get_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let is_a = |key: &String| Ok::<_, std::fmt::Error>(key == "a");
    /// let fails = |_: &String| Err(std::fmt::Error);
    /// pinned.insert_by(7, "a".into(), 1, is_a)?;
    /// assert_eq!(pinned.remove_by(7, fails), Err(std::fmt::Error));
    /// assert_eq!((pinned.remove_by(7, is_a), pinned.remove_by(7, is_a)), (Ok(Some(&1)), Ok(None)));
    /// # Ok::<_, std::fmt::Error>(())
    /// ```
    pub fn remove_by<E>(
        &self,
        hash: u64,
        is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<&V>, E> {
        let removed = self.remove_entry_by(hash, is_match)?;
        Ok(removed.map(|(_, value)| value))
    }

    /// Removes the key with this hash that `is_match` accepts, and returns the key that was in the map, and its value.
    /// Otherwise as [`Pinned::remove`]; the hash as for [`Pinned::get_by`].
    ///
    /// # Errors
    ///
    /// The first error of `is_match`; then nothing is changed.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let is_a = |key: &String| Ok::<_, std::fmt::Error>(key == "a");
    /// pinned.insert_by(7, "a".into(), 1, is_a)?;
    /// assert_eq!(pinned.remove_entry_by(7, is_a), Ok(Some((&"a".into(), &1))));
    /// assert_eq!(pinned.remove_entry_by(7, is_a), Ok(None));
    /// # Ok::<_, std::fmt::Error>(())
    /// ```
    pub fn remove_entry_by<E>(
        &self,
        hash: u64,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<Option<(&K, &V)>, E> {
        let key = SplitKey::from_hash(hash);
        self.outrun_load_by(key, &mut is_match)?;
        let removed = self.map.table.remove(key, &self.guard, |(key, _)| is_match(key))?;
        Ok(removed.map(|(key, value)| (key, value)))
    }
}
