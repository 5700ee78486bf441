//! Calls that may put a value, for a key that is at hand as a reference.

use core::{
    fmt,
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::raw::{State, Waiting};

use super::{
    Compute, OccupiedError, Operation, Pinned, infallible, matches,
    steps::{Borrowed, made_key},
    write::put_or_occupied,
};

/// A key by reference: the calls that may put a value, without an owned key at hand. From [`Pinned::by_ref`].
///
/// Each call does what the call of [`Pinned`] with its name does. An owned key is made only when a value is put, once
/// at most:
///
/// | the key | what is put has |
/// | --- | --- |
/// | is absent or expired | the key that `make_key` makes |
/// | has a value that is replaced | a clone of the key in the map, or what `make_key` made for an earlier try |
///
/// A value that is replaced needs a key as well: key and value are together in the map, and others may be reading both.
/// So [`update`](Self::update) allocates if a clone of the key does. A clone of a `String` does, one of an `Arc<str>`
/// does not. What puts nothing makes no key: [`get_or_insert_with`](Self::get_or_insert_with) of a key that has a
/// value, `update` of one that has none, a [`compute`](Self::compute) that removes or aborts.
///
/// # Panics
///
/// Beside the reasons of the call with the same name: if `make_key` or the `Clone` of a key panics, or if `make_key`
/// makes a key that is not equivalent to the one it was given. Then nothing is changed.
#[must_use = "it does nothing until one of its calls is made"]
pub struct ByRef<'p, 'q, K, V, S, Q: ?Sized, F> {
    pinned: &'p Pinned<'p, K, V, S>,
    key: &'q Q,
    make_key: F,
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Returns the calls that may put a value, such as [`update_or_insert_with`](Self::update_or_insert_with), for a
    /// key that is at hand as a reference. [`ByRef`] says when `make_key` makes an owned one of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::sync::Arc;
    ///
    /// let map = TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.by_ref("hits", String::from).get_or_insert_with(|| 1), &1);
    /// // It is there: no key is made.
    /// assert_eq!(pinned.by_ref("hits", |_| unreachable!()).get_or_insert_with(|| 2), &1);
    ///
    /// // Keys whose clone is cheap: only the first count of a key allocates.
    /// let counts = TtlMap::<Arc<str>, u32>::new();
    /// let pinned = counts.pin();
    /// for word in "to be or not to be".split(' ') {
    ///     pinned.by_ref(word, Arc::from).update_or_insert_with(|n| n + 1, || 1);
    /// }
    /// assert_eq!((pinned.get("to"), pinned.get("not")), (Some(&2), Some(&1)));
    /// ```
    #[doc(alias = "entry_ref")]
    #[doc(alias = "entry_by_ref")]
    #[inline]
    pub fn by_ref<'p, 'q, Q, F>(&'p self, key: &'q Q, make_key: F) -> ByRef<'p, 'q, K, V, S, Q, F>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        F: FnOnce(&'q Q) -> K,
    {
        ByRef { pinned: self, key, make_key }
    }
}

impl<'p, 'q, K, V, S, Q, F> ByRef<'p, 'q, K, V, S, Q, F>
where
    K: Hash + Eq,
    S: BuildHasher,
    Q: Hash + Equivalent<K> + ?Sized,
    F: FnOnce(&'q Q) -> K,
{
    /// As [`Pinned::get_or_insert_with`]. The key is made after the value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.by_ref("a", String::from).get_or_insert_with(|| 1), &1);
    /// assert_eq!(pinned.by_ref("a", String::from).get_or_insert_with(|| 2), &1);
    /// ```
    #[inline]
    pub fn get_or_insert_with(self, make: impl FnOnce() -> V) -> &'p V {
        let pinned = self.pinned;
        self.get_or_put(make, || pinned.map.default_state())
    }

    /// As [`Pinned::get_or_insert_with_ttl`]. The key is made after the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<String, u32>::builder().clock(clock.clone()).build()?;
    /// let pinned = map.pin();
    /// let get = |make: fn() -> u32| *pinned.by_ref("a", String::from).get_or_insert_with_ttl(SECOND, make);
    /// assert_eq!((get(|| 1), get(|| 2)), (1, 1));
    /// clock.advance(SECOND);
    /// assert_eq!(get(|| 3), 3);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn get_or_insert_with_ttl(self, ttl: Duration, make: impl FnOnce() -> V) -> &'p V {
        let pinned = self.pinned;
        self.get_or_put(make, || pinned.map.table.clock.state_after(ttl))
    }

    /// As [`Pinned::try_insert`].
    ///
    /// # Errors
    ///
    /// If the key has a value: that one, and the one not inserted.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.by_ref("a", String::from).try_insert(1), Ok(&1));
    /// let refused = pinned.by_ref("a", |_| unreachable!()).try_insert(2).unwrap_err();
    /// assert_eq!((refused.current, refused.not_inserted), (&1, 2));
    /// ```
    #[inline]
    pub fn try_insert(self, value: V) -> Result<&'p V, OccupiedError<'p, V>> {
        let pinned = self.pinned;
        self.try_put(value, || pinned.map.default_state())
    }

    /// As [`Pinned::try_insert_with_ttl`].
    ///
    /// # Errors
    ///
    /// If the key has a value: that one, and the one not inserted.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<String, u32>::builder().clock(clock.clone()).build()?;
    /// let pinned = map.pin();
    /// let lock = |holder| pinned.by_ref("lock", String::from).try_insert_with_ttl(holder, SECOND).is_ok();
    /// assert!(lock(1) && !lock(2));
    /// clock.advance(SECOND);
    /// assert!(lock(2));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn try_insert_with_ttl(
        self,
        value: V,
        ttl: Duration,
    ) -> Result<&'p V, OccupiedError<'p, V>> {
        let pinned = self.pinned;
        self.try_put(value, || pinned.map.table.clock.state_after(ttl))
    }

    #[inline]
    fn get_or_put(self, make: impl FnOnce() -> V, state: impl FnOnce() -> State) -> &'p V {
        if let Some(value) = self.pinned.get(self.key) {
            return value;
        }
        let value = make();
        let waiting = &mut Waiting::new(made_key(self.key, self.make_key), value);
        let (Ok(value) | Err(value)) = self.pinned.try_put(waiting, state());
        value
    }

    #[inline]
    fn try_put(
        self,
        value: V,
        state: impl FnOnce() -> State,
    ) -> Result<&'p V, OccupiedError<'p, V>> {
        let Self { pinned, key, make_key } = self;
        // Not counted as a lookup: `Pinned::try_insert` is none.
        let (table, guard) = (&pinned.map.table, &pinned.guard);
        let there = table.get(pinned.split_key(key), guard, matches(key), |(_, value)| value);
        if let Some(current) = infallible(there) {
            return Err(OccupiedError { current, not_inserted: value });
        }
        let waiting = &mut Waiting::new(made_key(key, make_key), value);
        let put = pinned.try_put(waiting, state());
        put_or_occupied(put, waiting)
    }
}

