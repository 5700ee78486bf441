//! The map: construction, whole-map operations, and the way to a pin.

use core::{
    fmt,
    hash::{BuildHasher, Hash},
};
use std::{
    hash::RandomState,
    panic::{RefUnwindSafe, UnwindSafe},
};

use core::time::Duration;
use equivalent::Equivalent;

use crate::{
    build_error::{BuildError, refuse_if},
    builder::Builder,
    clock::{ClockSource, Deadline, nanos},
    load::Loads,
    pinned::Pinned,
    policy::{Live, Policy, check_entries},
    raw::{self, MAX_SLOTS, Position, Setup, State, Table, Waiting},
    stats::{Lookups, Stats},
    sweep::{Budget, SweepReport},
    weigher::TooHeavyError,
};

/// A lock-free concurrent hash map whose entries can expire.
///
/// All work on entries goes through [`TtlMap::pin`]. The map is [`Send`] and [`Sync`] if keys,
/// values and hasher are both; share it by reference or in an [`Arc`](std::sync::Arc).
///
/// Dropping the map drops every key and value in it at once, removed ones that were waiting
/// included. If one of these drops panics the others go on; a second panic aborts, as in the
/// standard collections.
///
/// # Examples
///
/// ```
/// use evanesce::TtlMap;
/// use std::time::Duration;
///
/// let map = TtlMap::new();
/// let pinned = map.pin();
/// pinned.insert("a", 1);
/// pinned.insert_with_ttl("b", 2, Duration::from_secs(60));
/// assert_eq!(pinned.get("a"), Some(&1));
/// assert_eq!(pinned.remove("b"), Some(&2));
/// ```
pub struct TtlMap<K, V, S = RandomState> {
    pub(crate) table: Table<(K, V)>,
    pub(crate) hasher: S,
    pub(crate) policy: Live,
    pub(crate) lookups: Lookups,
    pub(crate) loads: Loads<K, V>,
}

// A panic of the user's code changes nothing, or is met behind a change that is whole (DESIGN.md, section 8): so a map
// passes it if what it holds does.
impl<K, V, S> UnwindSafe for TtlMap<K, V, S>
where
    K: UnwindSafe + RefUnwindSafe,
    V: UnwindSafe + RefUnwindSafe,
    S: UnwindSafe + RefUnwindSafe,
{
}
impl<K, V, S> RefUnwindSafe for TtlMap<K, V, S>
where
    K: UnwindSafe + RefUnwindSafe,
    V: UnwindSafe + RefUnwindSafe,
    S: UnwindSafe + RefUnwindSafe,
{
}

impl<K, V> TtlMap<K, V> {
    /// Creates an empty map that never expires what is put without a TTL.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// Creates an empty map whose index is laid out for `capacity` entries, which may be more than
    /// a map can hold (436,207,567); it then is laid out for those.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::new())
    }

    /// Returns a [`Builder`], for maps with a default TTL, a clock, a limit.
    pub fn builder() -> Builder<K, V> {
        Builder::new(RandomState::new())
    }
}

impl<K, V, S> TtlMap<K, V, S> {
    /// Creates an empty map that hashes with `hasher`.
    #[must_use]
    pub fn with_hasher(hasher: S) -> Self {
        Self::with_capacity_and_hasher(0, hasher)
    }

