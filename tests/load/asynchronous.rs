//! One load for all who wait: what futures are promised, on tokio and on a bare executor. `load.rs` has the threads.
#![cfg(all(feature = "async", not(any(evanesce_loom, evanesce_shuttle, planted, tsan, asan))))] // where tokio is

use crate::common::{assert_slots_accounted, builder, exclusive, ns};
use evanesce::{Load, Loaded, ManualClock, Ttl, TtlMap};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

type Map = TtlMap<u64, u64>;

/// What puts or removes key 1, and the value that it has then.
type Write = (fn(&Map), Option<u64>);

fn map() -> (Arc<Map>, ManualClock) {
    let clock = ManualClock::new();
    (Arc::new(builder().clock(clock.clone()).build().expect("valid options")), clock)
}

/// The bare executor: a future on the heap that is polled by hand, and counts how often it was woken.
struct Task<'f, T> {
    future: Pin<Box<dyn Future<Output = T> + 'f>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<'f, T> Task<'f, T> {
    fn new(future: impl Future<Output = T> + 'f) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    /// The same, polled once, which is to leave it pending.
    fn begun(future: impl Future<Output = T> + 'f) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_pending());
        task
    }

    fn poll(&mut self) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn ready(&mut self) -> T {
        match self.poll() {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it is not ready"),
        }
    }

    fn times_woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

/// What a loader waits for, until it is set.
#[derive(Default)]
struct Signal<T>(RefCell<Option<T>>);

impl<T> Signal<T> {
    fn new() -> Self {
        Self(RefCell::new(None))
    }

    fn set(&self, value: T) {
        self.0.replace(Some(value));
    }

    fn wait(&self) -> impl Future<Output = T> {
        poll_fn(|_| self.0.take().map_or(Poll::Pending, Poll::Ready))
    }
}

async fn not_called<T>() -> T {
    unreachable!("the key is there, or another loads it")
}

#[test]
fn a_hit_is_ready_at_once_and_calls_no_loader() {
    exclusive(|| {
        let (map, _) = map();
        map.insert(1, 7);
        assert_eq!(Task::new(map.get_or_load(&1, not_called)).ready(), 7);
        assert_eq!(Task::new(map.try_get_or_load(&1, not_called::<Result<_, ()>>)).ready(), Ok(7));
    });
}

#[test]
fn one_future_loads_and_the_others_get_its_value() {
    exclusive(|| {
        let (map, _) = map();
        let origin = Signal::new();
        let mut leader = Task::begun(map.get_or_load(&1, || origin.wait()));
        let mut others: Vec<_> =
            (0..5).map(|_| Task::begun(map.get_or_load(&1, not_called))).collect();
        assert!(map.is_empty() && others.iter().all(|other| other.times_woken() == 0));
        origin.set(5);
        assert_eq!(leader.ready(), 5);
        for other in &mut others {
            assert_eq!((other.times_woken(), other.ready()), (1, 5));
        }
        assert_eq!(map.get_cloned(&1), Some(5));
        assert_slots_accounted(&map);
    });
}

#[test]
fn ttl_counts_from_the_end_of_the_load() {
    exclusive(|| {
        let (map, clock) = map();
        let slow = |made| {
            let clock = clock.clone();
            async move {
                clock.advance(ns(1000));
                made
            }
        };
        let load = Load::new().ttl(ns(20));
        Task::new(map.get_or_load_with(&1, &load, || slow(1))).ready();
        assert_eq!(map.pin().ttl(&1), Some(Ttl::Remaining(ns(20))));
        let own = || async { Loaded::with_ttl(slow(2).await, ns(30)) };
        Task::new(map.get_or_load_with(&2, &load, own)).ready();
        assert_eq!(map.pin().ttl(&2), Some(Ttl::Remaining(ns(30))));
    });
}

#[test]
fn a_write_of_the_key_during_the_load_wins() {
    exclusive(|| {
        let writes: [Write; 4] = [
            (|map| _ = map.insert(1, 7), Some(7)),
            (|map| _ = map.remove(&1), None),
            (|map| map.clear(), None),
            (|map| assert!(map.pin().update_or_insert_with(1, |_| 0, || 7) == &7), Some(7)),
        ];
        for (write, left) in writes {
            let (map, _) = map();
            let origin = Signal::new();
            let mut leader = Task::begun(map.get_or_load(&1, || origin.wait()));
            let mut waits = Task::begun(map.get_or_load(&1, not_called));
            write(&map);
            origin.set(5);
            assert_eq!((leader.ready(), waits.ready()), (5, 5), "who waited gets it");
            assert_eq!(map.get_cloned(&1), left, "and the map does not");
        }
    });
}

#[test]
fn who_comes_after_a_write_does_not_join_the_load_from_before() {
    exclusive(|| {
        let (map, _) = map();
        let (old, new) = (Signal::new(), Signal::new());
        let mut first = Task::begun(map.get_or_load(&1, || old.wait()));
        map.remove(&1);
        let mut second = Task::begun(map.get_or_load(&1, || new.wait()));
        let mut third = Task::begun(map.get_or_load(&1, not_called));
        old.set(5);
        assert_eq!((first.ready(), map.get_cloned(&1)), (5, None));
        assert!(third.poll().is_pending());
        new.set(6);
        assert_eq!((second.ready(), third.ready(), map.get_cloned(&1)), (6, 6, Some(6)));
    });
}

#[test]
fn a_dropped_leader_hands_over_to_the_first_who_waits_with_its_own_loader() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Task::begun(map.get_or_load(&1, pending));
        let mut second = Task::begun(map.get_or_load(&1, || async { 2 }));
        let mut third = Task::begun(map.get_or_load(&1, not_called));
        drop(leader);
        assert_eq!((second.times_woken(), third.times_woken()), (1, 0), "one is enough");
        assert!(second.ready() == 2 && third.ready() == 2);
        assert_eq!(map.get_cloned(&1), Some(2));
    });
}

