//! Building a map with options.

use core::{fmt, time::Duration};
use std::hash::RandomState;

use crate::{
    build_error::{BuildError, check},
    clock::{Clock, ClockSource, nanos},
    listener::{Listener, RemovalCause},
    load::Loads,
    map::TtlMap,
    policy::{Live, Policy, check_entries},
    raw::{MAX_SLOTS, PageSize, Setup, Table},
    stats::Lookups,
    weigher::Weigher,
};

/// Options for a new [`TtlMap`], from [`TtlMap::builder`].
///
/// # Examples
///
/// ```
/// use evanesce::{ManualClock, TtlMap};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let sessions = TtlMap::<u64, String>::builder()
///     .capacity(10_000)
///     .time_to_live(Duration::from_secs(60))
///     .clock(clock.clone())
///     .build()?;
/// sessions.pin().insert(1, "ada".into());
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(sessions.pin().get(&1), None);
/// # Ok::<_, evanesce::BuildError>(())
/// ```
#[must_use = "a builder does nothing before `build`"]
pub struct Builder<K, V, S = RandomState> {
    capacity: usize,
    hasher: S,
    policy: Policy,
    /// `None`: the system's, which is asked for only when the map is built.
    clock: Option<ClockSource>,
    max_slots: usize,
    page_size: PageSize,
    listener: Listener<(K, V)>,
    weigher: Weigher<(K, V)>,
    record_stats: bool,
}

impl<K, V, S> Builder<K, V, S> {
    pub(crate) fn new(hasher: S) -> Self {
        Self {
            capacity: 0,
            hasher,
            policy: Policy::default(),
            clock: None,
            max_slots: MAX_SLOTS as usize,
            page_size: PageSize::Usual,
            listener: Listener::NONE,
            weigher: Weigher::NONE,
            record_stats: false,
        }
    }

