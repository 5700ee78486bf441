//! A cache of access tokens that are renewed early: no caller waits for a renewal, and one of them starts it.
//!
//! It shows [`Pinned::get_or_refresh`](evanesce::Pinned::get_or_refresh) in async code: the right to refresh, a
//! [`RefreshToken`], goes to a task of its own and outlives the pin; a task that fails gives it back by dropping
//! it; one that comes late changes nothing. A struct stands in for the server that issues tokens, and the clock is
//! set by hand.
//!
//! ```text
//! $ cargo run --release -p async-examples --example tokens
//!        the issuer gives out mail-1, valid for 62 s
//!    0 s    1 calls: mail-1
//!   49 s  100 calls: mail-1
//!   50 s  100 calls: mail-1
//!        the issuer gives out mail-2, valid for 62 s
//!   51 s  100 calls: mail-2
//!  105 s  100 calls: mail-2
//!        the issuer does not answer
//!  106 s  100 calls: mail-2
//!        the issuer gives out mail-3, valid for 62 s
//!  107 s  100 calls: mail-3
//!        mail-3 was refused, and is forgotten: true
//!        the issuer gives out mail-4, valid for 62 s
//!  107 s    1 calls: mail-4
//! ```

mod usage;

use std::collections::BTreeSet;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use evanesce::{Clock, Lookup, ManualClock, RefreshToken, TtlMap};
use tokio::task::{JoinSet, yield_now};

/// Renewal begins when so much is left: some times what the issuer takes to answer.
pub(crate) const EARLY: Duration = Duration::from_secs(10);
/// A token is given up before its time, which began when it was issued and not when it came.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// Who asks for a token: the key.
pub(crate) type Service = &'static str;
pub(crate) type Cache = TtlMap<Service, Arc<str>>;

/// Where tokens come from.
pub(crate) trait Issuer: Send + Sync + 'static {
    /// A token and how long it is valid; `None` when there is no answer.
    fn issue(&self, service: Service) -> impl Future<Output = Option<(Arc<str>, Duration)>> + Send;
}

pub(crate) struct Tokens<I> {
    pub(crate) cache: Cache,
    pub(crate) issuer: I,
}

impl<I: Issuer> Tokens<I> {
    pub(crate) fn new(cache: Cache, issuer: I) -> Arc<Self> {
        Arc::new(Self { cache, issuer })
    }

    /// A valid token. It waits for the issuer only if there is none; `None` if the issuer does not answer then.
    pub(crate) async fn get(self: &Arc<Self>, service: Service) -> Option<Arc<str>> {
        // The pin lasts as long as this match, and so there is no await in it: what is found is cloned out.
        let found = match self.cache.pin().get_or_refresh(service, EARLY) {
            Lookup::Fresh(token) | Lookup::Stale(token) => Some((Arc::clone(token), None)),
            Lookup::Refresh(token, right) => Some((Arc::clone(token), Some(right))),
            Lookup::Missing => None,
        };
        match found {
            Some((token, None)) => Some(token),
            Some((token, Some(right))) => {
                // This caller is the one to renew. It does not wait for that either.
                tokio::spawn(Arc::clone(self).renew(service, right));
                Some(token)
            }
            None => self.fetch(service).await,
        }
    }

    /// Forgets a token that was refused where it was used; not the next one, if another caller was faster. A
    /// renewal that is under way then puts nothing.
    pub(crate) fn refused(&self, service: Service, token: &str) -> bool {
        self.cache
            .pin()
            .remove_if(service, |_, kept| **kept == *token)
            .is_ok_and(|gone| gone.is_some())
    }

    async fn renew(self: Arc<Self>, service: Service, right: RefreshToken) {
        // Without an answer, or if this task is cancelled, the right goes back and the next caller tries. To wait
        // before that, sleep here: as long as the right is held, no one else asks.
        let Some((token, valid)) = self.issuer.issue(service).await else { return };
        let ttl = valid.saturating_sub(MARGIN);
        // An error means that the old token has expired or was refused or replaced: then this one is not wanted.
        let _ = self.cache.pin().refresh_with_ttl(right, service, token, ttl);
    }

    /// For a service that has none. Of several callers each asks, but all go on with the token that came first.
    async fn fetch(&self, service: Service) -> Option<Arc<str>> {
        let (token, valid) = self.issuer.issue(service).await?;
        let pinned = self.cache.pin();
        let put = pinned.try_insert_with_ttl(service, token, valid.saturating_sub(MARGIN));
        Some(Arc::clone(put.unwrap_or_else(|occupied| occupied.current)))
    }
}

/// Stands for a server that is asked over the network.
struct Demonstration {
    issued: AtomicU32,
    is_up: AtomicBool,
}

impl Issuer for Demonstration {
    async fn issue(&self, service: Service) -> Option<(Arc<str>, Duration)> {
        yield_now().await;
        if !self.is_up.load(Ordering::Relaxed) {
            println!("       the issuer does not answer");
            return None;
        }
        let token = format!("{service}-{}", self.issued.fetch_add(1, Ordering::Relaxed) + 1);
        println!("       the issuer gives out {token}, valid for 62 s");
        Some((token.into(), Duration::from_secs(62)))
    }
}

/// Callers that ask at one time, and what they got.
async fn call(tokens: &Arc<Tokens<Demonstration>>, second: u64, callers: u32) {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let tokens = Arc::clone(tokens);
        tasks.spawn(async move { tokens.get("mail").await });
    }
    let got: BTreeSet<_> = tasks.join_all().await.into_iter().flatten().collect();
    println!("{second:>4} s  {callers:>3} calls: {}", Vec::from_iter(got).join(", "));
    // On to the next time when what was begun is done: there is one thread here.
    for _ in 0..10 {
        yield_now().await;
    }
}

fn main() -> ExitCode {
    usage::run(
        "tokens",
        "A cache of access tokens that are renewed early, by one task at a time.",
        demonstrate,
    )
}

fn demonstrate() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ManualClock::new();
    let issuer = Demonstration { issued: AtomicU32::new(0), is_up: AtomicBool::new(true) };
    let tokens = Tokens::new(Cache::builder().clock(clock.clone()).build()?, issuer);
    let at = |second| {
        let passed = Duration::from_nanos(clock.now());
        clock.advance(Duration::from_secs(second).saturating_sub(passed));
    };
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        // None at first; fresh; within 10 seconds of the end; renewed; while the issuer is down; up again.
        for (second, callers, is_up) in [
            (0, 1, true),
            (49, 100, true),
            (50, 100, true),
            (51, 100, true),
            (105, 100, false),
            (106, 100, true),
            (107, 100, true),
        ] {
            at(second);
            tokens.issuer.is_up.store(is_up, Ordering::Relaxed);
            call(&tokens, second, callers).await;
        }
        println!(
            "       mail-3 was refused, and is forgotten: {}",
            tokens.refused("mail", "mail-3")
        );
        call(&tokens, 107, 1).await;
    });
    Ok(())
}
