//! Loads of threads.

use core::{
    convert::Infallible,
    hash::{BuildHasher, Hash},
    task::{Poll, Waker},
};
use std::{sync::Arc, task::Wake};

use equivalent::Equivalent;

use super::{
    flights::{Waited, Waiter},
    options::{Load, Loaded},
    steps::{Begun, Patience},
};
use crate::{
    map::TtlMap,
    sync::parking::{Thread, current, park, park_timeout},
};

impl<K, V, S> TtlMap<K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    /// Returns a clone of the value of `key`, after putting what `loader` returns, with the map's default TTL, if the key is
    /// absent or expired. Of all who ask for an absent key at a time one calls its loader, and the others wait for what
    /// that returns.
    ///
    /// The TTL counts from when the loader has returned. An insert, remove or clear of the key that comes while it runs wins: the value
    /// goes to those who wait for it then, and not into the map. ([`retain`](Self::retain), and what changes only a value that
    /// is there, do not come in between: while it is loaded the key is absent.)
    ///
    /// Futures and threads wait for each other's loads. In async code use `get_or_load`, of the feature `async`: this
    /// blocks its thread.
    ///
    /// # Progress
    ///
    /// A hit is a [`get_cloned`](Self::get_cloned). Otherwise it blocks: while its loader runs, or until another's load has
    /// ended. It holds no pin meanwhile, and no other call of the map waits for it. If the caller that loads goes without a value
    /// one that waits goes on with its own loader: none is left waiting.
    ///
    /// # Panics
    ///
    /// If `loader` panics; then one of those who wait goes on. If `loader` asks for `key` itself, on its thread: it
    /// would wait for ever. (Two loaders on two threads that ask for each other's keys do, but for [`Load::patience`].) As
    /// [`Pinned::insert`](crate::Pinned::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    ///
    /// let squares = TtlMap::<u64, u64>::new();
    /// assert_eq!(squares.get_or_load_blocking(&7, || 7 * 7), 49);
    /// assert_eq!(squares.get_or_load_blocking(&7, || unreachable!("it is there")), 49);
    /// ```
    #[doc(alias = "get_with")]
    #[doc(alias = "get_or_insert_with")]
    pub fn get_or_load_blocking<Q>(&self, key: &Q, loader: impl FnOnce() -> V) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        self.get_or_load_blocking_with(key, &Load::new(), loader)
    }

    /// Returns a clone of the value of `key`, after putting what `loader` returns, as `options` say, if the key is absent or
    /// expired; otherwise as [`TtlMap::get_or_load_blocking`].
    ///
    /// # Panics
    ///
    /// As [`TtlMap::get_or_load_blocking`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Load, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// let map = TtlMap::<String, u32>::new();
    /// let load = Load::new().ttl(60 * SECOND).patience(SECOND);
    /// assert_eq!(map.get_or_load_blocking_with("a", &load, || 1), 1);
    /// ```
    pub fn get_or_load_blocking_with<Q, T, L>(
        &self,
        key: &Q,
        options: &Load<T>,
        loader: impl FnOnce() -> L,
    ) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        L: Into<Loaded<V>>,
    {
        let Ok(value) =
            self.try_get_or_load_blocking_with(key, options, || Ok::<_, Infallible>(loader()));
        value
    }

    /// Returns a clone of the value of `key`, after putting what `loader` returns, if the key is absent or expired, and
    /// that is a value; otherwise as [`TtlMap::get_or_load_blocking`].
    ///
    /// # Errors
    ///
    /// That of the loader: of the caller's own, or of the one that it waited for. It goes to those who wait then, and is
    /// not kept, unless [`Load::negative_ttl`] asks for it. A caller who waits for another type of error goes on with its own loader.
    ///
    /// # Panics
    ///
    /// As [`TtlMap::get_or_load_blocking`].
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::<&str, u32>::new();
    /// let parse = |text: &'static str| map.try_get_or_load_blocking(&text, || text.parse());
    /// assert_eq!(parse("12"), Ok(12));
    /// assert!(parse("twelve").is_err() && map.len() == 1);
    /// ```
    #[doc(alias = "try_get_with")]
    pub fn try_get_or_load_blocking<Q, E>(
        &self,
        key: &Q,
        loader: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Clone + Send + Sync + 'static,
    {
        self.try_get_or_load_blocking_with(key, &Load::new(), loader)
    }

    /// Returns a clone of the value of `key`, after putting what `loader` returns, as `options` say, if the key is absent or
    /// expired, and that is a value; otherwise as [`TtlMap::get_or_load_blocking`].
    ///
    /// # Errors
    ///
    /// As [`TtlMap::try_get_or_load_blocking`].
    ///
    /// # Panics
    ///
    /// As [`TtlMap::get_or_load_blocking`].
    pub fn try_get_or_load_blocking_with<Q, T, L, E>(
        &self,
        key: &Q,
        options: &Load<T>,
        loader: impl FnOnce() -> Result<L, E>,
    ) -> Result<V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        L: Into<Loaded<V>>,
        E: Clone + Send + Sync + 'static,
    {
        let mut begun = self.begin_load(key);
        let lead = loop {
            match begun {
                Begun::Done(answer) => return answer,
                Begun::Leads(lead) => break lead,
                Begun::Waits(mut waiter) => {
                    let told = wait(&mut waiter, options.patience.map(Patience::from_now));
                    begun = self.end_wait(key, waiter, told);
                }
            }
        };
        let made = lead.flight.run(loader).map(Into::into);
        self.end_load(lead, key, options, made)
    }
}

/// Blocks the thread until the wait is over; `None` if the patience is before.
fn wait<K, V>(waiter: &mut Waiter<'_, K, V>, patience: Option<Patience>) -> Option<Waited<V>> {
    let waker = Waker::from(Arc::new(Unpark(current())));
    loop {
        if let Poll::Ready(told) = waiter.poll(&waker) {
            return Some(told);
        }
        match patience {
            None => park(),
            Some(patience) => park_timeout(patience.left()?),
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
