use evanesce::*;
use std::time::Duration;
#[test]
fn smoke() {
    let clock = ManualClock::new();
    let map = TtlMap::<u64, u64>::builder().clock(clock.clone()).build::<u64, u64>().unwrap();
    let p = map.pin();
    for i in 0..100_000u64 {
        assert_eq!(p.insert(i, i), None);
    }
    assert_eq!(map.len(), 100_000);
    for i in 0..100_000u64 {
        assert_eq!(p.get(&i), Some(&i));
        assert_eq!(p.insert_with_ttl(i, i + 1, Duration::from_nanos(i + 1)), Some(&i));
    }
    for i in 0..100_000u64 {
        assert_eq!(p.update(i, |v| v + 1), Some(&(i + 2)));
    }
    assert_eq!(p.iter().count(), 100_000);
    clock.advance(Duration::from_nanos(50_000));
    assert_eq!(p.iter().count(), 50_000);
    for i in 50_000..100_000u64 {
        assert_eq!(p.remove(&i), Some(&(i + 2)));
    }
    assert_eq!(p.iter().count(), 0);
    drop(p);
    println!("{:?}", map.stats());
    println!("{:?}", map.sweep(Budget::full_pass()));
    println!("{:?}", map.stats());
    assert_eq!(map.len(), 0);
    let s = map.stats();
    assert_eq!(s.len + s.free_slots + s.pending_reclaim, s.slots);
}
#[test]
fn threads() {
    let map = std::sync::Arc::new(TtlMap::<u64, u64>::new());
    let hs: Vec<_> = (0..4)
        .map(|t| {
            let map = map.clone();
            std::thread::spawn(move || {
                let mut x = t as u64 * 7919 + 1;
                for i in 0..300_000u64 {
                    let p = map.pin();
                    x ^= x << 13;
                    x ^= x >> 7;
                    x ^= x << 17;
                    let k = x % 5000;
                    match i % 4 {
                        0 => {
                            p.insert(k, k * 3);
                        }
                        1 => {
                            p.remove(&k);
                        }
                        2 => {
                            p.insert_with_ttl(k, k * 3, Duration::from_micros(x >> 40 & 255));
                        }
                        _ => {
                            if let Some(v) = p.get(&k) {
                                assert_eq!(*v, k * 3);
                            }
                        }
                    }
                }
            })
        })
        .collect();
    for h in hs {
        h.join().unwrap();
    }
    println!("{:?}", map.sweep(Budget::full_pass()));
    let s = map.stats();
    println!("{s:?}");
    assert_eq!(s.len + s.free_slots + s.pending_reclaim, s.slots);
    assert_eq!(map.pin().iter().count() + s.expired_unswept, s.len);
}