    /// Creates an empty map that hashes with `hasher`, laid out for `capacity` entries.
    #[must_use]
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        let policy = Policy::default();
        let table = Table::new(Setup {
            capacity: capacity.min(MAX_SLOTS as usize),
            sweep_per_write: policy.sweep_per_write as u32,
            ..Setup::new(ClockSource::monotonic())
        });
        let (policy, lookups, loads) = (Live::new(policy), Lookups::NONE, Loads::new());
        Self { table, hasher, policy, lookups, loads }
    }

    /// Pins the current thread and returns the view through which entries are read and written.
    ///
    /// While it is held, no memory that it could see is reclaimed, in any map of this crate: hold
    /// it for a burst of operations, not for ever, or call [`Pinned::repin`] now and then. One pin
    /// for many reads is cheaper than one each.
    ///
    /// # Progress
    ///
    /// Lock-free: a fence, and one time in 128 a bounded amount of bookkeeping for the collector. It
    /// never runs a user's `Drop`.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// let value: &i32 = pinned.get("a").unwrap();
    /// pinned.remove("a");
    /// assert_eq!(value, &1); // there as long as the pin is
    /// ```
    #[inline]
    pub fn pin(&self) -> Pinned<'_, K, V, S> {
        Pinned { map: self, guard: raw::pin() }
    }

    /// Returns the number of entries in the map, those included that have expired and are not swept
    /// yet. Exact when no write is running.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<u32, u32>::builder().clock(clock.clone()).build()?;
    /// map.insert(1, 1);
    /// map.insert_with_ttl(2, 2, Duration::from_nanos(5));
    /// clock.advance(Duration::from_nanos(5));
    /// assert_eq!((map.len(), map.live_len()), (2, 1));
    /// map.sweep(Budget::full_pass());
    /// assert_eq!((map.len(), map.live_len()), (1, 1));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.entries()
    }

    /// Returns whether [`TtlMap::len`] is 0. It may be false although every entry has expired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all entries. An entry that is put while this runs, by a listener too, may go or stay; `clear` ends
    /// all the same.
    ///
    /// Keys and values are dropped by this call where no pinned thread may still see them, and by
    /// later writes and sweeps otherwise.
    ///
    /// # Panics
    ///
    /// If the `Drop` of a key or value panics; the map stays usable.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: evanesce::TtlMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// map.clear();
    /// assert!(map.is_empty());
    /// ```
    #[doc(alias = "invalidate_all")]
    pub fn clear(&self) {
        let loads = self.loads.are_there().then_some(&self.loads);
        if let Some(loads) = loads {
            loads.kill_all(raw::pin());
        }
        self.table.clear();
        if let Some(loads) = loads {
            loads.forget_killed();
        }
    }

    /// Returns the number of visible entries, by walking over all. Entries that come, go or expire meanwhile may
    /// be counted or not.
    #[must_use]
    pub fn live_len(&self) -> usize {
        self.pin().iter().count()
    }

    /// Returns for how many entries the index is laid out at the moment; it grows when there are more.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u32, u32>::with_capacity(1000);
    /// let laid_out = map.capacity();
    /// (0..100_000).for_each(|n| _ = map.insert(n, n));
    /// assert!(laid_out >= 1000 && map.capacity() > laid_out);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Checks that `additional` entries more fit into the slots of the map. An insert that finds none free
    /// panics; this tells beforehand, as far as other writers let it. It reserves nothing: memory is taken when
    /// it is needed, without a pause.
    ///
    /// # Errors
    ///
    /// [`TryReserveError`] if they do not fit; it names the limit and how many do.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u32, u32>::builder().max_slots(100).build()?;
    /// map.insert(1, 1);
    /// assert!(map.try_reserve(99).is_ok());
    /// let refused = map.try_reserve(100).unwrap_err();
    /// assert_eq!(refused.to_string(), "100 more entries do not fit: 99 of the map's 100 slots are free");
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn try_reserve(&self, additional: usize) -> Result<(), TryReserveError> {
        let (free, slots) = (self.table.room(), self.max_slots());
        if additional <= free { Ok(()) } else { Err(TryReserveError { additional, free, slots }) }
    }

    /// Returns the present of the map's clock, to reckon deadlines from.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::new();
    /// let asked = map.now();
    /// let answer = "192.0.2.7"; // which took its time, and is valid for a minute from the question
    /// map.pin().insert_with_deadline("www.example.", answer, asked + Duration::from_secs(60));
    /// assert!(matches!(map.pin().ttl("www.example."), Some(Ttl::Remaining(_))));
    /// ```
    #[must_use]
    pub fn now(&self) -> Deadline {
        Deadline::from_nanos(self.table.clock.tick())
    }

    /// Returns a point in time before which no entry expires, to sweep at, say; `None` if no entry has a
    /// deadline. On a map with a [grace](Builder::grace) that is added. It may be too early: an entry whose deadline was
    /// put off, or that is gone, counts until a
    /// sweep has come by. A look at a word for every 64 slots.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Deadline, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::<u32, u32>::builder().clock(ManualClock::new()).build()?;
    /// assert_eq!(map.next_deadline(), None);
    /// map.insert_with_ttl(1, 1, Duration::from_nanos(70));
    /// map.insert_with_ttl(2, 2, Duration::from_nanos(50));
    /// assert_eq!(map.next_deadline(), Some(Deadline::from_nanos(50)));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.table.next_deadline().and_then(Deadline::of)
    }

    /// Removes the visible entries for which `keep` returns false. It asks once about each that is there throughout. One
    /// that is put while this runs, by `keep` too, may be asked about or not, and stays if it is put in the place of one
    /// that was asked about; `retain` ends all the same.
    ///
    /// # Panics
    ///
    /// If `keep` panics, or the `Drop` of a key or value; the map stays usable, and what was removed is.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// (0..10).for_each(|n| _ = map.pin().insert(n, n * n));
    /// map.retain(|key, _| key % 2 == 0);
    /// assert_eq!((map.len(), map.pin().get(&3), map.pin().get(&4)), (5, None, Some(&16)));
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.table.retain(|(key, value)| keep(key, value));
    }

    /// Removes expired entries and reclaims memory, within `budget`.
    ///
    /// Returns what was done. Any number of threads may sweep; readers never notice. Where a thread
    /// is pinned, the calling one included, keys and values wait until it is not.
    ///
    /// # Panics
    ///
    /// If the `Drop` of a key or value panics; the map stays usable.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<u32, u32>::builder().clock(clock.clone()).build()?;
    /// map.pin().insert_with_ttl(1, 1, Duration::from_millis(5));
    /// clock.advance(Duration::from_millis(7));
    /// let report = map.sweep(Budget::full_pass());
    /// assert_eq!((report.removed, report.max_lag), (1, Duration::from_millis(2)));
    /// assert!(map.is_empty());
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[doc(alias = "cleanUp")]
    #[doc(alias = "run_pending_tasks")]
    pub fn sweep(&self, budget: Budget) -> SweepReport {
        let report = budget.run(&self.table);
        self.loads.sweep(budget);
        report
    }

    /// Gives back to the system what memory it can at once: pages of slots that are all free, and the part of
    /// the index that a fresh map of as many entries would not have.
    ///
    /// Sweeps do the same in time, as far as it is worth it, and so do writes, a little each. Keys and values
    /// that wait for reclamation are dropped first, where no pinned thread may see them; while one is pinned,
    /// the calling one included, the index shrinks, but the memory that it had before stays, and later writes
    /// and sweeps give it back. Pages go back on Linux and Android; elsewhere they are kept, and used again.
    ///
    /// # Panics
    ///
    /// If the `Drop` of a key or value panics; the map stays usable.
    ///
    /// # Examples
    ///
    /// ```standalone_crate
    /// use evanesce::TtlMap;
    ///
    /// let map = TtlMap::new();
    /// (0..100_000).for_each(|n| _ = map.pin().insert(n, n));
    /// let full = map.stats().bytes_allocated;
    /// (0..99_000).for_each(|n| _ = map.pin().remove(&n));
    /// map.shrink_to_fit();
    /// # #[cfg(target_os = "linux")]
    /// assert!(map.stats().bytes_allocated < full / 10);
    /// ```
    #[doc(alias = "trim")]
    pub fn shrink_to_fit(&self) {
        self.table.shrink_to_fit();
        self.loads.shrink_to_fit();
    }

    /// Returns what the map does by itself at the moment.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::<u32, u32>::builder().time_to_live(Duration::from_secs(60)).build()?;
    /// assert_eq!(map.policy().time_to_live, Some(Duration::from_secs(60)));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy.get()
    }

    /// Changes what the map does by itself, from now on: the default TTL and its jitter for entries that are put
    /// later, the grace, how much each write sweeps, and the maximum or the time to idle of a map that was built with one.
    /// What is above a lower maximum goes before this returns. Without a time to idle hits renew nothing more; with
    /// another they renew to that, and none to an earlier deadline than it has.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a value is out of its range or does not go with another, or if there is a maximum or a time to
    /// idle that the map was not built with; nothing is changed then.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{ManualClock, Ttl, TtlMap};
    /// use std::time::Duration;
    ///
    /// let map = TtlMap::<&str, i32>::builder().clock(ManualClock::new()).build()?;
    /// let mut policy = map.policy();
    /// policy.time_to_live = Some(Duration::from_secs(60));
    /// map.set_policy(policy.clone())?;
    /// map.insert("a", 1);
    /// assert_eq!(map.pin().ttl("a"), Some(Ttl::Remaining(Duration::from_secs(60))));
    /// policy.ttl_jitter = 1.5;
    /// let refused = map.set_policy(policy).unwrap_err();
    /// assert_eq!(refused.to_string(), "ttl_jitter is 1.5, but must be from 0.0 to 1.0");
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn set_policy(&self, policy: Policy) -> Result<(), BuildError> {
        let policy = policy.checked()?;
        check_entries(policy.max_entries, self.max_slots())?;
        policy.next_limit(self.table.limit())?;
        let is_new = policy.time_to_idle.is_some() && !self.table.has_idle();
        refuse_if(is_new, "time_to_idle", "the map was built without it")?;
        self.policy.set(policy);
        // What the table has of it is set apart, so another thread that changes it may come between: until the two agree.
        loop {
            let policy = self.policy();
            self.table.set_grace(nanos(policy.grace));
            self.table.set_idle(policy.idle_nanos());
            self.table.set_sweep_per_write(policy.sweep_per_write as u32);
            if let Some(limit) = policy.next_limit(self.table.limit())? {
                self.table.set_limit(limit);
            }
            if self.policy() == policy {
                break;
            }
        }
        self.table.shrink_to_bound();
        Ok(())
    }

    /// Returns the map's figures. Walks all slots; exact when no write is running.
    ///
    /// # Examples
    ///
    /// ```
    /// let map: evanesce::TtlMap<_, _> = (0..100).map(|n| (n, n)).collect();
    /// map.remove(&7);
    /// let stats = map.stats();
    /// assert_eq!(stats.len, 99);
    /// assert_eq!(stats.len + stats.free_slots + stats.pending_reclaim, stats.slots);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.table.figures(), &self.lookups, self.loads.bytes())
    }

    /// Returns what an entry would weigh, by the map's [weigher](Builder::weigher); 1 without one.
    ///
    /// # Errors
    ///
    /// [`TooHeavyError`] if that is more than all of the map may weigh: a call that puts this entry would panic.
    ///
    /// # Panics
    ///
    /// If the weigher panics.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = evanesce::TtlMap::<u32, String>::builder().max_weight(1_000);
    /// let pages = options.weigher(|_, page| page.len() as u32).build()?;
    /// let entry = (1, "x".repeat(2_000));
    /// match pages.weigh(&entry) {
    ///     Ok(_) => _ = pages.insert(entry.0, entry.1),
    ///     Err(too_heavy) => assert_eq!((too_heavy.weight, too_heavy.most), (2_000, 1_000)),
    /// }
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    pub fn weigh(&self, entry: &(K, V)) -> Result<u32, TooHeavyError> {
        self.table.weigh(entry)
    }

    /// Returns what all entries weigh together, as [`Stats::weight`] tells it, and looks at none of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<u32, u32>::builder().max_entries(100).build()?;
    /// map.insert(1, 1);
    /// assert_eq!(map.weight(), 1);
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.table.weight()
    }

    /// Returns how many slots the map may have, for entries and for what waits for reclamation.
    #[must_use]
    pub fn max_slots(&self) -> usize {
        self.table.max_slots() as usize
    }

    /// Panics if the index, at rest, is not well-formed. For models.
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    #[doc(hidden)]
    pub fn assert_well_formed(&self) {
        self.table.assert_well_formed();
    }

    /// Whether `holds` says so of all visible entries and their states. It is given `view`, a pin of whatever map,
    /// under which the entries are met; between two lines it lets the epoch move on, which no second pin is to hinder.
    fn all_entries(
        &self,
        view: &mut Pinned<'_, K, V, S>,
        mut holds: impl FnMut(&Pinned<'_, K, V, S>, &(K, V), State) -> bool,
    ) -> bool {
        let mut position = Position::default();
        self.table.ranges().all(|range| {
            self.table.enter(range, &mut position, &view.guard);
            while let Some((entry, state, _)) = self.table.next_timed(&mut position, &view.guard) {
                if !holds(view, entry, state) {
                    return false;
                }
            }
            view.repin();
            true
        })
    }

    /// The state of an entry that is put without a TTL.
    pub(crate) fn default_state(&self) -> State {
        self.policy.first_state(&self.table.clock)
    }
}

