//! Real threads, oversubscribed, with expiry, growth and reuse. `EVANESCE_STRESS_OPS` sets the operations of each
//! thread.

use crate::common::books::{INSERTED, Map, Owned, alive, any_write, open_books};
use crate::common::{Rng, assert_slots_accounted, builder, dose, exclusive, ns, settle};
use evanesce::{Budget, Clock as _, ManualClock, MonotonicClock};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

/// Operations of each thread.
fn operations() -> u64 {
    std::env::var("EVANESCE_STRESS_OPS")
        .map_or_else(|_| dose(40_000, 200_000), |text| text.parse().expect("a number"))
}

/// Writes to random keys, with TTLs below `ttls` nanoseconds; `tick` moves the clock.
fn write(map: &Map, mut rng: Rng, keys: u64, ttls: u64, tick: &dyn Fn()) {
    let operations = operations();
    for op in 0..operations {
        // The range grows, so that the map does.
        let key = rng.below((8 + keys * op / operations).min(keys));
        if rng.below(12) == 0 {
            map.sweep(Budget::entries(20));
            tick();
        } else {
            any_write(&map.pin(), &mut rng, key, op, ttls);
        }
    }
}

/// Reads random keys, at times all of them, and looks at all it read again before it lets go of the pin.
fn read(map: &Map, mut rng: Rng, keys: u64) {
    let mut pin = map.pin();
    for round in 0..operations() / 64 {
        let mut held = Vec::new();
        for _ in 0..64 {
            let key = rng.below(keys);
            held.extend(pin.get(&key).map(|val| (key, val)));
        }
        if round % 64 == 0 {
            held.extend(pin.iter().map(|(key, val)| (*key, val)));
        }
        for (key, val) in held {
            val.verify(key);
        }
        if round % 3 == 0 {
            drop(pin);
            pin = map.pin();
        } else {
            pin.repin();
        }
    }
}

/// Four writers and four readers; then the books must balance.
fn survives(map: Map, ttls: u64, tick: impl Fn() + Send + Sync + Clone + 'static) {
    const KEYS: u64 = 8192;
    open_books();
    let (map, mut rng) = (Arc::new(map), Rng::from_env());
    let mut threads = Vec::new();
    for _ in 0..4 {
        let (writer, reader, tick) = (Arc::clone(&map), Arc::clone(&map), tick.clone());
        let (a, b) = (Rng::new(rng.next()), Rng::new(rng.next()));
        threads.push(thread::spawn(move || write(&writer, a, KEYS, ttls, &tick)));
        threads.push(thread::spawn(move || read(&reader, b, KEYS)));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }

    // On the real clock too, what has a deadline expires before the books are closed.
    let closing = Instant::now() + ns(ttls);
    while Instant::now() < closing {
        thread::yield_now();
    }
    settle(&map);
    let stats = assert_slots_accounted(&map);
    assert_eq!(stats.pending_reclaim, 0, "{stats:?}");
    {
        let pin = map.pin();
        let seen: Vec<u64> = pin.iter().map(|(key, val)| (*key, val.verify(*key)).0).collect();
        assert_eq!(seen.len(), stats.len, "nothing expires now: {stats:?}");
        let found: BTreeSet<u64> = (0..KEYS).filter(|key| pin.contains_key(key)).collect();
        assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), found, "iter and get differ");
        assert_eq!(found.len(), stats.len, "a key twice");
    }
    assert_eq!(alive(), stats.len, "{stats:?}");
    drop(Arc::into_inner(map).expect("all threads ended"));
    assert_eq!(alive(), 0, "leaked");

    let inserted = INSERTED.load(Relaxed);
    let reuses = inserted.saturating_sub(stats.slots);
    println!(
        "{} operations, {inserted} insertions, {} growths, {} expired entries swept, {reuses} slot reuses",
        8 * operations(),
        stats.growths,
        stats.swept_total,
    );
    assert!(stats.growths > 0, "{stats:?}");
    assert!(stats.swept_total > 0, "{stats:?}");
    assert!(reuses > 0, "{inserted} insertions, {stats:?}");
}

#[test]
fn readers_and_writers_survive_expiry_growth_and_reuse() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map = builder().clock(clock.clone()).build().expect("valid options");
        survives(map, 3_000, move || clock.advance(ns(20)));
    });
}

#[test]
fn readers_and_writers_survive_on_the_real_clock() {
    exclusive(|| {
        let map =
            builder().clock(MonotonicClock).sweep_per_write(1).build().expect("valid options");
        survives(map, 3_000_000, || ());
    });
}

/// Works on keys that no other thread touches, and knows every answer. Returns how many live on at the end.
fn own_keys(map: &Map, clock: &ManualClock, me: u64, mut rng: Rng) -> usize {
    let mut owned = Owned::default();
    let mut pin = map.pin();
    let operations = operations();
    for op in 0..operations {
        if op % 16 == 0 {
            pin.repin();
        }
        let key = me + 8 * rng.below(8 + 400 * op / operations);
        owned.step(&pin, clock, &mut rng, (key, op, 4000));
        if rng.below(8) == 0 {
            clock.advance(ns(10));
        }
        if rng.below(64) == 0 {
            map.sweep(Budget::entries(50));
        }
    }
    owned.live(clock.now()).count()
}

#[test]
fn no_key_is_lost_or_resurrected_while_others_write_grow_and_sweep() {
    exclusive(|| {
        open_books();
        let clock = ManualClock::new();
        let map: Arc<Map> =
            Arc::new(builder().clock(clock.clone()).build().expect("valid options"));
        let mut rng = Rng::from_env();
        let threads: Vec<_> = (0..8)
            .map(|me| {
                let (map, clock, rng) = (Arc::clone(&map), clock.clone(), Rng::new(rng.next()));
                thread::spawn(move || own_keys(&map, &clock, me, rng))
            })
            .collect();
        // Told from here: to ThreadSanitizer, std's standard output is a race between the threads that print.
        let live: Vec<usize> =
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        println!("keys at the end, thread by thread: {live:?}");
        settle(&map);
        let stats = assert_slots_accounted(&map);
        assert!(stats.growths > 0 && stats.swept_total > 0, "{stats:?}");
        assert_eq!(map.pin().iter().count(), stats.len);
        drop(Arc::into_inner(map).expect("all threads ended"));
        assert_eq!(alive(), 0, "leaked");
    });
}
