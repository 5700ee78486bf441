//! The read-through cache, with an origin that answers when the test lets it, and the program.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use evanesce::ManualClock;
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::examples::loader::cache::{Cache, Count, Origin, Page, Pages, Times, Unavailable};
use crate::samples::{
    NANOSECOND, PATIENCE, SECOND, example, help_of, in_time, nearly, refuses, sample_of,
};

const TIMES: Times = Times {
    fresh: Duration::from_secs(100),
    early: Duration::from_secs(10),
    grace: Duration::from_secs(50),
    negative: Duration::from_secs(5),
    retry: Duration::ZERO, // it is real time
    patience: PATIENCE,
};
const ROOM: usize = 100;

/// Gives out versions 1, 2, .. of any page, each when there is a permit for it.
struct Gate {
    asked: AtomicU32,
    permits: Semaphore,
    is_up: AtomicBool,
}

impl Origin for Gate {
    async fn fetch(&self, _: Page) -> Result<Arc<str>, Unavailable> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.permits.acquire().await.expect("it is never closed").forget();
        if self.is_up.load(Ordering::Relaxed) {
            Ok(number.to_string().into())
        } else {
            Err(Unavailable)
        }
    }
}

struct World {
    clock: ManualClock,
    cache: Arc<Cache<Gate>>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new();
        let gate = Gate {
            asked: AtomicU32::new(0),
            permits: Semaphore::new(0),
            is_up: AtomicBool::new(true),
        };
        let options = Pages::builder().clock(clock.clone());
        Self { clock, cache: Cache::new(options, ROOM, TIMES, gate).expect("valid options") }
    }

    /// With version 1 of page 1, fetched a moment ago.
    async fn with_a_page() -> Self {
        let world = Self::new();
        world.answer(1);
        assert_eq!(world.get(1).await, Ok("1".into()));
        world
    }

    async fn get(&self, page: Page) -> Result<Arc<str>, Unavailable> {
        self.cache.get(page).await
    }

    fn asked(&self) -> u32 {
        self.cache.origin.asked.load(Ordering::Relaxed)
    }

    /// Lets the origin answer so many times.
    fn answer(&self, times: usize) {
        self.cache.origin.permits.add_permits(times);
    }

    fn set_up(&self, is_up: bool) {
        self.cache.origin.is_up.store(is_up, Ordering::Relaxed);
    }

    /// Hits, stale answers, loads, joined ones and failures.
    fn counted(&self) -> [u64; 5] {
        let counts = &self.cache.counts;
        let all = [&counts.hits, &counts.stale, &counts.loads, &counts.joined, &counts.failed];
        let all = all.map(Count::get);
        assert_eq!(counts.requests.get(), all[..4].iter().sum::<u64>(), "{counts:?}");
        all
    }

    /// Waits until no refresh is under way.
    async fn settle(&self) {
        until(|| Arc::strong_count(&self.cache) == 1).await;
    }
}

/// Gives way to other tasks until it is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

/// Runs the test's tasks on one thread, in the order of their waking.
fn run(test: impl Future<Output = ()> + Send + 'static) {
    in_time(move || {
        let runtime = runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(test);
    });
}

#[test]
fn of_many_who_miss_a_page_one_asks_the_origin() {
    run(async {
        let world = World::new();
        let mut callers = JoinSet::new();
        for _ in 0..100 {
            let cache = Arc::clone(&world.cache);
            callers.spawn(async move { cache.get(1).await });
        }
        until(|| world.cache.counts.requests.get() == 100).await;
        world.answer(1);
        assert!(callers.join_all().await.iter().all(|got| got.as_deref() == Ok("1")));
        assert_eq!((world.asked(), world.counted()), (1, [0, 0, 1, 99, 0]));
        assert_eq!(world.get(1).await.as_deref(), Ok("1"));
        assert_eq!((world.asked(), world.counted()), (1, [1, 0, 1, 99, 0]));
    });
}

#[test]
fn a_page_is_refreshed_early_by_one_and_nobody_waits() {
    run(async {
        let world = World::with_a_page().await;
        world.clock.advance(nearly(TIMES.fresh.saturating_sub(TIMES.early)));
        assert_eq!(world.get(1).await.as_deref(), Ok("1"));
        yield_now().await;
        assert_eq!(world.asked(), 1, "not yet");
        world.clock.advance(NANOSECOND);
        for _ in 0..10 {
            assert_eq!(world.get(1).await.as_deref(), Ok("1"));
        }
        until(|| world.asked() == 2).await;
        world.answer(1);
        world.settle().await;
        assert_eq!(world.get(1).await.as_deref(), Ok("2"));
        assert_eq!((world.asked(), world.counted()), (2, [12, 0, 1, 0, 0]));
    });
}

#[test]
fn a_stale_page_is_served_while_the_origin_fails_until_its_grace_is_over() {
    run(async {
        let world = World::with_a_page().await;
        world.set_up(false);
        world.clock.advance(TIMES.fresh);
        for asked in [2, 3, 4] {
            // One at a time: the second caller does not ask while the first one's question is out.
            assert_eq!(world.get(1).await.as_deref(), Ok("1"));
            assert_eq!(world.get(1).await.as_deref(), Ok("1"));
            until(|| world.asked() == asked).await;
            world.answer(1);
            world.settle().await;
            assert_eq!(world.asked(), asked);
        }
        assert_eq!(world.cache.counts.failed_refreshes.get(), 3);
        world.clock.advance(nearly(TIMES.grace));
        world.answer(1);
        assert_eq!(world.get(1).await.as_deref(), Ok("1"));
        world.settle().await;
        world.clock.advance(NANOSECOND);
        world.answer(1);
        assert_eq!(world.get(1).await, Err(Unavailable));
        assert_eq!(world.counted(), [0, 7, 2, 0, 1]);
    });
}

