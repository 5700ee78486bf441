//! Chains, and what becomes of them.

use core::convert::Infallible;

use super::{growth::SHARE_LINES, *};
use crate::{
    clock::ClockSource,
    raw::{
        ops::draft::Waiting,
        reclaim::guard,
        table::{Setup, Table},
        words::key::SplitKey,
    },
};

fn table() -> Table<(u64, ())> {
    Table::new(Setup { max_slots: 1 << 20, ..Setup::new(ClockSource::monotonic()) })
}

fn insert(table: &Table<(u64, ())>, hash: u64, entry: u64) {
    let (key, guard) = (SplitKey::from_hash(hash), guard::pin());
    let is_match = |mine: &u64, met: &u64| Ok::<_, Infallible>(mine == met);
    let Ok(_) = table.insert(key, &mut Waiting::new(entry, ()), State::NEVER, &guard, is_match);
}

fn remove(table: &Table<(u64, ())>, hash: u64, entry: u64) -> bool {
    let (key, guard) = (SplitKey::from_hash(hash), guard::pin());
    let Ok(removed) = table.remove(key, &guard, |(met, ())| Ok::<_, Infallible>(*met == entry));
    removed.is_some()
}

fn has(table: &Table<(u64, ())>, hash: u64, entry: u64) -> bool {
    let (key, guard) = (SplitKey::from_hash(hash), guard::pin());
    let is_match = |(met, ()): &(u64, ())| Ok::<_, Infallible>(*met == entry);
    let Ok(met) = table.get(key, &guard, is_match, |(met, ())| met);
    met.is_some()
}

/// How many lines the chain of a hash has.
fn chain_len(table: &Table<(u64, ())>, hash: u64) -> usize {
    let guard = guard::pin();
    let start = table.index.start(SplitKey::from_hash(hash), &guard);
    // SAFETY: the root, under the guard.
    let array = unsafe { start.array.array() };
    let next = |presence: &line::Presence| {
        presence.chained().map(|number| array.overflow_line(number).presence())
    };
    core::iter::successors(Some(start.presence), next).count()
}

/// A line with a chain gains nothing, so one more key than its cells would make the chain longer for ever.
#[test]
fn a_chain_has_no_more_lines_than_entries_and_one() {
    let table = table();
    let keys = u64::from(line::CELLS) + 1;
    (0..keys).for_each(|key| insert(&table, 7, key));
    for round in 0..20_000 {
        let key = round % keys;
        assert!(remove(&table, 7, key));
        insert(&table, 7, key);
        assert!(chain_len(&table, 7) as u64 <= keys + 1, "after {round} rounds");
    }
    table.assert_well_formed();
}

/// Chains are made anew now and then, and so are the lines that were handed out for them.
#[test]
fn overflow_lines_do_not_pile_up() {
    let table = table();
    (0..5_000).for_each(|key| insert(&table, key, key));
    for round in 0..200_000 {
        let key = 1_000_000 + round % 12;
        insert(&table, 7, key);
        remove(&table, 7, 1_000_000 + (round + 1) % 12);
    }
    let guard = guard::pin();
    let start = table.index.start(SplitKey::from_hash(7), &guard);
    // SAFETY: the root, under the guard.
    let lines = unsafe { start.array.array() }.overflow_lines();
    assert!(lines < start.array.lines(), "{lines} overflow lines beside {}", start.array.lines());
}

#[test]
fn thousands_of_entries_of_one_hash_come_and_go() {
    let table = table();
    (0..2_000).for_each(|key| insert(&table, 7, key));
    table.assert_well_formed();
    assert!((0..2_000).all(|key| remove(&table, 7, key)));
    assert_eq!(table.entries(), 0);
    table.assert_well_formed();
}

/// Tickets of grace periods had 32 bits once, and came round after hours of growing and shrinking: what was left then
/// was taken for past.
#[test]
fn grace_periods_are_awaited_after_four_billion_of_them() {
    let mut table = table();
    table.index.limbo = Limbo::with_tickets(u64::from(u32::MAX) - 1);
    insert(&table, 7, 7);
    for _ in 0..4 {
        let before = guard::pin();
        let root = table.index.lines.root();
        table.index.lines.begin(root, root.level() + 1);
        while table.index.help(&table.turn(&guard::pin())) {}
        assert_ne!(table.index.lines.root(), root);
        assert!(table.index.lines.is_busy(&before), "an array was freed under a guard from before");
        drop(before);
        // Tests beside this one pin as well, each for a while.
        while table.index.lines.is_busy(&guard::pin()) {
            guard::pin().flush();
            table.index.help(&table.turn(&guard::pin()));
        }
    }
}

/// A share that a thread has claimed and then does not do is done by others, and no entry is left behind. When that thread
/// goes on in the end nothing comes of it.
#[test]
fn a_helper_that_stalls_holds_no_migration_up() {
    for larger in [1, -1] {
        for stalled in [vec![0], vec![1, 2], vec![5], (0..6).collect()] {
            let table = table();
            let lines = &table.index.lines;
            (0..12_000).for_each(|key| insert(&table, key, key));
            while lines.is_moving(&guard::pin()) {
                table.index.help(&table.turn(&guard::pin()));
            }
            let guard = guard::pin();
            let old = lines.root();
            lines.begin(old, old.level().checked_add_signed(larger).expect("a level"));
            // SAFETY: the root, under the guard.
            let array = unsafe { old.array() };
            // SAFETY: as above.
            let new = unsafe { old.next() }.expect("it was begun");
            let shares = old.lines() / SHARE_LINES;
            assert!(shares > 6);
            let share = |n| n * SHARE_LINES..(n + 1) * SHARE_LINES;
            // At each of these times a thread claims the next share, and does nothing.
            let mut claimed = vec![];
            for call in 0..2 * shares {
                if stalled.contains(&call) {
                    claimed.push(array.claimed.fetch_add(1, Ordering::Relaxed));
                }
                // So does whoever looks the last share over, before it would switch.
                if array.verified.load(Ordering::Relaxed) + 1 == shares {
                    table.index.migrate_share(old, new, share(shares - 1), &guard);
                    array.verified.store(shares, Ordering::Relaxed);
                }
                assert!(lines.is_moving(&guard), "switched after {call} calls");
                table.index.help(&table.turn(&guard));
                if lines.root() != old {
                    break;
                }
            }
            assert_eq!(lines.root(), new, "of {shares} shares {stalled:?} stall");
            assert!(
                (0..12_000).all(|key| has(&table, key, key)),
                "of {shares} shares {stalled:?} stall"
            );
            for n in claimed {
                table.index.migrate_share(old, new, share(n), &guard);
                array.done.fetch_add(1, Ordering::Relaxed);
                lines.switch(old, new, &table.index.limbo, &guard);
            }
            assert_eq!(lines.root(), new);
            drop(guard);
            table.assert_well_formed();
            assert!((0..12_000).all(|key| remove(&table, key, key)));
            table.assert_well_formed();
        }
    }
}
