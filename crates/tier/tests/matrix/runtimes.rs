//! Runtimes that end, that have one thread, or that are not there.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
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

async fn all_loop(place: Arc<Place>) -> String {
    let mut foreign = place.foreign().await;
    say::<()>(&mut foreign, "SET t:a 1").await;
    let options = place.options();
    let reading = Arc::new(AtomicU32::new(0));
    let reading_too = Arc::clone(&reading);
    let readers = thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let tier = options.connect().await.unwrap();
            catch_up(&tier).await;
            let start = Instant::now();
            let loops = (0..3).map(|_| {
                let (tier, reading) = (tier.clone(), Arc::clone(&reading_too));
                tokio::spawn(async move {
                    assert_eq!(read(&tier, "a").await.as_deref(), Some("1"));
                    reading.fetch_add(1, Ordering::SeqCst);
                    while read(&tier, "a").await.as_deref() == Some("1") {
                        assert!(start.elapsed() < Duration::from_secs(20), "stale for ever");
                    }
                })
            });
            for done in loops.collect::<Vec<_>>() {
                done.await.unwrap();
            }
        });
    });
    until("first reads", async || reading.load(Ordering::SeqCst) == 3).await;
    say::<()>(&mut foreign, "SET t:a 2").await;
    until("the readers", async || readers.is_finished()).await;
    readers.join().unwrap();
    "the push comes through".into()
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
