//! The code of the maps that several tests name, generated here once and not in each test binary: without optimisation a
//! crate takes the instances of generic functions that a dependency has (docs/lab/first-hour.md). It is never called.

use super::hashers::Hashing;
use super::on_drop::OnDrop;
use super::tally::{Tally, Token};
use equivalent::Equivalent;
use evanesce::{Budget, Builder, Deadline, ManualClock, TtlMap};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

/// Names calls of each type of map. What takes a closure is each caller's own, but for what it calls in turn.
pub fn generate() {
    every_call(|| (0, 0));
    some_calls::<u64, u64, _, _>(TtlMap::builder().hasher(Hashing::Sip), || (0, 0), &0);
    some_calls::<u64, (), _, _>(TtlMap::builder(), || (0, ()), &0);
    some_calls::<u64, OnDrop, _, _>(TtlMap::builder(), || (0, OnDrop::IDLE), &0);
    some_calls::<u64, Token, _, _>(TtlMap::builder(), || (0, Tally::new().token()), &0);
    some_calls::<&str, &str, _, _>(TtlMap::builder(), || ("", ""), "");
    some_calls::<String, u64, _, _>(TtlMap::builder(), || (String::new(), 0), "");
}

/// What most tests call.
fn some_calls<K, V, S, Q>(options: Builder<K, V, S>, entry: fn() -> (K, V), query: &Q)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    Q: Hash + Equivalent<K> + ?Sized,
{
    let options = options.capacity(1).max_slots(2).sweep_per_write(0).time_to_live(Duration::ZERO);
    let map = options.clock(ManualClock::new()).build().expect("valid options");
    let mut pin = map.pin();
    let (key, value) = entry();
    pin.insert(key, value);
    let (key, value) = entry();
    pin.insert_with_ttl(key, value, Duration::ZERO);
    _ = (pin.get(query), pin.contains_key(query), pin.ttl(query), pin.remove(query));
    pin.set_ttl(query, Duration::ZERO);
    _ = pin.iter().count();
    pin.repin();
    drop(pin);
    let (key, value) = entry();
    map.insert(key, value);
    let (key, value) = entry();
    map.insert_with_ttl(key, value, Duration::ZERO);
    _ = (map.remove(query), map.contains_key(query), map.len(), map.is_empty(), map.stats());
    map.sweep(Budget::full_pass());
    map.clear();
    super::settle(&map);
    super::assert_slots_accounted(&map);
    drop(Arc::new(map));
}

/// What one test or other calls.
fn every_call(entry: fn() -> (u64, u64)) {
    some_calls(TtlMap::builder(), entry, &0);
    let map = TtlMap::new();
    let (ttl, (key, value)) = (Duration::ZERO, entry());
    let pin = map.pin();
    pin.insert_with_deadline(key, value, Deadline::NEVER);
    _ = pin.try_insert(key, value).expect("never run");
    _ = pin.try_insert_with_ttl(key, value, ttl);
    _ = pin.get_or_insert_with(key, || value);
    _ = pin.get_or_insert_with_ttl(key, ttl, || value);
    _ = pin.update(key, |value| *value);
    _ = pin.update_or_insert_with(key, |value| *value, || value);
    _ = pin.replace_if(key, value, |_| true);
    _ = pin.remove_if(&key, |_, _| true);
    _ = (pin.get_key_value(&key), pin.get_entry(&key), pin.get_many([&key]), pin.get_stale(&key));
    _ = (pin.get_or_refresh(&key, ttl).value(), pin.remove_entry(&key));
    _ = (pin.set_deadline(&key, Deadline::NEVER), pin.extend_ttl(&key, ttl), pin.persist(&key));
    _ = (pin.keys().count(), pin.values().count(), pin.iter_entries().count());
    drop(pin);
    _ = (map.get_cloned(&key), map.next_deadline(), map.now(), map.live_len(), map.capacity());
    _ = (map.try_reserve(1), map.weight(), map.set_policy(map.policy()), map == map.clone());
    map.retain(|_, _| true);
    map.shrink_to_fit();
    _ = format!("{map:?}");
    _ = TtlMap::from([entry()]).into_iter().count();
    let options = TtlMap::<u64, u64>::builder().eviction_listener(|_, _, _| ());
    _ = options.max_weight(1).weigher(|_, _| 1).build();
    let maps = [TtlMap::<u64, u64>::new(), TtlMap::with_capacity(1), TtlMap::default()];
    drop(maps.map(Arc::new));
}
