//! A map's own work may call the user's code, and that may call the map: nothing nests without end, and nothing is
//! left undone.

mod common;

use common::sites::boom;
use common::{assert_slots_accounted, builder, exclusive, ns, settle};
use evanesce::{Budget, ManualClock, RemovalCause, TtlMap};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

type Map = TtlMap<u64, u64>;

/// A stack that a few nested calls fit on, and a hundred do not.
const STACK: usize = 256 << 10;

/// Runs `test` alone, on a small stack: a recursion without end overflows it soon.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    exclusive(|| {
        let thread = thread::Builder::new().stack_size(STACK).spawn(test);
        thread.expect("spawn").join().expect("no panic");
    });
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static DEEPEST: Cell<usize> = const { Cell::new(0) };
}

/// Runs `f`, and notes how deep such calls of this thread nest.
fn counted(f: impl FnOnce()) {
    struct Level;
    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    DEEPEST.set(DEEPEST.get().max(DEPTH.get()));
    let _level = Level;
    f();
}

/// The deepest nesting since this was last asked.
fn deepest() -> usize {
    DEEPEST.take()
}

/// A map whose listener is given the map as well.
fn listening(
    clock: &ManualClock,
    max_slots: usize,
    heard: impl Fn(&Map, u64, RemovalCause) + Send + Sync + 'static,
) -> Arc<Map> {
    let map: Arc<OnceLock<Weak<Map>>> = Arc::default();
    let theirs = Arc::clone(&map);
    let listener = move |key: &u64, _: &u64, cause| {
        if let Some(map) = theirs.get().and_then(Weak::upgrade) {
            counted(|| heard(&map, *key, cause));
        }
    };
    let options = builder().clock(clock.clone()).max_slots(max_slots).eviction_listener(listener);
    let built = Arc::new(options.build().expect("valid options"));
    map.set(Arc::downgrade(&built)).expect("once");
    built
}

/// Puts `keys` entries that have expired when this returns.
fn put_expired(map: &Map, clock: &ManualClock, keys: u64) {
    for key in 0..keys {
        map.insert_with_ttl(key, key, ns(1_000_000));
    }
    clock.advance(ns(1_000_000));
}

/// How often each key was told of.
struct Told(Vec<AtomicUsize>);

impl Told {
    fn new(keys: u64) -> Arc<Self> {
        Arc::new(Self((0..keys).map(|_| AtomicUsize::new(0)).collect()))
    }

    /// Notes a key, if it is one of those; whether it is.
    fn note(&self, key: u64) -> bool {
        let told = self.0.get(key as usize);
        told.map(|times| times.fetch_add(1, Ordering::Relaxed)).is_some()
    }

    fn assert_each_once(&self) {
        let not_once = self.0.iter().position(|times| times.load(Ordering::Relaxed) != 1);
        assert_eq!(not_once, None, "told of never, or more than once");
    }
}

// Listeners.

/// A write within the listener swept, and told the listener of what it found, one level deeper: for each 64
/// entries that had expired there was one.
#[test]
fn a_listener_that_writes_to_its_own_map_does_not_nest() {
    on_a_small_stack(|| {
        const KEYS: u64 = 100_000;
        for by_sweep in [false, true] {
            let (clock, told) = (ManualClock::new(), Told::new(KEYS));
            let noting = Arc::clone(&told);
            let map = listening(&clock, 1 << 20, move |map, key, _| {
                if noting.note(key) {
                    map.insert(KEYS + key, key);
                }
            });
            put_expired(&map, &clock, KEYS);
            if by_sweep {
                map.sweep(Budget::full_pass());
            } else {
                // A step of 64 slots for each 16 writes of the test, and again half as much.
                (0..KEYS / 3).for_each(|key| _ = map.insert(2 * KEYS + key % 10, key));
            }
            assert_eq!(deepest(), 1, "by sweep: {by_sweep}");
            told.assert_each_once();
            let pin = map.pin();
            assert!((KEYS..2 * KEYS).all(|key| pin.contains_key(&key)), "an entry is lost");
        }
    });
}

