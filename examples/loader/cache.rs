//! The cache: what to copy from this example.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evanesce::{Builder, Deadline, Load, Lookup, RefreshToken, TtlMap};
use tokio::time::{Sleep, sleep};

/// What is asked for: the key.
pub(crate) type Page = u32;
pub(crate) type Pages = TtlMap<Page, Kept>;

/// A page as it is kept.
#[derive(Clone)]
pub(crate) struct Kept {
    text: Arc<str>,
    /// From then on the page is stale.
    fresh_until: Deadline,
}

/// The origin gave no page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the origin does not answer")
    }
}

impl std::error::Error for Unavailable {}

/// Where pages come from, slowly.
pub(crate) trait Origin: Send + Sync + 'static {
    fn fetch(&self, page: Page) -> impl Future<Output = Result<Arc<str>, Unavailable>> + Send;
}

/// How long things last.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// A page is fresh so long.
    pub(crate) fresh: Duration,
    /// It is fetched anew when so much of that is left: some times what the origin takes to answer.
    pub(crate) early: Duration,
    /// It is served so long after it was fresh, if the origin gives no other.
    pub(crate) grace: Duration,
    /// An error of a load is kept so long: nobody asks the origin for that page meanwhile.
    pub(crate) negative: Duration,
    /// After a refresh that failed the next one begins no sooner than this.
    pub(crate) retry: Duration,
    /// A caller waits so long for another's load, then asks the origin for itself.
    pub(crate) patience: Duration,
}

pub(crate) struct Cache<O> {
    pub(crate) pages: Pages,
    pub(crate) origin: O,
    pub(crate) counts: Counts,
    times: Times,
    load: Load<fn(Duration) -> Sleep>,
}

impl<O: Origin> Cache<O> {
    /// A cache of at most `max_entries` pages.
    pub(crate) fn new(
        options: Builder<Page, Kept>,
        max_entries: usize,
        times: Times,
        origin: O,
    ) -> Result<Arc<Self>, evanesce::BuildError> {
        // A page stays in the map for its grace as well, or nothing would be there to serve then.
        let life = times.fresh + times.grace;
        let pages = options.max_entries(max_entries).time_to_live(life).build()?;
        let load = Load::new().negative_ttl(times.negative).patience(times.patience);
        let load = load.sleep(sleep as fn(Duration) -> Sleep);
        Ok(Arc::new(Self { pages, origin, counts: Counts::default(), times, load }))
    }

    /// The page. It waits for the origin only if there is none that may be served.
    pub(crate) async fn get(self: &Arc<Self>, page: Page) -> Result<Arc<str>, Unavailable> {
        self.counts.requests.add();
        let due = self.times.early + self.times.grace;
        // The pin lasts as long as this match, and so there is no await in it: what is found is cloned out.
        let found = match self.pages.pin().get_or_refresh(&page, due) {
            Lookup::Fresh(kept) | Lookup::Stale(kept) => Some((kept.clone(), None)),
            Lookup::Refresh(kept, right) => Some((kept.clone(), Some(right))),
            Lookup::Missing => None,
        };
        let Some((kept, right)) = found else { return self.load(page).await };
        if let Some(right) = right {
            // This caller is the one to refresh. It does not wait for that either.
            tokio::spawn(Arc::clone(self).refresh(page, right));
        }
        if self.pages.now() < kept.fresh_until {
            self.counts.hits.add();
        } else {
            self.counts.stale.add();
        }
        Ok(kept.text)
    }

    /// Single flight: of all who miss the page at a time one asks the origin, and the others wait for the answer.
    async fn load(&self, page: Page) -> Result<Arc<str>, Unavailable> {
        let mut is_mine = false;
        let fetch = || {
            is_mine = true;
            self.fetch(page)
        };
        let loaded = self.pages.try_get_or_load_with(&page, &self.load, fetch).await;
        // What was answered without this caller's asking: by a load that it waited for, or by an error that is kept.
        if is_mine { &self.counts.loads } else { &self.counts.joined }.add();
        match loaded {
            Ok(kept) => Ok(kept.text),
            // Whatever was in the map is past its grace. With `get_stale`, which finds what has expired, there
            // would be no grace in a page's TTL, and this is where the old page would be served.
            Err(unavailable) => {
                self.counts.failed.add();
                Err(unavailable)
            }
        }
    }

    async fn refresh(self: Arc<Self>, page: Page, right: RefreshToken) {
        self.counts.refreshes.add();
        if let Ok(kept) = self.fetch(page).await {
            // An error means that the old page has expired, was put out or replaced: then this one is not wanted.
            let _ = self.pages.pin().refresh(right, page, kept);
        } else {
            self.counts.failed_refreshes.add();
            // The old page is served on. As long as the right is held nobody else asks; then it goes back.
            sleep(self.times.retry).await;
            drop(right);
        }
    }

    async fn fetch(&self, page: Page) -> Result<Kept, Unavailable> {
        let text = self.origin.fetch(page).await?;
        Ok(Kept { text, fresh_until: self.pages.now() + self.times.fresh })
    }
}

/// What became of the requests: each is one of `hits`, `stale`, `loads` and `joined`.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub(crate) requests: Count,
    /// Served fresh from the map.
    pub(crate) hits: Count,
    /// Served from the map within the grace.
    pub(crate) stale: Count,
    /// Asked the origin and waited for it.
    pub(crate) loads: Count,
    /// Were answered by another's load.
    pub(crate) joined: Count,
    /// Of these two: got no page.
    pub(crate) failed: Count,
    pub(crate) refreshes: Count,
    pub(crate) failed_refreshes: Count,
}

#[derive(Default, Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
