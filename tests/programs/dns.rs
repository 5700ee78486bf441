//! The DNS-like cache.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use evanesce::ManualClock;

use crate::examples::dns::{Answer, Kind, Record, Resolver, cache};
use crate::samples::{NANOSECOND, SECOND, nearly, prints_its_sample};

/// A resolver whose upstream knows one record, and counts how often it is asked.
struct World {
    clock: ManualClock,
    record: RefCell<Record>,
    takes: Cell<Duration>,
    asked: Cell<u32>,
}

impl World {
    fn new(data: Option<&str>, seconds: u32) -> Self {
        let record = RefCell::new((data.map(str::to_owned), seconds));
        let takes = Cell::new(Duration::ZERO);
        Self { clock: ManualClock::new(), record, takes, asked: Cell::new(0) }
    }

    fn resolver(&self) -> Resolver<impl Fn(&str, Kind) -> Record> {
        let cache = cache().clock(self.clock.clone()).build().expect("valid options");
        Resolver::new(cache, |_: &str, _| {
            self.asked.set(self.asked.get() + 1);
            self.clock.advance(self.takes.get());
            self.record.borrow().clone()
        })
    }
}

fn answer(data: Option<&str>, seconds_left: u64, asked_upstream: bool) -> Answer {
    Answer { data: data.map(str::to_owned), seconds_left, asked_upstream }
}

#[test]
fn an_answer_is_handed_on_with_the_time_its_record_has_left() {
    let world = World::new(Some("192.0.2.1"), 300);
    let resolver = world.resolver();
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("192.0.2.1"), 300, true));
    world.clock.advance(120 * SECOND);
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("192.0.2.1"), 180, false));
    // Rounded down: with a nanosecond gone, 179 whole seconds are left.
    world.clock.advance(NANOSECOND);
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("192.0.2.1"), 179, false));
    assert_eq!(world.asked.get(), 1);
}

#[test]
fn an_answer_is_asked_for_again_at_the_end_of_its_time_and_not_before() {
    let world = World::new(Some("old"), 300);
    let resolver = world.resolver();
    let _ = resolver.resolve("a.", Kind::A);
    *world.record.borrow_mut() = (Some("new".into()), 60);
    world.clock.advance(nearly(300 * SECOND));
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("old"), 0, false));
    world.clock.advance(NANOSECOND);
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("new"), 60, true));
}

#[test]
fn no_such_name_is_kept_for_ten_seconds_at_most() {
    let world = World::new(None, 3600);
    let resolver = world.resolver();
    assert_eq!(resolver.resolve("a.", Kind::A), answer(None, 10, true));
    world.clock.advance(9 * SECOND);
    assert_eq!(resolver.resolve("a.", Kind::A), answer(None, 1, false));
    world.clock.advance(SECOND);
    *world.record.borrow_mut() = (Some("here now".into()), 5);
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("here now"), 5, true));
}

#[test]
fn a_record_without_time_to_live_is_answered_and_not_kept() {
    let world = World::new(Some("once"), 0);
    let resolver = world.resolver();
    for asked in 1..=3 {
        assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("once"), 0, true));
        assert_eq!((world.asked.get(), resolver.kept()), (asked, 0));
    }
}

#[test]
fn a_slow_answer_has_aged_on_its_way() {
    let world = World::new(Some("slow"), 300);
    world.takes.set(100 * SECOND);
    let resolver = world.resolver();
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("slow"), 200, true));
    assert_eq!(resolver.resolve("a.", Kind::A), answer(Some("slow"), 200, false));
    // Slower than it may live: this one is answered, and is over.
    world.takes.set(400 * SECOND);
    assert_eq!(resolver.resolve("b.", Kind::A), answer(Some("slow"), 0, true));
    assert_eq!(resolver.resolve("b.", Kind::A), answer(Some("slow"), 0, true));
}

#[test]
fn names_are_one_in_any_case_and_apart_by_kind() {
    let world = World::new(Some("x"), 300);
    let resolver = world.resolver();
    for name in ["a.example.", "A.EXAMPLE.", "a.Example."] {
        let _ = resolver.resolve(name, Kind::A);
    }
    assert_eq!((world.asked.get(), resolver.kept()), (1, 1));
    let _ = resolver.resolve("a.example.", Kind::Txt);
    assert_eq!((world.asked.get(), resolver.kept()), (2, 2));
    let _ = resolver.resolve("b.example.", Kind::A);
    assert_eq!((world.asked.get(), resolver.kept()), (3, 3));
}

#[test]
fn no_record_is_kept_for_longer_than_a_day() {
    let world = World::new(Some("x"), u32::MAX);
    assert_eq!(world.resolver().resolve("a.", Kind::A), answer(Some("x"), 86_400, true));
}

#[test]
fn it_prints_what_its_docs_show() {
    prints_its_sample("dns", include_str!("../../examples/dns.rs"));
}
