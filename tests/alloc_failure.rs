//! Memory that runs out: the process ends as it does with the standard collections, by the allocator's own
//! abort and message, whichever allocation of a write it is. There is no half-made entry to see then; a map
//! that is to refuse instead has `max_slots`.
#![allow(unsafe_code)] // a global allocator that fails

use evanesce::TtlMap;
use evanesce_testkit as _; // maps whose code is generated there
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Allocations that still succeed; negative: all do.
static LEFT: AtomicIsize = AtomicIsize::new(-1);

struct Limited;

impl Limited {
    /// Whether this allocation is the one to fail.
    fn fails() -> bool {
        LEFT.load(Relaxed) >= 0 && LEFT.fetch_sub(1, Relaxed) == 0
    }
}

// SAFETY: the system's allocator does the work; a failure is told by null, as the trait allows.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// What the child process does: writes that need every kind of memory.
#[test]
fn child_writes_until_an_allocation_fails() {
    let Ok(nth) = std::env::var("EVANESCE_FAIL_ALLOCATION") else { return };
    let map = TtlMap::new();
    map.pin().insert(0_u64, 0_u64);
    LEFT.store(nth.parse().expect("a number"), Relaxed);
    for key in 0..2000 {
        map.pin().insert(key, key);
        map.pin().remove(&(key / 2));
    }
    LEFT.store(-1, Relaxed);
    println!("all allocations succeeded");
}

#[test]
fn an_allocation_that_fails_ends_the_process_as_in_std() {
    let test = std::env::current_exe().expect("the running test has a path");
    let mut ended = 0;
    for nth in 0..1000 {
        let child = Command::new(&test)
            .args(["--exact", "child_writes_until_an_allocation_fails", "--nocapture"])
            .env("EVANESCE_FAIL_ALLOCATION", nth.to_string())
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("the test runs again");
        let (out, err) =
            (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
        if child.status.success() {
            assert!(out.contains("all allocations succeeded"), "{out}{err}");
            break;
        }
        assert!(err.contains("memory allocation of "), "allocation {nth}: {}\n{err}", child.status);
        ended += 1;
    }
    println!("{ended} allocations failed, one by one");
    assert!(ended >= 5, "{ended}");
}
