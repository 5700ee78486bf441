//! Serving stale: reading what has expired and is in its grace.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use super::{Pinned, infallible, matches};

/// A value that may have expired. From [`Pinned::get_stale`].
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stale<'p, V> {
    /// The value.
    pub value: &'p V,
    /// How long ago it expired; `None` if it has not.
    pub expired_for: Option<Duration>,
}

impl<V> Clone for Stale<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Stale<'_, V> {}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Returns the value of `key`, also one that has expired and is in its [grace](crate::Builder::grace), and how long
    /// ago that was; `None` if the key is absent, or expired for as long as the grace is. No other call sees what has
    /// expired.
    ///
    /// For the case that a newer value is wanted and cannot be had ("serve stale", RFC 8767). What was put with a TTL of
    /// zero, or given one, or a deadline that had passed, was to go at once, and has no grace.
    ///
    /// # Progress
    ///
    /// Lock-free: it looks again when the entry was replaced or renewed meanwhile.
    ///
    /// # Consistency
    ///
    /// A value without `expired_for` was visible at an instant of the call, one with it was the key's last and expired.
    /// `None` means that at an instant of the call there was neither. An insert or update in the place of one that has
    /// expired leaves no gap between the two; a load does.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let options = TtlMap::<String, u32>::builder().time_to_live(30 * SECOND).grace(600 * SECOND);
    /// let rates = options.clock(clock.clone()).build()?;
    ///
    /// // The rate, loaded once for all who ask; or, while the origin is down, the last one.
    /// let rate = |key: &str, origin: &dyn Fn() -> Result<u32, &'static str>| {
    ///     rates.try_get_or_load_blocking(key, origin).or_else(|error| {
    ///         let pinned = rates.pin();
    ///         pinned.get_stale(key).map(|found| *found.value).ok_or(error)
    ///     })
    /// };
    /// assert_eq!(rate("chf", &|| Ok(107)), Ok(107));
    /// clock.advance(40 * SECOND);
    /// assert_eq!(rate("chf", &|| Err("down")), Ok(107));
    /// assert_eq!(rates.pin().get_stale("chf").unwrap().expired_for, Some(10 * SECOND));
    /// assert_eq!(rate("chf", &|| Ok(109)), Ok(109));
    /// assert_eq!(rates.pin().get_stale("chf").unwrap().expired_for, None);
    /// clock.advance(630 * SECOND);
    /// assert_eq!(rate("chf", &|| Err("down")), Err("down"));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "serve_stale")]
    pub fn get_stale<Q>(&self, key: &Q) -> Option<Stale<'_, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = self.map.table.get_in_grace(self.split_key(key), &self.guard, matches(key));
        let found = infallible(found);
        self.map.lookups.count(found.is_some());
        found.map(|((_, value), expired_for)| Stale { value, expired_for })
    }
}