#[test]
fn a_stale_page_gives_way_to_a_fresh_one_when_the_origin_is_back() {
    run(async {
        let world = World::with_a_page().await;
        world.clock.advance(TIMES.fresh + TIMES.grace / 2);
        world.answer(1);
        assert_eq!(world.get(1).await.as_deref(), Ok("1"));
        world.settle().await;
        world.clock.advance(nearly(TIMES.fresh.saturating_sub(TIMES.early)));
        assert_eq!(world.get(1).await.as_deref(), Ok("2"), "with all of its own time");
        assert_eq!((world.asked(), world.counted()), (2, [1, 1, 1, 0, 0]));
    });
}

#[test]
fn an_origin_that_failed_is_not_asked_again_before_the_negative_ttl_is_over() {
    run(async {
        let world = World::new();
        world.set_up(false);
        world.answer(1);
        assert_eq!(world.get(1).await, Err(Unavailable));
        world.set_up(true);
        world.answer(1);
        world.clock.advance(nearly(TIMES.negative));
        assert_eq!(world.get(1).await, Err(Unavailable));
        assert_eq!(world.asked(), 1);
        world.clock.advance(NANOSECOND);
        assert_eq!(world.get(1).await.as_deref(), Ok("2"));
        assert_eq!((world.asked(), world.counted()), (2, [0, 0, 2, 1, 2]));
    });
}

#[test]
fn a_refresh_does_not_bring_back_a_page_that_was_taken_out() {
    run(async {
        let world = World::with_a_page().await;
        world.clock.advance(TIMES.fresh);
        world.get(1).await.expect("it is stale, and there");
        until(|| world.asked() == 2).await;
        world.cache.pages.remove(&1);
        world.answer(1);
        world.settle().await;
        assert!(!world.cache.pages.contains_key(&1));
    });
}

#[test]
fn no_more_pages_are_kept_than_there_is_room_for() {
    run(async {
        let world = World::new();
        world.answer(10 * ROOM);
        for page in 0..10 * ROOM as Page {
            world.get(page).await.expect("the origin is up");
            assert!(world.cache.pages.len() <= ROOM);
        }
        assert_eq!(world.cache.pages.stats().evicted_total, 9 * ROOM as u64);
    });
}

#[test]
fn a_page_outlives_its_time_by_no_more_than_its_grace() {
    run(async {
        let world = World::with_a_page().await;
        world.clock.advance(TIMES.fresh + TIMES.grace);
        world.answer(1);
        assert_eq!(world.get(1).await.as_deref(), Ok("2"));
        world.clock.advance(SECOND);
        assert_eq!(world.get(1).await.as_deref(), Ok("2"));
        assert_eq!(world.counted(), [1, 0, 2, 0, 0]);
    });
}

/// What the program prints, with `#` for each number.
fn without_numbers(text: &str) -> String {
    let words = |line: &str| {
        let word = |word: &str| {
            let end = word.trim_start_matches(|c: char| c.is_ascii_digit());
            if end.len() < word.len() { format!("#{end}") } else { word.to_owned() }
        };
        line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|line| words(line) + "\n").collect()
}

fn printed(options: &[&str]) -> String {
    let output = example("loader").args(options).output().expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn its_account_adds_up() {
    for fail in ["0", "20", "100"] {
        let options = ["--clients", "20", "--requests", "30", "--pages", "50", "--fail", fail];
        let text = printed(&[&options[..], &["--max-entries", "10", "--delay", "1"]].concat());
        let figure = |line: &str| {
            let figure = line.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
            figure.split(',').next().and_then(|digits| digits.parse::<u64>().ok())
        };
        let name = |line: &str| line.trim().trim_end_matches(char::is_numeric).trim().to_owned();
        let figures: HashMap<_, _> =
            text.lines().skip(1).filter_map(|line| Some((name(line), figure(line)?))).collect();
        let answered = ["hits", "stale served", "loads", "joined"].map(|name| figures[name]);
        assert_eq!((figures["requests"], answered.iter().sum()), (600, 600), "{text}");
        assert!(figures["pages kept"] <= 10, "{text}");
        match fail {
            "0" => assert_eq!(figures["failed"], 0, "{text}"),
            "100" => assert_eq!((figures["failed"], figures["pages kept"]), (600, 0), "{text}"),
            _ => {}
        }
    }
}

#[test]
fn it_prints_lines_as_its_docs_show() {
    let sample = sample_of("loader", include_str!("../../../../examples/loader/main.rs"));
    assert_eq!(without_numbers(&printed(&[])), without_numbers(&sample));
}

#[test]
fn help_is_printed_and_a_bad_option_is_one_line_and_status_2() {
    assert!(help_of("loader").contains("--max-entries N"));
    for (options, says) in [
        (&["--max-entries", "0"][..], "--max-entries: expected a whole number from 1 to 10000000"),
        (&["--fail", "101"], "--fail: expected a whole number from 0 to 100, found `101`"),
        (&["--clients", "a\nb"], "--clients: expected a whole number from 1 to 10000"),
        (&["--delay"], "--delay"),
        (&["--entries", "1"], "--entries"),
        (&["more"], "more"),
    ] {
        refuses("loader", options, says);
    }
}
