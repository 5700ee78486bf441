//! The background thread: it sweeps, stops, ends with its map and survives what it drops.

use crate::common::on_drop::OnDrop;
use crate::common::sites::boom;
use crate::common::{builder, exclusive, ns, within};
use evanesce::{Budget, Clock, ManualClock, SweepReport, Sweeper, TtlMap};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_secs(100_000);

type Map = TtlMap<u64, OnDrop>;

fn map() -> (Arc<Map>, ManualClock) {
    let clock = ManualClock::new();
    let options = builder().clock(clock.clone()).sweep_per_write(0);
    (Arc::new(options.build().expect("valid options")), clock)
}

/// Tells through the channel that it was dropped.
fn noisy(n: u64, dropped: &Sender<u64>) -> OnDrop {
    noisy_then(n, dropped, || ())
}

/// And then does something.
fn noisy_then(
    n: u64,
    dropped: &Sender<u64>,
    then: impl FnOnce() + Send + Sync + 'static,
) -> OnDrop {
    let dropped = dropped.clone();
    OnDrop::new(move || {
        let _ = dropped.send(n); // the test may have ended
        then();
    })
}

fn receive(dropped: &Receiver<u64>, count: usize) -> Vec<u64> {
    let mut all: Vec<_> =
        (0..count).map(|_| dropped.recv_timeout(PATIENCE).expect("not swept")).collect();
    all.sort_unstable();
    all
}

#[test]
fn sweeper_removes_and_drops_what_expires() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let sweeper = Sweeper::spawn(&map, OFTEN, Budget::full_pass()).expect("spawn");
        for n in 0..100 {
            map.pin().insert_with_ttl(n, noisy(n, &tx), ns(1 + n / 50));
        }
        clock.advance(ns(1));
        assert_eq!(receive(&rx, 50), (0..50).collect::<Vec<_>>());
        clock.advance(ns(1));
        assert_eq!(receive(&rx, 50), (50..100).collect::<Vec<_>>());
        drop(sweeper);
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn sweeper_with_a_small_budget_gets_round() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let _sweeper =
            Sweeper::spawn(&map, Duration::from_micros(50), Budget::entries(8)).expect("spawn");
        for n in 0..100 {
            map.pin().insert_with_ttl(n, noisy(n, &tx), ns(1));
        }
        clock.advance(ns(1));
        // Removed by the sweeper; dropped by it or by the pass below.
        within(PATIENCE, {
            let map = Arc::clone(&map);
            move || {
                while !map.is_empty() {
                    thread::yield_now();
                }
            }
        });
        map.sweep(Budget::full_pass());
        assert_eq!(receive(&rx, 100), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn drop_stops_and_joins_without_waiting_for_the_interval() {
    exclusive(|| {
        let (map, _) = map();
        for interval in [SELDOM, OFTEN, Duration::MAX] {
            let sweeper = Sweeper::spawn(&map, interval, Budget::full_pass()).expect("spawn");
            within(PATIENCE, move || drop(sweeper));
        }
        assert_eq!(Arc::weak_count(&map), 0, "the thread has let go of the map");
        assert_eq!(Arc::strong_count(&map), 1);
    });
}

/// A clock that tells of the threads that read it, but for the one it was made on: when one first does, and,
/// from a thread-local destructor, when it has ended.
struct Watch {
    home: ThreadId,
    news: Mutex<Sender<&'static str>>,
}

struct Farewell(Sender<&'static str>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.send("ended"); // the test may have ended
    }
}

thread_local!(static FAREWELL: RefCell<Option<Farewell>> = const { RefCell::new(None) });

impl Clock for Watch {
    fn now(&self) -> u64 {
        if thread::current().id() != self.home {
            let _ = FAREWELL.try_with(|farewell| {
                farewell.borrow_mut().get_or_insert_with(|| {
                    let news = self.news.lock().expect("no panic inside").clone();
                    news.send("began").expect("the test waits");
                    Farewell(news)
                });
            });
        }
        0
    }
}

