//! One thread for the maps of a process.

use core::{fmt, time::Duration};
use std::{
    io,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{
    Budget, Sweeper,
    timer::{Next, Timer},
};
use crate::{clock::Deadline, map::TtlMap, sync::ProcessBox};

/// One thread that sweeps any number of maps, from [`Sweeper::shared`]. Clones are the same.
///
/// It comes by each map once in that map's interval, to see whether something is due: a look at a word for every 64
/// slots. Where something is due, or removed entries wait for their `Drop`, it sweeps. While nothing changes in a map
/// it comes less often, down to once in eight intervals, and when the next entry is due: so a thousand idle maps take
/// less than 1 % of a core. What has expired goes within an interval of its deadline, or within eight if the map was
/// idle when it was put, and if the sweeps of the other maps leave time: their budgets should be small, and a `Drop` or
/// a listener that waits holds up all. Who cannot wait so long [wakes](Sweeper::wake_in) it. The thread begins with the
/// first map and ends with the last [`Sweeper`].
///
/// # Forks
///
/// A child of a fork does not have the thread: what it drops does nothing, and `Sweeper::shared` begins another. If it
/// is [stopped](Self::stop) before the fork and [started](Self::start) after it, in parent and child, both go on.
#[derive(Clone)]
pub struct SharedSweeper(Arc<Timer>);

impl UnwindSafe for SharedSweeper {}
impl RefUnwindSafe for SharedSweeper {}

impl SharedSweeper {
    pub(super) fn of_this_process() -> Self {
        static SHARED: ProcessBox<ArcSwap<Timer>> = ProcessBox::new();
        let shared = SHARED.get_or_init(|| ArcSwap::from_pointee(Timer::new()));
        loop {
            let there = shared.load_full();
            if there.is_of_this_process() {
                return Self(there);
            }
            // A parent's. It is left as it is, with all that it holds.
            core::mem::forget(Arc::clone(&there));
            shared.compare_and_swap(&there, Arc::new(Timer::new()));
        }
    }

    /// Adds a map, to be swept with `budget` where something is due, once in an `interval` at most.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread; or if this is a copy of a parent's from before a fork.
    pub fn add<K, V, S>(
        &self,
        map: &Arc<TtlMap<K, V, S>>,
        interval: Duration,
        budget: Budget,
    ) -> io::Result<Sweeper>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: Send + Sync + 'static,
    {
        self.add_for(map, |map| map, interval, budget)
    }

    /// As [`SharedSweeper::add`], for a map that is a part of what an `Arc` holds. `map` finds it there.
    ///
    /// # Errors
    ///
    /// As [`SharedSweeper::add`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, Sweeper, TtlMap};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// struct App {
    ///     sessions: TtlMap<u64, String>,
    /// }
    ///
    /// let app = Arc::new(App { sessions: TtlMap::new() });
    /// let (every, budget) = (Duration::from_millis(100), Budget::full_pass());
    /// let sweeper = Sweeper::shared().add_for(&app, |app| &app.sessions, every, budget)?;
    /// # drop(sweeper);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn add_for<T, K, V, S>(
        &self,
        owner: &Arc<T>,
        map: impl Fn(&T) -> &TtlMap<K, V, S> + Send + 'static,
        interval: Duration,
        budget: Budget,
    ) -> io::Result<Sweeper>
    where
        T: Send + Sync + 'static,
        K: 'static,
        V: 'static,
        S: 'static,
    {
        let (owner, mut looks) = (Arc::downgrade(owner), Looks::new(interval, budget));
        self.add_task(interval, move || match owner.upgrade() {
            Some(owner) => looks.look(map(&owner)),
            None => Next::Never,
        })
    }

    /// As [`SharedSweeper::add`], for a map in a static.
    ///
    /// # Errors
    ///
    /// As [`SharedSweeper::add`].
    pub fn add_static<K, V, S>(
        &self,
        map: &'static TtlMap<K, V, S>,
        interval: Duration,
        budget: Budget,
    ) -> io::Result<Sweeper>
    where
        K: Send + Sync,
        V: Send + Sync,
        S: Sync,
    {
        let mut looks = Looks::new(interval, budget);
        self.add_task(interval, move || looks.look(map))
    }

    /// Has the thread call `look`, at once and then when the time has passed that it returned, or after `None` when it
    /// is [woken](Sweeper::wake_in); but not before an `interval` has passed since the call before. For a sweep of
    /// your own: one that sleeps until the [next deadline](TtlMap::next_deadline), where writers wake it for an
    /// earlier one, is no work at all while nothing is due. A panic costs that call.
    ///
    /// # Errors
    ///
    /// As [`SharedSweeper::add`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Budget, Sweeper, TtlMap};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let map = Arc::new(TtlMap::<&str, u32>::new());
    /// let swept = Arc::clone(&map);
    /// let sweeper = Sweeper::shared().add_timer(Duration::from_millis(100), move || {
    ///     swept.sweep(Budget::full_pass());
    ///     swept.next_deadline().map(|at| at.saturating_duration_since(swept.now()))
    /// })?;
    /// map.insert_with_ttl("a", 1, Duration::from_secs(5));
    /// sweeper.wake_in(Duration::from_secs(5));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn add_timer(
        &self,
        interval: Duration,
        mut look: impl FnMut() -> Option<Duration> + Send + 'static,
    ) -> io::Result<Sweeper> {
        self.add_task(interval, move || look().map_or(Next::Woken, Next::After))
    }

    fn add_task(
        &self,
        interval: Duration,
        call: impl FnMut() -> Next + Send + 'static,
    ) -> io::Result<Sweeper> {
        if !self.0.is_of_this_process() {
            let message = "the thread of this sweeper is the parent's: ask Sweeper::shared again";
            return Err(io::Error::other(message));
        }
        let task = self.0.add(interval, call)?;
        Ok(Sweeper::of(Arc::clone(&self.0), task))
    }

    /// Ends the thread, and waits for the end of a sweep that is going on; not to be called in one. The maps stay, and
    /// are swept again after [`start`](Self::start): for a process that is about to fork.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::Sweeper;
    ///
    /// Sweeper::shared().stop();
    /// // fork, and in the parent and in the child:
    /// Sweeper::shared().start()?;
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn stop(&self) {
        if self.0.is_of_this_process() {
            self.0.stop();
        }
    }

    /// Starts the thread again that was [stopped](Self::stop), if there are maps.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread; the next map that is added tries again.
    pub fn start(&self) -> io::Result<()> {
        if self.0.is_of_this_process() { self.0.start() } else { Ok(()) }
    }
}

