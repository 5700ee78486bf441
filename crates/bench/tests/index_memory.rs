//! README, "What it has, beside the others", "memory of an index that is too large": how much of the memory stays with a
//! map when all its entries are removed one by one, and what gives it back. A process of its own, since it counts what
//! the allocator has given out to all threads; one test, since two would count each other's.
#![allow(unsafe_code)] // a global allocator that counts

use dashmap::DashMap;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that are given out.
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

const ENTRIES: u32 = 100_000;

/// What a map holds, in KiB, after each step.
struct Held {
    before: usize,
    full: usize,
    /// When all entries were removed.
    emptied: usize,
    /// And then so many fresh keys put and removed, one by one, that what they leave fills each table.
    used: usize,
}

impl Held {
    fn of(put: impl Fn(u32), remove: impl Fn(u32), settle: impl Fn()) -> Self {
        let held = || HELD.load(Relaxed) >> 10;
        let before = held();
        (0..ENTRIES).for_each(&put);
        settle();
        let full = held() - before;
        (0..ENTRIES).for_each(&remove);
        settle();
        let emptied = held() - before;
        for key in ENTRIES..5 * ENTRIES {
            put(key);
            remove(key);
        }
        settle();
        Self { before, full, emptied, used: held() - before }
    }

    fn print(&self, name: &str) {
        let Self { full, emptied, used, .. } = self;
        println!("{name}: KiB with all entries {full}, without {emptied}, after others {used}");
    }
}

/// papaya "at a resize", dashmap `shrink_to_fit`, moka "goes back by itself", `quick_cache` –. (scc: `claims/scc.rs`; ours:
/// `tests/rungs/memory.rs`.)
#[test]
fn what_gives_the_memory_of_an_index_back() {
    let map = papaya::HashMap::new();
    let papaya = Held::of(
        |key| _ = map.pin().insert(key, 0_u32),
        |key| assert!(map.pin().remove(&key).is_some()),
        || {},
    );
    papaya.print("papaya");
    let map = DashMap::new();
    let dashmap = Held::of(
        |key| _ = map.insert(key, 0_u32),
        |key| assert!(map.remove(&key).is_some()),
        || {},
    );
    dashmap.print("dashmap");
    map.shrink_to_fit();
    let dashmap_fit = (HELD.load(Relaxed) >> 10) - dashmap.before;
    println!("dashmap: KiB after shrink_to_fit {dashmap_fit}");
    // Without a maximum: with one it has a sketch of what is asked for as well, whose size is fixed.
    let cache = moka::sync::Cache::builder().build();
    let moka = Held::of(
        |key| cache.insert(key, 0_u32),
        |key| assert!(cache.remove(&key).is_some()),
        || cache.run_pending_tasks(),
    );
    moka.print("moka");
    let cache = quick_cache::sync::Cache::new(ENTRIES as usize);
    let quick_cache = Held::of(|key| cache.insert(key, 0_u32), |key| _ = cache.remove(&key), || {});
    quick_cache.print("quick_cache");
    cache.clear();
    let quick_cache_cleared = (HELD.load(Relaxed) >> 10) - quick_cache.before;
    println!("quick_cache: KiB after clear {quick_cache_cleared}");

    assert!(papaya.emptied > papaya.full / 4, "stays");
    assert!(papaya.used < papaya.full / 10, "until the table is full of what was removed");
    // All but some bytes: what is printed takes memory as well.
    let stays = |now: usize, full: usize| now > full - full / 10;
    assert!(stays(dashmap.emptied, dashmap.full) && stays(dashmap.used, dashmap.full));
    assert!(dashmap_fit < dashmap.full / 10);
    assert!(moka.emptied < moka.full / 10, "goes while entries are removed");
    assert!(stays(quick_cache.used, quick_cache.full));
    assert!(stays(quick_cache_cleared, quick_cache.full));
}
