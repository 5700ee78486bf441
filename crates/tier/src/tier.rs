//! What is asked of a tier: reads, writes, forgetting.

use std::{fmt, marker::PhantomData, pin::Pin, sync::Arc, time::Duration};

use evanesce::{RefreshToken, TtlMap};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::{runtime::Handle, task::yield_now};

use crate::{
    codec::Codec,
    error::{Error, shown},
    lease,
    link::{State, Told},
    near::{Kept, Look, Near, Read},
    observe,
    options::{Options, is_time},
    request::At,
    servers::Servers,
    stats::Stats,
    view::View,
    wire::{Fetched, Left},
};

/// A near tier: what this process keeps of a Redis or Valkey server, and the connection on which that says what has changed.
///
/// Keys are bytes, or what can be seen as bytes: `str`, `[u8]`. Values are kept decoded. A clone is another handle of the same tier; when
/// the last is dropped the connection is closed.
///
/// What a read may return, and for how long after a write, is [the guarantee](crate#guarantee).
pub struct Tier<K: ?Sized, V> {
    pub(crate) inner: Arc<Inner<V>>,
    keys: PhantomData<fn(&K)>,
}

/// What the handles of a tier share.
pub(crate) struct Inner<V> {
    pub(crate) shared: Arc<Shared<V>>,
    pub(crate) servers: Servers,
    pub(crate) codec: Box<dyn Codec<V>>,
}

/// What the connection has of a tier as well.
pub(crate) struct Shared<V> {
    pub(crate) near: Near<V>,
    /// Loads that go on. It keeps nothing.
    pub(crate) loads: TtlMap<Vec<u8>, Kept<V>>,
    pub(crate) options: Options,
    /// The server's address, for those who look at the figures.
    pub(crate) server: String,
}

/// How many keys `get_many` asks for at a time. A heartbeat waits behind them, and must not be late for that.
const MOST_AT_ONCE: usize = 512;

impl<V> Shared<V> {
    /// Forgets a key, and lets what is loaded for it be for those alone who wait for it now.
    pub(crate) fn forget(&self, key: &[u8]) {
        self.near.forget(key);
        self.loads.remove(key);
    }

    fn stats(&self) -> Stats {
        self.near.counts.stats(self.near.len())
    }
}

impl<V: Send + Sync + 'static> Told for Shared<V> {
    fn changed(&self, key: &[u8]) {
        let prefix = self.options.prefix.as_deref().unwrap_or_default();
        if let Some(key) = key.strip_prefix(prefix) {
            self.near.counts.pushes.add();
            // A load as well: what it has stored may be over before those who led it go on.
            self.forget(key);
        }
    }

    fn flushed(&self) {
        self.near.counts.flushes.add();
    }

    fn lost(&self) {
        self.near.counts.losses.add();
    }

    fn heartbeat_took(&self, time: Duration) {
        self.near.counts.heartbeat_took(time);
        let prefix = shown(self.options.prefix.as_deref().unwrap_or_default());
        observe::figures(&self.server, &prefix, &self.stats());
    }

    // Those of a cluster come by way of it.
    fn view(&self, _: &View) {}

    fn topology_changed(&self) {
        self.near.counts.topology_changes.add();
        observe::topology_changed(&self.server);
    }
}

impl<K: ?Sized, V> Clone for Tier<K, V> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), keys: PhantomData }
    }
}

impl<K: ?Sized, V> fmt::Debug for Tier<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier")
            .field("server", &self.inner.shared.server)
            .field("state", &self.inner.servers.state())
            .finish_non_exhaustive()
    }
}