    /// Sets for how many entries the index is laid out at once. Default: a few; it grows.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u32, u32>::builder().capacity(10_000).build()?;
    /// assert!(map.capacity() >= 10_000);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn capacity(mut self, entries: usize) -> Self {
        self.capacity = entries;
        self
    }

    /// Sets the hasher. Default: [`RandomState`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::hash::{BuildHasherDefault, DefaultHasher};
    ///
    /// type Fixed = BuildHasherDefault<DefaultHasher>; // the same hashes in each run
    /// let map: TtlMap<u32, u32, Fixed> = TtlMap::builder().hasher(Fixed::default()).build()?;
    /// assert!(map.is_empty());
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn hasher<H>(self, hasher: H) -> Builder<K, V, H> {
        let Self {
            capacity,
            hasher: _,
            policy,
            clock,
            max_slots,
            page_size,
            listener,
            weigher,
            record_stats,
        } = self;
        Builder {
            capacity,
            hasher,
            policy,
            clock,
            max_slots,
            page_size,
            listener,
            weigher,
            record_stats,
        }
    }

    /// Sets the time to live of entries that are put without one. Default: they never expire.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, u32>::builder().time_to_live(MINUTE).clock(clock.clone()).build()?;
    /// map.insert("a", 1);
    /// map.insert_with_ttl("b", 2, 2 * MINUTE);
    /// clock.advance(MINUTE);
    /// assert_eq!((map.get_cloned("a"), map.get_cloned("b")), (None, Some(2)));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn time_to_live(mut self, ttl: Duration) -> Self {
        self.policy.time_to_live = Some(ttl);
        self
    }

    /// Sets the time after which an entry expires that was put without a TTL and that no lookup has found meanwhile. It
    /// excludes [`time_to_live`](Self::time_to_live), as an entry has one deadline. It can be changed in use
    /// ([`Policy::time_to_idle`](crate::Policy::time_to_idle)) on a map that was built with it.
    ///
    /// A hit that finds 7/8 of the time left or less puts the deadline off to the whole time from then on, by one
    /// step on a word of the entry; all others write nothing. So an entry lives for 7/8 of `idle` after its last hit at
    /// least, and for all of it at most. **Such a hit is a write**: threads that read one key take its cache line from one
    /// another, up to 8 times in `idle`; and each hit reads the clock. Lookups stay wait-free: if the step fails, since
    /// another thread has renewed or ended the entry, it is not tried again.
    ///
    /// A hit is what `get` finds, and `get_key_value`, `get_many`, `get_by`, `get_or_insert_with`, `get_or_load` and
    /// their kin, `view`, `contains_key`, and `get_stale` before the deadline. `get_entry`, `ttl`, `get_or_refresh` and
    /// iteration look without a trace, and `update` and its kin keep the deadline that is there, as always. An entry that
    /// was put with a TTL or deadline of its own, or given one later, keeps that: hits do not renew it.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// let clock = ManualClock::new();
    /// let options = TtlMap::<&str, u32>::builder().clock(clock.clone());
    /// let sessions = options.time_to_idle(10 * MINUTE).build()?;
    /// sessions.insert("ada", 1);
    /// sessions.insert_with_ttl("token", 2, 12 * MINUTE);
    /// for _ in 0..2 {
    ///     clock.advance(6 * MINUTE);
    ///     assert_eq!(sessions.get_cloned("ada"), Some(1));
    /// }
    /// assert_eq!(sessions.get_cloned("token"), None);
    /// clock.advance(10 * MINUTE);
    /// assert_eq!(sessions.get_cloned("ada"), None);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "expireAfterAccess")]
    pub fn time_to_idle(mut self, idle: Duration) -> Self {
        self.policy.time_to_idle = Some(idle);
        self
    }

    /// Sets how long an entry that has expired is kept for [`Pinned::get_stale`](crate::Pinned::get_stale), for the case
    /// that no newer value is to be had ("serve stale", RFC 8767). Default: not at all. It can be changed in use
    /// ([`Policy::grace`](crate::Policy::grace)).
    ///
    /// All other calls take it for expired, and one that puts a value replaces it. Sweeps leave it alone for so long
    /// after its deadline, so it takes memory and a slot, and counts in `len`. It goes earlier where it must: by the
    /// choice of a map that is at its maximum, as any other entry (the listener is told of [`RemovalCause::Expired`]), and
    /// when an insert finds no slot free.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, u32>::builder().grace(60 * SECOND).clock(clock.clone()).build()?;
    /// map.insert_with_ttl("a", 1, 5 * SECOND);
    /// clock.advance(5 * SECOND);
    /// assert_eq!(map.get_cloned("a"), None);
    /// assert_eq!(map.sweep(Budget::full_pass()).removed, 0);
    /// assert_eq!(map.pin().get_stale("a").map(|found| *found.value), Some(1));
    /// clock.advance(60 * SECOND);
    /// assert_eq!(map.pin().get_stale("a"), None);
    /// assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "serve_stale")]
    #[doc(alias = "stale_if_error")]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.policy.grace = grace;
        self
    }

    /// Sets by which share of the default time to live it is shortened at most, at random for each entry, so that
    /// those that were put together do not expire at one instant: 0.0 to 1.0. Default: 0.0.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// let options = TtlMap::<&str, u32>::builder().clock(ManualClock::new());
    /// let map = options.time_to_live(MINUTE).ttl_jitter(0.1).build()?;
    /// map.insert("a", 1);
    /// let Some(Ttl::Remaining(left)) = map.pin().ttl("a") else { panic!() };
    /// assert!((MINUTE.mul_f64(0.9)..=MINUTE).contains(&left));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn ttl_jitter(mut self, share: f64) -> Self {
        self.policy.ttl_jitter = share;
        self
    }

    /// Sets how many slots each write checks for expired entries, on average: 0 to 1,024. With 0
    /// only [`TtlMap::sweep`] and a [`Sweeper`](crate::Sweeper) give their memory back. Default: 4.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<u32, u32>::builder().sweep_per_write(0).clock(clock.clone()).build()?;
    /// map.insert_with_ttl(1, 1, Duration::from_nanos(1));
    /// clock.advance(Duration::from_nanos(1));
    /// (2..1000).for_each(|n| _ = map.insert(n, n)); // writes that sweep nothing
    /// assert_eq!(map.stats().expired_unswept, 1);
    /// assert_eq!(map.sweep(Budget::full_pass()).removed, 1);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn sweep_per_write(mut self, slots: usize) -> Self {
        self.policy.sweep_per_write = slots;
        self
    }

    /// Sets the clock. Default: [`MonotonicClock`](crate::MonotonicClock). With another the map asks the system for the
    /// time only where that clock does, as [`TickClock`](crate::TickClock) does (and for
    /// [`Budget::time`](crate::Budget::time)); so it works where [`Instant`](std::time::Instant) does not.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Clock, TtlMap};
    /// use std::time::Duration;
    ///
    /// /// A clock that stands still: nothing expires.
    /// struct Stopped;
    /// impl Clock for Stopped {
    ///     fn now(&self) -> u64 {
    ///         0
    ///     }
    /// }
    /// let map = TtlMap::<u32, u32>::builder().clock(Stopped).build()?;
    /// map.insert_with_ttl(1, 1, Duration::from_nanos(1));
    /// assert_eq!(map.get_cloned(&1), Some(1));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(ClockSource::of(clock));
        self
    }

    /// Sets how many slots there may be: for entries, and for removed ones that are not reclaimed
    /// yet; 1 to 436,207,567, which is the default. An insert that finds none free panics, so leave head
    /// room for what waits: an eighth of the slots and a few for up to 16 threads that write, and more where
    /// there are more, or where threads stay pinned.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    ///
    /// let map = TtlMap::<u32, u32>::builder().max_slots(100).build()?;
    /// (0..80).for_each(|n| _ = map.insert(n, n));
    /// assert!(map.try_reserve(20).is_ok());
    /// assert!(map.try_reserve(21).is_err()); // one more insert would panic
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn max_slots(mut self, slots: usize) -> Self {
        self.max_slots = slots;
        self
    }

    /// Sets how many entries there may be: 1 to seven eighths of the map's slots, less two, since what had to go keeps its
    /// slot until no pinned thread may see it. Default: as many as there are slots. It can be changed
    /// in use ([`Policy::max_entries`](crate::Policy::max_entries)) on a map that was built with it.
    ///
    /// A write that takes the map past it ends another entry, and returns when it is kept again: so with *n* threads
    /// that write there are never more than *n* entries above it. On a map with deadlines each such write also sweeps 64
    /// blocks of 64 slots, or one in which something has expired, so expired entries mostly go first; then those that were
    /// not used since they came, and of the others those that were not used for longest (S3-FIFO, Yang and others 2023, on
    /// a CLOCK). The listener is told of [`RemovalCause::Size`]. What it puts itself ends nothing, and is above the maximum
    /// until later writes make up for it, by one entry each: so one that puts an entry for each that had to go lets the map
    /// grow.
    ///
    /// Lookups stay wait-free, and count uses: one that finds an entry stores a byte beside it, unless that has been
    /// used three times since it was last passed over. That is a use: `get` and all whose names begin so, `view`,
    /// `contains_key` and `ttl`, and an entry put in its place; not `iter` and its kin. A map with a maximum takes three and a
    /// half bytes a slot more, and with weights seven and a half.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u32, u32>::builder().max_entries(100).build()?;
    /// (0..1000).for_each(|n| _ = map.insert(n, n));
    /// assert_eq!((map.len(), map.get_cloned(&999)), (100, Some(999)));
    /// assert_eq!(map.stats().evicted_total, 900);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "max_capacity")]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.policy.max_entries = Some(entries);
        self
    }

    /// Sets what all entries may weigh together, by the [`weigher`](Self::weigher): 1 to 2^62. Default: anything. It can
    /// be changed in use ([`Policy::max_weight`](crate::Policy::max_weight)) on a map that was built with it. Otherwise
    /// as [`max_entries`](Self::max_entries), which it excludes.
    ///
    /// An entry that alone weighs more is refused: the call that puts it panics, and changes nothing.
    /// [`TtlMap::weigh`] tells beforehand. One that weighs nothing is never ended for the sake of others.
    ///
    /// # Examples
    ///
    /// ```
    /// let pages = evanesce::TtlMap::<u32, String>::builder()
    ///     .max_weight(1_000)
    ///     .weigher(|_, page| page.len() as u32)
    ///     .build()?;
    /// (0..100).for_each(|n| _ = pages.insert(n, "x".repeat(100)));
    /// assert_eq!((pages.len(), pages.stats().weight), (10, 1_000));
    /// let refused = pages.weigh(&(1, "x".repeat(1_001))).unwrap_err();
    /// assert_eq!(refused.to_string(), "an entry weighs 1001, but all of the map may weigh at most 1000");
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.policy.max_weight = Some(weight);
        self
    }

    /// Sets the function that weighs entries, for [`max_weight`](Self::max_weight).
    ///
    /// It is asked once when an entry is put, or again where other threads write to the same key, before anything is
    /// changed; what it said last counts until the entry ends, whatever it would say then. If it panics, nothing is
    /// changed. It may call the map.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = evanesce::TtlMap::<u32, Vec<u8>>::builder().max_weight(1 << 20);
    /// let blobs = options.weigher(|_, blob| blob.len().try_into().unwrap_or(u32::MAX)).build()?;
    /// blobs.insert(1, vec![0; 1000]);
    /// assert_eq!(blobs.stats().weight, 1000);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.weigher = Weigher::new(move |(key, value): &(K, V)| weigher(key, value));
        self
    }

    /// Sets whether the system is asked to put large tables on huge pages (Linux: `madvise` with `MADV_HUGEPAGE`;
    /// elsewhere, and where the system has none, it makes no difference). Default: no.
    ///
    /// Parts of the map of 4 MiB or more are put there, so a map of up to about 100,000 entries is as before. In
    /// one of ten million a lookup of a key at random takes some 13 % less. In return memory comes 2 MiB at a time,
    /// and the write that needs it waits until it is cleared, up to some milliseconds; what a map that has shrunk
    /// gives back the system may not be able to use at once; and when the system joins small pages to a huge one,
    /// whoever touches them waits for it, a reader too.
    ///
    /// # Examples
    ///
    /// ```
    /// let routes = evanesce::TtlMap::<u32, u64>::builder().huge_pages(true).build()?;
    /// routes.insert(1, 10);
    /// assert_eq!(routes.get_cloned(&1), Some(10));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn huge_pages(mut self, ask: bool) -> Self {
        self.page_size = if ask { PageSize::Huge } else { PageSize::Usual };
        self
    }

    /// Sets a function that is told of the end of each entry: once, after it has become invisible, with its key,
    /// its value and why it ended. Default: none.
    ///
    /// It runs on the thread that ended the entry, by a write or a sweep, before that call returns; no lock is
    /// held, and it may call the map. What it ends itself, in this map, it is told of when it returns, not within
    /// itself; and what it writes sweeps nothing. Key and value are not dropped yet, and may still be seen by pinned
    /// threads. A panic in it is caught, and costs that call of it and nothing else. Entries that are still
    /// there when the map is dropped are not told of.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{RemovalCause, TtlMap};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let log = Arc::new(Mutex::new(Vec::new()));
    /// let listening = Arc::clone(&log);
    /// let map = TtlMap::<u32, char>::builder()
    ///     .eviction_listener(move |key, value, cause| {
    ///         listening.lock().unwrap().push((*key, *value, cause));
    ///     })
    ///     .build()?;
    /// map.pin().insert(1, 'a');
    /// map.pin().insert(1, 'b');
    /// map.pin().remove(&1);
    /// let (replaced, removed) = (RemovalCause::Replaced, RemovalCause::Explicit);
    /// assert_eq!(*log.lock().unwrap(), [(1, 'a', replaced), (1, 'b', removed)]);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "removal_listener")]
    pub fn eviction_listener(
        mut self,
        listener: impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static,
    ) -> Self {
        self.listener =
            Listener::new(move |(key, value): &(K, V), cause| listener(key, value, cause));
        self
    }

    /// Sets whether the map counts its lookups, for [`Stats::hits`](crate::Stats::hits) and
    /// [`misses`](crate::Stats::misses). Default: no.
    ///
    /// Counted is each key that `get` and all whose names begin so, `view`, and `contains_key` look for. It is the
    /// one thing that a read then writes: a word in a line of its own for each of up to 64 threads that read at a
    /// time, four for each processor.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u32, u32>::builder().record_stats(true).build()?;
    /// map.insert(1, 1);
    /// assert_eq!((map.get_cloned(&1), map.get_cloned(&2)), (Some(1), None));
    /// assert_eq!((map.stats().hits, map.stats().misses), (1, 1));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn record_stats(mut self, record: bool) -> Self {
        self.record_stats = record;
        self
    }

    /// Builds the map.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if an option is out of its range; it names the option, the value and the
    /// range.
    ///
    /// # Examples
    ///
    /// ```
    /// let refused = evanesce::TtlMap::<u32, u32>::builder().max_slots(0).build().unwrap_err();
    /// assert_eq!(refused.to_string(), "max_slots is 0, but must be from 1 to 436207567");
    /// let map = evanesce::TtlMap::<u32, u32>::builder().max_slots(100).build()?;
    /// assert_eq!(map.max_slots(), 100);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn build(self) -> Result<TtlMap<K, V, S>, BuildError> {
        let max_slots = check("max_slots", self.max_slots, 1, MAX_SLOTS as usize)?;
        let capacity = check("capacity", self.capacity, 0, self.max_slots)?;
        let policy = self.policy.checked()?;
        check_entries(policy.max_entries, max_slots)?;
        let limit = policy.first_limit(self.weigher.is_some())?;
        let table = Table::new(Setup {
            capacity,
            // No range goes beyond 32 bits.
            max_slots: max_slots as u32,
            page_size: self.page_size,
            sweep_per_write: policy.sweep_per_write as u32,
            clock: self.clock.unwrap_or_else(ClockSource::monotonic),
            listener: self.listener,
            limit,
            weigher: self.weigher,
            grace: nanos(policy.grace),
            idle: policy.time_to_idle.is_some().then(|| policy.idle_nanos()),
        });
        let lookups =
            Lookups::new(self.record_stats, limit.is_some() || policy.time_to_idle.is_some());
        let (policy, loads) = (Live::new(policy), Loads::new());
        Ok(TtlMap { table, hasher: self.hasher, policy, lookups, loads })
    }
}