#[test]
fn sweeper_ends_when_its_map_is_gone() {
    exclusive(|| {
        let (tx, rx) = channel();
        let home = thread::current().id();
        let clock = Watch { home, news: Mutex::new(tx) };
        let map: Arc<TtlMap<u64, u64>> =
            Arc::new(builder().clock(clock).build().expect("valid options"));
        map.pin().insert_with_ttl(1, 1, ns(1));
        let sweeper = Sweeper::spawn(&map, OFTEN, Budget::full_pass()).expect("spawn");
        assert_eq!(rx.recv_timeout(PATIENCE), Ok("began"));
        assert!(rx.try_recv().is_err(), "ended although the map is there");
        drop(map);
        assert_eq!(rx.recv_timeout(PATIENCE), Ok("ended"));
        within(PATIENCE, move || drop(sweeper));
    });
}

#[test]
fn sweeper_does_not_keep_the_map_alive() {
    exclusive(|| {
        let ((map, _), (tx, rx)) = (map(), channel());
        map.pin().insert(1, noisy(1, &tx));
        let _sweeper = Sweeper::spawn(&map, SELDOM, Budget::full_pass()).expect("spawn");
        drop(map);
        assert_eq!(receive(&rx, 1), [1]);
    });
}

#[test]
fn sweeper_dropped_by_a_value_it_drops_does_not_deadlock() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let slot: Arc<Mutex<Option<Sweeper>>> = Arc::default();
        let taken = Arc::clone(&slot);
        let done = tx.clone();
        let value = noisy_then(1, &tx, move || {
            let sweeper = taken.lock().expect("no panic inside").take();
            assert!(sweeper.is_some());
            drop(sweeper);
            let _ = done.send(2);
        });
        map.pin().insert_with_ttl(1, value, ns(1));
        *slot.lock().expect("no panic inside") =
            Some(Sweeper::spawn(&map, OFTEN, Budget::full_pass()).expect("spawn"));
        clock.advance(ns(1));
        assert_eq!(receive(&rx, 2), [1, 2]);
        // The map is still usable, and no sweeper holds it for long.
        map.pin().insert(1, noisy(3, &tx));
        assert_eq!(map.len(), 1);
        drop(map);
        assert_eq!(receive(&rx, 1), [3]);
    });
}

#[test]
fn sweeper_goes_on_after_a_drop_panicked() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let sweeper = Sweeper::spawn(&map, OFTEN, Budget::full_pass()).expect("spawn");
        for round in 0..5 {
            for n in 0..10 {
                let then = if n % 3 == 1 { boom } else { || () };
                map.pin().insert_with_ttl(n, noisy_then(n, &tx, then), ns(1));
            }
            clock.advance(ns(1));
            assert_eq!(receive(&rx, 10), (0..10).collect::<Vec<_>>(), "round {round}");
        }
        within(PATIENCE, move || drop(sweeper));
        assert_eq!(map.len(), 0);
    });
}

#[test]
fn two_sweepers_of_one_map_remove_each_entry_once() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let sweepers =
            [(); 2].map(|()| Sweeper::spawn(&map, OFTEN, Budget::full_pass()).expect("spawn"));
        for round in 0..20 {
            for n in 0..200 {
                map.pin().insert_with_ttl(n, noisy(n, &tx), ns(1));
            }
            clock.advance(ns(1));
            assert_eq!(receive(&rx, 200), (0..200).collect::<Vec<_>>(), "round {round}");
        }
        drop(sweepers);
        assert_eq!(map.stats().swept_total, 20 * 200);
    });
}