impl<K, V> Tier<K, V>
where
    K: AsRef<[u8]> + ?Sized,
    V: Send + Sync + 'static,
{
    pub(crate) fn of(shared: Arc<Shared<V>>, servers: Servers, codec: Box<dyn Codec<V>>) -> Self {
        Self { inner: Arc::new(Inner { shared, servers, codec }), keys: PhantomData }
    }

    /// Returns the value of `key`: the one that is kept, or else the server's, which is then kept. `None` if the server has none.
    ///
    /// Of all who ask for a key that is not kept, at a time, one asks the server. A hit needs no round trip, and is ready at
    /// once: but after many at a stretch it lets the other tasks of its thread go on, as all of tokio does. So a loop of hits does not
    /// keep the server's words from being heard.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] while the connection is lost, for longer than `max_stale` or without a value that is kept;
    /// [`Error::Interrupted`] and [`Error::Timeout`] if it is lost meanwhile; [`Error::WrongType`], [`Error::Decode`],
    /// [`Error::TooLarge`]; [`Error::Server`].
    ///
    /// # Panics
    ///
    /// If the key is not kept and this is no task of tokio.
    ///
    /// # Cancel safety
    ///
    /// Its future may be dropped at any time: if it was the one that asks the server, one of those who wait for it asks again.
    pub async fn get(&self, key: &K) -> Result<Option<Arc<V>>, Error> {
        let key = key.as_ref();
        match self.inner.shared.near.look(key, false) {
            Look::Hit(value) => Ok(value),
            look => no_hit(&self.inner, key, look).await,
        }
    }

    /// Returns the values of `keys`, in their order: each as [`get`](Self::get), those that are not kept by requests
    /// that go out together, at most 512 at a time.
    ///
    /// # Errors
    ///
    /// That of the first key, in their order, for which [`get`](Self::get) has one. Keys behind it are given up.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub async fn get_many<'k, I>(&self, keys: I) -> Result<Vec<Option<Arc<V>>>, Error>
    where
        I: IntoIterator<Item = &'k K>,
        K: 'k,
    {
        // Collected, as a task that is spawned cannot have any iterator over an `await`.
        let reads: Vec<_> = keys.into_iter().map(|key| self.get(key)).collect();
        stream::iter(reads).buffered(MOST_AT_ONCE).try_collect().await
    }

    /// Returns the value of `key` that is kept. Never waits, and asks nobody. `None` if none is kept, or it may not be served, or the server is known to have none.
    ///
    /// Never waiting, it does not let the tasks of its thread go on either. Where the runtime of the tier has one thread, let a loop that
    /// waits for a change await something, or use [`get`](Self::get).
    #[inline]
    #[must_use]
    pub fn hit(&self, key: &K) -> Option<Arc<V>> {
        let read = |value: Option<&Arc<V>>| value.map(Arc::clone);
        self.inner.shared.near.view(key.as_ref(), read).flatten()
    }

    /// Calls `read` with the value of `key` that is kept, and returns what it returns; `None` without calling it where [`hit`](Self::hit) returns
    /// that. While `read` runs, the map frees no memory: let it be short.
    #[inline]
    pub fn view<R>(&self, key: &K, read: impl FnOnce(&V) -> R) -> Option<R> {
        let read = |value: Option<&Arc<V>>| value.map(|value| read(value));
        self.inner.shared.near.view(key.as_ref(), read).flatten()
    }

    /// Sets `key` in the server, to end after `ttl`, rounded up to whole milliseconds, or never. When it has returned, no read of this tier
    /// returns an older value. The value is not kept: the next read asks the server.
    ///
    /// If its future is dropped before that, it may be set or not, and what was kept is served until the server says that it has changed.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], [`Error::TooLarge`] and [`Error::Option`] (a TTL that is not 1 ms to 100 years), before anything is
    /// sent. [`Error::Lost`], [`Error::Interrupted`], [`Error::Timeout`]: after the last two it may be set or not, and what was kept is
    /// forgotten. [`Error::Server`].
    ///
    /// # Panics
    ///
    /// If this is no task of tokio.
    pub async fn put(
        &self,
        key: &K,
        value: &V,
        ttl: impl Into<Option<Duration>>,
    ) -> Result<(), Error> {
        let (key, ttl) = (key.as_ref(), ttl.into());
        let full = self.inner.shared.options.full_key(key);
        if let Some(ttl) = ttl {
            check_ttl(ttl)?;
        }
        let bytes = self.inner.encode(&full, value)?;
        let (at, bytes) = (&full, &bytes);
        let set = |to: At| async move { to.session.set(at, bytes, ttl).await };
        let done = self.inner.servers.at(at, set).await;
        // Also after an error: the server may have done it.
        self.inner.shared.forget(key);
        in_turn(done).await
    }

    /// Deletes `key` in the server, and ends the lease of its load, so that a load that began before stores nothing. Returns whether it was there. When
    /// it has returned, no read of this tier returns what was there; if its future is dropped before, as for [`put`](Self::put).
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), but for those of the value. [`Error::Server`] also if the user may not delete the lease: then `key` may be deleted
    /// all the same.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub async fn delete(&self, key: &K) -> Result<bool, Error> {
        let key = key.as_ref();
        let full = self.inner.shared.options.full_key(key);
        let done = self.inner.delete(&full, &lease::name(&full)).await;
        self.inner.shared.forget(key);
        in_turn(done).await
    }

    /// Lets `key` end after `ttl` from now, rounded up to whole milliseconds. Returns whether it was there. When it has returned, the next read
    /// asks the server; if its future is dropped before, as for [`put`](Self::put).
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), but for those of the value.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put).
    pub async fn touch(&self, key: &K, ttl: Duration) -> Result<bool, Error> {
        check_ttl(ttl)?;
        let key = key.as_ref();
        let full = self.inner.shared.options.full_key(key);
        let at = &full;
        let touch = |to: At| async move { to.session.touch(at, ttl).await };
        let done = self.inner.servers.at(at, touch).await;
        self.inner.shared.near.forget(key);
        in_turn(done).await
    }

    /// Forgets what is kept of `key`, and keeps nothing of fills that go on. The server's is left alone.
    pub fn forget_local(&self, key: &K) {
        self.inner.shared.forget(key.as_ref());
    }

    /// Forgets all that is kept, by one store. Its memory goes as it is asked for, evicted, or at the end of its near TTL.
    pub fn forget_all_local(&self) {
        self.inner.servers.forget_all();
    }

    /// Returns how the tier stands with its server. Of a cluster: connected, if it is so with each node that has slots; otherwise lost since
    /// the first loss.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.servers.state()
    }

    /// Returns what the tier did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.shared.stats()
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Reads a key and keeps it, or waits for who does.
    pub(crate) async fn fill(&self, key: &[u8]) -> Result<Kept<V>, Error> {
        let gate = self.servers.gate(&self.shared.options.full_key(key))?;
        self.shared.near.fill(&gate, key, || self.read(key)).await
    }

    async fn read(&self, key: &[u8]) -> Result<Read<V>, Error> {
        let options = &self.shared.options;
        let full = options.full_key(key);
        let at = &full;
        let fetch =
            |to: At| async move { Ok((to.session.fetch(at).await?, to.origin, to.may_keep)) };
        let (Fetched { value, asked }, origin, may_keep) = self.servers.at(at, fetch).await?;
        let kept_for = |ttl| if may_keep { ttl } else { Duration::ZERO };
        let Some((bytes, left)) = value else {
            let ttl = kept_for(options.negative_ttl.saturating_sub(asked.elapsed()));
            // Not read early: the time for that may be longer than this one.
            return Ok(Read { origin, value: None, ttl, ends_near: false });
        };
        let value = Some(Arc::new(self.decode(&full, bytes)?));
        // With what the codec took.
        let spent = asked.elapsed();
        let (ttl, ends_near) = match left {
            Left::Forever => options.ttl(None, spent),
            Left::For(left) => options.ttl(Some(left), spent),
            Left::Over => (Duration::ZERO, false),
        };
        Ok(Read { origin, value, ttl: kept_for(ttl), ends_near })
    }

    /// Ends a lease, then deletes its key. Whether it was there.
    async fn delete(&self, full: &[u8], lease: &[u8]) -> Result<bool, Error> {
        match self.servers.route(full)?.session.delete_both(full, lease).await {
            Err(Error::Redirected { .. }) => {}
            done => return done,
        }
        // One by one, as each may be at another node while their slot moves. The lease first, so that no load stores in between.
        let delete = |key| move |to: At| async move { to.session.delete(key).await };
        self.servers.at(lease, delete(lease)).await?;
        self.servers.at(full, delete(full)).await
    }

    /// The value of these bytes of the key `full`.
    pub(crate) fn decode(&self, full: &[u8], bytes: Vec<u8>) -> Result<V, Error> {
        self.check_size(full, &bytes)?;
        let decoded = self.codec.decode(bytes);
        decoded.map_err(|refusal| Error::Decode { key: shown(full), source: refusal.into() })
    }

    /// The bytes of a value for the key `full`.
    pub(crate) fn encode(&self, full: &[u8], value: &V) -> Result<Vec<u8>, Error> {
        let encoded = self.codec.encode(value);
        let bytes = encoded
            .map_err(|refusal| Error::Encode { key: shown(full), source: refusal.into() })?;
        self.check_size(full, &bytes)?;
        Ok(bytes)
    }

    fn check_size(&self, full: &[u8], bytes: &[u8]) -> Result<(), Error> {
        let (bytes, limit) = (bytes.len(), self.shared.options.max_value_bytes);
        if bytes <= limit {
            Ok(())
        } else {
            Err(Error::TooLarge { key: shown(full), bytes, limit })
        }
    }
}