#[test]
fn whoever_looks_first_leads_when_the_leader_was_dropped() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Task::begun(map.get_or_load(&1, pending));
        let mut second = Task::begun(map.get_or_load(&1, not_called));
        let mut third = Task::begun(map.get_or_load(&1, || async { 3 }));
        drop(leader);
        assert_eq!(third.ready(), 3);
        assert_eq!(second.ready(), 3);
        // One who comes then does as well.
        let leader = Task::begun(map.get_or_load(&2, pending));
        let mut second = Task::begun(map.get_or_load(&2, not_called));
        drop(leader);
        assert_eq!(Task::new(map.get_or_load(&2, || async { 4 })).ready(), 4);
        assert_eq!(second.ready(), 4);
    });
}

#[test]
fn hand_overs_have_no_cap() {
    exclusive(|| {
        let (map, _) = map();
        let mut tasks: Vec<_> =
            (0..2000).map(|_| Task::begun(map.get_or_load(&1, pending))).collect();
        let mut last = Task::begun(map.get_or_load(&1, || async { 9 }));
        // Each was woken by the end of the one before, leads when it is polled, and is dropped.
        tasks.drain(..1).for_each(drop);
        for mut task in tasks {
            assert_eq!(task.times_woken(), 1);
            assert!(task.poll().is_pending());
        }
        assert_eq!((last.times_woken(), last.ready()), (1, 9));
    });
}

#[test]
fn an_heir_that_is_dropped_before_it_looks_hands_over_as_well() {
    exclusive(|| {
        let (map, _) = map();
        let leader = Task::begun(map.get_or_load(&1, pending));
        let waiting: Vec<_> =
            (0..5).map(|_| Task::begun(map.get_or_load(&1, not_called))).collect();
        let mut last = Task::begun(map.get_or_load(&1, || async { 9 }));
        drop(leader);
        drop(waiting); // each woken, and none polled
        assert_eq!((last.times_woken(), last.ready()), (1, 9));
    });
}

#[test]
fn one_who_waits_and_is_dropped_disturbs_nobody() {
    exclusive(|| {
        let (map, _) = map();
        let origin = Signal::new();
        let mut leader = Task::begun(map.get_or_load(&1, || origin.wait()));
        let mut waiting: Vec<_> =
            (0..6).map(|_| Task::begun(map.get_or_load(&1, not_called))).collect();
        waiting.drain(..3).for_each(drop);
        origin.set(5);
        assert_eq!(leader.ready(), 5);
        waiting.drain(..1).for_each(drop); // with the value at hand
        assert!(waiting.iter_mut().all(|task| task.ready() == 5));
        // All of them, and then the leader: nothing is left behind.
        let leader = Task::begun(map.get_or_load(&2, pending));
        drop(Task::begun(map.get_or_load(&2, not_called)));
        drop(leader);
        assert_eq!(Task::new(map.get_or_load(&2, || async { 6 })).ready(), 6);
    });
}