/// What a listener itself ends, it is told of when it returns, and not within itself.
#[test]
fn a_listener_that_ends_another_entry_is_not_called_within_itself() {
    on_a_small_stack(|| {
        const KEYS: u64 = 10_000;
        let (clock, told) = (ManualClock::new(), Told::new(KEYS));
        let noting = Arc::clone(&told);
        let map = listening(&clock, 1 << 20, move |map, key, _| {
            noting.note(key);
            map.remove(&(key + 1));
        });
        (0..KEYS).for_each(|key| _ = map.insert(key, key));
        map.remove(&0);
        assert_eq!(deepest(), 1);
        told.assert_each_once();
        assert!(map.is_empty());
    });
}

#[test]
fn a_listener_that_sweeps_or_clears_or_retains_does_not_nest() {
    type Act = fn(&Map);
    let acts: [Act; 4] = [
        |map| _ = map.sweep(Budget::entries(1 << 20)),
        TtlMap::clear,
        |map| map.retain(|_, _| false),
        |map| map.retain(|key, _| key % 2 == 0),
    ];
    on_a_small_stack(move || {
        const KEYS: u64 = 1_000;
        for (n, within) in acts.into_iter().enumerate() {
            for (m, outside) in acts.into_iter().enumerate() {
                let (clock, told) = (ManualClock::new(), Told::new(KEYS));
                let noting = Arc::clone(&told);
                let map = listening(&clock, 1 << 20, move |map, key, _| {
                    noting.note(key);
                    within(map);
                });
                if n * m == 0 {
                    put_expired(&map, &clock, KEYS / 2);
                    (KEYS / 2..KEYS).for_each(|key| _ = map.insert(key, key));
                } else {
                    (0..KEYS).for_each(|key| _ = map.insert(key, key));
                }
                outside(&map);
                map.clear();
                assert_eq!(deepest(), 1, "{n} within {m}");
                told.assert_each_once();
                assert!(map.is_empty());
            }
        }
    });
}

#[test]
fn listeners_of_two_maps_that_write_to_each_other_do_not_nest() {
    on_a_small_stack(|| {
        const KEYS: u64 = 20_000;
        let clock = ManualClock::new();
        let told = [Told::new(KEYS), Told::new(KEYS)];
        let maps: Arc<[OnceLock<Weak<Map>>; 2]> = Arc::default();
        let made = [0, 1].map(|n| {
            let (noting, maps) = (Arc::clone(&told[n]), Arc::clone(&maps));
            listening(&clock, 1 << 20, move |_, key, _| {
                if noting.note(key)
                    && let Some(other) = maps[1 - n].get().and_then(Weak::upgrade)
                {
                    other.insert(KEYS + key, key);
                }
            })
        });
        for (map, made) in maps.iter().zip(&made) {
            map.set(Arc::downgrade(made)).expect("once");
        }
        (0..KEYS).for_each(|key| _ = made[0].insert_with_ttl(key, key, ns(1_000_000)));
        put_expired(&made[1], &clock, KEYS);
        made.iter().for_each(|map| _ = map.sweep(Budget::full_pass()));
        assert!(deepest() <= 2);
        for (map, told) in made.iter().zip(&told) {
            told.assert_each_once();
            let pin = map.pin();
            assert!((KEYS..2 * KEYS).all(|key| pin.contains_key(&key)), "an entry is lost");
        }
    });
}