/// What a read comes to that has found this. Boxed here, so that a hit does not pay for its size.
#[inline(never)]
fn no_hit<'a, V: Send + Sync + 'static>(
    inner: &'a Arc<Inner<V>>,
    key: &'a [u8],
    look: Look<V>,
) -> Pin<Box<impl Future<Output = Result<Option<Arc<V>>, Error>> + 'a>> {
    Box::pin(after_look(inner, key, look))
}

async fn after_look<V: Send + Sync + 'static>(
    inner: &Arc<Inner<V>>,
    key: &[u8],
    mut look: Look<V>,
) -> Result<Option<Arc<V>>, Error> {
    if matches!(look, Look::Turn) {
        // A loop of hits would otherwise never let its thread read what the server says.
        yield_now().await;
        look = inner.shared.near.look(key, true);
    }
    let found = match look {
        Look::Hit(value) => Ok(value),
        Look::Due(value, token) => {
            // Without a runtime another caller refreshes it, or it ends.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(refresh(Arc::clone(inner), key.to_vec(), token));
            }
            Ok(value)
        }
        Look::Miss => inner.fill(key).await.map(|kept| kept.value().cloned()),
        Look::Lost(error) => Err(*error),
        Look::Turn => unreachable!("it was their turn"),
    };
    in_turn(found).await
}

/// Returns what it is given; an error of the connection after the turn of others. Such an error may need no waiting, and a loop of it
/// would never let its thread make the connection again.
async fn in_turn<T>(done: Result<T, Error>) -> Result<T, Error> {
    if matches!(&done, Err(error) if error.is_connection()) && !planted!(no_turn) {
        yield_now().await;
    }
    done
}

/// Reads a key again before it ends here. A push takes the entry out, and so the token is for nothing.
async fn refresh<V: Send + Sync + 'static>(
    inner: Arc<Inner<V>>,
    key: Vec<u8>,
    token: RefreshToken,
) {
    let near = &inner.shared.near;
    near.counts.fills.add();
    match inner.read(&key).await {
        Ok(read) => _ = near.refresh(token, &key, read),
        Err(error) => observe::refresh_failed(&error),
    }
}

/// Whether the server takes this time to live.
pub(crate) fn check_ttl(ttl: Duration) -> Result<(), Error> {
    if is_time(ttl) {
        return Ok(());
    }
    Err(Error::Option { option: "ttl", value: format!("{ttl:?}"), allowed: "1 ms to 100 years" })
}
