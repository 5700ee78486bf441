//! The feature-flag table.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use evanesce::{Budget, ManualClock};

use crate::examples::flags::{Flags, Rule, table};
use crate::samples::{
    NANOSECOND, PATIENCE, SECOND, in_time, nearly, on_a_clock, prints_its_sample,
};

fn flags() -> (Flags, ManualClock) {
    let (table, clock) = on_a_clock(table());
    (Flags::new(table), clock)
}

fn rule(version: u64, percent: u64) -> Rule {
    Rule { version, percent, why: format!("version {version}") }
}

fn version(flags: &Flags) -> Option<u64> {
    flags.reader().rule("flag").map(|rule| rule.version)
}

#[test]
fn an_override_ends_by_itself_and_the_flags_own_rule_is_back() {
    let (flags, clock) = flags();
    flags.publish("flag", rule(1, 100));
    flags.override_for("flag", rule(2, 0), 10 * SECOND);
    assert_eq!(version(&flags), Some(2));
    flags.publish("flag", rule(3, 50)); // behind the override
    clock.advance(nearly(10 * SECOND));
    assert_eq!(version(&flags), Some(2));
    clock.advance(NANOSECOND);
    assert_eq!(version(&flags), Some(3));
    // An unknown flag may be overridden too.
    flags.override_for("other", rule(4, 100), SECOND);
    assert!(flags.reader().is_on("other", 7));
    clock.advance(SECOND);
    assert!(!flags.reader().is_on("other", 7));
}

#[test]
fn an_override_that_is_kept_stays_until_it_is_ended() {
    let (flags, clock) = flags();
    flags.publish("flag", rule(1, 100));
    flags.override_for("flag", rule(2, 0), 10 * SECOND);
    assert!(flags.keep_override("flag"));
    clock.advance(1_000_000 * SECOND);
    assert_eq!(version(&flags), Some(2));
    assert!(flags.end_override("flag") && !flags.end_override("flag"));
    assert_eq!(version(&flags), Some(1));
}

#[test]
fn an_override_that_has_ended_cannot_be_kept() {
    let (flags, clock) = flags();
    flags.override_for("flag", rule(2, 0), 10 * SECOND);
    clock.advance(10 * SECOND);
    assert!(!flags.keep_override("flag"));
    assert_eq!(version(&flags), None);
}

#[test]
fn a_published_rule_stays_although_the_table_has_a_default_ttl() {
    let (table, clock) = on_a_clock(table().time_to_live(SECOND));
    let flags = Flags::new(table);
    flags.publish("flag", rule(1, 100));
    clock.advance(1_000_000 * SECOND);
    assert_eq!(version(&flags), Some(1));
}

#[test]
fn who_has_a_flag_keeps_it_while_its_share_grows() {
    let (flags, _) = flags();
    let mut before = Vec::new();
    for percent in [0, 1, 10, 50, 99, 100] {
        flags.publish("flag", rule(percent, percent));
        let reader = flags.reader();
        let on: Vec<u64> = (0..10_000).filter(|user| reader.is_on("flag", *user)).collect();
        assert!(on.len().abs_diff(percent as usize * 100) < 200, "{percent} %: {}", on.len());
        assert!(before.iter().all(|user| on.contains(user)), "{percent} %");
        before = on;
    }
    assert_eq!(before.len(), 10_000);
}

/// Each reader, all the while: a rule is there, its parts belong together, and no older one comes back.
#[test]
fn readers_see_each_rule_whole_and_in_order_while_it_is_swapped() {
    in_time(read_beside_a_writer);
}

fn read_beside_a_writer() {
    const SWAPS: u64 = 20_000;
    let (flags, _) = flags();
    flags.publish("flag", rule(0, 0));
    let (start, ended) = (Barrier::new(4), AtomicBool::new(false));
    let read = || {
        let mut reader = flags.reader();
        let mut newest = 0;
        start.wait();
        while newest < SWAPS {
            // Looked at first: once the writer has ended, the last rule must be there.
            let ended = ended.load(Ordering::Acquire);
            reader.next_request();
            let rule = reader.rule("flag").expect("a rule that is swapped is never absent");
            assert_eq!(
                (rule.percent, &rule.why),
                (rule.version % 101, &format!("version {}", rule.version))
            );
            assert!(rule.version >= newest, "{} after {newest}", rule.version);
            newest = rule.version;
            assert!(!ended || newest == SWAPS, "{newest} after the last was put");
        }
    };
    thread::scope(|scope| {
        (0..3).for_each(|_| _ = scope.spawn(read));
        start.wait();
        (1..=SWAPS).for_each(|version| flags.publish("flag", rule(version, version % 101)));
        ended.store(true, Ordering::Release);
    });
}

#[test]
fn a_reader_that_renews_its_pin_lets_replaced_rules_be_dropped() {
    let (flags, _) = flags();
    let mut reader = flags.reader();
    (0..1000).for_each(|version| flags.publish("flag", rule(version, 0)));
    assert!(flags.table.stats().pending_reclaim > 0, "the reader holds them");
    // Other tests hold pins as well, for a moment each.
    let patience = Instant::now() + PATIENCE;
    while flags.table.stats().pending_reclaim > 0 {
        assert!(Instant::now() < patience, "{:?}", flags.table.stats());
        reader.next_request();
        flags.table.sweep(Budget::full_pass());
        thread::yield_now();
    }
    assert_eq!(reader.rule("flag").map(|rule| rule.version), Some(999));
}

#[test]
fn it_prints_what_its_docs_show() {
    prints_its_sample("flags", include_str!("../../examples/flags.rs"));
}
