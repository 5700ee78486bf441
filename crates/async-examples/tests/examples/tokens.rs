//! The cache of access tokens, with an issuer that answers when the test lets it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use evanesce::{ManualClock, TtlMap};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::examples::tokens::{Cache, EARLY, Issuer, MARGIN, Service, Tokens};
use crate::samples::{NANOSECOND, in_time, nearly, on_a_clock, prints_its_sample};

/// What a token is valid for; it is kept for `KEPT`.
const VALID: Duration = Duration::from_secs(100);
const KEPT: Duration = Duration::from_secs(98);

/// Issues tokens 1, 2, .., each when there is a permit for it.
struct Gate {
    asked: AtomicU32,
    permits: Semaphore,
    is_up: AtomicBool,
}

impl Issuer for Gate {
    async fn issue(&self, _: Service) -> Option<(Arc<str>, Duration)> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.permits.acquire().await.expect("it is never closed").forget();
        self.is_up.load(Ordering::Relaxed).then(|| (number.to_string().into(), VALID))
    }
}

struct World {
    clock: ManualClock,
    tokens: Arc<Tokens<Gate>>,
}

impl World {
    /// With token 1, issued a moment ago.
    async fn new() -> Self {
        let (cache, clock): (Cache, _) = on_a_clock(TtlMap::builder());
        let (asked, is_up) = (AtomicU32::new(0), AtomicBool::new(true));
        let tokens = Tokens::new(cache, Gate { asked, permits: Semaphore::new(1), is_up });
        let world = Self { clock, tokens };
        assert_eq!(world.get().await.as_deref(), Some("1"));
        world
    }

    /// With token 1 that is due to be renewed, and no answer from the issuer yet.
    async fn due() -> Self {
        let world = Self::new().await;
        world.clock.advance(KEPT.saturating_sub(EARLY));
        world
    }

    async fn get(&self) -> Option<Arc<str>> {
        self.tokens.get("mail").await
    }

    fn kept(&self) -> Option<Arc<str>> {
        self.tokens.cache.get_cloned("mail")
    }

    fn asked(&self) -> u32 {
        self.tokens.issuer.asked.load(Ordering::Relaxed)
    }

    /// Lets the issuer answer so many times.
    fn answer(&self, times: usize) {
        self.tokens.issuer.permits.add_permits(times);
    }
}

/// Gives way to other tasks until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

/// Runs the test's tasks on one thread, in the order of their waking.
fn run<R: Send + 'static>(test: impl Future<Output = R> + Send + 'static) -> R {
    run_on(runtime::Builder::new_current_thread(), test)
}

fn run_on<R: Send + 'static>(
    mut runtime: runtime::Builder,
    test: impl Future<Output = R> + Send + 'static,
) -> R {
    in_time(move || runtime.build().expect("a runtime").block_on(test))
}

#[test]
fn the_margin_is_taken_off() {
    assert_eq!(KEPT, VALID.saturating_sub(MARGIN));
}

#[test]
fn a_token_is_asked_for_once_while_it_is_fresh() {
    run(async {
        let world = World::new().await;
        world.clock.advance(nearly(KEPT.saturating_sub(EARLY)));
        for _ in 0..10 {
            assert_eq!(world.get().await.as_deref(), Some("1"));
        }
        yield_now().await;
        assert_eq!(world.asked(), 1);
        world.clock.advance(NANOSECOND);
        assert_eq!(world.get().await.as_deref(), Some("1"));
        until(|| world.asked() == 2).await;
    });
}

/// With threads in fact: the issuer is silent until all callers have their token.
#[test]
fn of_many_callers_one_renews_and_none_waits_for_it() {
    let mut four_threads = runtime::Builder::new_multi_thread();
    four_threads.worker_threads(4);
    run_on(four_threads, async {
        for _ in 0..50 {
            let world = World::due().await;
            let mut callers = JoinSet::new();
            for _ in 0..64 {
                let tokens = Arc::clone(&world.tokens);
                callers.spawn(async move { tokens.get("mail").await });
            }
            let got = callers.join_all().await;
            assert!(got.iter().all(|token| token.as_deref() == Some("1")), "{got:?}");
            until(|| world.asked() == 2).await;
            world.answer(1);
            until(|| world.kept().as_deref() == Some("2")).await;
            assert_eq!(world.get().await.as_deref(), Some("2"));
            assert_eq!(world.asked(), 2);
        }
    });
}

