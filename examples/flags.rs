//! A feature-flag table: many threads read it for each request, one writes, and overrides end by themselves.
//!
//! It shows readers that hold a pin for as long as they run and renew it between requests
//! ([`Pinned::repin`](evanesce::Pinned::repin)); rules that are swapped whole under them; and overrides that expire
//! (`insert_with_ttl`), or are kept after all (`persist`). A program runs it on a
//! [`TickClock`](evanesce::TickClock); here the clock is set by hand.
//!
//! ```text
//! $ cargo run --release --example flags
//! at first                      on for   0 % of the users: unknown
//! published                     on for  10 % of the users: a trial
//! swapped                       on for  50 % of the users: the trial went well
//! overridden for 10 minutes     on for   0 % of the users: off, an incident
//! 10 minutes later              on for  50 % of the users: the trial went well
//! overridden, and kept          on for 100 % of the users: on, a load test
//! the override taken away       on for  50 % of the users: the trial went well
//! meanwhile 4 readers served 499469 requests
//! ```

mod usage;

use std::hash::RandomState;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use evanesce::{Builder, ManualClock, Pinned, TickClock, TtlMap};

/// Whom a flag is on for. A reader sees one rule or another, never half of each: it is one value, put at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    pub(crate) version: u64,
    /// The share of the users, in per cent.
    pub(crate) percent: u64,
    pub(crate) why: String,
}

/// Both layers are in one map: an override in the front of a flag, and what the flag is without it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Layer {
    Override,
    Base,
}

/// The names of flags are in the program's text, so a key is copied and no lookup allocates.
pub(crate) type Flag = &'static str;
pub(crate) type Table = TtlMap<(Layer, Flag), Rule>;

/// Options for a table. Flags are read for each request, so an override should cost no look at the system's clock: on a
/// [`TickClock`] it costs a load. An override may then hold a tick longer than it was told to, which harms nobody; where
/// it must end at once, [`Flags::end_override`] ends it.
pub(crate) fn table() -> Builder<(Layer, Flag), Rule> {
    Table::builder().clock(TickClock::shared())
}

pub(crate) struct Flags {
    pub(crate) table: Table,
}

impl Flags {
    pub(crate) fn new(table: Table) -> Self {
        Self { table }
    }

    /// Swaps the rule of a flag. Readers have the old rule or the new, and never none.
    pub(crate) fn publish(&self, flag: Flag, rule: Rule) {
        // For good, also where the table has a default TTL.
        self.table.insert_with_ttl((Layer::Base, flag), rule, Duration::MAX);
    }

    /// Lets `rule` stand in front of the flag's own for so long.
    pub(crate) fn override_for(&self, flag: Flag, rule: Rule, ttl: Duration) {
        self.table.insert_with_ttl((Layer::Override, flag), rule, ttl);
    }

    /// Lets an override stay until it is ended. False if it has ended: the caller must not believe that it stays.
    pub(crate) fn keep_override(&self, flag: Flag) -> bool {
        self.table.pin().persist(&(Layer::Override, flag))
    }

    pub(crate) fn end_override(&self, flag: Flag) -> bool {
        self.table.remove(&(Layer::Override, flag))
    }

    /// For a thread that looks at flags again and again.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { pinned: self.table.pin() }
    }
}

/// A thread's own view. While it is held no rule that was replaced is dropped, here and in every other map.
pub(crate) struct Reader<'f> {
    pinned: Pinned<'f, (Layer, Flag), Rule, RandomState>,
}

impl Reader<'_> {
    /// Begins a request: lets go of what the last one may have seen, so that it can be dropped. The compiler
    /// refuses it while a rule is borrowed. A thread that goes to wait should drop its reader instead.
    pub(crate) fn next_request(&mut self) {
        self.pinned.repin();
    }

    /// The rule that holds: the override if there is one.
    pub(crate) fn rule(&self, flag: Flag) -> Option<&Rule> {
        // Two lookups side by side, without a lock, a clone or a store.
        let [front, base] = self.pinned.get_many([&(Layer::Override, flag), &(Layer::Base, flag)]);
        front.or(base)
    }

    /// Whether a flag is on for a user; an unknown one is off.
    pub(crate) fn is_on(&self, flag: Flag, user: u64) -> bool {
        // A place from 0 to 99 that hangs on user and flag alone (FNV-1a): while the share grows, users only join.
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        let hash =
            user.to_le_bytes().into_iter().chain(flag.bytes()).fold(0xCBF2_9CE4_8422_2325, step);
        let place = (hash >> 32) % 100;
        self.rule(flag).is_some_and(|rule| place < rule.percent)
    }
}

/// Serves requests until it is told to stop, and some in any case; returns how many.
fn serve(flags: &Flags, start: &Barrier, stop: &AtomicBool) -> u64 {
    start.wait();
    let mut reader = flags.reader();
    let mut requests = 0;
    while requests < 100_000 || !stop.load(Ordering::Relaxed) {
        reader.next_request();
        std::hint::black_box(reader.is_on("checkout", requests));
        requests += 1;
    }
    requests
}

fn main() -> ExitCode {
    usage::run(
        "flags",
        "A feature-flag table that four threads read, with overrides that end by themselves.",
        demonstrate,
    )
}

fn demonstrate() -> Result<(), evanesce::BuildError> {
    const MINUTE: Duration = Duration::from_secs(60);
    let clock = ManualClock::new();
    // Ten minutes are to pass at once: so by hand, in the place of the table's own clock.
    let flags = Flags::new(table().clock(clock.clone()).build()?);
    let rule = |version, percent, why: &str| Rule { version, percent, why: why.to_owned() };
    let show = |what: &str| {
        let reader = flags.reader();
        let share = (0..10_000_u64).filter(|user| reader.is_on("checkout", *user)).count();
        let share = (share + 50) / 100;
        let why = reader.rule("checkout").map_or("unknown", |rule| &rule.why);
        println!("{what:<28}  on for {share:>3} % of the users: {why}");
    };
    let (start, stop) = (Barrier::new(5), AtomicBool::new(false));
    let requests: u64 = thread::scope(|scope| {
        let readers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| serve(&flags, &start, &stop))).collect();
        start.wait();
        show("at first");
        flags.publish("checkout", rule(1, 10, "a trial"));
        show("published");
        flags.publish("checkout", rule(2, 50, "the trial went well"));
        show("swapped");
        flags.override_for("checkout", rule(3, 0, "off, an incident"), 10 * MINUTE);
        show("overridden for 10 minutes");
        clock.advance(10 * MINUTE);
        show("10 minutes later");
        flags.override_for("checkout", rule(4, 100, "on, a load test"), 10 * MINUTE);
        clock.advance(9 * MINUTE);
        let kept = flags.keep_override("checkout");
        clock.advance(1000 * MINUTE);
        show(if kept { "overridden, and kept" } else { "overridden" });
        flags.end_override("checkout");
        show("the override taken away");
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().expect("no panic")).sum()
    });
    println!("meanwhile 4 readers served {requests} requests");
    Ok(())
}
