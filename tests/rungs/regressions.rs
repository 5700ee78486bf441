//! Faults that a review of the crate proved, each with the test that showed it.

use crate::common::nesting::{counted, deepest};
use crate::common::on_drop::OnDrop;
use crate::common::sites::{boom, caught};
use crate::common::tally::{Tally, Token};
use crate::common::{SetClock, assert_slots_accounted, builder, exclusive, ns, settle, within};
use evanesce::{
    Budget, Clock, Compute, Deadline, Lookup, ManualClock, Operation, Sweeper, Ttl, TtlMap,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// More removed entries than a few turns of the collector get through: some 240 full batches.
const PILE: u64 = 30_000;

fn limited<V>(max_slots: usize) -> TtlMap<u64, V> {
    builder().max_slots(max_slots).build().expect("in range")
}

/// Whether `f` returns; any panic counts, also that of a full map.
fn succeeds<R>(f: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(|| drop(f()))).is_ok()
}

/// Runs `f` while another thread is pinned.
fn behind_a_pin<V: Send + Sync>(map: &TtlMap<u64, V>, f: impl FnOnce()) {
    thread::scope(|scope| {
        let (release, held) = channel::<()>();
        let (tell, pinned) = channel();
        let holder = scope.spawn(move || {
            let _pin = map.pin();
            tell.send(()).expect("the test waits");
            let _ = held.recv(); // until the sender is dropped
        });
        pinned.recv().expect("pinned");
        f();
        drop(release);
        holder.join().expect("no panic");
    });
}

// Reclaiming.

/// A value whose drop writes to its map twice.
fn writer(map: &Arc<TtlMap<u64, OnDrop>>, tally: &Tally) -> OnDrop {
    let (map, token) = (Arc::downgrade(map), tally.token());
    OnDrop::new(move || {
        if let Some(map) = map.upgrade() {
            counted(|| (0..2).for_each(|_| _ = map.pin().insert(u64::MAX, OnDrop::IDLE)));
        }
        drop(token);
    })
}

/// Each write may reclaim a batch. When batches had piled up, the second write of a `Drop` found
/// another one due, dropped it within the first, and so on down to the end of the stack.
#[test]
fn drops_that_write_twice_do_not_nest() {
    exclusive(|| {
        let (map, tally) = (Arc::new(TtlMap::new()), Tally::new());
        let keys = 0..5_000;
        for n in keys.clone() {
            map.pin().insert(n, writer(&map, &tally));
        }
        behind_a_pin(&map, || {
            for n in keys.clone() {
                map.pin().remove(&n);
            }
        });
        assert_eq!(tally.alive(), 5_000, "dropped although a thread was pinned");
        for _ in 0..10 {
            map.pin().insert(u64::MAX, OnDrop::IDLE);
        }
        settle(&map);
        assert_eq!(tally.alive(), 0);
        assert_eq!(deepest(), 1, "drops within drops");
    });
}

/// An insert into a map full of expired entries panicked, and so did every one after it: only a
/// sweep by hand made room.
#[test]
fn a_map_full_of_expired_entries_takes_as_many_new_ones() {
    exclusive(|| {
        let clock = ManualClock::new();
        let options = builder().max_slots(100).clock(clock.clone());
        let map: TtlMap<u64, u64> = options.build().expect("in range");
        for n in 0..100 {
            map.pin().insert_with_ttl(n, n, ns(1));
        }
        clock.advance(ns(1_000));
        // A write under whose own pin entries are removed cannot have their slots; a later one can.
        for n in 1_000..1_100 {
            let fits = |_| succeeds(|| map.pin().insert(n, n).copied());
            assert!((0..4).any(fits), "no room for {n}: {:?}", map.stats());
        }
        assert_eq!(map.len(), 100);
        assert!((1_000..1_100).all(|n| map.pin().contains_key(&n)));
    });
}

