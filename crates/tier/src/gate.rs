//! The word of a connection: which values that were read over it may be served (DESIGN.md, "The word").

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    sync::{AtomicU64, Mutex, Ordering},
};

/// A generation, and in the lowest bit whether the connection is lost. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Word(u64);

const LOST: u64 = 1;
const GENERATION: u64 = 2;

impl Word {
    #[inline]
    pub(crate) fn is_lost(self) -> bool {
        self.0 & LOST != 0
    }

    /// The word of the same generation while it is connected: that of the values that were read in it.
    #[inline]
    pub(crate) fn of_values(self) -> Self {
        Self(self.0 & !LOST)
    }
}

/// The number of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SessionId(u64);

/// How often it has changed who has what in a cluster: one count for all of its nodes. Of a single server it never does.
#[derive(Debug, Default)]
pub(crate) struct Changes(AtomicU64);

impl Changes {
    pub(crate) fn add(&self) {
        // Release: who has what now. Pairs with the load in `Gate::changes`.
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// A server, and one of its generations.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) gate: Arc<Gate>,
    pub(crate) word: Word,
}

impl Generation {
    /// Whether what was read under it is known to be outdated when something began under `start`.
    pub(crate) fn is_before(&self, start: &Self) -> bool {
        if Arc::ptr_eq(&self.gate, &start.gate) {
            self.word.of_values() < start.word.of_values()
        } else {
            // Of another node: by what that one's word is by now.
            self.is_over()
        }
    }

    /// Whether the server has another by now.
    pub(crate) fn is_over(&self) -> bool {
        self.word.of_values() != self.gate.word().of_values()
    }
}

/// Under what something was read: in which generation, and by whose topology.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) generation: Generation,
    pub(crate) changes: u64,
}

impl Origin {
    /// What is read from now on. To be called before the request leaves.
    pub(crate) fn now(gate: &Arc<Gate>) -> Self {
        let changes = gate.changes();
        let generation = Generation { gate: Arc::clone(gate), word: gate.word() };
        Self { generation, changes }
    }
}

/// The word, and what changes it.
#[derive(Debug)]
pub(crate) struct Gate {
    changes: Arc<Changes>,
    word: AtomicU64,
    /// When the connection was lost, in nanoseconds from `start`.
    lost_at: AtomicU64,
    start: Instant,
    /// The last connection. Whoever changes the word holds it.
    session: Mutex<SessionId>,
    /// Why there is none, as far as is known.
    failure: Mutex<Option<Arc<Error>>>,
}

impl Gate {
    /// Not connected yet.
    pub(crate) fn new() -> Self {
        Self::of(&Arc::default())
    }

    /// That of a node of a cluster, not connected yet.
    pub(crate) fn of(changes: &Arc<Changes>) -> Self {
        Self {
            changes: Arc::clone(changes),
            word: AtomicU64::new(LOST),
            lost_at: AtomicU64::new(0),
            start: Instant::now(),
            session: Mutex::new(SessionId(0)),
            failure: Mutex::new(None),
        }
    }

    /// The word. Acquire: with it the connection that was published before.
    #[inline] // as all that a hit calls: it is compiled in the user's crate
    pub(crate) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// How often the topology has changed.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        // Acquire: who has what since the last of them.
        self.changes.0.load(Ordering::Acquire)
    }

    /// How long ago the connection was lost, if it is, and the word is still the one that says so.
    pub(crate) fn lost_for(&self, word: Word) -> Option<Duration> {
        // The time belongs to the word only if that is the same before and after.
        let lost_at = self.lost_at.load(Ordering::Acquire);
        let is_of_it = word.is_lost() && self.word() == word;
        is_of_it.then(|| self.start.elapsed().saturating_sub(Duration::from_nanos(lost_at)))
    }

    /// What a caller is told while the connection is lost.
    #[cold]
    pub(crate) fn lost(&self, ago: Duration) -> Error {
        let why = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Error::Lost { ago, why }
    }

    /// An attempt to connect came to this.
    pub(crate) fn failed(&self, why: Error) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(why));
    }

    /// The number of a connection that is about to be made. Those before it change the word no more.
    pub(crate) fn next_session(&self) -> SessionId {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.0 += 1;
        *session
    }

    /// The connection is made, tracks, and is published. False if it is not the last.
    pub(crate) fn connected(&self, of: SessionId) -> bool {
        self.change(of, |word| (word & !LOST) + GENERATION)
    }

    /// All that was read so far is to be forgotten.
    pub(crate) fn forget_all(&self) {
        let _guard = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        self.word.fetch_add(GENERATION, Ordering::AcqRel);
    }

    /// The connection is lost. False if it is not the last, or is known to be lost.
    pub(crate) fn lose(&self, of: SessionId, words: &str) -> bool {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.change(of, |word| {
            if word & LOST == 0 {
                self.lost_at.store(now, Ordering::Release);
                self.failed(Error::Interrupted { words: words.to_owned() });
            }
            word | LOST
        })
    }

    fn change(&self, of: SessionId, change: impl FnOnce(u64) -> u64) -> bool {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if *session != of {
            return false;
        }
        let word = self.word.load(Ordering::Relaxed);
        let changed = change(word);
        // Release: the connection that was published, the time of the loss.
        self.word.store(changed, Ordering::Release);
        word != changed
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn each_connection_and_each_flush_has_words_of_its_own() {
        let gate = Gate::new();
        assert!(gate.word().is_lost());
        let first = gate.next_session();
        assert!(gate.connected(first));
        let word = gate.word();
        assert!(!word.is_lost() && gate.lost_for(word).is_none());
        gate.forget_all();
        assert!(gate.word() > word && !gate.word().is_lost());
        let word = gate.word();
        assert!(gate.lose(first, "a") && !gate.lose(first, "b"));
        assert_eq!((gate.word().is_lost(), gate.word().of_values()), (true, word));
        assert!(gate.lost_for(gate.word()).is_some());
        let second = gate.next_session();
        assert!(gate.connected(second));
        assert!(gate.word() > word && !gate.word().is_lost());
    }

    #[test]
    fn an_old_connection_changes_nothing() {
        let gate = Gate::new();
        let first = gate.next_session();
        gate.connected(first);
        let second = gate.next_session();
        assert!(gate.connected(second));
        let word = gate.word();
        assert!(!gate.lose(first, "a") && !gate.connected(first));
        assert_eq!(gate.word(), word);
    }

    #[test]
    fn a_flush_while_lost_leaves_it_lost() {
        let gate = Gate::new();
        gate.connected(gate.next_session());
        let word = gate.word();
        gate.lose(SessionId(1), "a");
        gate.forget_all();
        assert!(gate.word().is_lost() && gate.word().of_values() > word);
    }
}
