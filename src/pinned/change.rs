//! Read-modify-write: what a key gets, or whether it stays, hangs on what it has.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::raw::{Computed, Decision, Met};

use super::{Pinned, infallible, refused};

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
    pub fn update(&self, key: K, mut f: impl FnMut(&V) -> V) -> Option<&V> {
        match self.change(key, |value| match value {
            Some(value) => Operation::Insert(f(value)),
            None => Operation::Abort,
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
    pub fn update_or_insert_with(
        &self,
        key: K,
        mut f: impl FnMut(&V) -> V,
        mut make: impl FnMut() -> V,
    ) -> &V {
        match self.change(key, |value| Operation::Insert(value.map_or_else(&mut make, &mut f))) {
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
    pub fn replace_if(
        &self,
        key: K,
        value: V,
        mut is_expected: impl FnMut(&V) -> bool,
    ) -> Result<&V, V> {
        let split_key = self.split_key(&key);
        let computed = self.map.table.compute(
            split_key,
            (key, value),
            &self.guard,
            |(key, _), (met, _)| Ok(key == met),
            |new, met| match met {
                Some(Met { entry: (_, value), .. }) if is_expected(value) => {
                    Decision::Put(new, None)
                }
                _ => Decision::Leave(new),
            },
            |new| new,
        );
        match infallible(computed) {
            Computed::Put { replaced: Some((_, old)), .. } => Ok(old),
            Computed::Left(_, new) => Err(refused(new)),
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
    pub fn compute(&self, key: K, f: impl FnMut(Option<&V>) -> Operation<V>) -> Compute<'_, V> {
        self.change(key, f)
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
        let computed = self.map.table.compute(
            self.split_key(key),
            (),
            &self.guard,
            |(), (met, _)| Ok(key.equivalent(met)),
            |(), met| match met {
                Some(Met { entry: (key, value), .. }) if is_expected(key, value) => {
                    Decision::Remove(())
                }
                _ => Decision::Leave(()),
            },
            |_| unreachable!("nothing is put"),
        );
        match infallible(computed) {
            Computed::Removed((_, value)) => Some(value),
            _ => None,
        }
    }

    fn change(&self, key: K, mut f: impl FnMut(Option<&V>) -> Operation<V>) -> Compute<'_, V> {
        let split_key = self.split_key(&key);
        let clock = &self.map.table.clock;
        let computed = self.map.table.compute(
            split_key,
            key,
            &self.guard,
            |key, (met, _)| Ok(key == met),
            |key, met| {
                // The default is for a key that has no deadline to keep.
                let is_absent = met.is_none();
                let default = || is_absent.then(|| self.map.default_state());
                let operation = f(met.map(|met| &met.entry.1));
                match operation {
                    Operation::Insert(value) => Decision::Put((key, value), default()),
                    Operation::InsertWithTtl(value, ttl) => {
                        Decision::Put((key, value), Some(clock.state_after(ttl)))
                    }
                    Operation::Remove => Decision::Remove(key),
                    Operation::Abort => Decision::Leave(key),
                }
            },
            |(key, value)| {
                drop(value);
                key
            },
        );
        match infallible(computed) {
            Computed::Put { entry: (_, new), replaced: None } => Compute::Inserted(new),
            Computed::Put { entry: (_, new), replaced: Some((_, old)) } => {
                Compute::Updated { old, new }
            }
            Computed::Removed((_, value)) => Compute::Removed(value),
            Computed::Left(entry, _) => Compute::Unchanged(entry.map(|(_, value)| value)),
        }
    }
}