impl<K, V, S> TtlMap<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Returns a clone of the value of `key`; `None` if the key is absent or expired.
    ///
    /// Pins for itself: for a single read, and for async code, which must not hold a pin over an
    /// `.await`.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// map.insert("a", 1);
    /// assert_eq!((map.get_cloned("a"), map.get_cloned("b")), (Some(1), None));
    /// ```
    pub fn get_cloned<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
        V: Clone,
    {
        self.pin().get(key).cloned()
    }

    /// Calls `read` with the value of `key` and returns its answer; `None` if the key is absent or expired.
    ///
    /// Pins for itself, while `read` runs.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<&str, String>::new();
    /// map.insert("a", "one".into());
    /// assert_eq!(map.view("a", String::len), Some(3));
    /// assert_eq!(map.view("b", String::len), None);
    /// ```
    pub fn view<Q, R>(&self, key: &Q, read: impl FnOnce(&V) -> R) -> Option<R>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.pin().get(key).map(read)
    }

    /// Returns whether the map has a visible entry of `key`. Pins for itself.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.pin().contains_key(key)
    }

    /// As [`Pinned::insert`], but pins for itself, and returns whether a value was **replaced**: false for a new key.
    ///
    /// **[`TtlSet::insert`](crate::TtlSet::insert) answers the other way round**: true for a new element. Both are as in
    /// std, where a map returns what it replaced, and a set whether it had to put the element. `try_insert` of
    /// [`Pinned`] does not replace, and its answer cannot be mistaken.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// assert!(!map.insert("a", 1));
    /// assert!(map.insert("a", 2));
    /// assert!(map.contains_key("a") && map.remove("a") && !map.remove("a"));
    /// ```
    #[inline]
    pub fn insert(&self, key: K, value: V) -> bool {
        self.pin().insert(key, value).is_some()
    }

    /// As [`Pinned::insert_with_ttl`], but pins for itself, and returns whether a value was **replaced**, as
    /// [`TtlMap::insert`] does.
    ///
    /// # Panics
    ///
    /// As [`Pinned::insert`].
    #[inline]
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> bool {
        self.pin().insert_with_ttl(key, value, ttl).is_some()
    }

    /// As [`Pinned::remove`], but pins for itself, and returns whether there was a value.
    ///
    /// # Panics
    ///
    /// As [`Pinned::remove`].
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.pin().remove(key).is_some()
    }
}