#[test]
fn a_value_is_dropped_with_the_last_who_waited_for_it() {
    exclusive(|| {
        let map = TtlMap::<u64, Rc<u64>>::new();
        let origin = Signal::new();
        let mut leader = Task::begun(map.get_or_load(&1, || origin.wait()));
        let mut waiting: Vec<_> =
            (0..3).map(|_| Task::begun(map.get_or_load(&1, not_called))).collect();
        map.remove(&1);
        origin.set(Rc::new(5));
        let value = leader.ready();
        assert!(Rc::strong_count(&value) > 1, "for those who wait");
        assert_eq!(*waiting.pop().expect("three").ready(), 5);
        waiting.clear();
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn a_leader_that_is_held_blocks_only_until_the_patience_ends() {
    exclusive(|| {
        let (map, _) = map();
        let mut held = Task::begun(map.get_or_load(&1, || async {
            poll_fn(|_| Poll::<()>::Pending).await;
            1
        }));
        // The end of the sleep is the end of the patience.
        let asleep = Signal::new();
        let load = Load::new().patience(Duration::MAX).sleep(|time| {
            assert_eq!(time, Duration::MAX);
            asleep.wait()
        });
        let mut waits = Task::begun(map.get_or_load_with(&1, &load, || async { 2 }));
        let mut patient = Task::begun(map.get_or_load(&1, not_called));
        asleep.set(());
        assert_eq!(waits.ready(), 2);
        assert_eq!(map.get_cloned(&1), Some(2));
        // Who waits for the one that is held does so, until it goes.
        assert!(held.poll().is_pending() && patient.poll().is_pending());
        drop(held);
        assert_eq!(patient.ready(), 2);
    });
}

#[test]
fn without_a_sleep_the_patience_is_looked_at_when_the_future_is_polled() {
    exclusive(|| {
        let (map, _) = map();
        let _held = Task::begun(map.get_or_load(&1, pending));
        let load = Load::new().patience(Duration::ZERO);
        assert_eq!(Task::new(map.get_or_load_with(&1, &load, || async { 2 })).ready(), 2);
        let long = Load::new().patience(Duration::MAX);
        let _held = Task::begun(map.get_or_load(&2, pending));
        let mut waits = Task::begun(map.get_or_load_with(&2, &long, not_called::<u64>));
        assert!(waits.poll().is_pending());
    });
}

#[test]
fn of_many_whose_patience_ends_one_loads() {
    exclusive(|| {
        let (map, _) = map();
        let _held = Task::begun(map.get_or_load(&1, pending));
        let asleep: Vec<_> = (0..5).map(|_| Signal::new()).collect();
        let loads = Cell::new(0);
        let origin = Signal::new();
        let options: Vec<_> = asleep
            .iter()
            .map(|asleep| Load::new().patience(Duration::MAX).sleep(|_| asleep.wait()))
            .collect();
        let loader = || {
            loads.set(loads.get() + 1);
            origin.wait()
        };
        let mut waiting: Vec<_> = options
            .iter()
            .map(|load| Task::begun(map.get_or_load_with(&1, load, loader)))
            .collect();
        for (asleep, task) in asleep.iter().zip(&mut waiting) {
            asleep.set(());
            assert!(task.poll().is_pending());
        }
        origin.set(4);
        assert!(waiting.iter_mut().all(|task| task.ready() == 4));
        assert_eq!(loads.get(), 1);
    });
}

#[test]
fn a_panic_unwinds_its_leader_alone() {
    exclusive(|| {
        let (map, _) = map();
        let goes_on = Signal::new();
        let mut leader = Task::begun(map.get_or_load(&1, || async {
            goes_on.wait().await;
            std::panic::resume_unwind(Box::new(()))
        }));
        let mut second = Task::begun(map.get_or_load(&1, || async { 2 }));
        goes_on.set(());
        assert!(catch_unwind(AssertUnwindSafe(|| leader.poll())).is_err());
        // It was unwound in a poll, and is dropped: then it hands over.
        drop(leader);
        assert_eq!(second.ready(), 2);
        // By the loader itself, before there is a future.
        let mut leader = Task::new(map.get_or_load(&3, || -> std::future::Ready<u64> {
            std::panic::resume_unwind(Box::new(()))
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| leader.poll())).is_err());
        assert_eq!(Task::new(map.get_or_load(&3, || async { 3 })).ready(), 3);
    });
}

#[test]
fn an_error_goes_to_those_who_wait_and_is_not_kept() {
    exclusive(|| {
        let (map, _) = map();
        let origin = Signal::new();
        let mut leader = Task::begun(map.try_get_or_load(&1, || origin.wait()));
        let mut same = Task::begun(map.try_get_or_load(&1, not_called::<Result<u64, &str>>));
        let mut other = Task::begun(map.try_get_or_load(&1, || async { Err::<u64, _>(404) }));
        let mut infallible = Task::begun(map.get_or_load(&1, || async { 8 }));
        origin.set(Err("no route"));
        assert_eq!((leader.ready(), same.ready()), (Err("no route"), Err("no route")));
        assert_eq!((other.ready(), infallible.ready()), (Err(404), 8));
        assert_eq!(map.get_cloned(&1), Some(8));
    });
}

#[test]
fn a_negative_ttl_keeps_an_error_for_futures_and_threads() {
    exclusive(|| {
        let (map, clock) = map();
        let load = Load::new().negative_ttl(ns(10));
        let fails = || async { Err::<u64, _>("no route") };
        assert_eq!(Task::new(map.try_get_or_load_with(&1, &load, fails)).ready(), Err("no route"));
        let kept = Task::new(map.try_get_or_load(&1, not_called::<Result<u64, &str>>)).ready();
        assert_eq!(kept, Err("no route"));
        assert_eq!(map.try_get_or_load_blocking(&1, || Ok::<_, &str>(1)), Err("no route"));
        clock.advance(ns(10));
        assert_eq!(
            Task::new(map.try_get_or_load(&1, || async { Ok::<_, &str>(2) })).ready(),
            Ok(2)
        );
    });
}

#[test]
fn a_loader_that_asks_for_its_own_key_panics_and_does_not_hang() {
    exclusive(|| {
        let (map, _) = map();
        let own = || async { map.get_or_load(&1, || async { 1 }).await };
        let mut task = Task::new(map.get_or_load(&1, own));
        let panic = catch_unwind(AssertUnwindSafe(|| task.poll())).unwrap_err();
        let text = *panic.downcast::<&str>().expect("a message");
        assert!(text.contains("a loader asks for the key that it loads"), "{text}");
        drop(task);
        // By way of another key, and after it has waited for something else.
        let goes_on = Signal::new();
        let round = || async {
            goes_on.wait().await;
            map.get_or_load(&2, || async { map.get_or_load(&1, || async { 1 }).await }).await
        };
        let mut task = Task::begun(map.get_or_load(&1, round));
        goes_on.set(());
        assert!(catch_unwind(AssertUnwindSafe(|| task.poll())).is_err());
        drop(task);
        // By a thread's call within the future.
        let blocking = || async { map.get_or_load_blocking(&1, || 1) };
        let mut task = Task::new(map.get_or_load(&1, blocking));
        assert!(catch_unwind(AssertUnwindSafe(|| task.poll())).is_err());
        drop(task);
        assert_eq!(Task::new(map.get_or_load(&1, || async { 6 })).ready(), 6);
    });
}

#[test]
fn futures_and_threads_wait_for_each_other() {
    exclusive(|| {
        let (map, _) = map();
        let (tell, goes_on) = tokio::sync::oneshot::channel();
        let mut leader = Task::begun(map.get_or_load(&1, || async { goes_on.await.unwrap() }));
        let blocked = {
            let map = Arc::clone(&map);
            thread::spawn(move || map.get_or_load_blocking(&1, || 5))
        };
        tell.send(5).expect("it waits");
        assert_eq!((leader.ready(), blocked.join().unwrap()), (5, 5));
    });
}

#[test]
fn a_waker_is_the_last_one_that_the_future_was_polled_with() {
    exclusive(|| {
        let (map, _) = map();
        let origin = Signal::new();
        let mut leader = Task::begun(map.get_or_load(&1, || origin.wait()));
        let mut waits = Task::begun(map.get_or_load(&1, not_called));
        let first = std::mem::take(&mut waits.woken);
        assert!(waits.poll().is_pending());
        assert_eq!(Arc::strong_count(&first), 1, "the one before is dropped");
        origin.set(5);
        leader.ready();
        assert_eq!((waits.times_woken(), first.0.load(Ordering::SeqCst)), (1, 0));
        assert_eq!(Arc::strong_count(&waits.woken), 1, "and a woken one as well");
    });
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new(()))
        }
    }
    exclusive(|| {
        let (map, _) = map();
        let origin = Signal::new();
        let mut leader = Task::begun(map.get_or_load(&1, || origin.wait()));
        let mut bad = Task::<u64>::new(map.get_or_load(&1, not_called));
        let waker = Waker::from(Arc::new(Panics));
        assert!(bad.future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let mut good = Task::begun(map.get_or_load(&1, not_called));
        origin.set(5);
        assert!(catch_unwind(AssertUnwindSafe(|| leader.poll())).is_err());
        assert_eq!((good.times_woken(), good.ready(), bad.ready()), (1, 5, 5));
    });
}

#[test]
fn the_future_is_send_where_map_key_and_loader_are_and_nothing_is_static() {
    fn send<T: Send>(future: T) -> T {
        future
    }
    let (map, _) = map();
    let (key, value) = (1, 5);
    let load = Load::new().patience(Duration::MAX).sleep(|_| pending::<()>());
    drop(send(map.get_or_load(&key, || async { value })));
    drop(send(map.get_or_load_with(&key, &load, || async { value })));
    drop(send(map.try_get_or_load(&key, || async { Ok::<_, String>(value) })));
    drop(send(map.try_get_or_load_with(&key, &load, || async { Ok::<_, String>(value) })));
    // And needs not be.
    let map = TtlMap::<Rc<str>, Rc<str>>::new();
    let one: Rc<str> = "one".into();
    assert_eq!(Task::new(map.get_or_load(&one, async || Rc::clone(&one))).ready(), one);
}

#[test]
fn on_tokio_a_thousand_tasks_on_ten_keys_load_ten_times() {
    exclusive(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        for _ in 0..10 {
            let (map, _) = map();
            let loads = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..1000)
                .map(|n| {
                    let (map, loads) = (Arc::clone(&map), Arc::clone(&loads));
                    runtime.spawn(async move {
                        let loader = || async {
                            tokio::task::yield_now().await;
                            loads.fetch_add(1, Ordering::Relaxed);
                            n % 10 + 100
                        };
                        map.get_or_load(&(n % 10), loader).await
                    })
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(runtime.block_on(task).expect("no panic"), n as u64 % 10 + 100);
            }
            assert_eq!((loads.load(Ordering::Relaxed), map.len()), (10, 10));
            assert_slots_accounted(&map);
        }
    });
}

