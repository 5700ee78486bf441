//! Runtimes that end, that have one thread, or that are not there.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use evanesce_tier::{Error, Load, State};
use futures_util::future::FutureExt;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
};

use crate::{
    Place, Text, catch_up,
    common::{server::Server, until},
    read, rows, say,
};

rows! {
    "its runtime ends": ends, "a loop of hits on one thread": loops, "loops of hits on all threads": all_loop, "a loop of errors on one thread": errors, "a loop of failed writes on one thread": failed_writes,
    "early refresh without a runtime": without,
    "requests that are held": held,
}

pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Lets another thread do it, with a runtime of its own.
pub(crate) async fn elsewhere<R: Send + 'static>(act: impl FnOnce() -> R + Send + 'static) -> R {
    let thread = thread::spawn(act);
    until("the other thread", async || thread.is_finished()).await;
    thread.join().unwrap()
}

async fn ends(place: Arc<Place>) -> String {
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    let options = place.options();
    let tier = elsewhere(move || {
        let runtime = one_thread();
        runtime.block_on(async {
            let tier = options.connect().await.unwrap();
            catch_up(&tier).await;
            assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
            assert!(tier.hit("a").is_some());
            tier
        })
        // The runtime ends here, and with it all that hears the server.
    })
    .await;
    say::<()>(&mut foreign, "SET t:a 2").await;
    assert!(matches!(tier.state(), State::Lost { .. }));
    assert!(tier.hit("a").is_none());
    assert!(matches!(tier.get("a").await, Err(Error::Lost { .. })));
    "an error at once".into()
}

async fn loops(place: Arc<Place>) -> String {
    let mut foreign = place.foreign().await;
    for views_too in [false, true] {
        say::<()>(&mut foreign, "SET t:a 1").await;
        let options = place.options();
        let has_read = Arc::new(AtomicBool::new(false));
        let has_read_too = Arc::clone(&has_read);
        let reader = thread::spawn(move || {
            one_thread().block_on(async {
                let tier = options.connect().await.unwrap();
                catch_up(&tier).await;
                let start = Instant::now();
                // Each is a hit, so that nothing here waits.
                while read(&tier, "a").await.as_deref() == Some("1") {
                    if views_too {
                        _ = tier.hit("a");
                    }
                    has_read_too.store(true, Ordering::SeqCst);
                    assert!(start.elapsed() < Duration::from_secs(10), "stale for ever");
                }
            });
        });
        until("a first read", async || has_read.load(Ordering::SeqCst)).await;
        say::<()>(&mut foreign, "SET t:a 2").await;
        until("the reader", async || reader.is_finished()).await;
        reader.join().unwrap();
    }
    "the push comes through".into()
}

/// Hits of each thread of a runtime.
struct Hits {
    of: Vec<AtomicU64>,
    /// Those from before the push was there to be heard.
    before: OnceLock<Vec<u64>>,
}

thread_local! {
    /// Which of the runtime's threads this is.
    static THREAD: Cell<usize> = const { Cell::new(0) };
}

impl Hits {
    fn now(&self) -> Vec<u64> {
        self.of.iter().map(|hits| hits.load(Ordering::SeqCst)).collect()
    }

    /// Those of the thread with the fewest since the push was there. Another may have had many more while the system did not let that one run.
    fn fewest_since(&self) -> u64 {
        let before = self.before.get().into_iter().flatten();
        let since = self.now().into_iter().zip(before).map(|(now, before)| now - before);
        since.min().unwrap_or(0)
    }
}

/// The bound that DESIGN.md states ("What else a hit does"), in turns and not in time.
async fn all_loop(place: Arc<Place>) -> String {
    let mut most_turns = 0;
    for (threads, loops, turn) in
        [(1, 1, 1 << 10), (1, 5, 1 << 10), (2, 3, 1 << 16), (2, 8, 1 << 16)]
    {
        let limit = (61 + loops) * turn;
        let mut foreign = place.foreign().await;
        say::<()>(&mut foreign, "SET t:a 1").await;
        let options = place.options();
        let of = (0..threads).map(|_| AtomicU64::new(0)).collect();
        let hits = Arc::new(Hits { of, before: OnceLock::new() });
        let hits_too = Arc::clone(&hits);
        let readers = thread::spawn(move || {
            let runtime = if threads == 1 {
                one_thread()
            } else {
                let next = AtomicUsize::new(0);
                let number = move || THREAD.set(next.fetch_add(1, Ordering::SeqCst));
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(threads).enable_all().on_thread_start(number);
                builder.build().unwrap()
            };
            runtime.block_on(async {
                let tier = options.connect().await.unwrap();
                catch_up(&tier).await;
                assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
                let loops = (0..loops).map(|_| {
                    let (tier, hits) = (tier.clone(), Arc::clone(&hits_too));
                    tokio::spawn(async move {
                        while read(&tier, "a").await.as_deref() == Some("1") {
                            let of_thread = &hits.of[THREAD.get()];
                            let number = of_thread.fetch_add(1, Ordering::SeqCst);
                            // Nothing else would end a loop that lets nobody else run.
                            assert!(number % 64 > 0 || hits.fewest_since() <= limit, "not heard");
                        }
                    })
                });
                for done in loops.collect::<Vec<_>>() {
                    done.await.unwrap();
                }
            });
        });
        let all_read = async || hits.now().iter().all(|&hits| hits > 0);
        until("hits of all threads", all_read).await;
        say::<()>(&mut foreign, "SET t:a 2").await;
        // Behind its answer, the push is in the tier's socket.
        say::<()>(&mut foreign, "PING").await;
        hits.before.set(hits.now()).unwrap();
        until("the readers", async || readers.is_finished()).await;
        readers.join().unwrap();
        most_turns = most_turns.max(hits.fewest_since().div_ceil(turn));
    }
    format!("heard after {most_turns} turns at most")
}

