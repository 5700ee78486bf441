//! Looking entries up.

use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use crate::{
    clock::{Deadline, Ttl},
    raw::{State, TOGETHER},
};

use super::{Pinned, infallible, matches};

/// An entry as it was at one instant: key, value and deadline. From [`Pinned::get_entry`].
#[derive(Debug)]
pub struct EntryRef<'p, K, V> {
    key: &'p K,
    value: &'p V,
    deadline: Option<Deadline>,
    slides: bool,
    ttl: Ttl,
}

impl<'p, K, V> EntryRef<'p, K, V> {
    /// An entry that was found in this state, which is not a terminal one.
    pub(crate) fn new((key, value): &'p (K, V), state: State, ttl: Ttl) -> Self {
        Self { key, value, deadline: Deadline::of(state), slides: state.is_sliding(), ttl }
    }

    /// Returns the key that is in the map.
    #[must_use]
    pub fn key(&self) -> &'p K {
        self.key
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &'p V {
        self.value
    }

    /// Returns when it expires, by the map's clock; `None` if never.
    #[must_use]
    pub fn expires_at(&self) -> Option<Deadline> {
        self.deadline
    }

    /// Returns how long it had to live then. The time left is never zero.
    #[must_use]
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// Returns whether hits put its deadline off: it was put without a TTL into a map with a
    /// [`time_to_idle`](crate::Builder::time_to_idle), and not given one since.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::time::Duration;
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// let sessions = TtlMap::<&str, u32>::builder().time_to_idle(10 * MINUTE).build()?;
    /// sessions.insert("ada", 1);
    /// sessions.insert_with_ttl("token", 2, MINUTE);
    /// let slides = |key| sessions.pin().get_entry(key).unwrap().slides();
    /// assert_eq!((slides("ada"), slides("token")), (true, false));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub fn slides(&self) -> bool {
        self.slides
    }
}

impl<K, V> Clone for EntryRef<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for EntryRef<'_, K, V> {}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Returns the value of `key`; `None` if the key is absent or expired.
    ///
    /// # Progress
    ///
    /// Wait-free: it looks into the line of the key, writes nothing, helps nobody, and reads the clock
    /// only for an entry that has a deadline.
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
        self.look_up(key, |(_, value)| value)
    }

    /// Returns the key that is in the map, and its value; `None` if the key is absent or expired. Otherwise as
    /// [`Pinned::get`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert(String::from("a"), 1);
    /// assert_eq!(pinned.get_key_value("a"), Some((&String::from("a"), &1)));
    /// assert_eq!(pinned.get_key_value("b"), None);
    /// ```
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.look_up(key, |(key, value)| (key, value))
    }

    #[inline(always)] // as `lookup`
    fn look_up<'p, Q, R>(&'p self, key: &Q, answer: impl Fn(&'p (K, V)) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if self.map.lookups.leave_traces() {
            unlikely();
            return self.look_up_and_note(key, answer);
        }
        infallible(self.map.table.get(self.split_key(key), &self.guard, matches(key), answer))
    }

    #[inline(never)] // not cold: where it is called at all, each lookup calls it
    fn look_up_and_note<'p, Q, R>(&'p self, key: &Q, answer: impl Fn(&'p (K, V)) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let table = &self.map.table;
        let found = table.get_and_note_use(self.split_key(key), &self.guard, matches(key));
        let found = infallible(found);
        self.map.lookups.count(found.is_some());
        found.map(answer)
    }

    /// Returns the entry of `key`, with its deadline and the time it has left; `None` if the key is absent or
    /// expired. All of it is as it was at one instant of the call.
    ///
    /// # Progress
    ///
    /// Lock-free: it looks again when the entry was replaced or renewed meanwhile.
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
    /// clock.advance(Duration::from_secs(20));
    /// let entry = pinned.get_entry("a").unwrap();
    /// assert_eq!((entry.key(), entry.value()), (&"a", &1));
    /// assert_eq!(entry.ttl(), Ttl::Remaining(Duration::from_secs(40)));
    /// assert_eq!(entry.expires_at().unwrap().as_nanos(), 60_000_000_000);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn get_entry<Q>(&self, key: &Q) -> Option<EntryRef<'_, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = self.map.table.get_timed(self.split_key(key), &self.guard, matches(key));
        let found = infallible(found);
        self.map.lookups.count(found.is_some());
        found.map(|(entry, state, ttl)| EntryRef::new(entry, state, ttl))
    }

    /// Returns whether `key` has a value: false if it is absent or expired.
    ///
    /// # Progress
    ///
    /// Wait-free, as [`Pinned::get`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, i32>::builder().clock(clock.clone()).build()?;
    /// let pinned = map.pin();
    /// pinned.insert_with_ttl("a", 1, Duration::from_secs(5));
    /// assert!(pinned.contains_key("a") && !pinned.contains_key("b"));
    /// clock.advance(Duration::from_secs(5));
    /// assert!(!pinned.contains_key("a"));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get(key).is_some()
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
                |entry| {
                    self.map.lookups.count(entry.is_some());
                    tell(entry.map(|(_, value)| value));
                },
            );
            infallible(looked_up);
        }
    }
}

/// Tells the compiler that it is seldom come to, so that what is there goes out of the way; what is called from there is
/// compiled as all else, since on a map where it is come to at all, each lookup comes to it.
#[cold]
#[inline]
fn unlikely() {}
