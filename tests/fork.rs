//! A child of a fork: its maps work, and a sweeper whose thread the parent has may be dropped. In a process of its own,
//! so that no other test's thread is pinned at the fork.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

use evanesce::{Budget, Sweeper, TtlMap};
use evanesce_testkit as _; // maps whose code is generated there
use std::sync::Arc;
use std::time::Duration;

const OFTEN: Duration = Duration::from_millis(1);
const SELDOM: Duration = Duration::from_secs(100_000);

/// Runs `f` in a child, and fails if it does not return, or panics.
fn in_a_child(f: impl FnOnce() + std::panic::UnwindSafe) {
    // SAFETY: of the threads that a child lacks, none holds a lock of std's allocator or output here: the sweeper's
    // waits, and the harness's waits for this test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let panicked = std::panic::catch_unwind(f).is_err();
        // SAFETY: ends this process at once, without what belongs to the parent.
        unsafe { libc::_exit(panicked.into()) };
    }
    let mut status = 0;
    // SAFETY: the pointer is that of a local variable.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child's end");
}

#[test]
fn a_child_has_maps_that_work_and_drops_a_sweeper_without_a_thread() {
    let map = Arc::new(TtlMap::<u64, u64>::new());
    (0..100).for_each(|n| _ = map.insert(n, n));
    let (tell, told) = std::sync::mpsc::channel();
    let sweeper =
        Sweeper::spawn_with(&map, SELDOM, Budget::full_pass(), move |_| _ = tell.send(()));
    let sweeper = sweeper.expect("spawn");
    told.recv().expect("the first sweep"); // from here on it waits
    in_a_child(|| {
        drop(sweeper);
        for n in 0..20_000 {
            map.insert(n % 100, n);
            map.insert_with_ttl(100 + n % 100, n, Duration::ZERO);
        }
        assert_eq!(map.get_cloned(&7), Some(19_907));
        let again = Sweeper::spawn(&map, OFTEN, Budget::full_pass()).expect("spawn");
        while map.len() > 100 || map.stats().pending_reclaim > 0 {
            std::thread::yield_now();
        }
        drop(again);
    });
    assert_eq!((map.len(), map.get_cloned(&7)), (100, Some(7)));

    // The shared one: begun anew in the child; or stopped before and started after, in both.
    let expires = |n| assert!(!map.insert_with_ttl(n, n, Duration::from_nanos(1)));
    let is_swept = || {
        while map.len() > 100 {
            std::thread::yield_now();
        }
    };
    let shared = Sweeper::shared();
    let sweeper = shared.add(&map, OFTEN, Budget::full_pass()).expect("spawn");
    in_a_child(|| {
        assert!(
            shared.add(&map, OFTEN, Budget::full_pass()).is_err(),
            "its thread is the parent's"
        );
        drop(sweeper);
        let again = Sweeper::shared().add(&map, OFTEN, Budget::full_pass()).expect("spawn");
        expires(1000);
        is_swept();
        drop(again);
    });
    let sweeper = shared.add(&map, OFTEN, Budget::full_pass()).expect("spawn");
    shared.stop();
    in_a_child(|| {
        shared.start().expect("spawn");
        expires(1001);
        is_swept();
        drop(sweeper);
    });
    let sweeper = shared.add(&map, OFTEN, Budget::full_pass()).expect("not started");
    shared.start().expect("spawn");
    expires(1002);
    is_swept();
    drop(sweeper);
}
