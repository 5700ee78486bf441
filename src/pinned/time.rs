//! Deadlines: asking for them, and changing them.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use crate::{
    clock::{Deadline, Ttl},
    raw::State,
};

use super::{Pinned, infallible, matches};

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
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
        let found = self.map.table.get_timed(self.split_key(key), &self.guard, matches(key));
        infallible(found).map(|(_, _, ttl)| ttl)
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
    #[doc(alias = "GETEX")]
    #[doc(alias = "touch")]
    pub fn set_ttl<Q>(&self, key: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let state = self.map.table.clock.state_after(ttl);
        self.renew(key, |_| state)
    }

    /// Lets the value of `key` expire at `deadline`, sooner or later than before. Returns false if the key is
    /// absent or expired. With a deadline that has passed the key is absent at once.
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
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::<&str, i32>::builder().clock(ManualClock::new()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// assert!(pinned.set_deadline("a", map.now() + 5 * SECOND));
    /// assert_eq!(pinned.ttl("a"), Some(Ttl::Remaining(5 * SECOND)));
    /// assert!(pinned.set_deadline("a", map.now()));
    /// assert_eq!((pinned.get("a"), pinned.set_deadline("a", map.now())), (None, false));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "EXPIREAT")]
    pub fn set_deadline<Q>(&self, key: &Q, deadline: Deadline) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.renew(key, |_| deadline.state())
    }

    /// Lets the value of `key` live for `ttl` from now at least: one that has longer keeps it. Returns false if
    /// the key is absent or expired.
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
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::<&str, i32>::builder().clock(ManualClock::new()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("a", 1, 10 * SECOND);
    /// assert!(pinned.extend_ttl("a", 5 * SECOND));
    /// assert_eq!(pinned.ttl("a"), Some(Ttl::Remaining(10 * SECOND)));
    /// assert!(pinned.extend_ttl("a", 20 * SECOND));
    /// assert_eq!(pinned.ttl("a"), Some(Ttl::Remaining(20 * SECOND)));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn extend_ttl<Q>(&self, key: &Q, ttl: Duration) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let state = self.map.table.clock.state_after(ttl);
        self.renew(key, |now| now.later(state))
    }

    /// Lets the value of `key` live until it is removed or replaced. Returns false if the key is absent or
    /// expired.
    ///
    /// # Panics
    ///
    /// As [`Pinned::set_ttl`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("a", 1, Duration::from_secs(60));
    /// assert!(pinned.persist("a") && !pinned.persist("b"));
    /// assert_eq!(pinned.ttl("a"), Some(Ttl::Never));
    /// ```
    #[doc(alias = "PERSIST")]
    pub fn persist<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.renew(key, |_| State::NEVER)
    }

    fn renew<Q>(&self, key: &Q, change: impl Fn(State) -> State) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let table = &self.map.table;
        infallible(table.renew(self.split_key(key), change, &self.guard, matches(key)))
    }
}
