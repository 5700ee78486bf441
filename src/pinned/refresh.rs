//! Early refresh: one caller makes the new value while all others read the old one.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::{
    clock::nanos,
    raw::{Computed, Decision, Freshness, Put, RefreshToken, State, Waiting},
};

use super::{Pinned, infallible, matches};

/// What [`Pinned::get_or_refresh`] found.
///
/// These are all the cases there are: a value is fresh or not, and if not, one caller has the token. None will be added,
/// so a `match` needs no `_`.
#[derive(Debug)]
#[must_use = "a token in it goes back when it is dropped"]
pub enum Lookup<'p, V> {
    /// The value; it has long enough to live.
    Fresh(&'p V),
    /// The value, which expires soon, and the token: it is for the caller to make a new one.
    Refresh(&'p V, RefreshToken),
    /// The value, which expires soon, while someone else has the token.
    Stale(&'p V),
    /// The key is absent or expired.
    Missing,
}

impl<'p, V> Lookup<'p, V> {
    /// Returns the value, if there is one. A token goes back.
    #[must_use]
    pub fn value(self) -> Option<&'p V> {
        match self {
            Self::Fresh(value) | Self::Refresh(value, _) | Self::Stale(value) => Some(value),
            Self::Missing => None,
        }
    }
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Returns the value of `key`, and a token to refresh it with if it expires within `early` from now and no one
    /// else has the token: so that one caller makes the new value, before the old one is gone, and no one waits.
    ///
    /// A token is of one entry. Renewed ([`set_ttl`](Self::set_ttl)), the entry keeps it; an entry that is put in
    /// its place has none yet. An entry without a deadline is always [`Fresh`](Lookup::Fresh). Nobody gets a token
    /// for a key that is [`Missing`](Lookup::Missing).
    ///
    /// # Progress
    ///
    /// For an entry that is fresh, wait-free as [`get`](Self::get) unless it is replaced meanwhile. Lock-free
    /// otherwise, and then it may finish what a write has left to do in the index, allocate at times (8 bytes
    /// for each slot of a part of the map, kept until the map is dropped), and never runs a user's `Drop`.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Lookup, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let tokens = TtlMap::<&str, u32>::builder()
    ///     .time_to_live(60 * SECOND)
    ///     .clock(clock.clone())
    ///     .build()?;
    /// let pinned = tokens.pin();
    /// pinned.insert("api", 1);
    /// assert!(matches!(pinned.get_or_refresh("api", 10 * SECOND), Lookup::Fresh(1)));
    ///
    /// clock.advance(55 * SECOND);
    /// let Lookup::Refresh(1, token) = pinned.get_or_refresh("api", 10 * SECOND) else { panic!() };
    /// // All others go on with the old value.
    /// assert!(matches!(pinned.get_or_refresh("api", 10 * SECOND), Lookup::Stale(1)));
    /// assert_eq!(pinned.refresh(token, "api", 2), Ok(&2));
    /// assert!(matches!(pinned.get_or_refresh("api", 10 * SECOND), Lookup::Fresh(2)));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "refreshAfterWrite")]
    pub fn get_or_refresh<Q>(&self, key: &Q, early: Duration) -> Lookup<'_, V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let (key, is_match) = (self.split_key(key), matches(key));
        let found = self.map.table.get_or_refresh(key, nanos(early), &self.guard, is_match);
        let found = infallible(found);
        self.map.lookups.count(found.is_some());
        match found {
            Some(((_, value), Freshness::Fresh)) => Lookup::Fresh(value),
            Some(((_, value), Freshness::Due(token))) => Lookup::Refresh(value, token),
            Some(((_, value), Freshness::Taken)) => Lookup::Stale(value),
            None => Lookup::Missing,
        }
    }

    /// Puts `value` in the place of the entry that `token` is of, with the map's default TTL, and returns it.
    ///
    /// A refresh that comes late changes nothing: not a value that was put meanwhile, nor the absence of a key
    /// that was removed.
    ///
    /// # Errors
    ///
    /// The value that was not put, if the entry was replaced, was removed or has expired, or is of another key
    /// or map. (For a key that is absent by now, [`try_insert`](Self::try_insert) puts it.)
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`]; then the token goes back, and nothing else is changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Lookup, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("a", 1, SECOND);
    /// let Lookup::Refresh(_, token) = pinned.get_or_refresh("a", 10 * SECOND) else { panic!() };
    /// pinned.insert("a", 2); // meanwhile, by someone else
    /// assert_eq!(pinned.refresh(token, "a", 3), Err(3));
    /// assert_eq!(pinned.get("a"), Some(&2));
    /// ```
    #[inline]
    pub fn refresh(&self, token: RefreshToken, key: K, value: V) -> Result<&V, V> {
        let waiting = &mut Waiting::new(key, value);
        let put = self.put_refreshed(&token, waiting, || self.map.default_state());
        // The token goes back at the end, whatever it comes to.
        drop(token);
        put.ok_or_else(|| waiting.take_value())
    }

    /// As [`refresh`](Self::refresh), with a TTL of its own.
    ///
    /// # Errors
    ///
    /// As for `refresh`.
    ///
    /// # Panics
    ///
    /// As `refresh`.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Lookup, ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::<&str, i32>::builder().clock(ManualClock::new()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("a", 1, SECOND);
    /// let Lookup::Refresh(_, token) = pinned.get_or_refresh("a", 10 * SECOND) else { panic!() };
    /// assert_eq!(pinned.refresh_with_ttl(token, "a", 2, 60 * SECOND), Ok(&2));
    /// assert_eq!(pinned.ttl("a"), Some(Ttl::Remaining(60 * SECOND)));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn refresh_with_ttl(
        &self,
        token: RefreshToken,
        key: K,
        value: V,
        ttl: Duration,
    ) -> Result<&V, V> {
        let waiting = &mut Waiting::new(key, value);
        let put = self.put_refreshed(&token, waiting, || self.map.table.clock.state_after(ttl));
        drop(token);
        put.ok_or_else(|| waiting.take_value())
    }

    #[inline]
    fn put_refreshed(
        &self,
        token: &RefreshToken,
        waiting: &mut Waiting<K, V>,
        state: impl Fn() -> State,
    ) -> Option<&V> {
        let table = &self.map.table;
        let computed = table.compute(
            self.split_key(waiting.key()),
            waiting,
            &self.guard,
            |waiting, met| Ok(waiting == Some(met)),
            |_, met| match met {
                Some(met) if table.is_of(token, &met, &self.guard) => Decision::Put(Some(state())),
                _ => Decision::Leave,
            },
        );
        match infallible(computed) {
            Computed::Put(Put { entry: (_, value), .. }) => Some(value),
            Computed::Left(_) => None,
            Computed::Removed(_) => unreachable!("it is put over another, or left"),
        }
    }
}
