//! What a load is asked for, and what it gives.

use core::{
    fmt,
    future::{Future, Pending, pending},
    time::Duration,
};

/// How a value is loaded: for [`TtlMap::get_or_load_with`](crate::TtlMap::get_or_load_with) and its kin.
///
/// # Examples
///
/// ```
/// use evanesce::{Load, Loaded, ManualClock, Ttl, TtlMap};
/// use std::time::Duration;
///
/// const MINUTE: Duration = Duration::from_secs(60);
/// const HOUR: Duration = Duration::from_secs(3600);
/// const LOAD: Load = Load::new().ttl(HOUR).negative_ttl(MINUTE);
///
/// let map = TtlMap::<&str, u32>::builder().clock(ManualClock::new()).build()?;
/// let answer = map.try_get_or_load_blocking_with(&"a", &LOAD, || Ok::<_, String>(1));
/// assert_eq!(answer, Ok(1));
/// assert_eq!(map.pin().ttl(&"a"), Some(Ttl::Remaining(HOUR)));
///
/// // A value may bring a TTL of its own.
/// map.get_or_load_blocking_with(&"b", &LOAD, || Loaded::with_ttl(2, MINUTE));
/// assert_eq!(map.pin().ttl(&"b"), Some(Ttl::Remaining(MINUTE)));
/// # Ok::<_, evanesce::BuildError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Load<S = NoSleep> {
    pub(super) ttl: Option<Duration>,
    pub(super) negative_ttl: Option<Duration>,
    pub(super) patience: Option<Duration>,
    #[cfg_attr(not(feature = "async"), allow(dead_code))]
    pub(super) sleep: S,
}

impl Load {
    /// A load as [`TtlMap::get_or_load`](crate::TtlMap::get_or_load) does it: with the map's default TTL, without end
    /// to its patience, and so that no error is kept.
    #[must_use]
    pub const fn new() -> Self {
        Self { ttl: None, negative_ttl: None, patience: None, sleep: NoSleep(()) }
    }
}

impl<S> Load<S> {
    /// Lets values expire after `ttl` from the end of their load, unless they bring a TTL of their own. Default: the
    /// map's default TTL.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Keeps an error for `ttl` from the end of its load: who asks for the key meanwhile, and for an error of this type,
    /// gets a clone of it at once, and its loader is not called. Default: an error goes to those who wait for it, and is
    /// not kept.
    ///
    /// An insert, remove or clear of the key ends it before, as it ends a load. It is no entry of the map: nothing shows
    /// it, but for the memory it takes until a load or a sweep comes by. It is not kept where as many are as the map may
    /// have slots.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Load, ManualClock, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let clock = ManualClock::new();
    /// let map = TtlMap::<&str, u32>::builder().clock(clock.clone()).build()?;
    /// let load = Load::new().negative_ttl(5 * SECOND);
    /// let ask = |answer| map.try_get_or_load_blocking_with(&"a", &load, || answer);
    /// assert_eq!(ask(Err("no route")), Err("no route"));
    /// assert_eq!(ask(Ok(1)), Err("no route")); // not called
    /// clock.advance(5 * SECOND);
    /// assert_eq!(ask(Ok(1)), Ok(1));
    /// # Ok::<_, evanesce::BuildError>(())
    /// ```
    #[must_use]
    pub const fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl);
        self
    }

    /// Waits for another's load no longer than `patience`, then goes on without it: joins a load that began meanwhile,
    /// and else loads by its own loader. Default: without end.
    ///
    /// Waited is for a load to end that another caller leads. That one may be slow; or it may be a future that somebody
    /// holds and does not poll, and that would go on for ever. What is given up goes to those who wait for it still, and not into the map.
    ///
    /// The time is real time, whatever clock the map has. A thread that waits wakes up for it. A future cannot, without a
    /// runtime: it looks at the time whenever it is polled. So give it the runtime's timer, by [`Load::sleep`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "async")] {
    /// use evanesce::{Load, TtlMap};
    /// use std::{future::{Future, pending}, pin::pin, task::{Context, Waker}, time::Duration};
    ///
    /// let map = TtlMap::<&str, u32>::new();
    /// let mut held = pin!(map.get_or_load(&"a", pending));
    /// // It leads, and nobody polls it any more.
    /// assert!(held.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    ///
    /// let load = Load::new().patience(Duration::from_millis(5)).sleep(tokio::time::sleep);
    /// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// let value = runtime.block_on(map.get_or_load_with(&"a", &load, async || 1));
    /// assert_eq!(value, 1);
    /// # }
    /// ```
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Has futures sleep by this function for their [`patience`](Load::patience): `tokio::time::sleep`,
    /// `smol::Timer::after`. Its future is made when a caller begins to wait for another's load, and the patience ends
    /// when it does. Threads do not use it.
    #[must_use]
    pub fn sleep<T: Sleep>(self, sleep: T) -> Load<T> {
        let Self { ttl, negative_ttl, patience, sleep: _ } = self;
        Load { ttl, negative_ttl, patience, sleep }
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Load<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("ttl", &self.ttl)
            .field("negative_ttl", &self.negative_ttl)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// A runtime's timer: a function from a time to a future that is ready when it has passed. For [`Load::sleep`].
pub trait Sleep {
    /// What it returns.
    type Future: Future;

    /// Returns a future that is ready in `time` from now.
    fn sleep(&self, time: Duration) -> Self::Future;
}

impl<F, Fut> Sleep for F
where
    F: Fn(Duration) -> Fut,
    Fut: Future,
{
    type Future = Fut;

    fn sleep(&self, time: Duration) -> Fut {
        self(time)
    }
}

/// No timer: a future that waits looks at the time when it is polled.
#[derive(Clone, Copy, Debug)]
pub struct NoSleep(());

impl Sleep for NoSleep {
    type Future = Pending<()>;

    fn sleep(&self, _: Duration) -> Self::Future {
        pending()
    }
}

/// A value that was loaded, and the TTL that it brings, if any. Any value is one that brings none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded<V> {
    pub(super) value: V,
    pub(super) ttl: Option<Duration>,
}

impl<V> Loaded<V> {
    /// A value that expires after `ttl` from the end of its load. With a TTL of zero it goes to those who wait, and is not
    /// kept; one past the clock's range means "never".
    #[must_use]
    pub const fn with_ttl(value: V, ttl: Duration) -> Self {
        Self { value, ttl: Some(ttl) }
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self { value, ttl: None }
    }
}