#[test]
fn a_renewed_token_has_all_of_its_own_time() {
    run(async {
        let world = World::due().await;
        world.get().await;
        world.answer(1);
        until(|| world.kept().as_deref() == Some("2")).await;
        world.clock.advance(nearly(KEPT));
        assert_eq!(world.kept().as_deref(), Some("2"));
        world.clock.advance(NANOSECOND);
        assert_eq!(world.kept(), None);
    });
}

#[test]
fn a_renewal_that_fails_leaves_the_old_token_and_the_next_caller_tries() {
    run(async {
        let world = World::due().await;
        world.tokens.issuer.is_up.store(false, Ordering::Relaxed);
        for asked in [2, 3, 4] {
            // One at a time: the second caller does not ask while the first one's question is out.
            assert_eq!(world.get().await.as_deref(), Some("1"));
            assert_eq!(world.get().await.as_deref(), Some("1"));
            until(|| world.asked() == asked).await;
            world.answer(1);
            // The renewal is over when it has let go of the cache.
            until(|| Arc::strong_count(&world.tokens) == 1).await;
            assert_eq!(world.asked(), asked);
        }
        world.tokens.issuer.is_up.store(true, Ordering::Relaxed);
        world.answer(1);
        assert_eq!(world.get().await.as_deref(), Some("1"));
        until(|| world.kept().as_deref() == Some("5")).await;
    });
}

#[test]
fn a_renewal_that_is_cancelled_gives_its_right_back() {
    let world = run(async {
        let world = World::due().await;
        world.get().await;
        until(|| world.asked() == 2).await;
        world
    });
    // The runtime has ended, and its tasks with it.
    run(async move {
        assert_eq!(world.get().await.as_deref(), Some("1"));
        until(|| world.asked() == 3).await;
    });
}

#[test]
fn an_expired_token_is_never_handed_out() {
    run(async {
        let world = World::due().await;
        world.clock.advance(nearly(EARLY));
        assert_eq!(world.get().await.as_deref(), Some("1"));
        until(|| world.asked() == 2).await;
        world.clock.advance(NANOSECOND);
        // The renewal comes too late for token 1, and this caller has had to ask for itself.
        let tokens = Arc::clone(&world.tokens);
        let caller = tokio::spawn(async move { tokens.get("mail").await });
        until(|| world.asked() == 3).await;
        world.answer(2);
        assert_eq!(caller.await.expect("no panic").as_deref(), Some("3"));
        assert_eq!(world.kept().as_deref(), Some("3"));
    });
}

#[test]
fn no_answer_and_no_token_is_none_and_nothing_is_kept() {
    run(async {
        let world = World::new().await;
        world.clock.advance(KEPT);
        world.tokens.issuer.is_up.store(false, Ordering::Relaxed);
        world.answer(1);
        assert_eq!((world.get().await, world.kept()), (None, None));
    });
}

#[test]
fn callers_that_miss_together_go_on_with_one_token() {
    run(async {
        let world = World::new().await;
        world.clock.advance(KEPT);
        let mut callers = JoinSet::new();
        for _ in 0..10 {
            let tokens = Arc::clone(&world.tokens);
            callers.spawn(async move { tokens.get("mail").await });
        }
        until(|| world.asked() == 11).await;
        world.answer(10);
        let got = callers.join_all().await;
        assert!(got.iter().all(|token| token.is_some() && *token == world.kept()), "{got:?}");
    });
}

#[test]
fn a_refused_token_is_not_brought_back_by_a_renewal_under_way() {
    run(async {
        let world = World::due().await;
        world.get().await;
        until(|| world.asked() == 2).await;
        assert!(world.tokens.refused("mail", "1"));
        world.answer(1);
        until(|| Arc::strong_count(&world.tokens) == 1).await;
        assert_eq!(world.kept(), None);
    });
}

#[test]
fn of_many_that_refuse_one_token_none_forgets_the_next() {
    run(async {
        let world = World::new().await;
        assert!(world.tokens.refused("mail", "1") && !world.tokens.refused("mail", "1"));
        world.answer(1);
        assert_eq!(world.get().await.as_deref(), Some("2"));
        assert!(!world.tokens.refused("mail", "1"));
        assert_eq!(world.kept().as_deref(), Some("2"));
    });
}

#[test]
fn it_prints_what_its_docs_show() {
    prints_its_sample("tokens", include_str!("../../../../examples/tokens.rs"));
}