#[test]
fn on_tokio_aborted_leaders_strand_nobody() {
    exclusive(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        for round in 0..200 {
            let (map, _) = map();
            let tasks: Vec<_> = (0..16)
                .map(|n| {
                    let map = Arc::clone(&map);
                    runtime.spawn(async move {
                        let loader = || async {
                            for _ in 0..3 {
                                tokio::task::yield_now().await;
                            }
                            n
                        };
                        map.get_or_load(&1, loader).await
                    })
                })
                .collect();
            for task in tasks.iter().skip(round % 3).step_by(2) {
                task.abort();
            }
            let values: Vec<_> = tasks
                .into_iter()
                .filter_map(|task| match runtime.block_on(task) {
                    Ok(value) => Some(value),
                    Err(error) => {
                        assert!(error.is_cancelled());
                        None
                    }
                })
                .collect();
            assert!(!values.is_empty());
            let kept = map.get_cloned(&1).expect("one has loaded it");
            assert!(values.iter().all(|value| *value == kept), "{values:?}");
            assert_slots_accounted(&map);
        }
    });
}

#[test]
fn on_tokio_the_sleep_of_the_runtime_ends_the_patience() {
    exclusive(|| {
        let (map, _) = map();
        let _held = Task::begun(map.get_or_load(&1, pending));
        let load = Load::new().patience(Duration::from_millis(1)).sleep(tokio::time::sleep);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert_eq!(runtime.block_on(map.get_or_load_with(&1, &load, || async { 2 })), 2);
    });
}

/// What a load reads after a remove has returned is what was there before the remove began, or later.
#[test]
fn on_tokio_no_load_undoes_a_remove() {
    exclusive(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
        let (map, _) = map();
        let origin = Arc::new(Mutex::new(0));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (map, origin) = (Arc::clone(&map), Arc::clone(&origin));
                runtime.spawn(async move {
                    loop {
                        let load = async || {
                            let read = *origin.lock().expect("no panic");
                            tokio::task::yield_now().await;
                            read
                        };
                        map.get_or_load(&1, load).await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for version in 1..3000 {
            *origin.lock().expect("no panic") = version;
            map.remove(&1);
            if let Some(kept) = map.get_cloned(&1) {
                assert_eq!(kept, version, "a stale value was kept");
            }
            let load = async || *origin.lock().expect("no panic");
            assert_eq!(runtime.block_on(map.get_or_load(&1, load)), version);
        }
        readers.iter().for_each(tokio::task::JoinHandle::abort);
        runtime.block_on(async {
            for reader in readers {
                let _ = reader.await;
            }
        });
        assert_slots_accounted(&map);
    });
}
