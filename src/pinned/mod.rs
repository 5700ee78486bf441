//! The pinned view: every operation on entries, and here what they share, and iteration.

use core::{
    convert::Infallible,
    fmt,
    hash::{BuildHasher, Hash},
};

use std::{
    hash::RandomState,
    panic::{RefUnwindSafe, UnwindSafe},
};

use equivalent::Equivalent;

use crate::{
    iter::{Entries, Iter, Keys, Values},
    map::TtlMap,
    raw::{Guard, Position, SplitKey},
};

mod by_ref;
mod change;
mod fallible;
mod load;
mod read;
mod refresh;
mod stale;
mod steps;
mod time;
mod write;

pub use by_ref::ByRef;
pub use change::{Compute, Operation};
pub use read::EntryRef;
pub use refresh::Lookup;
pub use stale::Stale;
pub use write::OccupiedError;

/// A map, seen by a pinned thread. From [`TtlMap::pin`].
///
/// References to values live as long as the borrow of this view: no one can drop a value under
/// them. It is not [`Send`]: it belongs to the thread that pinned, and a future that holds one over
/// an `.await` cannot be spawned on a multi-threaded executor.
///
/// # Progress
///
/// Of the calls that change nothing, those that say so are wait-free, and the others lock-free. All that put, change,
/// renew or remove an entry are lock-free, the allocator apart: a thread that stalls in the middle of one keeps no
/// other from going on. They do a bounded share of the map's own work beside theirs, which is growth, sweeping, and
/// dropping what was removed earlier. Closures are run by the calling thread, under no lock, and may use the map.
///
/// # Consistency
///
/// What is done to one key has one order, which all threads agree upon (linearizability), deadlines included.
/// Calls that concern many keys say what they promise.
///
/// ```compile_fail,E0277
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// fn send_to_a_thread(_: impl Send) {}
/// send_to_a_thread(map.pin());
/// ```
///
/// ```compile_fail
/// fn spawn(_: impl std::future::Future + Send) {}
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// spawn(async {
///     let pinned = map.pin();
///     std::future::ready(()).await; // held over the await
///     pinned.get(&1).copied()
/// });
/// ```
///
/// ```compile_fail,E0505
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// let pinned = map.pin();
/// let value = pinned.get(&1);
/// drop(pinned); // the reference would outlive the pin
/// assert_eq!(value, None);
/// ```
///
/// ```compile_fail,E0502
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// let mut pinned = map.pin();
/// let value = pinned.get(&1);
/// pinned.repin(); // the reference would outlive the pin
/// assert_eq!(value, None);
/// ```
pub struct Pinned<'m, K, V, S = RandomState> {
    pub(crate) map: &'m TtlMap<K, V, S>,
    pub(crate) guard: Guard,
}

// As the map, of which a view changes nothing that a panic could leave half changed.
impl<K, V, S> UnwindSafe for Pinned<'_, K, V, S> where TtlMap<K, V, S>: RefUnwindSafe {}
impl<K, V, S> RefUnwindSafe for Pinned<'_, K, V, S> where TtlMap<K, V, S>: RefUnwindSafe {}

impl<K, V, S> Pinned<'_, K, V, S> {
    /// Lets the epoch move on, as if this view were dropped and made anew, at a fraction of the
    /// cost. Does nothing while the thread holds a second view, of this map or of any other.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let mut pinned = map.pin();
    /// for n in 0..1000 {
    ///     pinned.insert(n % 10, n);
    ///     pinned.repin(); // what was replaced can be dropped
    /// }
    /// assert_eq!(pinned.get(&3), Some(&993));
    /// ```
    #[inline]
    pub fn repin(&mut self) {
        self.guard.repin();
    }

    /// Returns an iterator over the visible entries, in no useful order.
    ///
    /// # Consistency
    ///
    /// A key that is in the map throughout is seen exactly once, with a value it had at some time
    /// meanwhile. One that comes or goes meanwhile may be seen or not, and is not seen twice. It never blocks, and
    /// the map may be changed while it goes on. It allocates only where keys collide in 32 bits of their hashes.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert(1, "one");
    /// pinned.insert(2, "two");
    /// let mut all: Vec<_> = pinned.iter().collect();
    /// all.sort();
    /// assert_eq!(all, [(&1, &"one"), (&2, &"two")]);
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V, S> {
        Iter { pinned: self, position: Position::default() }
    }

    /// Returns an iterator over the keys of the visible entries; otherwise as [`Pinned::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: evanesce::TtlMap<_, _> = [(1, "one"), (2, "two")].into_iter().collect();
    /// assert_eq!(map.pin().keys().sum::<i32>(), 3);
    /// ```
    #[must_use]
    pub fn keys(&self) -> Keys<'_, K, V, S> {
        Keys(self.iter())
    }

    /// Returns an iterator over the values of the visible entries; otherwise as [`Pinned::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map: evanesce::TtlMap<_, _> = [("one", 1), ("two", 2)].into_iter().collect();
    /// assert_eq!(map.pin().values().sum::<i32>(), 3);
    /// ```
    #[must_use]
    pub fn values(&self) -> Values<'_, K, V, S> {
        Values(self.iter())
    }

    /// Returns an iterator over the visible entries with their deadlines; otherwise as [`Pinned::iter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Ttl, TtlMap};
    ///
    /// let map = TtlMap::new();
    /// let pinned = map.pin();
    /// pinned.insert("a", 1);
    /// let entry = pinned.iter_entries().next().unwrap();
    /// assert_eq!((entry.key(), entry.value(), entry.ttl()), (&"a", &1, Ttl::Never));
    /// ```
    #[must_use]
    pub fn iter_entries(&self) -> Entries<'_, K, V, S> {
        Entries(self.iter())
    }
}

impl<K, V, S: BuildHasher> Pinned<'_, K, V, S> {
    #[inline]
    fn split_key<Q: Hash + ?Sized>(&self, key: &Q) -> SplitKey {
        SplitKey::from_hash(self.map.hasher.hash_one(key))
    }
}

impl<K, V, S> PartialEq for Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    V: PartialEq,
    S: BuildHasher,
{
    /// Whether the maps are equal: both have equal visible entries, their deadlines apart.
    ///
    /// ```
    /// use evanesce::TtlMap;
    ///
    /// let (some, others) = (TtlMap::from([("a", 1), ("b", 2)]), TtlMap::from([("b", 2), ("a", 1)]));
    /// assert_eq!(some.pin(), others.pin());
    /// ```
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}

impl<K, V, S> fmt::Debug for Pinned<'_, K, V, S>
where
    K: fmt::Debug,
    V: fmt::Debug,
{
    /// Shows the visible entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether an entry has this key.
#[inline]
fn matches<K, V, Q>(key: &Q) -> impl FnMut(&(K, V)) -> Result<bool, Infallible>
where
    Q: Equivalent<K> + ?Sized,
{
    move |(met, _)| Ok(key.equivalent(met))
}

/// Whether two keys are one.
#[inline]
#[allow(clippy::unnecessary_wraps)] // the form of all comparisons
fn same_key<K: Eq>(mine: &K, met: &K) -> Result<bool, Infallible> {
    Ok(mine == met)
}

/// The answer of a search whose comparison cannot fail.
#[inline]
fn infallible<T>(Ok(answer): Result<T, Infallible>) -> T {
    answer
}