/// A write at the limit sweeps to make room, within the listener it does not.
#[test]
fn a_listener_of_a_map_at_its_limit_does_not_nest() {
    on_a_small_stack(|| {
        const KEYS: u64 = 20_000;
        let (clock, told) = (ManualClock::new(), Told::new(KEYS));
        let noting = Arc::clone(&told);
        let map = listening(&clock, KEYS as usize, move |map, key, _| {
            if noting.note(key) && map.stats().free_slots > 0 {
                map.insert(KEYS + key, key);
            }
        });
        put_expired(&map, &clock, KEYS);
        for key in 0..KEYS / 3 {
            while map.try_reserve(1).is_err() {
                map.sweep(Budget::entries(10_000));
            }
            map.insert(2 * KEYS + key % 10, key);
        }
        map.sweep(Budget::full_pass());
        assert_eq!(deepest(), 1);
        told.assert_each_once();
    });
}

/// A panic of the listener costs that call, not those that wait for it.
#[test]
fn what_waits_for_a_listener_that_panics_is_told() {
    on_a_small_stack(|| {
        const KEYS: u64 = 100;
        let (clock, told) = (ManualClock::new(), Told::new(KEYS));
        let noting = Arc::clone(&told);
        let map = listening(&clock, 1 << 20, move |map, key, _| {
            noting.note(key);
            map.clear();
            boom();
        });
        (0..KEYS).for_each(|key| _ = map.insert(key, key));
        map.clear();
        assert_eq!(deepest(), 1);
        told.assert_each_once();
        assert_eq!(map.len(), 0);
        assert_slots_accounted(&map);
    });
}

// Drops.

/// A value whose drop puts one that hops once less into the next map.
struct Hops {
    left: u64,
    ring: Weak<Ring>,
    at: usize,
}

struct Ring(Vec<TtlMap<u64, Hops>>);

impl Ring {
    fn new(maps: usize, max_slots: usize) -> Arc<Self> {
        let map = |_| builder().max_slots(max_slots).build().expect("in range");
        Arc::new(Self((0..maps).map(map).collect()))
    }

    fn put(self: &Arc<Self>, at: usize, key: u64, left: u64) {
        self.0[at].insert(key, Hops { left, ring: Arc::downgrade(self), at });
    }

    fn pending(&self) -> usize {
        self.0.iter().map(|map| map.stats().pending_reclaim).max().expect("some maps")
    }
}

impl Drop for Hops {
    fn drop(&mut self) {
        if let Some(left) = self.left.checked_sub(1)
            && let Some(ring) = self.ring.upgrade()
        {
            counted(|| {
                let at = (self.at + 1) % ring.0.len();
                ring.put(at, left % 100, left);
            });
        }
    }
}

/// A map that was written from the drops of another one's values only left reclaiming to the other, which cannot do it.
#[test]
fn a_map_that_is_written_only_from_drops_of_another_reclaims() {
    on_a_small_stack(|| {
        for max_slots in [1 << 20, 10_000] {
            let ring = Ring::new(2, max_slots);
            let mut most = 0;
            for n in 0..100_000 {
                ring.put(0, n % 100, 1);
                if n % 1000 == 0 {
                    most = most.max(ring.pending());
                }
            }
            assert!(most.max(ring.pending()) < 2_000, "{most} pending");
            assert_eq!(deepest(), 1);
        }
    });
}

/// Who comes back to a map that this thread reclaims already leaves it to that.
#[test]
fn a_ring_of_maps_whose_drops_write_to_the_next_reclaims() {
    on_a_small_stack(|| {
        const HOPS: u64 = 7;
        let ring = Ring::new(3, 50_000);
        let mut most = 0;
        for n in 0..30_000 {
            ring.put(0, n % 100, HOPS);
            if n % 1000 == 0 {
                most = most.max(ring.pending());
            }
        }
        assert!(most.max(ring.pending()) < 10_000, "{most} pending");
        assert!(deepest() <= 3, "a level for each map");
        ring.0.iter().for_each(settle);
    });
}