/// There is no room for so many more entries. From [`TtlMap::try_reserve`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TryReserveError {
    additional: usize,
    free: usize,
    slots: usize,
}

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { additional, free, slots } = self;
        write!(
            f,
            "{additional} more entries do not fit: {free} of the map's {slots} slots are free"
        )
    }
}

impl core::error::Error for TryReserveError {}

impl<K, V, S> Clone for TtlMap<K, V, S>
where
    K: Clone + Hash + Eq,
    V: Clone,
    S: Clone + BuildHasher,
{
    /// A map of the visible entries, with their deadlines, and with the same options, clock and listener.
    fn clone(&self) -> Self {
        let map = Self {
            table: self.table.like(self.len()),
            hasher: self.hasher.clone(),
            policy: Live::new(self.policy()),
            lookups: self.lookups.like(),
            loads: Loads::new(),
        };
        self.all_entries(&mut map.pin(), |pinned, (key, value), state| {
            pinned.put(&mut Waiting::new(key.clone(), value.clone()), state);
            true
        });
        map
    }
}

impl<K, V, S> IntoIterator for TtlMap<K, V, S> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    /// The visible entries, in no useful order.
    fn into_iter(mut self) -> Self::IntoIter {
        let entries: Vec<_> = self.table.take_entries().collect();
        // Before the answer is made: a panic in the drop of what is left drops the entries as well.
        drop(self);
        entries.into_iter()
    }
}

impl<K, V, S> PartialEq for TtlMap<K, V, S>
where
    K: Hash + Eq,
    V: PartialEq,
    S: BuildHasher,
{
    /// Whether both have equal visible entries, their deadlines apart. Both may be written meanwhile: then
    /// each entry is compared as it is when it is come to.
    fn eq(&self, other: &Self) -> bool {
        self.live_len() == other.live_len()
            && self.all_entries(&mut other.pin(), |theirs, (key, value), _| {
                theirs.get(key).is_some_and(|other| value == other)
            })
    }
}

impl<K, V, S: Default> Default for TtlMap<K, V, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

impl<K, V, S> fmt::Debug for TtlMap<K, V, S>
where
    K: fmt::Debug,
    V: fmt::Debug,
{
    /// Shows the visible entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.pin().iter()).finish()
    }
}