#[test]
fn sweeper_reports_after_each_sweep_and_survives_a_report_that_panics() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let (tell, told) = channel();
        let mut reports = 0;
        let report = move |report: SweepReport| {
            reports += 1;
            let _ = tell.send(report.removed); // the test may have ended
            if reports == 1 {
                boom();
            }
        };
        map.pin().insert_with_ttl(1, noisy(1, &tx), ns(1));
        clock.advance(ns(1));
        let sweeper = Sweeper::spawn_with(&map, OFTEN, Budget::full_pass(), report).expect("spawn");
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
        assert_eq!(receive(&rx, 1), [1]);
        map.pin().insert_with_ttl(2, noisy(2, &tx), ns(1));
        clock.advance(ns(1));
        while told.recv_timeout(PATIENCE).expect("it goes on") == 0 {}
        drop(sweeper);
    });
}

type Swept = std::io::Result<Sweeper>;

struct App {
    map: Map,
}

#[test]
fn a_map_inside_of_an_arc_is_swept_and_ends_the_sweeper_with_it() {
    exclusive(|| {
        let ways: [fn(&Arc<App>) -> Swept; 2] = [
            |app| Sweeper::spawn_for(app, |app| &app.map, OFTEN, Budget::full_pass()),
            |app| Sweeper::shared().add_for(app, |app| &app.map, OFTEN, Budget::full_pass()),
        ];
        for sweeps in ways {
            let ((map, clock), (tx, rx)) = (map(), channel());
            let app = Arc::new(App { map: Arc::into_inner(map).expect("the only owner") });
            let sweeper = sweeps(&app).expect("spawn");
            app.map.pin().insert_with_ttl(1, noisy(1, &tx), ns(1));
            clock.advance(ns(1));
            assert_eq!(receive(&rx, 1), [1]);
            app.map.insert(2, noisy(2, &tx));
            drop(app);
            assert_eq!(receive(&rx, 1), [2], "it is held weakly");
            within(PATIENCE, move || drop(sweeper));
        }
    });
}

#[test]
fn a_map_in_a_static_is_swept() {
    static CLOCK: LazyLock<ManualClock> = LazyLock::new(ManualClock::new);
    static MAP: LazyLock<Map> =
        LazyLock::new(|| builder().clock(CLOCK.clone()).build().expect("valid options"));
    exclusive(|| {
        let (tx, rx) = channel();
        let sweepers = [
            || Sweeper::spawn_static(&MAP, OFTEN, Budget::full_pass()),
            || Sweeper::shared().add_static(&MAP, OFTEN, Budget::full_pass()),
        ];
        for sweeps in sweepers {
            let sweeper = sweeps().expect("spawn");
            MAP.pin().insert_with_ttl(1, noisy(1, &tx), ns(1));
            CLOCK.advance(ns(1));
            assert_eq!(receive(&rx, 1), [1]);
            within(PATIENCE, move || drop(sweeper));
        }
    });
}

#[test]
fn shared_sweeper_sweeps_all_its_maps_on_one_thread() {
    exclusive(|| {
        let (tx, rx) = channel();
        let threads: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
        let maps: Vec<_> = (0..100).map(|_| map()).collect();
        let sweepers: Vec<_> = maps
            .iter()
            .map(|(map, _)| Sweeper::shared().add(map, OFTEN, Budget::full_pass()).expect("spawn"))
            .collect();
        for (n, (map, clock)) in (0..).zip(&maps) {
            let threads = Arc::clone(&threads);
            let note = move || _ = threads.lock().expect("no panic").insert(thread::current().id());
            map.pin().insert_with_ttl(n, noisy_then(n, &tx, note), ns(1));
            clock.advance(ns(1));
        }
        assert_eq!(receive(&rx, 100), (0..100).collect::<Vec<_>>());
        // Waits for the sweep that dropped the last one.
        within(PATIENCE, move || drop(sweepers));
        let threads = threads.lock().expect("no panic inside").len();
        assert_eq!(threads, 1);
        assert!(maps.iter().all(|(map, _)| Arc::weak_count(map) == 0 && map.is_empty()));
    });
}

