//! Read-modify-write: what a key gets, or whether it stays, hangs on what it has.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::raw::{Computed, Decision, Met, Put, Waiting};

use super::{Pinned, infallible, matches, same_key};

/// What [`Pinned::compute`] is to do with a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Operation<V> {
    /// Puts this value. It keeps the deadline of the one it replaces; where there is none, it gets the map's
    /// default TTL.
    Insert(V),
    /// Puts this value, to expire after so long.
    InsertWithTtl(V, Duration),
    /// Removes the key, if it is there.
    Remove,
    /// Leaves all as it is.
    Abort,
}

/// What [`Pinned::compute`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Compute<'p, V> {
    /// The key was absent or expired, and has this value now.
    Inserted(&'p V),
    /// The key had one value and has another now.
    Updated {
        /// The value that was replaced.
        old: &'p V,
        /// The value that is there now.
        new: &'p V,
    },
    /// The key had this value and is gone.
    Removed(&'p V),
    /// Nothing was changed: the key's value, if it has one.
    Unchanged(Option<&'p V>),
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
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
    #[inline]
    pub fn update(&self, key: K, mut f: impl FnMut(&V) -> V) -> Option<&V> {
        // It changes what is there alone, and outruns no load.
        match self.change(key, false, |new, value| {
            let Some(value) = value else { return Decision::Leave };
            *new = Some(f(value));
            Decision::Put(None)
        }) {
            Compute::Updated { new, .. } => Some(new),
            _ => None,
        }
    }

    /// Replaces the value of `key` by what `f` makes of it, keeping the deadline, or puts what `make` returns,
    /// with the map's default TTL, if the key is absent or expired; returns the new value.
    ///
    /// Both may run again, if another thread changes the key meanwhile.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`], and if `f` or `make` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.update_or_insert_with("hits", |n| n + 1, || 1), &1);
    /// assert_eq!(pinned.update_or_insert_with("hits", |n| n + 1, || 1), &2);
    /// ```
    #[inline]
    pub fn update_or_insert_with(
        &self,
        key: K,
        mut f: impl FnMut(&V) -> V,
        mut make: impl FnMut() -> V,
    ) -> &V {
        match self.change(key, true, |new, value| {
            *new = Some(value.map_or_else(&mut make, &mut f));
            Decision::Put(None)
        }) {
            Compute::Inserted(new) | Compute::Updated { new, .. } => new,
            _ => unreachable!("a value is put in either case"),
        }
    }

    /// Replaces the value of `key` by `value`, keeping the deadline, if the key has a value that `is_expected`
    /// accepts. Returns the value that was replaced.
    ///
    /// `is_expected` runs again, with the newer value, if another thread replaces the value meanwhile.
    ///
    /// # Errors
    ///
    /// The value that was not put, if the key is absent or expired or has another value.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`], and if `is_expected` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("version", 1);
    /// assert_eq!(pinned.replace_if("version", 2, |now| *now == 1), Ok(&1));
    /// assert_eq!(pinned.replace_if("version", 3, |now| *now == 1), Err(3));
    /// ```
    #[doc(alias = "compare_exchange")]
    #[inline]
    pub fn replace_if(
        &self,
        key: K,
        value: V,
        mut is_expected: impl FnMut(&V) -> bool,
    ) -> Result<&V, V> {
        let waiting = &mut Waiting::new(key, value);
        let computed = self.map.table.compute(
            self.split_key(waiting.key()),
            waiting,
            &self.guard,
            same_key,
            |_, met| match met {
                Some(Met { entry: (_, value), .. }) if is_expected(value) => Decision::Put(None),
                _ => Decision::Leave,
            },
        );
        match infallible(computed) {
            Computed::Put(Put { replaced: Some((_, old)), .. }) => Ok(old),
            Computed::Left(_) => Err(waiting.take_value()),
            _ => unreachable!("it is put over another, or left"),
        }
    }

    /// Does with `key` what `f` says of its value, or of its absence: put another, remove it, or nothing.
    ///
    /// `f` runs again, with the newer value, if another thread changes the key meanwhile; a renewal of the
    /// deadline does not make it run again, and is not lost.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`], and if `f` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// A limit of two calls in each window of a second:
    ///
    /// ```
    /// use evanesce::{Compute, ManualClock, Operation, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let calls = TtlMap::<&str, u32>::builder().clock(clock.clone()).build()?;
    /// let is_allowed = |client| {
    ///     let pinned = calls.pin();
    ///     let counted = pinned.compute(client, |count| match count {
    ///         None => Operation::InsertWithTtl(1, Duration::from_secs(1)),
    ///         Some(2) => Operation::Abort,
    ///         Some(n) => Operation::Insert(n + 1), // the window stays
    ///     });
    ///     !matches!(counted, Compute::Unchanged(_))
    /// };
    /// assert!(is_allowed("ada") && is_allowed("ada") && !is_allowed("ada"));
    /// clock.advance(Duration::from_secs(1));
    /// assert!(is_allowed("ada"));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn compute(&self, key: K, mut f: impl FnMut(Option<&V>) -> Operation<V>) -> Compute<'_, V> {
        self.change(key, true, |new, value| match f(value) {
            Operation::Insert(value) => {
                *new = Some(value);
                Decision::Put(None)
            }
            Operation::InsertWithTtl(value, ttl) => {
                *new = Some(value);
                Decision::Put(Some(self.map.table.clock.state_after(ttl)))
            }
            Operation::Remove => Decision::Remove,
            Operation::Abort => Decision::Leave,
        })
    }

    /// Removes `key` and returns its value, if it has one that `is_expected` accepts.
    ///
    /// `is_expected` runs again, with the newer value, if another thread replaces the value meanwhile.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`], and if `is_expected` panics; then nothing is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// assert_eq!(pinned.remove_if("a", |_, value| *value > 1), None);
    /// assert_eq!(pinned.remove_if("a", |_, value| *value == 1), Some(&1));
    /// ```
    pub fn remove_if<Q>(&self, key: &Q, mut is_expected: impl FnMut(&K, &V) -> bool) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let is_expected = |(key, value): &(K, V)| is_expected(key, value);
        let place = self.split_key(key);
        self.outrun_load(place, key);
        let removed = self.map.table.remove_if(place, &self.guard, matches(key), is_expected);
        infallible(removed).map(|(_, value)| value)
    }

    /// Does with `key` what `decide` says of its value. It is given the place of the value to be put; what it puts
    /// without a deadline keeps the old one, or gets the default TTL. If it may put or remove the key, it outruns loads.
    #[inline]
    fn change(
        &self,
        key: K,
        outruns: bool,
        mut decide: impl FnMut(&mut Option<V>, Option<&V>) -> Decision,
    ) -> Compute<'_, V> {
        let split_key = self.split_key(&key);
        if outruns {
            self.outrun_load(split_key, &key);
        }
        let computed = self.map.table.compute(
            split_key,
            &mut Waiting::with_key(key),
            &self.guard,
            same_key,
            |new, met| {
                // What was made for nothing is dropped before another is made.
                new.value = None;
                match decide(&mut new.value, met.as_ref().map(|met| &met.entry.1)) {
                    // The default is for a key that has no deadline to keep.
                    Decision::Put(None) if met.is_none() => {
                        Decision::Put(Some(self.map.default_state()))
                    }
                    decision => decision,
                }
            },
        );
        match infallible(computed) {
            Computed::Put(Put { entry: (_, new), replaced: None }) => Compute::Inserted(new),
            Computed::Put(Put { entry: (_, new), replaced: Some((_, old)) }) => {
                Compute::Updated { old, new }
            }
            Computed::Removed((_, value)) => Compute::Removed(value),
            Computed::Left(entry) => Compute::Unchanged(entry.map(|(_, value)| value)),
        }
    }
}
