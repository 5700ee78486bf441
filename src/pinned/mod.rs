//! The pinned view: every operation on entries, and here what they share.

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
    map::TtlMap,
    raw::{Guard, SplitKey},
};

// In the order in which the documentation shows their calls, and apart, so that rustfmt leaves it (ci/docs.sh).
mod read;

mod write;

mod time;

mod change;

mod by_ref;

mod iterate;

mod repin;

mod refresh;

mod stale;

mod load;

mod fallible;

mod steps;

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
/// # What the compiler refuses
///
/// A reference that outlives its view, since the value may be dropped then. [`repin`](Pinned::repin) ends what a view
/// protected, too.
///
/// ```compile_fail,E0505
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// let pinned = map.pin();
/// let value = pinned.get(&1);
/// drop(pinned); // refused: `value` is still used
/// assert_eq!(value, None);
/// ```
///
/// A view that is held over an `.await` by a task that may move to another thread. End it before, by a block of its own,
/// or use [`TtlMap::get_cloned`].
///
/// ```compile_fail
/// fn spawn(_: impl std::future::Future + Send) {}
/// let map = evanesce::TtlMap::<u32, u32>::new();
/// spawn(async {
///     let pinned = map.pin();
///     std::future::ready(()).await; // refused: `pinned` is held over this
///     pinned.get(&1).copied()
/// });
/// ```
pub struct Pinned<'m, K, V, S = RandomState> {
    pub(crate) map: &'m TtlMap<K, V, S>,
    pub(crate) guard: Guard,
}

// As the map, of which a view changes nothing that a panic could leave half changed.
impl<K, V, S> UnwindSafe for Pinned<'_, K, V, S> where TtlMap<K, V, S>: RefUnwindSafe {}
impl<K, V, S> RefUnwindSafe for Pinned<'_, K, V, S> where TtlMap<K, V, S>: RefUnwindSafe {}

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
