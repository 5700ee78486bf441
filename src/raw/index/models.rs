//! Models of single steps, in orders that whole operations come to seldom. As `tests/models/lines.rs`, and run with it.

use core::convert::Infallible;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::thread;

use super::*;
use crate::{
    clock::{ClockSource, ManualClock},
    raw::{
        ops::draft::{Draft, Waiting},
        reclaim::{guard, guard::Guard},
        slab::judge::Hit,
        table::{Setup, Table},
        words::key::SplitKey,
    },
};

/// Entries are a key and a number. All keys belong in one line of four, and have one fingerprint.
type Entries = Table<(u32, u32)>;

const KEY: SplitKey = SplitKey::of_node(0x1000_0000);
/// Another place in that line, in the other half.
const HALF: SplitKey = SplitKey::of_node(0x3000_0000);

fn table() -> Arc<Entries> {
    let clock = ClockSource::of(ManualClock::new());
    Arc::new(Table::new(Setup { capacity: 4, max_slots: 7, ..Setup::new(clock) }))
}

fn insert(table: &Entries, key: u32, number: u32) {
    insert_at(KEY, table, key, number);
}

fn insert_at(place: SplitKey, table: &Entries, key: u32, number: u32) {
    let (guard, waiting) = (guard::pin(), &mut Waiting::new(key, number));
    let is_match = |mine: &u32, met: &u32| Ok::<_, Infallible>(mine == met);
    let Ok(_) = table.insert(place, waiting, State::NEVER, &guard, is_match);
}

fn remove(table: &Entries, key: u32) {
    let guard = guard::pin();
    let Ok(removed) = table.remove(KEY, &guard, |(met, _)| Ok::<_, Infallible>(*met == key));
    assert!(removed.is_some());
}

/// The whole lookup, whatever the line looks like at first.
fn get(table: &Entries, key: u32, guard: &Guard) -> Option<u32> {
    get_at(KEY, table, key, guard)
}

fn get_at(place: SplitKey, table: &Entries, key: u32, guard: &Guard) -> Option<u32> {
    let mut is_match = |(met, _): &(u32, u32)| Ok::<_, Infallible>(*met == key);
    let Ok(hit) = table.index.lookup_whole(place, guard, &table.clock, &mut is_match);
    hit.map(|hit: Hit<'_, _>| hit.entry().1)
}

/// Reserves a cell for an entry, and leaves it: it is never published.
fn reserve_and_leave(table: &Entries, key: u32, number: u32) {
    let (guard, waiting) = (guard::pin(), &mut Waiting::new(key, number));
    let turn = &mut table.turn(&guard);
    let mut gap = None;
    let Ok(_) = table.index.find_entry(KEY, &mut gap, turn, |_| Ok::<_, Infallible>(false));
    let gap = gap.expect("nothing is equal");
    let draft = &mut Draft::new(&table.index, waiting, &guard);
    let slot = draft.place(KEY.node_key(), State::NEVER, || table.take_slot(turn));
    let number = gap.reserve(slot, draft.reserved()).expect("a free cell");
    draft.reserved().keep(gap.line, number);
}

fn model(name: &str, preemptions: usize, floor: usize, f: impl Fn() + Sync + Send + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        f();
    });
    let executions = executions.load(Relaxed);
    println!("model {name}: {executions} executions");
    assert!(executions >= floor, "{name}: {executions} executions, at least {floor} expected");
}

/// The cell of an entry that was removed comes to a draft of its key, which nobody publishes.
#[test]
fn lines_get_vs_a_draft_in_the_cell() {
    model("lines_get_vs_a_draft_in_the_cell", 4, 849, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        // The reader is the second thread: loom begins with the first one's steps, and goes back from there.
        let reader = thread::spawn(move || get(&theirs, 1, &guard::pin()));
        remove(&table, 1);
        reserve_and_leave(&table, 1, 2);
        assert!(matches!(reader.join().unwrap(), None | Some(1)), "a draft was seen");
    });
}

