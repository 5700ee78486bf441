//! What a write does on a map that is full.

use core::convert::Infallible;
use std::sync::mpsc::channel;

use super::*;
use crate::{
    clock::ClockSource,
    raw::{
        memory::pages::PageSize,
        ops::draft::Waiting,
        table::Setup,
        words::{
            key::SplitKey,
            numbers::{BlockNumbers, block_of},
            state::State,
        },
    },
    sync::{Arc, at_next_yield, thread},
};

/// Two runs of blocks, of which the first is not one to give back, and a few slots.
const SLOTS: u32 = 2100;

fn table() -> Arc<Table<(u64, ())>> {
    let (page_size, clock) = (PageSize::Usual, ClockSource::monotonic());
    Arc::new(Table::new(Setup { max_slots: SLOTS, page_size, ..Setup::new(clock) }))
}

fn insert(table: &Table<(u64, ())>, n: u64) {
    let none = |_: &u64, _: &u64| Ok::<_, Infallible>(false);
    let (guard, waiting) = (guard::pin(), &mut Waiting::new(n, ()));
    let Ok(replaced) = table.insert(SplitKey::from_hash(n), waiting, State::NEVER, &guard, none);
    assert_eq!(replaced, None);
}

/// Lets another thread begin something by which it holds the last free slots of a table, `all_but` so many of
/// which entries take; it comes to its end when the insert of one more waits for it.
fn insert_waits_for(holder: impl FnOnce(&Table<(u64, ())>, &dyn Fn(u64)) + Send + 'static) {
    let table = table();
    let (tell, told) = channel();
    let (release, held) = channel::<()>();
    let holding = Arc::clone(&table);
    let thread = thread::spawn(move || {
        holder(&holding, &|free| {
            tell.send(free).unwrap();
            let _ = held.recv(); // until the sender is dropped
        });
    });
    let free = told.recv().unwrap();
    (0..free).for_each(|n| insert(&table, n));
    at_next_yield(move || {
        drop(release);
        thread.join().unwrap();
    });
    insert(&table, free);
    assert_eq!(table.entries() as u64, free + 1);
}

/// A writer that was interrupted has slots that are free, and will leave them to others.
#[test]
fn a_write_that_finds_no_slot_waits_for_a_writer_that_has_some() {
    insert_waits_for(|table, wait| {
        let guard = guard::pin();
        let turn = &mut table.turn(&guard);
        table.index.slab.take(turn).unwrap();
        let held = table.index.stripes.free_slots() as u64 + 1;
        assert!(held > 1, "a share of one");
        wait(u64::from(SLOTS) - held);
    });
}

/// As does one that gives the memory of a run of slots back.
#[test]
fn a_write_that_finds_no_slot_waits_for_one_that_gives_memory_back() {
    insert_waits_for(|table, wait| {
        let guard = guard::pin();
        let slab = &table.index.slab;
        let turn = &mut table.turn(&guard);
        let taken: Vec<_> = (0..SLOTS).map(|_| slab.take(turn).unwrap()).collect();
        turn.leave();
        // The blocks of a run.
        let (run, blocks) = (1, (16..32).map(BlockNumbers::nth).collect::<Vec<_>>());
        for slot in taken.into_iter().filter(|slot| blocks.contains(&block_of(*slot))) {
            slab.blocks.free_slot(slot);
        }
        let stretch = slab.blocks.free_stretches(run).next().unwrap();
        assert_eq!(slab.free_slots(), stretch.len() as usize);
        assert!(!slab.blocks.give_back(stretch, || {
            wait(0);
            false
        }));
    });
}

/// Who comes for the batch of a stripe that a write is in leaves a note, and the write hands the batch over.
#[test]
fn a_batch_that_a_sweep_could_not_have_is_handed_over_by_the_write() {
    let table = table();
    insert(&table, 1);
    let guard = guard::pin();
    let Ok(removed) = table.remove(SplitKey::from_hash(1), &guard, |_| Ok::<_, Infallible>(true));
    assert!(removed.is_some());
    // A write that is in the middle of its turn, with what was retired.
    let turn = &mut table.turn(&guard);
    assert!(turn.with_batch(|batch| batch.is_some()));
    table.index.limbo.seal_all(&mut table.turn(&guard));
    assert!(turn.with_batch(|batch| batch.is_some()), "it is not theirs to take");
    table.after_write(turn);
    assert!(turn.with_batch(|batch| batch.is_none()), "the write has handed it over");
}