/// A look that tells when a thread first has it, each time it is made, and when that thread has ended.
fn watched(news: &Sender<&'static str>) -> impl FnMut() -> Option<Duration> + Send + 'static {
    let news = news.clone();
    move || {
        FAREWELL.with_borrow_mut(|farewell| {
            farewell.get_or_insert_with(|| {
                let _ = news.send("began"); // the test may have ended
                Farewell(news.clone())
            });
        });
        let _ = news.send("looked"); // as above
        None
    }
}

fn next(news: &Receiver<&'static str>) -> &'static str {
    news.recv_timeout(PATIENCE).expect("news")
}

#[test]
fn shared_sweeper_has_a_thread_while_it_has_maps() {
    exclusive(|| {
        for _ in 0..3 {
            let (tx, rx) = channel();
            let sweepers = [(); 2].map(|()| {
                Sweeper::shared().add_timer(Duration::ZERO, watched(&tx)).expect("spawn")
            });
            assert_eq!([(); 3].map(|()| next(&rx)), ["began", "looked", "looked"]);
            let [first, last] = sweepers;
            drop(first);
            last.wake_in(Duration::ZERO);
            assert_eq!(next(&rx), "looked", "the thread goes on for the other");
            drop(last);
            assert_eq!(next(&rx), "ended");
        }
    });
}

#[test]
fn a_timer_is_called_when_it_is_woken_and_at_no_other_time() {
    exclusive(|| {
        let (tx, rx) = channel();
        let timer = Sweeper::shared().add_timer(Duration::ZERO, watched(&tx)).expect("spawn");
        let other = Sweeper::shared().add_timer(OFTEN, || Some(OFTEN)).expect("spawn");
        assert_eq!([(); 2].map(|()| next(&rx)), ["began", "looked"]);
        for _ in 0..10 {
            timer.wake_in(OFTEN);
            timer.wake_in(SELDOM);
            assert_eq!(next(&rx), "looked");
        }
        drop(timer);
        drop(other);
        assert_eq!(next(&rx), "ended", "it was called once for each time it was woken");
    });
}

#[test]
fn a_timer_is_called_again_after_the_time_it_returned_and_after_a_panic() {
    exclusive(|| {
        let (tx, rx) = channel();
        let mut calls = 0_u64;
        let look = move || {
            calls += 1;
            let _ = tx.send(calls); // the test may have ended
            if calls == 2 {
                boom();
            }
            Some(OFTEN)
        };
        let timer = Sweeper::shared().add_timer(OFTEN, look).expect("spawn");
        assert_eq!(receive(&rx, 4), [1, 2, 3, 4]);
        drop(timer);
    });
}

#[test]
fn dropping_a_shared_sweeper_waits_for_its_sweep_and_for_no_other() {
    exclusive(|| {
        let ((busy, clock), (idle, _), (tx, rx)) = (map(), map(), channel());
        let (inside, is_inside) = channel();
        let (go_on, goes_on) = channel::<()>();
        let is_over = Arc::new(AtomicBool::new(false));
        let sets = Arc::clone(&is_over);
        let goes_on = Mutex::new(goes_on);
        let value = noisy_then(1, &tx, move || {
            inside.send(()).expect("the test waits");
            let goes_on = goes_on.lock().expect("no panic inside");
            goes_on.recv_timeout(PATIENCE).expect("the test tells");
            sets.store(true, Ordering::Release);
        });
        let shared = Sweeper::shared();
        let first = shared.add(&busy, OFTEN, Budget::full_pass()).expect("spawn");
        let other = shared.add(&idle, OFTEN, Budget::full_pass()).expect("spawn");
        busy.pin().insert_with_ttl(1, value, ns(1));
        clock.advance(ns(1));
        is_inside.recv_timeout(PATIENCE).expect("it sweeps");
        within(PATIENCE, move || drop(other));
        let dropping = thread::spawn(move || {
            drop(first);
            assert!(is_over.load(Ordering::Acquire), "the sweep goes on");
        });
        // Time for it to return, which it must not.
        (0..1000).take_while(|_| !dropping.is_finished()).for_each(|_| thread::yield_now());
        go_on.send(()).expect("the value waits");
        dropping.join().expect("it waited");
        assert_eq!(receive(&rx, 1), [1]);
    });
}

#[test]
fn shared_sweeper_dropped_by_a_value_it_drops_does_not_deadlock() {
    exclusive(|| {
        let ((map, clock), (tx, rx)) = (map(), channel());
        let slot: Arc<Mutex<Option<Sweeper>>> = Arc::default();
        let (taken, done) = (Arc::clone(&slot), tx.clone());
        let value = noisy_then(1, &tx, move || {
            drop(taken.lock().expect("no panic inside").take());
            let _ = done.send(2); // the test may have ended
        });
        *slot.lock().expect("no panic inside") =
            Some(Sweeper::shared().add(&map, OFTEN, Budget::full_pass()).expect("spawn"));
        map.pin().insert_with_ttl(1, value, ns(1));
        clock.advance(ns(1));
        assert_eq!(receive(&rx, 2), [1, 2]);
        assert!(slot.lock().expect("no panic inside").is_none());
    });
}

#[test]
fn shared_sweeper_that_is_stopped_has_no_thread_and_goes_on_when_it_is_started() {
    exclusive(|| {
        let ((map, clock), (tx, rx), (say, hear)) = (map(), channel(), channel());
        let shared = Sweeper::shared();
        let timer = shared.add_timer(Duration::ZERO, watched(&say)).expect("spawn");
        let sweeper = shared.add(&map, OFTEN, Budget::full_pass()).expect("spawn");
        assert_eq!([(); 2].map(|()| next(&hear)), ["began", "looked"]);
        shared.stop();
        assert_eq!(hear.try_recv(), Ok("ended"), "stop waits for the end");
        map.pin().insert_with_ttl(1, noisy(1, &tx), ns(1));
        clock.advance(ns(1));
        timer.wake_in(Duration::ZERO);
        let other = shared.add_timer(SELDOM, || None).expect("no thread is started");
        // Time for a thread to look, which must not be there: others begin and end.
        (0..20).for_each(|_| thread::spawn(|| {}).join().expect("it does nothing"));
        assert!(rx.try_recv().is_err() && hear.try_recv().is_err());
        shared.start().expect("spawn");
        assert_eq!(receive(&rx, 1), [1]);
        assert_eq!([(); 2].map(|()| next(&hear)), ["began", "looked"]);
        drop((timer, sweeper, other));
        assert_eq!(next(&hear), "ended");
    });
}

/// A clock that is moved, and counts how often it is read by other threads.
#[derive(Clone)]
struct Counting {
    home: ThreadId,
    readings: Arc<AtomicU64>,
    clock: ManualClock,
}

impl Clock for Counting {
    fn now(&self) -> u64 {
        if thread::current().id() != self.home {
            self.readings.fetch_add(1, Ordering::Relaxed);
        }
        self.clock.now()
    }
}

#[test]
fn a_map_that_was_idle_for_long_is_swept_when_something_is_due() {
    exclusive(|| {
        let (clock, (tx, rx)) = (ManualClock::new(), channel());
        let (home, readings) = (thread::current().id(), Arc::new(AtomicU64::new(0)));
        let counting = Counting { home, readings: Arc::clone(&readings), clock: clock.clone() };
        let map: Arc<Map> = Arc::new(builder().clock(counting).build().expect("valid options"));
        map.pin().insert_with_ttl(0, noisy(0, &tx), Duration::from_secs(1000));
        let sweeper = Sweeper::shared().add(&map, OFTEN, Budget::full_pass()).expect("spawn");
        // A reading for each look.
        while readings.load(Ordering::Relaxed) < 20 {
            thread::yield_now();
        }
        map.pin().insert_with_ttl(1, noisy(1, &tx), ns(1));
        clock.advance(ns(1));
        assert_eq!(receive(&rx, 1), [1]);
        clock.advance(Duration::from_secs(1000));
        assert_eq!(receive(&rx, 1), [0]);
        drop(sweeper);
    });
}
