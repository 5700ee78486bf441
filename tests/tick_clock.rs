//! The clock that a thread keeps: never early, gone in the end; without its thread exact. In a process of its own, since
//! it counts threads, forks, and is stopped.
#![allow(unsafe_code)]

use evanesce_testkit as common;

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use common::ns;
use evanesce::{Budget, Clock, Deadline, MonotonicClock, TickClock, Ttl, TtlMap};

/// Threads are counted: so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const MS: Duration = Duration::from_millis(1);

fn map_on(clock: TickClock) -> TtlMap<u64, u64> {
    TtlMap::builder().sweep_per_write(0).clock(clock).build().expect("valid options")
}

/// Busy until so much time has passed.
fn pass(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn an_entry_never_goes_early_and_goes_in_the_end() {
    let _alone = ALONE.lock();
    for clock in [TickClock::shared(), TickClock::every(20 * MS).expect("in its range")] {
        let map = map_on(clock.clone());
        for ttl in [ns(1), 100_000 * ns(1), MS, 3 * MS, 7 * MS] {
            // Not right behind a tick, as the end of the loop before is.
            pass(9 * MS);
            let begun = Instant::now();
            map.insert_with_ttl(1, 1, ttl);
            while map.get_cloned(&1).is_some() {}
            assert!(begun.elapsed() >= ttl, "gone after {:?} of {ttl:?}", begun.elapsed());
            assert_eq!(map.get_cloned(&1), None, "once seen expired, it stays so");
            assert_eq!(map.pin().ttl(&1), None);
            map.pin().insert_with_deadline(2, 2, Deadline::after(&clock, ttl));
            while map.contains_key(&2) {}
            assert!(begun.elapsed() >= 2 * ttl);
        }
    }
}

#[test]
fn far_deadlines_and_none_are_visible_and_what_is_over_is_not() {
    let _alone = ALONE.lock();
    let map = map_on(TickClock::shared());
    map.insert(1, 1);
    map.insert_with_ttl(2, 2, Duration::from_secs(3600));
    map.insert_with_ttl(3, 3, Duration::ZERO);
    let pinned = map.pin();
    assert_eq!([1, 2, 3].map(|key| pinned.get(&key).copied()), [Some(1), Some(2), None]);
    pinned.insert_with_ttl(2, 22, Duration::from_secs(7200));
    pinned.remove(&1);
    assert_eq!([1, 2, 3].map(|key| pinned.get(&key).copied()), [None, Some(22), None]);
    assert_eq!(pinned.get_many([&1, &2, &3]), [None, Some(&22), None]);
    assert!(pinned.set_ttl(&2, Duration::ZERO));
    assert_eq!((pinned.get(&2), pinned.iter().count()), (None, 0));
}

#[test]
fn sweeps_and_what_is_left_go_by_the_same_clock() {
    let _alone = ALONE.lock();
    let map = map_on(TickClock::shared());
    (0..1000).for_each(|n| _ = map.insert_with_ttl(n, n, 2 * MS));
    map.insert_with_ttl(1000, 1, Duration::from_secs(60));
    while map.get_cloned(&0).is_some() {}
    // All came before this one's deadline.
    while map.len() > 1 {
        map.sweep(Budget::full_pass());
    }
    let Some(Ttl::Remaining(left)) = map.pin().ttl(&1000) else { panic!("it lives") };
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(1), "{left:?}");
    // Both count from one origin.
    assert!(MonotonicClock.now() <= TickClock::shared().now());
}

