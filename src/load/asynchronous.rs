//! Loads of futures: wakers alone, no runtime.

use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    hash::{BuildHasher, Hash},
    pin::pin,
    task::Poll,
};

use equivalent::Equivalent;

use super::{
    flights::{Waited, Waiter},
    options::{Load, Loaded, Sleep},
    steps::{Begun, Patience},
};
use crate::map::TtlMap;

impl<K, V, S> TtlMap<K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    /// Returns a clone of the value of `key`, after putting what `loader` makes, with the map's default TTL, if the key is
    /// absent or expired. Of all who ask for an absent key at a time one calls its loader, and the others wait for what
    /// that makes. With the feature `async`.
    ///
    /// The TTL counts from the end of the load. An insert, remove or clear of the key that comes during the load wins: the value goes to
    /// those who wait for it then, and not into the map. ([`retain`](Self::retain), and what changes only a value that is
    /// there, do not come in between: while it is loaded the key is absent.)
    ///
    /// A future that is dropped hands over: one of those who wait goes on, with its own loader. One that is held and not
    /// polled keeps those who wait from going on, but for [`Load::patience`].
    ///
    /// It needs no runtime and spawns nothing: the loader's future is polled by the future that leads. The future is [`Send`]
    /// where map, key and loader are. Futures and threads wait for each other's loads.
    ///
    /// # Progress
    ///
    /// A hit is ready at once, a [`get_cloned`](Self::get_cloned). No pin is held over an `.await`, and no other call of the map
    /// waits for a load.
    ///
    /// # Panics
    ///
    /// If `loader` or its future panics; then one of those who wait goes on. If the future asks for `key` itself: it would wait
    /// for ever. (A task that it spawns and waits for does wait, and so do two loads that ask for each other's keys, but for
    /// [`Load::patience`].) As [`Pinned::insert`](crate::Pinned::insert).
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use std::sync::Arc;
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    /// runtime.block_on(async {
    ///     let pages = Arc::new(TtlMap::<String, String>::new());
    ///     let tasks: Vec<_> = (0..10).map(|n| {
    ///         let pages = Arc::clone(&pages);
    ///         tokio::spawn(async move { pages.get_or_load("/", async || format!("fetched by {n}")).await })
    ///     }).collect();
    ///     for task in tasks {
    ///         assert_eq!(Some(task.await.unwrap()), pages.get_cloned("/")); // fetched once
    ///     }
    /// });
    /// ```
    #[doc(alias = "get_with")]
    #[doc(alias = "get_or_insert_async")]
    pub async fn get_or_load<Q, Fut>(&self, key: &Q, loader: impl FnOnce() -> Fut) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        Fut: Future<Output = V>,
    {
        self.get_or_load_with(key, &Load::new(), loader).await
    }

    /// Returns a clone of the value of `key`, after putting what `loader` makes, as `options` say, if the key is absent or
    /// expired; otherwise as [`TtlMap::get_or_load`].
    ///
    /// # Panics
    ///
    /// As [`TtlMap::get_or_load`].
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::{Load, Loaded, TtlMap};
    /// use std::time::Duration;
    ///
    /// const SECOND: Duration = Duration::from_secs(1);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # runtime.block_on(async {
    /// let map = TtlMap::<&str, u32>::new();
    /// let load = Load::new().ttl(60 * SECOND).patience(SECOND).sleep(tokio::time::sleep);
    /// assert_eq!(map.get_or_load_with(&"a", &load, async || 1).await, 1);
    /// // A value may bring a TTL of its own.
    /// map.get_or_load_with(&"b", &load, async || Loaded::with_ttl(2, 5 * SECOND)).await;
    /// # });
    /// ```
    pub async fn get_or_load_with<Q, T, L, Fut>(
        &self,
        key: &Q,
        options: &Load<T>,
        loader: impl FnOnce() -> Fut,
    ) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        T: Sleep,
        L: Into<Loaded<V>>,
        Fut: Future<Output = L>,
    {
        let loader = || {
            let made = loader();
            async { Ok::<_, Infallible>(made.await) }
        };
        let Ok(value) = self.try_get_or_load_with(key, options, loader).await;
        value
    }

    /// Returns a clone of the value of `key`, after putting what `loader` makes, if the key is absent or expired, and that
    /// is a value; otherwise as [`TtlMap::get_or_load`].
    ///
    /// # Errors
    ///
    /// That of the loader: of the caller's own, or of the one that it waited for. It goes to those who wait then, and is
    /// not kept, unless [`Load::negative_ttl`] asks for it. A caller who waits for another type of error goes on with its
    /// own loader.
    ///
    /// # Panics
    ///
    /// As [`TtlMap::get_or_load`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let map = evanesce::TtlMap::<&str, u32>::new();
    /// let failed = map.try_get_or_load(&"a", async || Err("no route")).await;
    /// assert_eq!(failed, Err("no route"));
    /// assert_eq!(map.try_get_or_load(&"a", async || Ok::<_, &str>(1)).await, Ok(1));
    /// # });
    /// ```
    #[doc(alias = "try_get_with")]
    pub async fn try_get_or_load<Q, E, Fut>(
        &self,
        key: &Q,
        loader: impl FnOnce() -> Fut,
    ) -> Result<V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>>,
    {
        self.try_get_or_load_with(key, &Load::new(), loader).await
    }

    /// Returns a clone of the value of `key`, after putting what `loader` makes, as `options` say, if the key is absent or
    /// expired, and that is a value; otherwise as [`TtlMap::get_or_load`].
    ///
    /// # Errors
    ///
    /// As [`TtlMap::try_get_or_load`].
    ///
    /// # Panics
    ///
    /// As [`TtlMap::get_or_load`].
    pub async fn try_get_or_load_with<Q, T, L, E, Fut>(
        &self,
        key: &Q,
        options: &Load<T>,
        loader: impl FnOnce() -> Fut,
    ) -> Result<V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        T: Sleep,
        L: Into<Loaded<V>>,
        E: Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<L, E>>,
    {
        let mut begun = self.begin_load(key);
        let lead = loop {
            match begun {
                Begun::Done(answer) => return answer,
                Begun::Leads(lead) => break lead,
                Begun::Waits(mut waiter) => {
                    let told = wait(&mut waiter, options).await;
                    begun = self.end_wait(key, waiter, told);
                }
            }
        };
        let mut loading = pin!(lead.flight.run(loader));
        let made = poll_fn(|cx| lead.flight.run(|| loading.as_mut().poll(cx))).await;
        self.end_load(lead, key, options, made.map(Into::into))
    }
}

/// Waits; `None` if the patience is over before.
async fn wait<K, V, T: Sleep>(
    waiter: &mut Waiter<'_, K, V>,
    options: &Load<T>,
) -> Option<Waited<V>> {
    let Some(patience) = options.patience else {
        return Some(poll_fn(|cx| waiter.poll(cx.waker())).await);
    };
    let mut asleep = pin!(options.sleep.sleep(patience));
    let patience = Patience::from_now(patience);
    poll_fn(|cx| {
        if let Poll::Ready(told) = waiter.poll(cx.waker()) {
            return Poll::Ready(Some(told));
        }
        if patience.left().is_none() || asleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}