impl fmt::Debug for SharedSweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSweeper").finish_non_exhaustive()
    }
}

/// How many times its interval a map may wait for a look while nothing changes in it, as a power of two.
const IDLE_DOUBLINGS: u32 = 3;

/// The looks at one map.
struct Looks {
    interval: Duration,
    budget: Budget,
    /// What the last one saw: the next deadline, and how many entries there are.
    seen: Option<(Option<Deadline>, usize)>,
    /// How many in a row have seen the same.
    same: u32,
}

impl Looks {
    fn new(interval: Duration, budget: Budget) -> Self {
        Self { interval, budget, seen: None, same: 0 }
    }

    /// Sweeps a map in which something is due, or waits for its `Drop`; tells when to look again.
    fn look<K, V, S>(&mut self, map: &TtlMap<K, V, S>) -> Next {
        let (next, now) = (map.next_deadline(), map.now());
        if next.is_some_and(|at| at <= now) || map.table.pending() > 0 {
            map.sweep(self.budget);
            (self.seen, self.same) = (None, 0);
            return Next::After(self.interval);
        }
        let seen = Some((next, map.len()));
        self.same = if self.seen == seen { IDLE_DOUBLINGS.min(self.same + 1) } else { 0 };
        self.seen = seen;
        let wait = self.interval.saturating_mul(1 << self.same);
        // The timer waits for an interval at least.
        Next::After(next.map_or(wait, |at| wait.min(at.saturating_duration_since(now))))
    }
}