async fn errors(place: Arc<Place>) -> String {
    // Of a key that is kept, and of one that is not.
    for is_kept in [true, false] {
        let mut server = Server::start(place.kind, &[]).await;
        let options = place.options_at(&server.url());
        let (is_connected, was_lost) = (Arc::default(), Arc::default());
        let told: [Arc<AtomicBool>; 2] = [Arc::clone(&is_connected), Arc::clone(&was_lost)];
        let reader = thread::spawn(move || {
            one_thread().block_on(async {
                let tier = options.connect().await.unwrap();
                let start = Instant::now();
                // Neither waits: a hit, and an error while it is lost. What connects again is on this thread, too.
                for is_ok in [true, false, true] {
                    while tier.get("a").await.is_ok() != is_ok {
                        assert!(start.elapsed() < Duration::from_secs(20), "never {is_ok}");
                    }
                    if !is_kept {
                        tier.forget_local("a");
                    }
                    told[usize::from(!is_ok)].store(true, Ordering::SeqCst);
                }
            });
        });
        until("a connection", async || is_connected.load(Ordering::SeqCst)).await;
        server.stop();
        until("the loss", async || was_lost.load(Ordering::SeqCst)).await;
        server.start_again().await;
        until("the reader", async || reader.is_finished()).await;
        reader.join().unwrap();
    }
    "it connects again".into()
}

/// A call that is an error while the connection is lost, and whether it was one.
type Call = for<'t> fn(&'t Text) -> Pin<Box<dyn Future<Output = Result<(), Error>> + 't>>;

async fn failed_writes(place: Arc<Place>) -> String {
    let calls: [Call; 4] = [
        |tier| Box::pin(async { tier.put("a", &"1".into(), None).await }),
        |tier| Box::pin(async { tier.delete("a").await.map(drop) }),
        |tier| Box::pin(async { tier.touch("a", Duration::from_secs(100)).await.map(drop) }),
        |tier| {
            Box::pin(async {
                // What is kept would need no server.
                tier.forget_local("a");
                let loader = async |_: &str| Ok::<_, Error>("1".into());
                tier.get_or_load("a", Load::new(), loader).await.map(drop)
            })
        },
    ];
    let mut server = Server::start(place.kind, &[]).await;
    for call in calls {
        let options = place.options_at(&server.url());
        let was_lost = Arc::new(AtomicBool::new(false));
        let was_lost_too = Arc::clone(&was_lost);
        let is_connected = Arc::new(AtomicBool::new(false));
        let is_connected_too = Arc::clone(&is_connected);
        let writer = thread::spawn(move || {
            one_thread().block_on(async {
                let tier = options.connect().await.unwrap();
                is_connected_too.store(true, Ordering::SeqCst);
                let start = Instant::now();
                // Lost, and connected again by a task of this thread.
                for is_ok in [false, true] {
                    while call(&tier).await.is_ok() != is_ok {
                        assert!(start.elapsed() < Duration::from_secs(20), "never {is_ok}");
                    }
                    was_lost_too.store(true, Ordering::SeqCst);
                }
            });
        });
        until("a connection", async || is_connected.load(Ordering::SeqCst)).await;
        server.stop();
        until("the loss", async || was_lost.load(Ordering::SeqCst)).await;
        server.start_again().await;
        until("the writer", async || writer.is_finished()).await;
        writer.join().unwrap();
    }
    "it connects again".into()
}

async fn without(place: Arc<Place>) -> String {
    say::<()>(&mut place.foreign().await, "SET t:a 1").await;
    // Due from the first moment on, all but.
    let (near, early) = (Duration::from_secs(100), Duration::from_nanos(99_999_999_999));
    let options = place.options().near_ttl(near).jitter(0.0).refresh_early(early);
    let tier = options.connect().await.unwrap();
    catch_up(&tier).await;
    read(&tier, "a").await;
    elsewhere(move || {
        let value = tier.get("a").now_or_never();
        assert_eq!(value.unwrap().unwrap().as_deref().map(String::as_str), Some("1"));
    })
    .await;
    "the value that is kept".into()
}

async fn held(place: Arc<Place>) -> String {
    let options = place.options();
    elsewhere(move || {
        one_thread().block_on(async {
            let tier = options.connect().await.unwrap();
            let go_on = Arc::new(Notify::new());
            // Callers who ask for many keys, and then for a while do not look.
            let holders: Vec<_> = (0..8)
                .map(|holder| {
                    let (tier, go_on) = (tier.clone(), Arc::clone(&go_on));
                    tokio::spawn(async move {
                        let keys: Vec<_> = (0..200).map(|key| format!("{holder} {key}")).collect();
                        let mut asking = Box::pin(tier.get_many(keys.iter().map(String::as_str)));
                        assert!((&mut asking).now_or_never().is_none());
                        go_on.notified().await;
                        asking.await.unwrap().len()
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            let answer = tokio::time::timeout(Duration::from_secs(10), tier.get("a")).await;
            assert_eq!(answer.expect("it waits for those").unwrap(), None);
            go_on.notify_waiters();
            for holder in holders {
                assert_eq!(holder.await.unwrap(), 200);
            }
        });
    })
    .await;
    "others are answered".into()
}
