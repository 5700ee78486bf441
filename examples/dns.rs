//! A DNS-like cache: each answer lives as long as its record says, and is handed on with the time it has left.
//!
//! It shows deadlines that come with the data, [`Pinned::get_entry`](evanesce::Pinned::get_entry) for a value and
//! its time left at one instant, "no such name" kept for a short while, and a borrowed look at a key of two parts.
//! A program runs it on the default clock, which is exact; here a table in the process stands in for the network, and a
//! clock set by hand for the wait.
//!
//! ```text
//! $ cargo run --release --example dns
//!    0 s  A   www.example.   192.0.2.7, 300 s left  (asked upstream)
//!  120 s  A   WWW.Example.   192.0.2.7, 180 s left
//!  120 s  TXT www.example.   "hello", 3600 s left  (asked upstream)
//!  120 s  A   wwww.example.  no such name, 10 s left  (asked upstream)
//!  125 s  A   wwww.example.  no such name, 5 s left
//!  130 s  A   wwww.example.  no such name, 10 s left  (asked upstream)
//!  299 s  A   www.example.   192.0.2.7, 1 s left
//!  300 s  A   www.example.   192.0.2.8, 300 s left  (asked upstream)
//!  300 s  A   once.example.  192.0.2.9, 0 s left  (asked upstream)
//!  300 s  A   once.example.  192.0.2.9, 0 s left  (asked upstream)
//! 10 questions, 7 of them asked upstream; answers kept: 2
//! ```

mod usage;

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use evanesce::{Builder, Clock, EntryRef, Equivalent, ManualClock, Ttl, TtlMap};

/// An answer is kept for a day at most, whatever its record says.
const LONGEST: Duration = Duration::from_secs(86_400);
/// "No such name" is kept for 10 seconds at most: the name may be about to come.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    A,
    Txt,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::Txt => "TXT",
        })
    }
}

/// What is asked: a question as it is kept.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Question {
    /// In small letters: names that differ in case are one name.
    name: Box<str>,
    kind: Kind,
}

/// The same, borrowed and in any case: a lookup allocates nothing.
struct Asked<'q>(&'q str, Kind);

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes().for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
        self.1.hash(state);
    }
}

// A key and what it is looked up by must hash alike, so the one hashes as the other.
impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked(&self.name, self.kind).hash(state);
    }
}

impl Equivalent<Question> for Asked<'_> {
    fn equivalent(&self, kept: &Question) -> bool {
        self.1 == kept.kind && self.0.eq_ignore_ascii_case(&kept.name)
    }
}

/// What upstream answers: data, or `None` where there is no such name; and for how many seconds.
pub(crate) type Record = (Option<String>, u32);

/// What the cache answers.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) data: Option<String>,
    /// Whole seconds, rounded down, so that no one downstream keeps it for longer than this cache does.
    pub(crate) seconds_left: u64,
    pub(crate) asked_upstream: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data.as_deref().unwrap_or("no such name");
        let from = if self.asked_upstream { "  (asked upstream)" } else { "" };
        write!(f, "{data}, {} s left{from}", self.seconds_left)
    }
}

pub(crate) type Cache = TtlMap<Question, Option<String>>;

/// Options for a cache, on the default clock, which is exact: an answer is not to be handed on after its time, not even by
/// a tick, since each cache on the way could add one. Nor would much be won: beside a packet from the network a look at
/// the clock is nothing.
pub(crate) fn cache() -> Builder<Question, Option<String>> {
    Cache::builder()
}

/// Answers from the cache, and asks upstream for what is not in it.
pub(crate) struct Resolver<U> {
    cache: Cache,
    upstream: U,
}

impl<U: Fn(&str, Kind) -> Record> Resolver<U> {
    pub(crate) fn new(cache: Cache, upstream: U) -> Self {
        Self { cache, upstream }
    }

    pub(crate) fn resolve(&self, name: &str, kind: Kind) -> Answer {
        if let Some(entry) = self.cache.pin().get_entry(&Asked(name, kind)) {
            return kept(&entry);
        }
        // No pin is held while upstream takes its time. Two that miss at once both ask, and the later answer stays.
        let asked_at = self.cache.now();
        let (data, seconds) = (self.upstream)(name, kind);
        let longest = if data.is_some() { LONGEST } else { LONGEST_NEGATIVE };
        let ttl = Duration::from_secs(seconds.into()).min(longest);
        // The time counts from the question: a slow answer has aged on its way. A record with no time to live is
        // for this one answer: its deadline has passed, and the map never shows it.
        let expires_at = asked_at + ttl;
        let question = Question { name: name.to_ascii_lowercase().into(), kind };
        self.cache.pin().insert_with_deadline(question, data.clone(), expires_at);
        let left = expires_at.saturating_duration_since(self.cache.now());
        Answer { data, seconds_left: left.as_secs(), asked_upstream: true }
    }

    /// How many answers are kept now, expired ones not counted.
    pub(crate) fn kept(&self) -> usize {
        self.cache.live_len()
    }
}

/// An answer from the cache. Data and time left belong together: `get` and then `ttl` could tell the data of one
/// record and the time of its successor.
fn kept(entry: &EntryRef<'_, Question, Option<String>>) -> Answer {
    let seconds_left = match entry.ttl() {
        Ttl::Remaining(left) => left.as_secs(),
        Ttl::Never => LONGEST.as_secs(),
    };
    Answer { data: entry.value().clone(), seconds_left, asked_upstream: false }
}

fn main() -> ExitCode {
    usage::run(
        "dns",
        "A DNS-like cache: ten questions, and how long each answer is kept.",
        demonstrate,
    )
}

fn demonstrate() -> Result<(), evanesce::BuildError> {
    let clock = ManualClock::new();
    let cache = cache().clock(clock.clone()).build()?;
    let record = |data: &str, seconds| (Some(data.to_owned()), seconds);
    let zone = Mutex::new(HashMap::from([
        (("www.example.", Kind::A), record("192.0.2.7", 300)),
        (("www.example.", Kind::Txt), record("\"hello\"", 3600)),
        (("once.example.", Kind::A), record("192.0.2.9", 0)),
    ]));
    let resolver = Resolver::new(cache, |name: &str, kind| {
        // Where there is no such name, its zone lets that be kept for an hour.
        zone.lock().expect("no panic").get(&(name, kind)).cloned().unwrap_or((None, 3600))
    });

    let questions = [
        (0, "www.example.", Kind::A),
        (120, "WWW.Example.", Kind::A),
        (120, "www.example.", Kind::Txt),
        (120, "wwww.example.", Kind::A),
        (125, "wwww.example.", Kind::A),
        (130, "wwww.example.", Kind::A),
        (299, "www.example.", Kind::A),
        (300, "www.example.", Kind::A),
        (300, "once.example.", Kind::A),
        (300, "once.example.", Kind::A),
    ];
    let mut asked = 0;
    for (second, name, kind) in questions {
        clock
            .advance(Duration::from_secs(second).saturating_sub(Duration::from_nanos(clock.now())));
        if second == 299 {
            // The address moves: who has the old one keeps it for the second it has left.
            let moved = record("192.0.2.8", 300);
            zone.lock().expect("no panic").insert(("www.example.", Kind::A), moved);
        }
        let answer = resolver.resolve(name, kind);
        asked += usize::from(answer.asked_upstream);
        println!("{second:>4} s  {kind:<3} {name:<13}  {answer}");
    }
    let (all, kept) = (questions.len(), resolver.kept());
    println!("{all} questions, {asked} of them asked upstream; answers kept: {kept}");
    Ok(())
}
