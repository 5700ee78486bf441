//! Models of a load by itself: what its token carries.

use std::sync::Arc;

use loom::{cell::UnsafeCell, thread};

use super::flight::Flight;

/// Whoever does not join a load that is over sees what its leader did before.
#[test]
fn flight_that_is_over_vs_one_who_comes() {
    loom::model(|| {
        let shared = Arc::new((Flight::<u32>::new(), UnsafeCell::new(0)));
        let theirs = Arc::clone(&shared);
        let leader = thread::spawn(move || {
            let (flight, map) = &*theirs;
            // SAFETY: nobody reads it before the load is over.
            map.with_mut(|place| unsafe { *place = 1 });
            assert!(!flight.is_awaited());
        });
        let (flight, map) = &*shared;
        if !flight.is_open() {
            // SAFETY: nobody writes there any more.
            assert_eq!(map.with(|place| unsafe { *place }), 1);
        }
        leader.join().unwrap();
    });
}
