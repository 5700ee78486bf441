//! A thread that stalls in the middle of a first call holds up no other: by an allocator that stalls it, at each of its
//! allocations in turn.
#![allow(unsafe_code)] // a global allocator that stalls

use evanesce_testkit as common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use common::{builder, ns, within};
use evanesce::{Lookup, ManualClock, TtlMap};

struct Stalling;

thread_local! {
    /// How many allocations this thread makes before it stalls, if it is to.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

static STALLED: AtomicBool = AtomicBool::new(false);
static GO_ON: AtomicBool = AtomicBool::new(false);

fn stall_if_told() {
    match LEFT.get() {
        None => {}
        Some(0) => {
            LEFT.set(None);
            STALLED.store(true, SeqCst);
            while !GO_ON.load(SeqCst) {
                thread::yield_now();
            }
        }
        Some(left) => LEFT.set(Some(left - 1)),
    }
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Stalling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        stall_if_told();
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static STALLING: Stalling = Stalling;

/// How long what must not wait may take.
const LIMIT: Duration = Duration::from_secs(60);

type Map = TtlMap<u64, u64>;

/// An insert of a key, a token for it, and its removal.
fn use_map(map: &Map, key: u64) {
    let pin = map.pin();
    assert_eq!(pin.insert_with_ttl(key, key, ns(10)), None);
    assert!(matches!(pin.get_or_refresh(&key, ns(20)), Lookup::Refresh(..)));
    assert_eq!(pin.remove(&key), Some(&key));
}

/// In one test, as the first in the process: what the process has one of is made then.
#[test]
fn a_thread_that_stalls_in_its_first_calls_holds_up_no_other() {
    for n in 0.. {
        STALLED.store(false, SeqCst);
        GO_ON.store(false, SeqCst);
        let map: Arc<Map> = Arc::new(builder().clock(ManualClock::new()).build().expect("valid"));
        let theirs = Arc::clone(&map);
        let stalling = thread::spawn(move || {
            LEFT.set(Some(n));
            use_map(&theirs, 1);
            LEFT.take().is_none()
        });
        while !STALLED.load(SeqCst) && !stalling.is_finished() {
            thread::yield_now();
        }
        within(LIMIT, move || use_map(&map, 2));
        GO_ON.store(true, SeqCst);
        let was_stalled = stalling.join().expect("no panic");
        if !was_stalled {
            println!("{n} allocations");
            assert!(n >= 8, "{n}");
            return;
        }
    }
}
