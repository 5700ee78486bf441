//! Read-modify-write: what a key gets, or whether it stays, hangs on what it has.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::raw::Waiting;

use super::{Pinned, infallible, matches, steps::Owned};

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
    /// value; `None` if the key is absent or expired. The key is replaced as well, as by [`Pinned::insert`].
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
    pub fn update(&self, key: K, f: impl FnMut(&V) -> V) -> Option<&V> {
        self.update_at(&mut Waiting::with_key(key), &Owned, f)
    }

    /// Replaces the value of `key` by what `f` makes of it, keeping the deadline, or puts what `make` returns,
    /// with the map's default TTL, if the key is absent or expired; returns the new value. The key is replaced as
    /// well, as by [`Pinned::insert`].
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
        f: impl FnMut(&V) -> V,
        make: impl FnMut() -> V,
    ) -> &V {
        self.update_or_insert_at(&mut Waiting::with_key(key), &Owned, f, make)
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
        is_expected: impl FnMut(&V) -> bool,
    ) -> Result<&V, V> {
        self.replace_if_at(&mut Waiting::new(key, value), &Owned, is_expected, || None)
    }

    /// Replaces the value of `key` by `value`, to expire after `ttl` from now, if the key has a value that
    /// `is_expected` accepts; otherwise as [`Pinned::replace_if`].
    ///
    /// # Errors
    ///
    /// As for `replace_if`. Then the deadline stays as well.
    ///
    /// # Panics
    ///
    /// As `replace_if`.
    ///
    /// # Examples
    ///
    /// A lock that its holder renews, and passes on:
    ///
    /// ```
    /// use evanesce::{ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::<&str, u32>::builder().clock(ManualClock::new()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("lock", 17, 5 * SECOND);
    /// assert_eq!(pinned.replace_if_with_ttl("lock", 18, 9 * SECOND, |holder| *holder == 17), Ok(&17));
    /// assert_eq!(pinned.ttl("lock"), Some(Ttl::Remaining(9 * SECOND)));
    /// assert_eq!(pinned.replace_if_with_ttl("lock", 19, 5 * SECOND, |holder| *holder == 17), Err(19));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn replace_if_with_ttl(
        &self,
        key: K,
        value: V,
        ttl: Duration,
        is_expected: impl FnMut(&V) -> bool,
    ) -> Result<&V, V> {
        let state = || Some(self.map.table.clock.state_after(ttl));
        self.replace_if_at(&mut Waiting::new(key, value), &Owned, is_expected, state)
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
    pub fn compute(&self, key: K, f: impl FnMut(Option<&V>) -> Operation<V>) -> Compute<'_, V> {
        self.compute_at(&mut Waiting::with_key(key), &Owned, f)
    }

    /// Does with `key` what `f` says of its value, as [`Pinned::compute`]; or nothing, if `f` returns an error.
    ///
    /// So `f` may use `?`, and what it gives up with reaches the caller, a reference to the value included.
    ///
    /// # Errors
    ///
    /// The error of the last run of `f`. Nothing is changed then.
    ///
    /// # Panics
    ///
    /// As `compute`.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Compute, Operation, TtlMap};
    ///
    /// #[derive(PartialEq, Debug)]
    /// enum Refused {
    ///     NoSuchAccount,
    ///     Short { of: u32 },
    /// }
    ///
    /// let balances = TtlMap::new();
    /// let pinned = balances.pin();
    /// let withdraw = |account, sum: u32| {
    ///     pinned.try_compute(account, |balance: Option<&u32>| {
    ///         let balance = balance.ok_or(Refused::NoSuchAccount)?;
    ///         let left = balance.checked_sub(sum).ok_or_else(|| Refused::Short { of: sum - balance })?;
    ///         Ok(if left == 0 { Operation::Remove } else { Operation::Insert(left) })
    ///     })
    /// };
    /// pinned.insert("ada", 10);
    /// assert_eq!(withdraw("ada", 7), Ok(Compute::Updated { old: &10, new: &3 }));
    /// assert_eq!(withdraw("ada", 7), Err(Refused::Short { of: 4 }));
    /// assert_eq!(withdraw("bob", 7), Err(Refused::NoSuchAccount));
    /// assert_eq!(withdraw("ada", 3), Ok(Compute::Removed(&3)));
    /// ```
    #[inline]
    pub fn try_compute<'p, E>(
        &'p self,
        key: K,
        f: impl FnMut(Option<&'p V>) -> Result<Operation<V>, E>,
    ) -> Result<Compute<'p, V>, E> {
        self.try_compute_at(&mut Waiting::with_key(key), &Owned, f)
    }

    /// Removes `key` and returns its value, if it has one that `is_expected` accepts; `Ok(None)` if the key is
    /// absent or expired.
    ///
    /// `is_expected` runs again, with the newer value, if another thread replaces the value meanwhile.
    ///
    /// # Errors
    ///
    /// The value that `is_expected` refused. It stays.
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
    /// assert_eq!(pinned.remove_if("a", |_, value| *value > 1), Err(&1)); // refused
    /// assert_eq!(pinned.remove_if("a", |_, value| *value == 1), Ok(Some(&1)));
    /// assert_eq!(pinned.remove_if("a", |_, value| *value == 1), Ok(None)); // absent
    /// ```
    pub fn remove_if<Q>(
        &self,
        key: &Q,
        mut is_expected: impl FnMut(&K, &V) -> bool,
    ) -> Result<Option<&V>, &V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let is_expected = |(key, value): &(K, V)| is_expected(key, value);
        let place = self.split_key(key);
        self.outrun_load(place, key);
        let removed = self.map.table.remove_if(place, &self.guard, matches(key), is_expected);
        match infallible(removed) {
            Ok(removed) => Ok(removed.map(|(_, value)| value)),
            Err((_, refused)) => Err(refused),
        }
    }
}
