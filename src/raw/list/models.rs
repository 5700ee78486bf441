//! Models of a level that is given up while a helper that linked it, and a find that met its mark, are slow:
//! below the map, so that three threads have few steps. Found by an independent review.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use loom::thread;

use super::*;
use crate::raw::{
    chunked::PageSize, directory::Share, draft::Draft, guard, link::SentinelId, slab::Slab,
};

fn insert(list: &List<u32>, key: SplitKey, guard: &Guard) {
    let mut turn = Turn::new(&list.stripes, guard);
    let mut draft = Draft::new(&list.slab, 7_u32);
    loop {
        let found = list.find_entry(key, &mut turn, |_| Ok::<_, Infallible>(false));
        let Ok(Found::Gap(gap)) = found else { unreachable!("nothing is equal") };
        let take = || list.slab.take(&mut turn).unwrap();
        let slot = draft.place(key.node_key(), State::NEVER, gap.next, take);
        if gap.append(slot) {
            draft.publish(guard);
            return;
        }
    }
}

/// How many sentinels and nodes are in the list.
fn count(list: &List<u32>) -> (usize, usize) {
    let (mut sentinels, mut nodes) = (0, 0);
    let mut at = list.directory.cell(SentinelId::HEAD).load(Ordering::Acquire);
    loop {
        match at.target() {
            Target::Node(slot) => {
                nodes += 1;
                at = list.slab.node(slot).next.load(Ordering::Acquire);
            }
            Target::Sentinel(id) => {
                sentinels += 1;
                at = list.directory.cell(id).load(Ordering::Acquire);
            }
            Target::End => return (sentinels, nodes),
        }
    }
}

/// One thread claims a share of level 2 and links it, another does `other`, and a third finishes the level and
/// gives it up.
fn straggle(
    name: &str,
    preemptions: usize,
    floor: usize,
    nodes: usize,
    other: fn(&List<u32>, &Guard),
) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 50_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        let list = Arc::new(List::<u32> {
            directory: Directory::with_capacity(0, PageSize::Usual),
            slab: Slab::new(7, 1, PageSize::Usual),
            limbo: Limbo::new(1),
            stripes: Stripes::new(),
        });
        let claimed = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let guard = guard::pin();
        insert(&list, SplitKey::of_node(0x6000_0000), &guard);
        list.directory.grow(10, &guard);
        drop(guard);
        let (theirs, tell) = (Arc::clone(&list), Arc::clone(&claimed));
        let straggler = thread::spawn(move || {
            let guard = guard::pin();
            let Some(Share::Link(ids)) = theirs.directory.claim(&theirs.limbo, &guard) else {
                unreachable!("the level was begun")
            };
            tell.store(true, Ordering::Release);
            theirs.link_sentinels(ids, &mut Turn::new(&theirs.stripes, &guard));
        });
        while !claimed.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let theirs = Arc::clone(&list);
        let late = thread::spawn(move || other(&theirs, &guard::pin()));
        let help = || {
            let guard = guard::pin();
            let turn = &mut Turn::new(&list.stripes, &guard);
            match list.directory.claim(&list.limbo, &guard) {
                Some(Share::Link(ids)) => list.link_sentinels(ids, turn),
                Some(Share::Unlink(ids)) => {
                    list.unlink_sentinels(ids, turn);
                    list.directory.finish();
                }
                Some(Share::Done) => {}
                None => thread::yield_now(),
            }
        };
        while list.directory.is_busy() {
            help();
        }
        list.directory.shrink(0, true, &list.limbo, &guard::pin());
        while list.directory.is_busy() {
            help();
        }
        straggler.join().unwrap();
        late.join().unwrap();
        assert_eq!(list.directory.level(), 1);
        assert_eq!(count(&list), (1, nodes), "what level 1 has, and all that was put");
    });
    let executions = executions.load(Relaxed);
    println!("model {name}: {executions} executions");
    assert!(executions >= floor, "{name}: {executions} executions, at least {floor} expected");
}

#[test]
fn list_21g_late_find_vs_level_given_up() {
    straggle("list_21g_late_find_vs_level_given_up", 3, 23_500, 1, |list, guard| {
        let key = SplitKey::of_node(0x6000_0000);
        let none = |_, _: &Node<u32>| Ok::<_, Infallible>(false);
        let turn = &mut Turn::new(&list.stripes, guard);
        let Ok(_) = list.find(key, Order::of_node(key.node_key()), turn, none);
    });
}

#[test]
fn list_21h_late_insert_vs_level_given_up() {
    straggle("list_21h_late_insert_vs_level_given_up", 2, 2770, 2, |list, guard| {
        insert(list, SplitKey::of_node(0x5000_0000), guard);
    });
}
