//! A pin that is forgotten holds memory back for ever: in a process of its own, away from the other tests.
#![allow(unsafe_code)] // a global allocator that counts

use evanesce_testkit as common;

use common::tally::{Tally, Token};
use evanesce::{Budget, TtlMap};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// In one test, since all others in the process would be held back as well.
#[test]
fn leaked_pin_holds_memory_back_and_nothing_else() {
    let leaker = thread::spawn(|| {
        let other: &'static TtlMap<u64, u64> = Box::leak(Box::default());
        std::mem::forget(other.pin());
    });
    leaker.join().expect("no panic");
    let tally = Tally::new();
    let map: TtlMap<u64, Token> = TtlMap::new();
    for n in 0..5000 {
        map.pin().insert(n % 5, tally.token());
    }
    let report = map.sweep(Budget::full_pass());
    assert!(report.completed_pass, "{report:?}");
    assert_eq!(map.len(), 5);
    assert_eq!(map.pin().iter().count(), 5);
    assert_eq!(map.stats().pending_reclaim, 4995);
    assert_eq!(tally.alive(), 5000);
    drop(map);
    tally.assert_all_dropped();
    others_take_what_the_guide_says();
}

/// Each overwrite holds back a slot with its key and value, and some 20 bytes beside; the threads go on.
fn others_take_what_the_guide_says() {
    const THREADS: u64 = 4;
    const WRITES: u64 = 50_000;
    let map: TtlMap<u64, u64> = TtlMap::new();
    let write = &|first: u64| {
        for n in 0..WRITES {
            assert_eq!(map.pin().insert(first, n).copied(), n.checked_sub(1));
            assert_eq!(map.pin().get(&first), Some(&n));
        }
    };
    write(THREADS); // what a map has once
    let before = BYTES.load(Relaxed);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || write(first))).collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
    let (threads, writes) = (THREADS as usize, WRITES as usize);
    let (held, beside, stats) = (threads * writes, BYTES.load(Relaxed) - before, map.stats());
    assert_eq!(stats.pending_reclaim, (threads + 1) * (writes - 1), "{stats:?}");
    // Some slots are free: up to a block in each stripe that a thread has used. One that finds its stripe in use takes
    // another, so these are not as many as the threads.
    assert_eq!(stats.slots, threads + 1 + stats.pending_reclaim + stats.free_slots, "{stats:?}");
    assert!(stats.free_slots < held / 100, "{stats:?}");
    assert!(beside < 24 * held, "{} bytes beside each slot", beside / held);
    println!("{} bytes beside each slot", beside / held);
}
