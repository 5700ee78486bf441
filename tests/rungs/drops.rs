//! A user's `Drop` runs in no writer's turn of a stripe: what the stripe has is anyone's meanwhile, also the `Drop`'s.

use crate::common::on_drop::OnDrop;
use crate::common::sites::{boom, caught};
use crate::common::{builder, exclusive, ns, settle};
use evanesce::{Clock, ManualClock, Operation, TtlMap};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SLOTS: u64 = 8000;
/// Slots that are free, all of them in the stripe of the test's thread.
const FREE: u64 = 16;
/// Entries that a [`greedy`] value puts, fewer than are free.
const WANTED: u64 = 10;
/// A key whose entry has a deadline, and an absent one. Given as hashes, too.
const KEY: u64 = SLOTS - 1;
const ABSENT: u64 = 1_000_000;

type Map = TtlMap<u64, OnDrop>;

/// A value that, once dropped, puts entries into its map, and counts those for which there was room.
fn greedy(map: &Arc<Map>, fitted: &Arc<AtomicU64>) -> OnDrop {
    let (map, fitted) = (Arc::downgrade(map), Arc::clone(fitted));
    OnDrop::new(move || {
        let Some(map) = map.upgrade() else { return };
        for key in 2_000_000..2_000_000 + WANTED {
            let insert = || map.pin().insert(key, OnDrop::IDLE).is_some();
            fitted.fetch_add(catch_unwind(AssertUnwindSafe(insert)).is_ok().into(), Relaxed);
        }
    })
}

thread_local! {
    static INTERRUPTS: RefCell<VecDeque<Box<dyn FnOnce()>>> = RefCell::default();
}

/// A clock whose next readings are followed by what [`interrupt`] was told, once each.
struct Interrupted(ManualClock);

impl Clock for Interrupted {
    fn now(&self) -> u64 {
        let now = self.0.now();
        let next = INTERRUPTS.with_borrow_mut(VecDeque::pop_front);
        if let Some(f) = next {
            f();
        }
        now
    }
}

fn interrupt(map: &Arc<Map>, f: impl FnOnce(&Map) + 'static) {
    let map = Arc::clone(map);
    INTERRUPTS.with_borrow_mut(|queue| queue.push_back(Box::new(move || f(&map))));
}

/// Has `write` drop a greedy value, which must find room in a map whose free slots are all of this stripe.
fn finds_room(write: impl FnOnce(&Arc<Map>, OnDrop) + Send + 'static) {
    exclusive(|| {
        let options = builder().max_slots(SLOTS as usize).sweep_per_write(0);
        let options = options.clock(Interrupted(ManualClock::new()));
        let map: Arc<Map> = Arc::new(options.build().expect("valid options"));
        (0..KEY).for_each(|key| _ = map.pin().insert(key, OnDrop::IDLE));
        let Ok(_) = map.pin().insert_by(KEY, KEY, OnDrop::IDLE, is_key);
        assert_eq!(map.pin().set_ttl_by(KEY, ns(1), is_key), Ok(true));
        (0..FREE).for_each(|key| _ = map.pin().remove(&key));
        settle(&map);
        assert_eq!((map.stats().slots, map.stats().free_slots), (SLOTS as usize, FREE as usize));
        let fitted = Arc::new(AtomicU64::new(0));
        write(&map, greedy(&map, &fitted));
        assert_eq!(fitted.load(Relaxed), WANTED, "entries found no room beside {FREE} free slots");
    });
}

#[allow(clippy::unnecessary_wraps, clippy::trivially_copy_pass_by_ref)] // the form of all comparisons
fn is_key(met: &u64) -> Result<bool, std::convert::Infallible> {
    Ok(*met == KEY)
}

/// Replaces the entry of `KEY`.
fn replace(map: &Map) {
    let Ok(old) = map.pin().insert_by(KEY, KEY, OnDrop::IDLE, is_key).map(|old| old.is_some());
    assert!(old);
}

#[test]
fn a_value_that_compute_made_for_a_key_that_came_meanwhile_is_dropped_in_no_turn() {
    finds_room(|map, greedy| {
        let mut greedy = Some(greedy);
        map.pin().compute(ABSENT, |_| match greedy.take() {
            Some(greedy) => {
                map.pin().insert(ABSENT, OnDrop::IDLE);
                Operation::Insert(greedy)
            }
            None => Operation::Abort,
        });
    });
}

#[test]
fn a_value_that_compute_made_for_an_entry_that_went_meanwhile_is_dropped_in_no_turn() {
    finds_room(|map, greedy| {
        let mut greedy = Some(greedy);
        map.insert_with_ttl(1, OnDrop::IDLE, ns(1));
        map.pin().compute(1, |_| match greedy.take() {
            Some(greedy) => {
                map.pin().insert(1, OnDrop::IDLE);
                Operation::Insert(greedy)
            }
            None => Operation::Abort,
        });
    });
}

#[test]
fn a_value_whose_insert_ends_in_an_error_is_dropped_in_no_turn() {
    finds_room(|map, greedy| {
        interrupt(map, replace);
        let mut compared = 0;
        // Of an equal fingerprint, another key may be met as well.
        let fails_later = |met: &u64| {
            compared += u32::from(*met == KEY);
            if compared > 1 { Err(()) } else { Ok(*met == KEY) }
        };
        let inserted = map.pin().insert_by(KEY, KEY, greedy, fails_later).map(|old| old.is_some());
        assert_eq!(inserted, Err(()));
    });
}

#[test]
fn a_value_whose_insert_ends_in_a_panic_of_a_comparison_is_dropped_in_no_turn() {
    finds_room(|map, greedy| {
        interrupt(map, replace);
        let mut compared = 0;
        let panics_later = |met: &u64| {
            compared += u32::from(*met == KEY);
            if compared > 1 {
                boom();
            }
            Ok::<_, ()>(*met == KEY)
        };
        assert!(caught(|| map.pin().insert_by(KEY, KEY, greedy, panics_later).is_ok()).is_none());
    });
}

#[test]
fn a_value_whose_insert_ends_in_a_panic_of_the_clock_is_dropped_in_no_turn() {
    finds_room(|map, greedy| {
        interrupt(map, |map| assert_eq!(map.pin().set_ttl_by(KEY, ns(9), is_key), Ok(true)));
        // The renewal reads it as well.
        interrupt(map, |_| ());
        interrupt(map, |_| ());
        interrupt(map, |_| boom());
        assert!(caught(|| map.pin().insert_by(KEY, KEY, greedy, is_key).is_ok()).is_none());
    });
}

#[test]
fn a_value_that_was_refused_is_dropped_in_no_turn() {
    finds_room(|map, greedy| {
        assert!(map.pin().try_insert_by(KEY, KEY, greedy, is_key).is_ok_and(|put| put.is_err()));
    });
}