/// A value whose drop panics when it is the first after the fuse was armed.
fn fused(armed: &Arc<AtomicBool>, tally: &Tally) -> OnDrop {
    let (armed, token) = (Arc::clone(armed), tally.token());
    OnDrop::new(move || {
        let _token = token; // dropped by a panic, too
        if !thread::panicking() && armed.swap(false, Ordering::Relaxed) {
            boom();
        }
    })
}

/// When a `Drop` panicked, the rest of its batch went into the bag of that thread's deferred
/// functions, and stayed there for as long as the thread did nothing.
#[test]
fn the_rest_of_a_batch_does_not_wait_for_the_thread_that_panicked() {
    exclusive(|| {
        let (map, tally) = (&TtlMap::<u64, OnDrop>::new(), &Tally::new());
        thread::scope(|scope| {
            let (release, held) = channel::<()>();
            let (tell, idle) = channel();
            let thread = scope.spawn(move || {
                let armed = Arc::new(AtomicBool::new(true));
                for n in 0..100 {
                    map.pin().insert(n, fused(&armed, tally));
                }
                for n in 0..100 {
                    map.pin().remove(&n);
                }
                assert!(caught(|| map.sweep(Budget::full_pass())).is_none(), "no panic");
                tell.send(()).expect("the test waits");
                let _ = held.recv(); // idle, unpinned, until the sender is dropped
            });
            idle.recv().expect("idle");
            settle(map);
            assert_eq!(tally.alive(), 0);
            drop(release);
            thread.join().expect("no panic");
        });
    });
}

/// A write that needs a slot at the limit reclaims before its effect, so a `Drop` that panics there
/// stops it. It must cost that write alone: no slot, no entry, and not the next write.
#[test]
fn a_map_at_its_limit_survives_drops_that_panic() {
    exclusive(|| {
        let (map, tally) = (limited(2), Tally::new());
        let armed = Arc::new(AtomicBool::new(false));
        let value = || fused(&armed, &tally);
        map.pin().insert(999, value());
        for n in 0..50 {
            armed.store(true, Ordering::Relaxed);
            let fits = |_| succeeds(|| _ = map.pin().insert(n, value()));
            assert!((0..10).any(fits), "no room for {n}: {:?}", map.stats());
            assert!(map.pin().contains_key(&n) && map.pin().contains_key(&999));
            // The slot is taken by what was removed until its drop has panicked.
            assert_eq!(armed.load(Ordering::Relaxed), n == 0);
            assert!(succeeds(|| _ = map.pin().remove(&n)), "nothing was due");
            assert_eq!(map.len(), 1);
            assert_slots_accounted(&map);
        }
        armed.store(false, Ordering::Relaxed);
        settle(&map);
        assert_eq!(tally.alive(), 1);
        drop(map);
        tally.assert_all_dropped();
    });
}

/// The slot of an entry is free before its `Drop` runs, and the `Drop` may use it: nobody has it in hand.
#[test]
fn a_drop_may_put_an_entry_into_the_slot_that_it_left() {
    exclusive(|| {
        for slots in [1, 2, 16, 1000] {
            let map = Arc::new(limited::<OnDrop>(slots));
            let weak = Arc::downgrade(&map);
            let again = OnDrop::new(move || {
                if let Some(map) = weak.upgrade() {
                    map.pin().insert(1_000_000, OnDrop::IDLE);
                }
            });
            map.pin().insert(0, again);
            for key in 1..slots as u64 {
                map.pin().insert(key, OnDrop::IDLE);
            }
            assert!(map.pin().remove(&0).is_some());
            map.sweep(Budget::full_pass());
            assert!(map.pin().contains_key(&1_000_000), "of {slots} slots");
        }
    });
}

