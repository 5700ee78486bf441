//! What a writer has for itself, others come by: its free slots while the user's code runs, and what it removed.

use crate::common::hashers::Hashing;
use crate::common::sites::{boom, caught};
use crate::common::{assert_slots_accounted, builder, exclusive};
use evanesce::{Compute, Operation, Pinned, TtlMap};
use std::cell::Cell;
use std::sync::mpsc::channel;
use std::thread;

/// Runs `f` while the first entry is linked although it is over, since a `retain` of another thread waits between its
/// end and its unlinking: so the next write of a key behind it takes its turn of a stripe, to unlink it, before it meets
/// its own. All keys have one hash.
fn beside_a_slow_retain<K, V>(map: &TtlMap<K, V, Hashing>, f: impl FnOnce())
where
    K: Send + Sync,
    V: Send + Sync,
{
    thread::scope(|scope| {
        let (release, held) = channel::<()>();
        let (tell, told) = channel();
        let mut asked = 0;
        let keep = move |_: &K, _: &V| {
            asked += 1;
            if asked == 2 {
                tell.send(()).expect("the test waits");
                let _ = held.recv(); // until the sender is dropped
            }
            asked > 1
        };
        let retain = scope.spawn(move || map.retain(keep));
        told.recv().expect("there are two entries");
        f();
        drop(release);
        retain.join().expect("no panic");
    });
}

type Pin<'p> = Pinned<'p, u64, u64, Hashing>;

/// `compute`, and what is made of it, gives up its turn before it calls: a closure may wait for a thread that needs the
/// slots of its stripe.
#[test]
fn closures_that_wait_hide_no_free_slots() {
    /// Of which a stripe takes 2 to 8 at once; so three entries leave it one at least.
    const SLOTS: usize = 800;
    type Call = fn(&Pin<'_>, u64, &dyn Fn());
    const CALLS: [Call; 3] = [
        |pin, key, wait| {
            let stay = |_: Option<&u64>| {
                wait();
                Operation::Abort
            };
            assert!(matches!(pin.compute(key, stay), Compute::Unchanged(_)));
        },
        |pin, key, wait| _ = pin.update_or_insert_with(key, |_| unwind(wait), || unwind(wait)),
        |pin, key, wait| _ = pin.update(key % 2 + 1, |_| unwind(wait)),
    ];
    exclusive(|| {
        for (n, call) in CALLS.iter().enumerate() {
            for key in [1, 2, 5] {
                let options = builder().hasher(Hashing::Constant).max_slots(SLOTS);
                let map: TtlMap<u64, u64, Hashing> = options.build().expect("in range");
                (0..3).for_each(|key| _ = map.pin().insert(key, key));
                let waited = Cell::new(false);
                let wait = || {
                    let stats = map.stats();
                    let room = SLOTS - stats.slots + stats.free_slots;
                    let fill = || (100..).take(room).for_each(|n| _ = map.pin().insert(n, n));
                    let filled = thread::scope(|scope| scope.spawn(fill).join());
                    assert!(filled.is_ok(), "call {n} of {key} hides slots: {:?}", map.stats());
                    waited.set(true);
                };
                beside_a_slow_retain(&map, || {
                    caught(|| call(&map.pin(), key, &wait));
                });
                assert!(waited.get());
                assert_slots_accounted(&map);
            }
        }
    });
}

fn unwind(wait: &dyn Fn()) -> u64 {
    wait();
    boom();
    unreachable!()
}
