//! Parallel iteration: each visible entry once, whatever others do meanwhile.
#![cfg(feature = "rayon")]

use crate::common::{builder, exclusive, ns};
use evanesce::{ManualClock, TtlMap};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn each_visible_entry_is_met_once() {
    exclusive(|| {
        let clock = ManualClock::new();
        let map: TtlMap<u32, u32> = builder().clock(clock.clone()).build().expect("valid options");
        let pinned = map.pin();
        assert_eq!(pinned.par_iter().count(), 0);
        for n in 0..1000 {
            pinned.insert_with_ttl(n, n + 1, ns(u64::from(n % 10)));
        }
        clock.advance(ns(4));
        let met: Vec<(u32, u32)> = pinned.par_iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(met.len(), 500);
        let met: BTreeMap<_, _> = met.into_iter().collect();
        assert_eq!(met, (0..1000).filter(|n| n % 10 > 4).map(|n| (n, n + 1)).collect());
    });
}

/// What is gone through stays whole while its entries are removed and their slots are taken again.
#[test]
fn what_is_gone_through_outlives_its_removal() {
    exclusive(|| {
        let map: TtlMap<u32, Vec<u32>> = (0..1000).map(|n| (n, vec![n; 8])).collect();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    map.remove(&(n % 1000));
                    map.insert(n % 1000, vec![n % 1000; 8]);
                    n += 1;
                }
            });
            for _ in 0..50 {
                let pinned = map.pin();
                assert!(pinned.par_iter().all(|(key, value)| value[..] == [*key; 8]));
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