impl<K, V, S> fmt::Debug for Builder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("policy", &self.policy)
            .field("clock", &self.clock)
            .field("max_slots", &self.max_slots)
            .field("page_size", &self.page_size)
            .field("eviction_listener", &self.listener)
            .field("weigher", &self.weigher)
            .field("record_stats", &self.record_stats)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use super::*;
    use crate::{Budget, ManualClock, clock::uses};

    /// There are platforms where reading the system's clock panics.
    #[test]
    fn a_map_with_a_clock_of_its_own_never_asks_for_the_systems() {
        const NANO: Duration = Duration::from_nanos(1);
        let clock = ManualClock::new();
        let options = TtlMap::<u32, u32>::builder().time_to_live(NANO).clock(clock.clone());
        let map = options.hasher(RandomState::new()).build().expect("valid options");
        let work = |map: &TtlMap<u32, u32>| {
            let pinned = map.pin();
            (0..200).for_each(|n| _ = pinned.insert(n, n));
            pinned.update(1, |n| n + 1);
            pinned.extend_ttl(&1, 2 * NANO);
            pinned.persist(&1);
            pinned.set_deadline(&2, map.now() + 2 * NANO);
            _ = pinned.get_or_refresh(&1, NANO);
            assert_eq!((pinned.get(&1), pinned.iter().count()), (Some(&2), 200));
            clock.advance(NANO);
            assert_eq!((pinned.ttl(&3), pinned.iter_entries().count()), (None, 2));
            drop(pinned);
            map.sweep(Budget::entries(100));
            map.sweep(Budget::full_pass());
            map.retain(|key, _| *key == 1);
        };
        work(&map);
        let copy = map.clone();
        work(&copy);
        copy.clear();
        map.shrink_to_fit();
        assert_eq!(map.into_iter().count(), 1);
        assert_eq!(uses::so_far(), 0);
        drop(TtlMap::<u32, u32>::new());
        assert!(uses::so_far() > 0, "the default is the system's");
    }
}