/// The same, with another entry in that cell between the drafts: the second draft is not the first, nor published.
#[test]
fn lines_get_vs_two_drafts_in_the_cell() {
    model("lines_get_vs_two_drafts_in_the_cell", 4, 25_000, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        // The reader is the second thread: loom begins with the first one's steps, and goes back from there.
        let reader = thread::spawn(move || get(&theirs, 1, &guard::pin()));
        remove(&table, 1);
        reserve_and_leave(&table, 1, 2);
        insert(&table, 2, 3);
        remove(&table, 2);
        reserve_and_leave(&table, 1, 4);
        assert!(matches!(reader.join().unwrap(), None | Some(1)), "a draft was seen");
    });
}

/// The same, where the second draft would be in the slot of the first, if that were free too soon.
#[test]
fn lines_get_vs_a_draft_whose_slot_was_named() {
    model("lines_get_vs_a_draft_whose_slot_was_named", 4, 26_900, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        let reader = thread::spawn(move || get(&theirs, 1, &guard::pin()));
        remove(&table, 1);
        reserve_and_leave(&table, 1, 2);
        {
            // Another has the next free slot meanwhile, and never names it.
            let (guard, waiting) = (guard::pin(), &mut Waiting::new(3, 3));
            let turn = &mut table.turn(&guard);
            let draft = &mut Draft::new(&table.index, waiting, &guard);
            draft.place(KEY.node_key(), State::NEVER, || table.take_slot(turn));
            turn.leave();
            insert(&table, 2, 3);
        }
        remove(&table, 2);
        reserve_and_leave(&table, 1, 4);
        assert!(matches!(reader.join().unwrap(), None | Some(1)), "a draft was seen");
    });
}

/// In the middle of a migration an entry is put into a line whose entries were moved: it is found there.
#[test]
fn lines_get_of_what_was_put_while_others_move() {
    model("lines_get_of_what_was_put_while_others_move", 3, 1, || {
        let table = table();
        insert(&table, 1, 1);
        let guard = guard::pin();
        let root = table.index.lines.root();
        table.index.lines.begin(root, root.level() + 1);
        table.index.migrate(root, root.index_of(KEY), &guard);
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || insert(&theirs, 2, 2));
        let first = get(&table, 2, &guard);
        other.join().unwrap();
        assert!(matches!(first, None | Some(2)));
        // The root is the old array still, or not: the other may have finished it.
        assert_eq!((get(&table, 1, &guard), get(&table, 2, &guard)), (Some(1), Some(2)));
    });
}

/// One is slow to fill a line of the next array, while the other fills it and removes what came there.
#[test]
fn lines_migrate_vs_migrate_and_remove() {
    model("lines_migrate_vs_migrate_and_remove", 3, 2010, || {
        let table = table();
        insert(&table, 1, 1);
        insert(&table, 2, 2);
        let guard = guard::pin();
        let root = table.index.lines.root();
        table.index.lines.begin(root, root.level() + 1);
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || {
            let guard = guard::pin();
            theirs.index.migrate(root, root.index_of(KEY), &guard);
        });
        remove(&table, 1);
        assert_eq!((get(&table, 1, &guard), get(&table, 2, &guard)), (None, Some(2)));
        other.join().unwrap();
        assert_eq!((get(&table, 1, &guard), get(&table, 2, &guard)), (None, Some(2)));
        while table.index.help(&table.turn(&guard)) {}
        table.index.assert_cells_are_free(&guard);
    });
}

