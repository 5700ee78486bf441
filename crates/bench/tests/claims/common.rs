//! Values that count, keys that are equal and not the same, and a look at whether a call waits.

use std::{
    fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

/// No wait for something that must come is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it is so, and fails if it never is.
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never came: {what}");
        thread::yield_now();
    }
}

/// Lets so much real time go by, for peers that have no clock to set. More is always right for the caller.
pub(super) fn pass(time: Duration) {
    thread::sleep(time);
}

/// A call on a thread of its own.
pub(super) struct Call<'scope> {
    thread: thread::ScopedJoinHandle<'scope, ()>,
    stat: Option<PathBuf>,
}

impl<'scope> Call<'scope> {
    pub(super) fn start(
        scope: &'scope thread::Scope<'scope, '_>,
        call: impl FnOnce() + Send + 'scope,
    ) -> Self {
        let (tell, id) = mpsc::channel();
        let thread = scope.spawn(move || {
            tell.send(fs::read_link("/proc/thread-self")).unwrap();
            call();
        });
        let stat = id.recv().unwrap().ok().map(|id| Path::new("/proc").join(id).join("stat"));
        Self { thread, stat }
    }

    /// Whether it has come to wait: it is seen asleep in the kernel many times in a row, and not to return. Where
    /// there is no `/proc` to see it by, it counts as waiting while it has not returned.
    pub(super) fn waits(&self) -> bool {
        let mut asleep = 0;
        while asleep < 50 && !self.thread.is_finished() {
            let stat = self.stat.as_ref().map(|stat| fs::read_to_string(stat).unwrap_or_default());
            let state = stat
                .as_ref()
                .map(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')));
            asleep = if state.unwrap_or(true) { asleep + 1 } else { 0 };
            pass(Duration::from_millis(1));
        }
        !self.thread.is_finished()
    }
}

/// Whether the call comes to wait for something that `release` undoes.
pub(super) fn waits<R>(call: impl FnOnce() + Send, release: impl FnOnce() -> R) -> bool {
    thread::scope(|scope| {
        let waits = Call::start(scope, call).waits();
        release();
        waits
    })
}

/// Who dropped the values of a test: one thread an entry.
#[derive(Clone, Default)]
pub(super) struct Drops(Arc<Mutex<Vec<ThreadId>>>);

impl Drops {
    pub(super) fn value(&self) -> Dropped {
        Dropped(self.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(super) fn by(&self, thread: ThreadId) -> usize {
        self.0.lock().unwrap().iter().filter(|by| **by == thread).count()
    }
}

/// Tells who dropped it.
pub(super) struct Dropped(Drops);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}

/// Counts its clones.
#[derive(Debug, Default)]
pub(super) struct Cloned(pub(super) Arc<AtomicUsize>);

impl Cloned {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clone for Cloned {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

/// Equal whatever the tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tagged(pub(super) u32, pub(super) &'static str);

impl PartialEq for Tagged {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Tagged {}

impl Hash for Tagged {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Finds a pair of strings by its parts, without a pair: what `Borrow` cannot.
#[derive(Hash)]
pub(super) struct Parts<'a>(pub(super) &'a str, pub(super) &'a str);

impl equivalent::Equivalent<(String, String)> for Parts<'_> {
    fn equivalent(&self, key: &(String, String)) -> bool {
        (self.0, self.1) == (key.0.as_str(), key.1.as_str())
    }
}

/// scc has a trait of its own by that name; the crate's takes its place by a feature.
impl scc::Equivalent<(String, String)> for Parts<'_> {
    fn equivalent(&self, key: &(String, String)) -> bool {
        equivalent::Equivalent::equivalent(self, key)
    }
}

pub(super) fn pair() -> (String, String) {
    ("a".to_owned(), "b".to_owned())
}

pub(super) fn is_send<T: Send>(_: &T) -> bool {
    true
}
