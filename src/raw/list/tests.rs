//! The shape of lists: grown ones, and one key's run, a million nodes long.

use core::time::Duration;

use super::*;
use crate::{
    clock::{Clock, ClockSource, ManualClock},
    listener::Listener,
    raw::{
        chunked::PageSize,
        draft::{Draft, Waiting},
        guard,
        table::Table,
    },
};

const MANY: usize = 1_000_000;

/// Links entries of one key one behind the other without searching.
fn one_chain(clock: ManualClock) -> Table<(usize, ())> {
    let deadline = State::until(clock.now() + 1);
    let table = Table::new(
        0,
        1 << 21,
        PageSize::Usual,
        0,
        ClockSource::Custom(std::sync::Arc::new(clock)),
        Listener::NONE,
    );
    link_chain(&table, deadline);
    table
}

fn link_chain(table: &Table<(usize, ())>, deadline: State) {
    let (list, guard) = (&table.list, guard::pin());
    let (key, turn) = (SplitKey::of_node(7), &mut table.turn(&guard));
    let Ok(Found::Gap(mut gap)) =
        list.find_entry(key, turn, |_: &(usize, ())| Ok::<_, Infallible>(false))
    else {
        unreachable!("the table is empty")
    };
    for i in 0..MANY {
        let waiting = &mut Waiting::new(i, ());
        let mut draft = Draft::new(&list.slab, waiting);
        let slot =
            draft.place(key.node_key(), deadline, gap.next, || list.slab.take(turn).unwrap());
        assert!(gap.append(slot));
        list.slab.blocks.note(crate::raw::blocks::block_of(slot), deadline);
        draft.publish(&guard);
        turn.count_entries(1);
        gap.pred = &list.slab.node(slot).next;
    }
}

/// Growth leaves no sentinel of a published level out, whatever level it came to by then.
#[test]
fn growth_links_every_sentinel_once() {
    let clock = ClockSource::monotonic();
    let table = Table::new(0, 1 << 20, PageSize::Usual, 0, clock, Listener::NONE);
    let guard = guard::pin();
    for i in 0..5_000_u64 {
        let key = SplitKey::from_hash(i);
        let none = |_: &u64, _: &u64| Ok::<_, Infallible>(false);
        let waiting = &mut Waiting::new(i, ());
        let Ok(replaced) = table.insert(key, waiting, State::NEVER, &guard, none);
        assert_eq!(replaced, None);
    }
    for _ in 0..5_000 {
        if table.list.directory.is_busy() {
            table.sweep_some(1, || false);
        }
    }
    table.assert_well_formed();
    let bytes = table.figures().bytes;
    let (nodes, cells) = (5_000 * size_of::<Node<u64>>(), 4 << 14);
    assert!((nodes + cells..2 * (nodes + cells)).contains(&bytes), "{bytes}");
    // At half an entry a bucket: 2^14 buckets are the fewest that hold them.
    assert_eq!((table.list.directory.level(), table.list.directory.growths()), (14, 10));
}

/// A level that writes left half linked, a few sweeps finish, sixteen shares each.
#[test]
fn sweeps_finish_a_level_that_was_begun() {
    let table =
        Table::new(1 << 11, 1 << 20, PageSize::Usual, 0, ClockSource::monotonic(), Listener::NONE);
    let guard = guard::pin();
    let mut keys = 0_u64..;
    while !table.list.directory.is_busy() {
        let key = keys.next().unwrap();
        let none = |_: &u64, _: &u64| Ok::<_, Infallible>(false);
        let (place, waiting) = (SplitKey::from_hash(key), &mut Waiting::new(key, ()));
        let Ok(_) = table.insert(place, waiting, State::NEVER, &guard, none);
    }
    let shares = (1 << table.list.directory.level()) / 16;
    let mut sweeps = 0;
    while table.list.directory.is_busy() && sweeps < 100 {
        table.sweep_some(1, || false);
        sweeps += 1;
    }
    assert!((shares / 16 - 1..=shares / 16 + 1).contains(&sweeps), "{sweeps} for {shares} shares");
    assert_eq!(table.list.directory.growths(), 1);
    table.assert_well_formed();
}

#[test]
fn a_chain_of_a_million_is_iterated_and_dropped_without_recursion() {
    let table = one_chain(ManualClock::new());
    table.assert_well_formed();
    let guard = guard::pin();
    let mut position = crate::raw::Position::default();
    let seen = core::iter::from_fn(|| table.next(&mut position, &guard));
    assert!(seen.map(|(i, ())| *i).eq(0..MANY));
    drop(guard);
    drop(table);
}

#[test]
fn a_chain_of_a_million_is_cleared_in_linear_time() {
    let table = one_chain(ManualClock::new());
    table.clear();
    assert_eq!(table.entries(), 0);
    table.assert_well_formed();
}

#[test]
fn a_chain_of_a_million_expires_in_linear_time() {
    let clock = ManualClock::new();
    let table = one_chain(clock.clone());
    clock.advance(Duration::from_nanos(1));
    assert_eq!(table.sweep_all().removed, MANY);
    table.assert_well_formed();
}