/// One is in the middle of the two halves of a line, while an entry is put into the second.
#[test]
fn lines_migrate_vs_insert_into_the_second_half() {
    model("lines_migrate_vs_insert_into_the_second_half", 3, 727, || {
        let table = table();
        insert(&table, 1, 1);
        insert_at(HALF, &table, 2, 2);
        let guard = guard::pin();
        let root = table.index.lines.root();
        table.index.lines.begin(root, root.level() + 1);
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || insert_at(HALF, &theirs, 3, 3));
        table.index.migrate(root, root.index_of(KEY), &guard);
        other.join().unwrap();
        assert_eq!(get(&table, 1, &guard), Some(1));
        assert_eq!([2, 3].map(|key| get_at(HALF, &table, key, &guard)), [2, 3].map(Some));
    });
}

/// A reader is in an array that another leaves, and gives back as soon as it may.
#[test]
fn lines_get_vs_the_end_of_an_array() {
    model("lines_get_vs_the_end_of_an_array", 2, 280, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        let reader = thread::spawn(move || {
            let guard = guard::pin();
            (get(&theirs, 1, &guard), get(&theirs, 1, &guard))
        });
        let guard = guard::pin();
        let root = table.index.lines.root();
        table.index.lines.begin(root, root.level() + 1);
        drop(guard);
        for _ in 0..8 {
            let guard = guard::pin();
            table.index.help(&table.turn(&guard));
        }
        assert_eq!(reader.join().unwrap(), (Some(1), Some(1)));
    });
}

/// An insert that saw the line before comes to a cell that another, of another fingerprint, has had meanwhile.
#[test]
fn lines_insert_vs_insert_of_another_fingerprint_and_remove() {
    model("lines_insert_vs_insert_of_another_fingerprint_and_remove", 2, 6640, || {
        let [second, third] = [2_u64, 3].map(|byte| SplitKey(KEY.0 | byte << 24));
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || insert_at(third, &theirs, 3, 3));
        insert_at(second, &table, 2, 2);
        let guard = guard::pin();
        let removed = table.remove(second, &guard, |(met, _)| Ok::<_, Infallible>(*met == 2));
        assert_eq!(removed, Ok(Some(&(2, 2))));
        drop(guard);
        other.join().unwrap();
        let guard = guard::pin();
        assert_eq!(get_at(third, &table, 3, &guard), Some(3));
    });
}

/// The cell goes through a draft and another entry to an entry of the key.
#[test]
fn lines_get_vs_a_cell_that_comes_back_to_the_key() {
    model("lines_get_vs_a_cell_that_comes_back_to_the_key", 4, 24_500, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        let reader = thread::spawn(move || get(&theirs, 1, &guard::pin()));
        remove(&table, 1);
        reserve_and_leave(&table, 1, 2);
        insert(&table, 2, 3);
        remove(&table, 2);
        insert(&table, 1, 4);
        assert!(matches!(reader.join().unwrap(), None | Some(1 | 4)), "a draft was seen");
    });
}

/// A line is frozen just when an entry has come to it.
#[test]
fn lines_migrate_vs_insert_into_the_second_word() {
    model("lines_migrate_vs_insert_into_the_second_word", 3, 776, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || {
            let guard = guard::pin();
            let root = theirs.index.lines.root();
            theirs.index.lines.begin(root, root.level() + 1);
            theirs.index.migrate(root, root.index_of(KEY), &guard);
        });
        insert(&table, 2, 2);
        other.join().unwrap();
        let guard = guard::pin();
        assert_eq!([1, 2].map(|key| get(&table, key, &guard)), [1, 2].map(Some));
    });
}

/// What a reader has seen in a cell that is used again, it does not miss then.
#[test]
fn lines_get_get_vs_a_cell_used_again() {
    model("lines_get_get_vs_a_cell_used_again", 4, 3980, || {
        let table = table();
        insert(&table, 1, 1);
        let theirs = Arc::clone(&table);
        let reader = thread::spawn(move || {
            let guard = guard::pin();
            (get(&theirs, 1, &guard), get(&theirs, 1, &guard))
        });
        remove(&table, 1);
        insert(&table, 1, 2);
        let (first, second) = reader.join().unwrap();
        assert!(first != Some(2) || second == Some(2), "{first:?}, then {second:?}");
    });
}
