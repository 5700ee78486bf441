//! Making a tier.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use evanesce::TtlMap;

use crate::{
    address::{client, without_password},
    cluster::Cluster,
    codec::Codec,
    error::Error,
    gate::Gate,
    link::{Link, Told},
    near::Near,
    options::{Options, Tracking},
    servers::Servers,
    tier::{Shared, Tier},
};

/// Options for a new [`Tier`], from [`Tier::builder`].
///
/// What is out of range is said by [`connect`](Self::connect), with the option's name and what it may be.
#[must_use = "a builder does nothing before `connect`"]
pub struct TierBuilder<K: ?Sized, V, C = ()> {
    urls: Vec<String>,
    is_cluster: bool,
    options: Options,
    codec: C,
    of: PhantomData<fn(&K, &V)>,
}

impl<K: ?Sized, V> Tier<K, V> {
    /// Returns the options of a tier in front of the server at `url`: `redis://[user:password@]host[:port][/database]`,
    /// `rediss://` for TLS, with the feature `tls`, or `redis+unix:///path`.
    pub fn builder(url: impl Into<String>) -> TierBuilder<K, V> {
        TierBuilder::new(vec![url.into()], false)
    }

    /// Returns the options of a tier in front of a cluster. Each of `nodes` is an address as [`builder`](Self::builder) takes it, with a host and without TLS; the first
    /// that answers says which others there are. All have the user and the password of the first one.
    pub fn cluster(nodes: impl IntoIterator<Item = impl Into<String>>) -> TierBuilder<K, V> {
        TierBuilder::new(nodes.into_iter().map(Into::into).collect(), true)
    }
}

impl<K: ?Sized, V> TierBuilder<K, V> {
    pub(crate) fn new(urls: Vec<String>, is_cluster: bool) -> Self {
        Self { urls, is_cluster, options: Options::default(), codec: (), of: PhantomData }
    }
}

impl<K: ?Sized, V, C> TierBuilder<K, V, C> {
    /// Sets how values are written in the server: [`Bytes`](crate::Bytes), [`Json`](crate::Json), [`Postcard`](crate::Postcard), or one of
    /// your own. There is no default.
    pub fn codec<D: Codec<V>>(self, codec: D) -> TierBuilder<K, V, D> {
        let Self { urls, is_cluster, options, codec: _, of } = self;
        TierBuilder { urls, is_cluster, options, codec, of }
    }

    /// Sets what all keys of the tier begin with in the server; not empty. Default: nothing. The names of [leases](crate::Load::lease) do not begin with
    /// it, but with `lease:`.
    pub fn prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.options.prefix = Some(prefix.into());
        self
    }

    /// Sets how long a value is kept at most, whatever the server says: 1 ms to 100 years. It is the backstop for what no server announces, so
    /// it is never without end. Default: 5 minutes.
    pub fn near_ttl(mut self, ttl: Duration) -> Self {
        self.options.near_ttl = ttl;
        self
    }

    /// Sets by which share of it the near TTL is shortened at most, at random for each value, so that those that were read together are
    /// not read again together: 0.0 to 1.0. Default: 0.1.
    pub fn jitter(mut self, share: f64) -> Self {
        self.options.jitter = share;
        self
    }

    /// Sets how long it is kept that the server has no such key. Zero: not at all, the default; otherwise 1 ms to
    /// 100 years. It is neither shortened at random nor read again early.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.options.negative_ttl = ttl;
        self
    }

    /// Lets a [`get`](Tier::get) that finds a value with less than `early` of its near TTL left have it read again, by one task,
    /// while all go on with the old one: shorter than the near TTL less its jitter. A value that ends in the server before is not read early.
    /// Default: off.
    pub fn refresh_early(mut self, early: Duration) -> Self {
        self.options.refresh_early = Some(early);
        self
    }

    /// Sets how often the server is asked for a sign of life, and for how long nothing may come then before the connection is given up: 1 ms to 100 years,
    /// each. Their sum is how long a connection may be dead before that is noticed. Whatever comes is a sign of life, as the answer waits behind
    /// others; but that may not be later than the longer one of this time-out and [`request_timeout`](Self::request_timeout). Over TLS the answer alone is
    /// one. Default: 1 s and 1 s.
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.options.heartbeat = interval;
        self.options.heartbeat_timeout = timeout;
        self
    }

    /// Sets how long what is kept is served while the connection is lost, from when that was noticed: any time. Default: not at all; reads are
    /// errors then.
    pub fn max_stale(mut self, time: Duration) -> Self {
        self.options.max_stale = time;
        self
    }

    /// Sets how many keys are kept at most, as [`evanesce::Builder::max_entries`] does: 1 or more. Default: as many as are read
    /// within a near TTL.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.options.max_entries = Some(entries);
        self
    }

    /// Sets how many bytes a value may have, as the server has it: 1 or more. Larger ones are an error, read or written. Default: 512 MiB, what
    /// the server takes.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.options.max_value_bytes = bytes;
        self
    }

    /// Sets how long a request may take, and a connection to be made: 1 ms to 100 years. Default: 5 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = timeout;
        self
    }

    /// Sets how the server is told what this process has. Default: [`Tracking::OptIn`].
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.options.tracking = tracking;
        self
    }
}

impl<K, V, C> TierBuilder<K, V, C>
where
    K: AsRef<[u8]> + ?Sized,
    V: Send + Sync + 'static,
{
    /// Returns the tier, connected.
    ///
    /// The server is heard by tasks of the runtime in which this is called. While that runs no tasks (it has one thread, which is blocked or not in
    /// `block_on`), nothing is heard, and nothing bounds how stale a read is. When it ends, reads are errors.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for an option out of range, before anything is sent; [`Error::Address`]; [`Error::Unreachable`], [`Error::Refused`],
    /// [`Error::NoResp3`], [`Error::NoTracking`], [`Error::NoCluster`]; [`Error::Server`].
    ///
    /// # Panics
    ///
    /// If this is no task of tokio, with time and I/O.
    pub async fn connect(self) -> Result<Tier<K, V>, Error>
    where
        C: Codec<V>, // here, so that who has chosen none is told to
    {
        let Self { urls, is_cluster, options, codec, of: _ } = self;
        options.check()?;
        let mut map = TtlMap::builder();
        if let Some(entries) = options.max_entries {
            map = map.max_entries(entries);
        }
        let map = map.build().map_err(|error| Error::Option {
            option: "max_entries",
            value: format!("{:?} ({error})", options.max_entries.unwrap_or_default()),
            allowed: "1 to some hundred million",
        })?;
        let near =
            Near::new(map, options.max_stale, options.refresh_early, options.request_timeout);
        let server = urls.first().map(|url| without_password(url)).unwrap_or_default();
        let shared =
            Arc::new(Shared { near, loads: TtlMap::new(), options: options.clone(), server });
        let told = Arc::clone(&shared) as Arc<dyn Told>;
        let servers = if is_cluster {
            Servers::Cluster(Cluster::connect(&urls, options, told).await?)
        } else {
            let server = client(urls.first().map_or("", String::as_str))?;
            let link = Link::new(server, None, Arc::new(Gate::new()), options, told);
            let open = link.connect().await?;
            Servers::One { link, _open: open }
        };
        Ok(Tier::of(shared, servers, Box::new(codec)))
    }
}

impl<K: ?Sized, V, C> fmt::Debug for TierBuilder<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TierBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}
