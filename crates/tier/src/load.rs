//! Values that are made when the server has none: once for all who wait, or once for the fleet.

use std::{error, future::Future, sync::Arc, time::Duration};

use evanesce::Loaded;

use crate::{
    error::{Error, shown},
    gate::Origin,
    lease::{self, Held},
    near::{Kept, Read},
    request::At,
    tier::{Inner, Tier, check_ttl},
    wire::{Claim, Stored},
};

/// How a value is loaded. For [`Tier::get_or_load`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Load {
    ttl: Option<Duration>,
    lease: Option<Duration>,
}

impl Load {
    /// For all who wait in this process one loads, and the value has no end in the server.
    pub const fn new() -> Self {
        Self { ttl: None, lease: None }
    }

    /// Lets the value end in the server after `ttl`: 1 ms to 100 years, rounded up to whole milliseconds. Default: never.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// For all who wait in the whole fleet one loads: the one with a lease in the server, for `time` at most, 1 ms to 100 years. Choose it longer than the
    /// loader takes, since what is loaded after its end is not stored; if a process dies while it loads, the others wait
    /// for that end. Its name begins with `lease:` and not with the tier's prefix: a user with rules for keys needs both. Default: one loads in
    /// each process.
    pub const fn lease(mut self, time: Duration) -> Self {
        self.lease = Some(time);
        self
    }
}

/// How often a value is loaded at most that a `delete` or the end of the lease overtakes.
const MOST_LOADS: u32 = 3;
/// Between two looks at a lease that another has, in milliseconds.
const PAUSES: [u64; 6] = [2, 4, 8, 16, 32, 50];

impl<K, V> Tier<K, V>
where
    K: AsRef<[u8]> + ?Sized,
    V: Send + Sync + 'static,
{
    /// Returns the value of `key`, as [`get`](Self::get) does; or, if the server has none, what `loader` makes, after setting it in the
    /// server. Of all who wait for that in this process, or with [`Load::lease`] in the fleet, one calls its loader.
    ///
    /// A value that somebody sets during the load stays, and is returned. What was loaded is kept by the next read, which asks the server once more.
    ///
    /// A caller that goes while it loads hands over: one of those who wait goes on with its own loader. One that is held and not polled lets
    /// the others of this process wait: until the end of its lease, or without one for as long as it is held. The loader has no other limit of time.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get) and [`put`](Self::put). [`Error::Load`] if the loader fails, for all who wait; nothing is set, and
    /// the next caller loads again. [`Error::LeaseLost`] if it was loaded three times, and each time a `delete` or the end of the lease
    /// came first. [`Error::Option`] for a TTL or a lease that is not 1 ms to 100 years.
    ///
    /// # Panics
    ///
    /// If the loader does; then one of those who wait goes on. If it asks for `key` itself. If this is no task of tokio and the key is not kept.
    pub async fn get_or_load<'k, F, Fut, E>(
        &self,
        key: &'k K,
        load: Load,
        mut loader: F,
    ) -> Result<Arc<V>, Error>
    where
        F: FnMut(&'k K) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: Into<Box<dyn error::Error + Send + Sync>>,
    {
        for time in [load.ttl, load.lease].into_iter().flatten() {
            check_ttl(time)?;
        }
        let shared = &self.inner.shared;
        // What is loaded after the end of its lease is not stored: nobody waits for longer, as its caller may be held and not polled.
        let once =
            load.lease.map_or(evanesce::Load::new(), |time| evanesce::Load::new().patience(time));
        let once = once.sleep(tokio::time::sleep);
        loop {
            if let Some(value) = self.get(key).await? {
                return Ok(value);
            }
            let gate = self.inner.servers.gate(&shared.options.full_key(key.as_ref()))?;
            let start = Origin::now(&gate);
            let mut led = false;
            let (leads, loader) = (&mut led, &mut loader);
            let loading = move || {
                *leads = true;
                let origin = Origin::now(&gate);
                let loading = self.inner.load(key.as_ref(), load, move || loader(key));
                async move {
                    let value = Some(loading.await?);
                    let read = Read { origin, value, ttl: Duration::ZERO, ends_near: false };
                    // It is for those who wait, and not kept.
                    Ok::<_, Error>(Loaded::with_ttl(Kept::of(read), Duration::ZERO))
                }
            };
            let whole = key.as_ref();
            let outcome = Box::pin(shared.loads.try_get_or_load_with(whole, &once, loading)).await;
            match outcome {
                // Of a load from before this word: what was set since may be newer.
                Ok(kept) if !led && !kept.is_for(&start) => {}
                Err(error) if !led && error.is_connection() => {}
                Ok(kept) => match kept.value() {
                    Some(value) => return Ok(Arc::clone(value)),
                    None => unreachable!("a load gives a value"),
                },
                Err(error) => return Err(error),
            }
        }
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Gets the right to load, loads, and stores; or finds what another has stored.
    async fn load<Fut, E>(
        &self,
        key: &[u8],
        load: Load,
        mut loader: impl FnMut() -> Fut,
    ) -> Result<Arc<V>, Error>
    where
        Fut: Future<Output = Result<V, E>>,
        E: Into<Box<dyn error::Error + Send + Sync>>,
    {
        let full = self.shared.options.full_key(key);
        let name = lease::name(&full);
        let holder = load.lease.map_or_else(String::new, |_| lease::holder());
        for _ in 0..MOST_LOADS {
            if let Some(value) = self.claim(&full, &name, &holder, load).await? {
                return Ok(Arc::new(self.decode(&full, value)?));
            }
            let mut held =
                Held::new(self.servers.route(&full)?.session, name.clone(), holder.clone());
            self.shared.near.counts.loads.add();
            let made = loader().await;
            let value = made
                .map_err(|error| Error::Load { key: shown(&full), source: error.into().into() })?;
            let bytes = self.encode(&full, &value)?;
            let (at, name, holder, bytes) = (&full, &name, &holder, &bytes);
            let store =
                |to: At| async move { to.session.store(at, name, holder, bytes, load.ttl).await };
            let stored = self.servers.at(at, store).await;
            // Also after an error, as after `put`. The fills alone: this is the load.
            self.shared.near.forget(key);
            let stored = stored?;
            held.ended();
            match stored {
                Stored::Done => return Ok(Arc::new(value)),
                Stored::Theirs(bytes) => return Ok(Arc::new(self.decode(&full, bytes)?)),
                Stored::Overtaken => {}
            }
        }
        Err(Error::LeaseLost { key: shown(&full), loads: MOST_LOADS })
    }

    /// Waits for the right to load, `None`, or for a value.
    async fn claim(
        &self,
        full: &[u8],
        name: &[u8],
        holder: &str,
        load: Load,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut pauses = PAUSES.into_iter();
        let mut pause = 0;
        loop {
            let time = load.lease.unwrap_or_default();
            let claim = |to: At| async move { to.session.claim(full, name, holder, time).await };
            match self.servers.at(full, claim).await? {
                Claim::Value(value) => return Ok(Some(value)),
                Claim::Ours => return Ok(None),
                Claim::Theirs => self.shared.near.counts.lease_waits.add(),
            }
            pause = pauses.next().unwrap_or(pause);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}