/// Writers that wait in a `Drop` keep nobody from the slots that they reclaimed before.
#[test]
fn writers_that_wait_in_a_drop_hide_no_free_slots() {
    exclusive(|| {
        const SLOTS: u64 = 8000;
        let map = limited::<OnDrop>(SLOTS as usize);
        let barrier = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&barrier);
        // In the drop; and until the test is done.
        let waits = OnDrop::new(move || (0..2).for_each(|_| _ = theirs.wait()));
        map.pin().insert(0, waits);
        for key in 1..SLOTS {
            map.pin().insert(key, OnDrop::IDLE);
        }
        behind_a_pin(&map, || (0..SLOTS / 8).for_each(|key| _ = map.pin().remove(&key)));
        thread::scope(|scope| {
            let sweep = scope.spawn(|| map.sweep(Budget::full_pass()));
            barrier.wait();
            let free = map.stats().free_slots as u64;
            for key in 0..free {
                map.pin().insert(SLOTS + key, OnDrop::IDLE);
            }
            barrier.wait();
            sweep.join().expect("no panic");
        });
        assert!(map.len() as u64 > SLOTS - SLOTS / 8);
    });
}

/// A thread that puts a few entries looks whether the table must grow.
#[test]
fn a_table_grows_though_each_thread_puts_a_few_entries() {
    exclusive(|| {
        // At an entry a bucket it has 64 or 1,024 buckets, from 16. A few threads have stripes of their own.
        for (threads, expected) in [(8, 2), (64, 5)] {
            let map = TtlMap::<u64, u64>::new();
            for writer in 0..threads {
                let insert = || (0..15).for_each(|i| _ = map.pin().insert(writer * 100 + i, i));
                thread::scope(|scope| scope.spawn(insert).join()).expect("no panic");
            }
            let growths = map.stats().growths;
            assert!(growths >= expected, "{growths} growths by {threads} threads");
        }
    });
}

/// What a thread removed that has ended is reclaimed by the writes of others.
#[test]
fn the_batches_of_threads_that_ended_do_not_wait_for_a_sweep() {
    exclusive(|| {
        let map = TtlMap::<u64, u64>::new();
        for writer in 0..64 {
            let churn = || {
                for key in writer * 1000..writer * 1000 + 60 {
                    map.pin().insert(key, key);
                    map.pin().remove(&key);
                }
            };
            thread::scope(|scope| scope.spawn(churn).join()).expect("no panic");
        }
        for i in 0..20_000 {
            map.pin().insert(i % 64, i);
        }
        let pending = map.stats().pending_reclaim;
        assert!(pending < 64 * 60 / 2, "{pending} pending");
    });
}

/// A thread took the only block of slots before the others could see that it had free ones: an
/// empty map was full for whoever looked in between. That was one round in thousands; the loom
/// model `racy_32_first_inserts_of_a_map_of_three` finds it each time.
#[test]
fn concurrent_first_inserts_find_room_for_all() {
    exclusive(|| {
        let maps: &Vec<TtlMap<u64, u64>> = &(0..5_000).map(|_| limited(3)).collect();
        let arrivals = &AtomicUsize::new(0);
        let refused: usize = thread::scope(|scope| {
            let inserts = [0, 1, 2].map(|n| {
                scope.spawn(move || {
                    let refused = |(round, map): &(usize, &TtlMap<u64, u64>)| {
                        arrivals.fetch_add(1, Ordering::SeqCst);
                        while arrivals.load(Ordering::SeqCst) < 3 * (round + 1) {
                            thread::yield_now();
                        }
                        !succeeds(|| map.pin().insert(n, n).copied())
                    };
                    maps.iter().enumerate().filter(refused).count()
                })
            });
            inserts.map(|insert| insert.join().expect("caught")).iter().sum()
        });
        assert_eq!(refused, 0, "inserts were refused");
        assert!(maps.iter().all(|map| map.len() == 3));
    });
}