impl<'p, 'q, K, V, S, Q, F> ByRef<'p, 'q, K, V, S, Q, F>
where
    K: Hash + Eq + Clone,
    S: BuildHasher,
    Q: Hash + Equivalent<K> + ?Sized,
    F: FnOnce(&'q Q) -> K,
{
    /// As [`Pinned::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// assert_eq!(pinned.by_ref("hits", String::from).update(|n| n + 1), None);
    /// pinned.insert("hits".into(), 1);
    /// assert_eq!(pinned.by_ref("hits", String::from).update(|n| n + 1), Some(&2));
    /// ```
    #[inline]
    pub fn update(self, f: impl FnMut(&V) -> V) -> Option<&'p V> {
        self.pinned.update_at(&mut Waiting::empty(), &Borrowed::new(self.key, self.make_key), f)
    }

    /// As [`Pinned::update_or_insert_with`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let count = || *pinned.by_ref("hits", String::from).update_or_insert_with(|n| n + 1, || 1);
    /// assert_eq!((count(), count()), (1, 2));
    /// ```
    #[inline]
    pub fn update_or_insert_with(self, f: impl FnMut(&V) -> V, make: impl FnMut() -> V) -> &'p V {
        let key = &Borrowed::new(self.key, self.make_key);
        self.pinned.update_or_insert_at(&mut Waiting::empty(), key, f, make)
    }

    /// As [`Pinned::replace_if`].
    ///
    /// # Errors
    ///
    /// The value that was not put, if the key is absent or expired or has another value.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// pinned.insert("version".into(), 1);
    /// assert_eq!(pinned.by_ref("version", String::from).replace_if(2, |now| *now == 1), Ok(&1));
    /// assert_eq!(pinned.by_ref("version", String::from).replace_if(3, |now| *now == 1), Err(3));
    /// ```
    #[inline]
    pub fn replace_if(self, value: V, is_expected: impl FnMut(&V) -> bool) -> Result<&'p V, V> {
        self.replace_if_at(value, is_expected, || None)
    }

    /// As [`Pinned::replace_if_with_ttl`].
    ///
    /// # Errors
    ///
    /// The value that was not put, if the key is absent or expired or has another value.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::<String, u32>::builder().clock(ManualClock::new()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert("lock".into(), 17);
    /// let passed_on = pinned.by_ref("lock", String::from).replace_if_with_ttl(18, SECOND, |n| *n == 17);
    /// assert_eq!((passed_on, pinned.ttl("lock")), (Ok(&17), Some(Ttl::Remaining(SECOND))));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn replace_if_with_ttl(
        self,
        value: V,
        ttl: Duration,
        is_expected: impl FnMut(&V) -> bool,
    ) -> Result<&'p V, V> {
        let pinned = self.pinned;
        self.replace_if_at(value, is_expected, || Some(pinned.map.table.clock.state_after(ttl)))
    }

    #[inline]
    fn replace_if_at(
        self,
        value: V,
        is_expected: impl FnMut(&V) -> bool,
        state: impl Fn() -> Option<State>,
    ) -> Result<&'p V, V> {
        let (waiting, key) =
            (&mut Waiting::with_value(value), &Borrowed::new(self.key, self.make_key));
        self.pinned.replace_if_at(waiting, key, is_expected, state)
    }

    /// As [`Pinned::compute`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Compute, Operation, TtlMap};
    ///
    /// let map = TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let toggle = || {
    ///     pinned.by_ref("flag", String::from).compute(|value| match value {
    ///         Some(_) => Operation::Remove,
    ///         None => Operation::Insert(1),
    ///     })
    /// };
    /// assert_eq!((toggle(), toggle()), (Compute::Inserted(&1), Compute::Removed(&1)));
    /// ```
    #[inline]
    pub fn compute(self, f: impl FnMut(Option<&V>) -> Operation<V>) -> Compute<'p, V> {
        self.pinned.compute_at(&mut Waiting::empty(), &Borrowed::new(self.key, self.make_key), f)
    }

    /// As [`Pinned::try_compute`].
    ///
    /// # Errors
    ///
    /// The error of the last run of `f`. Nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Compute, Operation, TtlMap};
    ///
    /// let map = TtlMap::<String, u32>::new();
    /// let pinned = map.pin();
    /// let next = |n: Option<&u32>| n.map(|n| Operation::Insert(n + 1)).ok_or("absent");
    /// assert_eq!(pinned.by_ref("n", String::from).try_compute(next), Err("absent"));
    /// pinned.insert("n".into(), 1);
    /// assert_eq!(
    ///     pinned.by_ref("n", String::from).try_compute(next),
    ///     Ok(Compute::Updated { old: &1, new: &2 })
    /// );
    /// ```
    #[inline]
    pub fn try_compute<E>(
        self,
        f: impl FnMut(Option<&'p V>) -> Result<Operation<V>, E>,
    ) -> Result<Compute<'p, V>, E> {
        self.pinned.try_compute_at(
            &mut Waiting::empty(),
            &Borrowed::new(self.key, self.make_key),
            f,
        )
    }
}

impl<K, V, S, Q: fmt::Debug + ?Sized, F> fmt::Debug for ByRef<'_, '_, K, V, S, Q, F> {
    /// Shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByRef").field(&self.key).finish()
    }
}
