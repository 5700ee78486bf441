//! Small maps are small: by an allocator that counts, ten thousand of them.
#![allow(unsafe_code)] // a global allocator that counts

use evanesce_testkit as _; // maps whose code is generated there
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use evanesce::TtlMap;

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MAPS: usize = 10_000;

/// The bytes of a map with so many entries, as part of an array, and how many it says it has.
fn bytes_a_map(entries: u64) -> (usize, usize) {
    let before = BYTES.load(Relaxed);
    let maps: Vec<TtlMap<u64, u64>> = (0..MAPS)
        .map(|_| {
            let map = TtlMap::new();
            (0..entries).for_each(|key| _ = map.pin().insert(key, key));
            map
        })
        .collect();
    let bytes = BYTES.load(Relaxed) - before;
    let told = maps.iter().map(|map| map.stats().bytes_allocated).max();
    (bytes / MAPS, told.unwrap_or(0))
}

/// In one test, since all others in the process would count as well.
#[test]
fn an_empty_map_takes_a_kilobyte_at_most_and_one_of_ten_entries_three() {
    // What is made once, for the first map, the first pin and the first write.
    let _ = bytes_a_map(1);
    let (empty, told) = bytes_a_map(0);
    assert!(empty <= 1024, "{empty} bytes");
    assert!((empty * 3 / 4..=empty).contains(&told), "{told} of {empty}");
    let (ten, told) = bytes_a_map(10);
    assert!(ten <= 3 * 1024, "{ten} bytes");
    assert!((ten * 3 / 4..=ten).contains(&told), "{told} of {ten}");
    println!("{empty} bytes an empty map, {ten} a map of ten entries");
}