/// Lets `end` end the entry of a map while the collector, which all maps share, still has to get
/// through a pile of another's garbage. No thread is pinned.
fn behind_the_garbage_of_another_map(end: impl FnOnce(&TtlMap<u64, Token>)) {
    let other = TtlMap::new();
    behind_a_pin(&other, || {
        for n in 0..PILE {
            other.pin().insert(0, n);
        }
    });
    let (map, tally) = (TtlMap::new(), Tally::new());
    map.pin().insert(1, tally.token());
    end(&map);
    assert_eq!(tally.alive(), 0, "removed, not dropped: {:?}", map.stats());
}

/// A full pass gave up when a few turns of the collector had brought nothing of its own map.
#[test]
fn a_full_pass_is_not_fooled_by_the_garbage_of_another_map() {
    exclusive(|| {
        behind_the_garbage_of_another_map(|map| {
            map.pin().remove(&1);
            let report = map.sweep(Budget::full_pass());
            assert_eq!(report.pending_reclaim, 0, "{report:?}");
        });
    });
}

/// So did `clear`.
#[test]
fn clear_is_not_fooled_by_the_garbage_of_another_map() {
    exclusive(|| behind_the_garbage_of_another_map(TtlMap::clear));
}

// Time.

/// A clock under which a thread can be preempted between its reading and the use the map makes of
/// it: what it queued by [`next_reading`] runs there.
#[derive(Clone)]
struct Script(SetClock);

thread_local! {
    static QUEUE: RefCell<VecDeque<Box<dyn FnOnce()>>> = RefCell::default();
}

/// Lets one more of this thread's next readings be followed by `f`.
fn next_reading(f: impl FnOnce() + 'static) {
    QUEUE.with_borrow_mut(|queue| queue.push_back(Box::new(f)));
}

/// Runs the first thing queued, if there is one.
fn run_next() -> bool {
    QUEUE.with_borrow_mut(VecDeque::pop_front).map(|f| f()).is_some()
}

impl Clock for Script {
    fn now(&self) -> u64 {
        let now = self.0.now();
        run_next();
        now
    }
}

type Scripted = Arc<TtlMap<u64, u64>>;

fn scripted(now: u64) -> (Scripted, SetClock) {
    let clock = SetClock::at(now);
    let options = builder().clock(Script(clock.clone())).sweep_per_write(0);
    (Arc::new(options.build().expect("valid options")), clock)
}

