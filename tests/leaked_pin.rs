//! A pin that is forgotten holds memory back for ever: in a process of its own, away from the other tests.

mod common;

use common::tally::{Tally, Token};
use evanesce::{Budget, TtlMap};
use std::thread;

#[test]
fn leaked_pin_holds_memory_back_and_nothing_else() {
    let leaker = thread::spawn(|| {
        let other: &'static TtlMap<u8, u8> = Box::leak(Box::default());
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
}