/// Beyond some depth a write leaves reclaiming to a later one of its map, or a sweep, which then does it all.
#[test]
fn drops_that_write_to_one_map_after_the_other_nest_to_a_limit() {
    on_a_small_stack(|| {
        const MAPS: usize = 1_000;
        const PENDING: u64 = 300;
        let ring = Ring::new(MAPS, 1 << 20);
        // In each map some batches that are due, of values that write to the next one.
        for n in 0..MAPS {
            (0..PENDING).for_each(|key| ring.put(n, 0, u64::from(key % 100 == 0)));
        }
        for n in 0..10_000 {
            ring.put(0, n % 10, MAPS as u64);
        }
        assert!(deepest() <= 16, "{} levels", deepest());
        // From the last on, so that no drop writes to a map that was swept.
        for _ in 0..3 {
            ring.0.iter().rev().for_each(|map| _ = map.sweep(Budget::full_pass()));
        }
        assert!(deepest() <= 16);
    });
}

/// What was refused a write in the depth of drops, the next write that may does.
#[test]
fn a_write_catches_up_with_what_was_refused_within_drops() {
    on_a_small_stack(|| {
        const MAPS: usize = 20;
        let ring = Ring::new(MAPS, 1 << 20);
        for n in 0..50_000 {
            ring.put(0, n % 10, MAPS as u64 - 1);
            if n % 1000 == 999 {
                for map in 1..MAPS {
                    // Two, so that the grace period of what the first hands over may pass.
                    (0..2).for_each(|key| ring.put(map, 1_000 + key, 0));
                }
            }
        }
        assert!(ring.pending() < 10_000, "{} pending", ring.pending());
    });
}

/// The end of a thread drops what it has in thread-locals, perhaps after ours: a map is written then as ever.
#[test]
fn the_end_of_a_thread_may_write() {
    struct AtTheEnd(Arc<Ring>, Arc<Mutex<usize>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            for n in 0..20_000 {
                self.0.put(0, n % 100, 1);
            }
            *self.1.lock().unwrap() = self.0.pending();
        }
    }
    thread_local! { static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) } }

    exclusive(|| {
        let (ring, pending) = (Ring::new(2, 10_000), Arc::default());
        let kept = AtTheEnd(Arc::clone(&ring), Arc::clone(&pending));
        // Set before the thread has pinned, so it goes after what a pin leaves there.
        let ends = move || KEPT.set(Some(kept));
        thread::spawn(ends).join().expect("no panic");
        assert!(*pending.lock().unwrap() < 2_000, "{pending:?} pending");
        ring.0.iter().for_each(settle);
    });
}

/// A listener that is called by the end of a thread.
#[test]
fn the_end_of_a_thread_may_tell_a_listener() {
    struct AtTheEnd(Arc<Map>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            (0..1_000).for_each(|key| _ = self.0.insert(key, key));
            self.0.clear();
        }
    }
    thread_local! { static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) } }

    exclusive(|| {
        let told = Told::new(1_000);
        let noting = Arc::clone(&told);
        let map = listening(&ManualClock::new(), 1 << 20, move |map, key, _| {
            noting.note(key);
            map.insert(key + 1_000, 0);
        });
        let kept = AtTheEnd(Arc::clone(&map));
        let ends = move || KEPT.set(Some(kept));
        thread::spawn(ends).join().expect("no panic");
        told.assert_each_once();
        assert_eq!(map.len(), 1_000);
    });
}

/// A value whose drop sweeps its map.
struct Sweeps(Weak<TtlMap<u64, Sweeps>>);

impl Drop for Sweeps {
    fn drop(&mut self) {
        if let Some(map) = self.0.upgrade() {
            counted(|| _ = map.sweep(Budget::full_pass()));
        }
    }
}

#[test]
fn drops_that_sweep_do_not_nest() {
    on_a_small_stack(|| {
        let clock = ManualClock::new();
        let map: Arc<TtlMap<u64, Sweeps>> =
            Arc::new(builder().clock(clock.clone()).build().expect("valid options"));
        for key in 0..3_000 {
            map.insert_with_ttl(key, Sweeps(Arc::downgrade(&map)), ns(1 + key));
        }
        clock.advance(ns(3_000));
        settle(&map);
        assert_eq!((deepest(), map.len()), (1, 0));
    });
}