/// A `set_ttl` of key 1 in another thread, preempted after it found the entry visible.
struct Stalled {
    release: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Stalled {
    fn renewal(map: &Scripted, ttl: u64) -> Self {
        let (release, held) = channel::<()>();
        let (tell, judged) = channel();
        let map = Arc::clone(map);
        let thread = thread::spawn(move || {
            next_reading(|| ()); // for the deadline
            next_reading(move || {
                tell.send(()).expect("the test waits");
                let _ = held.recv(); // until the sender is dropped
            });
            map.pin().set_ttl(&1, ns(ttl))
        });
        judged.recv().expect("a renewal reads the clock twice");
        Self { release, thread }
    }

    /// Lets it go on and waits for its end.
    fn land(self) {
        drop(self.release);
        self.thread.join().expect("no panic");
    }
}

/// A read called an entry visible when its deadline had changed twice while it looked, although
/// each of the deadlines it met had passed: the first renewal had been stalled through an ABA.
#[test]
fn deadlines_that_change_under_a_read_do_not_revive_an_expired_entry() {
    exclusive(|| {
        let reads: [fn(&Scripted) -> bool; 5] = [
            |map| map.pin().get(&1).is_some(),
            |map| map.get_cloned(&1).is_some(),
            |map| map.pin().contains_key(&1),
            |map| map.pin().ttl(&1).is_some(),
            |map| map.pin().iter().next().is_some(),
        ];
        for (i, read) in reads.iter().enumerate() {
            let (map, clock) = scripted(4);
            map.pin().insert_with_ttl(1, 7, ns(16)); // until 20
            let first = Stalled::renewal(&map, 21); // from 20 to 25
            assert!(map.pin().set_ttl(&1, ns(1))); // until 5
            let second = Stalled::renewal(&map, 16); // from 5 to 20
            clock.set(26); // no deadline was ever beyond 25
            assert!(!read(&map), "read {i}, before");
            next_reading(|| second.land());
            next_reading(|| first.land());
            assert!(!read(&map), "read {i}");
            while run_next() {}
            assert!(!read(&map), "read {i}, after");
        }
    });
}

type Step = fn(&Scripted) -> bool;

/// A removal, or an update, found an entry visible; two renewals moved its deadline away and back to the same
/// tick, which had passed by then: by a TTL of zero (found by the checker of histories), by a deadline (found by
/// review), or by a TTL that was counted from an earlier reading. The step from the word that was judged
/// succeeded, though the entry was over.
#[test]
fn a_deadline_that_comes_back_does_not_revive_an_expired_entry() {
    // Each judges by one reading.
    let steps: [Step; 6] = [
        |map| map.pin().remove(&1).is_some(),
        |map| map.pin().update(1, |n| n + 1).is_some(),
        |map| map.pin().remove_if(&1, |_, _| true).unwrap().is_some(),
        |map| map.pin().replace_if(1, 8, |_| true).is_ok(),
        |map| map.pin().compute(1, |_| Operation::Remove) != Compute::Unchanged(None),
        |map| map.pin().insert(1, 8).is_some(),
    ];
    // Each at 99 nanoseconds; that they end the entry at 100 is true then.
    let ends: [fn(&Scripted, SetClock) -> bool; 3] = [
        |map, clock| {
            clock.set(100);
            map.pin().set_ttl(&1, ns(0))
        },
        |map, clock| {
            clock.set(100);
            map.pin().set_deadline(&1, Deadline::from_nanos(100))
        },
        |map, clock| {
            next_reading(move || clock.set(100)); // counted from 99, judged at 100
            map.pin().set_ttl(&1, ns(1))
        },
    ];
    exclusive(move || {
        for ((i, end), (j, step)) in all_pairs(&ends, &steps) {
            let (map, clock) = scripted(50);
            map.pin().insert_with_ttl(1, 7, ns(50)); // until 100
            let renewing = Arc::clone(&map);
            next_reading(move || {
                assert!(renewing.pin().set_ttl(&1, ns(150)));
                clock.set(99);
                assert!(end(&renewing, clock));
                assert_eq!(renewing.pin().get(&1), None);
            });
            assert!(!step(&map), "end {i}, step {j}");
            assert!(!run_next(), "step {j}: it was judged by the last reading");
            map.pin().remove(&1); // what a step has put
            map.sweep(Budget::full_pass());
            assert!(map.is_empty());
        }
    });
}

/// Every element of the one with every element of the other, with their numbers.
fn all_pairs<A: Copy, B: Copy>(a: &[A], b: &[B]) -> impl Iterator<Item = ((usize, A), (usize, B))> {
    let of = |(i, x)| b.iter().copied().enumerate().map(move |y| ((i, x), y));
    a.iter().copied().enumerate().flat_map(of)
}

/// A token, or "stale", was told by a deadline that was loaded before a renewal and a reading that came after
/// it: of an entry that was fresh all the time.
#[test]
fn an_entry_that_is_fresh_throughout_is_told_fresh() {
    exclusive(|| {
        let clock = SetClock::at(50);
        let options = builder().clock(Delayed(clock.clone())).sweep_per_write(0);
        let map: Scripted = Arc::new(options.build().expect("valid options"));
        map.pin().insert_with_ttl(1, 7, ns(50)); // until 100
        // Before a reading that is to judge the entry it gets more time, and most of the old time passes.
        let renewed = |ttl, now| {
            let (map, clock) = (Arc::clone(&map), clock.clone());
            move || {
                assert!(map.pin().set_ttl(&1, ns(ttl)));
                clock.set(now);
            }
        };
        let (first, second) = (renewed(1_000, 85), renewed(9_000, 1_040));
        next_reading(|| ()); // that of the lookup
        next_reading(move || {
            first(); // to 1,050
            next_reading(second); // to 9,085
        });
        let pinned = map.pin();
        let found = pinned.get_or_refresh(&1, ns(20));
        assert!(!run_next(), "the renewals came too late to test anything");
        assert!(matches!(found, Lookup::Fresh(7)), "{found:?}");
    });
}

/// A renewal that landed between two judgements of `update` made it start again, and its closure
/// run twice for one value.
#[test]
fn update_runs_its_closure_once_when_the_entry_is_renewed_meanwhile() {
    exclusive(|| {
        let (map, clock) = scripted(4);
        map.pin().insert_with_ttl(1, 7, ns(6)); // until 10
        let renewal = Stalled::renewal(&map, 96); // until 100
        let later = clock.clone();
        next_reading(move || {
            renewal.land(); // behind the judgement: visible at 4
            later.set(10); // the step fails, and by the old deadline it is expired, it would seem
        });
        let runs = Cell::new(0);
        let plus_one = |value: &u64| {
            runs.set(runs.get() + 1);
            value + 1
        };
        assert_eq!(map.pin().update(1, plus_one), Some(&8));
        assert_eq!(runs.get(), 1);
        assert!(!run_next(), "the renewal came too late to test anything");
        assert_eq!(map.pin().ttl(&1), Some(Ttl::Remaining(ns(90))), "the renewal is lost");
    });
}

type Change = fn(&TtlMap<u64, u64>);

/// `ttl` judged the entry by one reading and computed the answer by a second: what it told of an
/// entry that was renewed or ended in between had not been true at any instant.
#[test]
fn ttl_answers_what_was_true_at_some_instant() {
    exclusive(|| {
        let left = |nanos| Some(Ttl::Remaining(ns(nanos)));
        let cases: [(Change, [Option<Ttl>; 2]); 5] = [
            (|map| _ = map.pin().set_ttl(&1, ns(1_000)), [left(1_000), left(990)]),
            (|map| _ = map.pin().insert_with_ttl(1, 8, ns(1_000)), [left(1_000), left(990)]),
            (|map| _ = map.pin().insert(1, 8), [Some(Ttl::Never); 2]),
            (|map| _ = map.pin().set_ttl(&1, ns(0)), [None; 2]),
            (|map| _ = map.pin().remove(&1), [None; 2]),
        ];
        for (i, (change, true_after)) in cases.into_iter().enumerate() {
            let (map, clock) = scripted(50);
            map.pin().insert_with_ttl(1, 7, ns(50)); // until 100
            let changed = Arc::clone(&map);
            // It meets an entry that ends at 100, at 50. Then the change at 50, then time goes on.
            next_reading(move || {
                change(&changed);
                clock.set(60);
            });
            let got = map.pin().ttl(&1);
            assert!(!run_next(), "the change came too late to test anything");
            assert!(got == left(50) || true_after.contains(&got), "case {i}: {got:?}");
        }
    });
}

/// The entry renewed after the first look, the put looks at the clock again, with its own entry in a slot
/// by then; if that panics, value and slot come back.
#[test]
fn a_put_that_panics_at_its_second_look_leaves_no_slot_taken() {
    exclusive(|| {
        let (tally, clock) = (Tally::new(), SetClock::at(50));
        let options = builder().clock(Script(clock)).sweep_per_write(0);
        let map: Arc<TtlMap<u64, Token>> = Arc::new(options.build().expect("valid options"));
        map.pin().insert_with_ttl(1, tally.token(), ns(50));
        let renewing = Arc::clone(&map);
        next_reading(move || {
            assert!(renewing.pin().set_ttl(&1, ns(1_000)));
            next_reading(boom);
        });
        let put = caught(|| _ = map.pin().insert(1, tally.token()));
        assert!(put.is_none() && !run_next(), "it looked once");
        assert_eq!(tally.alive(), 1);
        assert_slots_accounted(&map);
    });
}

/// What stands in the way of a thread on its way to a reading: what was queued runs before it.
struct Delayed(SetClock);

impl Clock for Delayed {
    fn now(&self) -> u64 {
        run_next();
        self.0.now()
    }
}

/// A state that was loaded before a renewal is no answer for a reading after it.
#[test]
fn ttl_looks_again_when_the_entry_is_renewed_before_its_reading() {
    exclusive(|| {
        let clock = SetClock::at(50);
        let options = builder().clock(Delayed(clock.clone())).sweep_per_write(0);
        let map: Scripted = Arc::new(options.build().expect("valid options"));
        map.pin().insert_with_ttl(1, 7, ns(50)); // until 100
        let renewed = Arc::clone(&map);
        next_reading(|| ()); // that of the lookup
        next_reading(move || {
            assert!(renewed.pin().set_ttl(&1, ns(1_000)));
            clock.set(60);
        });
        assert_eq!(map.pin().ttl(&1), Some(Ttl::Remaining(ns(990))));
        assert!(!run_next(), "the renewal came too late to test anything");
    });
}

/// On a clock past the 146 years of a deadline, the deadline of a TTL of zero counted as past the
/// range too, and so as "never".
#[test]
fn ttl_zero_is_over_at_once_on_a_clock_past_the_range() {
    exclusive(|| {
        for now in [(u64::MAX >> 2) - (1 << 30), u64::MAX >> 2, u64::MAX - 1, u64::MAX] {
            let (map, _) = scripted(now);
            map.pin().insert_with_ttl(1, 1, Duration::ZERO);
            assert_eq!(map.pin().get(&1), None, "inserted at {now}");
            map.pin().insert(1, 1);
            assert!(map.pin().set_ttl(&1, Duration::ZERO));
            assert_eq!(map.pin().get(&1), None, "set at {now}");
        }
    });
}

// Sweeping.

/// A sweep of a map that never had an entry came to no end of the slots, for it had none to begin
/// with, and said so.
#[test]
fn every_budget_completes_a_pass_of_an_empty_map() {
    exclusive(|| {
        let map = TtlMap::<u64, u64>::new();
        let budgets = [
            Budget::entries(1),
            Budget::entries(usize::MAX),
            Budget::time(PATIENCE),
            Budget::time(Duration::MAX),
            Budget::full_pass(),
        ];
        for budget in budgets {
            let report = map.sweep(budget);
            assert!(report.completed_pass, "{budget:?}: {report:?}");
            assert_eq!((report.examined, report.removed), (0, 0), "{budget:?}: {report:?}");
        }
    });
}

/// A `Drop` that parked in a sweep consumed the token by which the dropped sweeper was to wake its
/// thread, which then waited for the whole interval.
#[test]
fn drop_of_a_sweeper_is_prompt_although_a_value_consumes_its_wake_up() {
    exclusive(|| {
        let map = Arc::new(TtlMap::<u64, OnDrop>::new());
        let (tell, dropping) = channel();
        // Tells of itself and then parks its thread, as a lock or a channel may.
        let parks = OnDrop::new(move || {
            let _ = tell.send(()); // the test may have ended
            thread::park_timeout(Duration::from_secs(1)); // in case nobody unparks
        });
        map.pin().insert(1, parks);
        map.pin().remove(&1);
        let seldom = Duration::from_secs(100_000);
        let sweeper = Sweeper::spawn(&map, seldom, Budget::full_pass()).expect("spawn");
        dropping.recv_timeout(PATIENCE).expect("the first sweep drops it");
        within(PATIENCE, || drop(sweeper));
    });
}