#[test]
fn a_tick_out_of_its_range_is_refused() {
    let _alone = ALONE.lock();
    let (shortest, longest) = (Duration::from_micros(100), Duration::from_secs(1));
    for tick in [Duration::ZERO, ns(99_999), longest + ns(1), Duration::MAX] {
        let refused = TickClock::every(tick).expect_err("out of its range");
        assert_eq!(refused.to_string(), format!("tick is {tick:?}, but must be from 100µs to 1s"));
    }
    for tick in [shortest, longest] {
        drop(TickClock::every(tick).expect("in its range"));
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;

    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").expect("proc is there");
        let names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "evanesce-tick").count()
    }

    #[test]
    fn the_thread_is_one_for_all_and_ends_with_the_last_clone() {
        let _alone = ALONE.lock();
        while threads() > 0 {}
        let maps: Vec<_> = (0..5).map(|_| map_on(TickClock::shared())).collect();
        while threads() != 1 {}
        let copy = maps[0].clone();
        drop(maps);
        // The copy has the clock as well.
        copy.insert_with_ttl(1, 1, MS);
        while copy.get_cloned(&1).is_some() {}
        assert_eq!(threads(), 1);
        drop(copy);
        while threads() > 0 {}
        let again = map_on(TickClock::shared());
        again.insert_with_ttl(1, 1, MS);
        while again.get_cloned(&1).is_some() {}
    }

    #[test]
    fn a_child_of_a_fork_reads_the_exact_time_and_can_have_a_thread_of_its_own() {
        let _alone = ALONE.lock();
        let map = map_on(TickClock::shared());
        while threads() != 1 {}
        // SAFETY: of the threads that the child lacks, none holds a lock of std here: the clock's waits or stores a word,
        // and those of the harness wait.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let worked = std::panic::catch_unwind(|| {
                for n in 0..100 {
                    map.insert_with_ttl(n, n, MS);
                    pass(MS);
                    // Exact, not within a tick.
                    assert_eq!(map.get_cloned(&n), None);
                }
                assert_eq!(threads(), 0);
                let fresh = map_on(TickClock::shared());
                while threads() != 1 {}
                fresh.insert_with_ttl(1, 1, MS);
                while fresh.get_cloned(&1).is_some() {}
            });
            // SAFETY: ends this process at once, without what belongs to the parent.
            unsafe { libc::_exit(worked.is_err().into()) };
        }
        let mut status = 0;
        // SAFETY: the pointer is that of a local variable.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((waited, status), (child, 0), "the child's end");
        map.insert_with_ttl(1, 1, MS);
        while map.get_cloned(&1).is_some() {}
    }

    /// This test program again, for one test, which finds that it is the child.
    fn child(test: &str, tell: &str) -> Command {
        let mut command = Command::new(env::current_exe().expect("the test program is there"));
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(tell, "1");
        command
    }

    #[test]
    fn without_a_thread_the_time_is_exact() {
        const CHILD: &str = "EVANESCE_CHILD_WITHOUT_A_THREAD";
        if env::var_os(CHILD).is_none() {
            let _alone = ALONE.lock();
            let mut child = child("on_linux::without_a_thread_the_time_is_exact", CHILD);
            // No address space has room for such a stack.
            let status = child.env("RUST_MIN_STACK", (1_u64 << 62).to_string()).status();
            assert!(status.expect("the child runs").success());
            return;
        }
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "a thread was started");
        let map = map_on(TickClock::shared());
        for n in 0..100 {
            map.insert_with_ttl(n, n, MS);
            pass(MS);
            assert_eq!(map.get_cloned(&n), None);
        }
        assert_eq!(threads(), 0);
    }

    #[test]
    fn a_process_that_was_stopped_finds_its_entries_expired() {
        const CHILD: &str = "EVANESCE_CHILD_TO_BE_STOPPED";
        if env::var_os(CHILD).is_some() {
            let map = map_on(TickClock::shared());
            let begun = Instant::now();
            let ttl = 30 * MS;
            map.insert_with_ttl(1, 1, ttl);
            println!("\nput");
            while map.get_cloned(&1).is_some() {}
            assert!(begun.elapsed() >= ttl);
            return;
        }
        let _alone = ALONE.lock();
        let mut child =
            child("on_linux::a_process_that_was_stopped_finds_its_entries_expired", CHILD);
        let mut child = child.stdout(Stdio::piped()).spawn().expect("the child runs");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut lines = stdout.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "put"));
        let pid = child.id().cast_signed();
        // SAFETY: sends a signal to a child that was not waited for yet.
        let send = |signal| unsafe { libc::kill(pid, signal) };
        assert_eq!(send(libc::SIGSTOP), 0);
        pass(50 * MS);
        assert_eq!(send(libc::SIGCONT), 0);
        lines.for_each(drop);
        assert!(child.wait().expect("the child ends").success());
    }
}
