//! A thread that calls each of several tasks when its time has come, and sleeps until then.

use core::{mem, time::Duration};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::Arc,
};

use crate::{
    clock::{Clock, MonotonicClock, nanos},
    sync::{
        AtomicU32, Ordering, thread,
        timing::{Condvar, Mutex, MutexGuard, PoisonError},
    },
};

/// When a task is to be called again.
pub(super) enum Next {
    /// After this much time, or after its interval if that is longer.
    After(Duration),
    /// When it is [woken](Timer::wake_in).
    Woken,
    /// Not any more.
    Never,
}

type Call = Box<dyn FnMut() -> Next + Send>;

/// A time that does not come.
const NEVER: u64 = u64::MAX;

/// The tasks, and the thread that calls them. It begins with the first task, and ends with the last.
pub(super) struct Timer {
    tasks: Mutex<Tasks>,
    /// Something is due earlier than it was, or there is nothing left to do.
    news: Condvar,
    /// A call has returned.
    returned: Condvar,
    /// The process that has the thread; 0 while there is none.
    process: AtomicU32,
}

#[derive(Default)]
struct Tasks {
    by_id: BTreeMap<u64, Task>,
    /// The tasks that have a time, the next one first.
    due: BTreeSet<(u64, u64)>,
    last_id: u64,
    /// The task that is being called, and the thread that calls it.
    running: Option<(u64, thread::ThreadId)>,
    thread: Option<thread::JoinHandle<()>>,
    /// The number of the thread. One with another number has been told to end.
    generation: u64,
    /// No thread is wanted until [`Timer::start`].
    is_stopped: bool,
}

struct Task {
    /// `None` while it is being called.
    call: Option<Call>,
    /// The nanoseconds between the end of one call and the beginning of the next, at least.
    interval: u64,
    /// When it may be called again.
    earliest: u64,
    /// When it is to be called. While it is being called: when it was asked to be meanwhile.
    at: u64,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            tasks: Mutex::default(),
            news: Condvar::new(),
            returned: Condvar::new(),
            process: AtomicU32::new(0),
        }
    }

    /// Whether its thread, if it has one, is of this process. In a child of a fork it may not be, and then whatever
    /// that thread held is held for ever: nothing else may be done with the timer.
    pub(super) fn is_of_this_process(&self) -> bool {
        let process = self.process.load(Ordering::Relaxed);
        process == 0 || process == process::id()
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a task called at once, and then again and again. Returns its number.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread. The task is not there then.
    pub(super) fn add(
        self: &Arc<Self>,
        interval: Duration,
        call: impl FnMut() -> Next + Send + 'static,
    ) -> io::Result<u64> {
        let mut tasks = self.lock();
        tasks.last_id += 1;
        let id = tasks.last_id;
        let (call, interval) = (Some(Box::new(call) as Call), nanos(interval));
        tasks.by_id.insert(id, Task { call, interval, earliest: 0, at: NEVER });
        if let Err(error) = self.begin(&mut tasks) {
            let refused = tasks.by_id.remove(&id);
            drop(tasks);
            drop(refused);
            return Err(error);
        }
        self.set_time(&mut tasks, id, MonotonicClock.now());
        Ok(id)
    }

    /// Starts the thread, if there is none and one is wanted.
    fn begin(self: &Arc<Self>, tasks: &mut Tasks) -> io::Result<()> {
        if tasks.thread.is_some() || tasks.is_stopped || tasks.by_id.is_empty() {
            return Ok(());
        }
        let (timer, generation) = (Arc::clone(self), tasks.generation + 1);
        let thread = thread::Builder::new().name("evanesce-sweeper".into());
        tasks.thread = Some(thread.spawn(move || timer.run(generation))?);
        tasks.generation = generation;
        self.process.store(process::id(), Ordering::Relaxed);
        Ok(())
    }

    /// Ends a task. When this returns it is not being called, unless this is called by the task itself, and will not
    /// be.
    pub(super) fn remove(&self, id: u64) {
        let mut tasks = self.lock();
        let removed = tasks.by_id.remove(&id);
        if let Some(task) = &removed {
            tasks.due.remove(&(task.at, id));
        }
        if tasks.by_id.is_empty() {
            self.news.notify_one();
        }
        let me = thread::current().id();
        while tasks.running.is_some_and(|(task, thread)| task == id && thread != me) {
            tasks = self.returned.wait(tasks).unwrap_or_else(PoisonError::into_inner);
        }
        drop(tasks);
        drop(removed);
    }

    /// Has a task called when this much time has passed, at the latest, but not before its interval has.
    pub(super) fn wake_in(&self, id: u64, after: Duration) {
        let at = MonotonicClock.now().saturating_add(nanos(after));
        let mut tasks = self.lock();
        if let Some(task) = tasks.by_id.get(&id)
            && at.max(task.earliest) < task.at
        {
            let at = at.max(task.earliest);
            self.set_time(&mut tasks, id, at);
        }
    }

    /// Sets when a task is to be called, and wakes the thread if it would sleep for too long.
    fn set_time(&self, tasks: &mut Tasks, id: u64, at: u64) {
        let Some(task) = tasks.by_id.get_mut(&id) else { return };
        let before = mem::replace(&mut task.at, at);
        if tasks.running.is_some_and(|(task, _)| task == id) {
            return;
        }
        let first = tasks.due.first().copied();
        tasks.due.remove(&(before, id));
        if at != NEVER {
            tasks.due.insert((at, id));
        }
        if first.is_none_or(|first| (at, id) < first) {
            self.news.notify_one();
        }
    }

    /// Ends the thread, and waits for its end; the tasks stay.
    pub(super) fn stop(&self) {
        let mut tasks = self.lock();
        tasks.is_stopped = true;
        self.end_thread(tasks);
    }

    /// Ends all tasks, and waits for the end of the thread, unless this is it.
    pub(super) fn end(&self) {
        let mut tasks = self.lock();
        tasks.due.clear();
        let ended = mem::take(&mut tasks.by_id);
        self.end_thread(tasks);
        drop(ended);
    }

    fn end_thread(&self, mut tasks: MutexGuard<'_, Tasks>) {
        tasks.generation += 1;
        self.news.notify_one();
        let Some(thread) = tasks.thread.take() else { return };
        drop(tasks);
        if thread.thread().id() == thread::current().id() {
            return;
        }
        // It cannot have panicked but in a user's panic hook.
        let _ = thread.join();
        let tasks = self.lock();
        if tasks.thread.is_none() {
            self.process.store(0, Ordering::Relaxed);
        }
    }

    /// Starts the thread that was stopped, if there are tasks.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread. The next task that is added tries again.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut tasks = self.lock();
        tasks.is_stopped = false;
        self.begin(&mut tasks)
    }

    /// What the thread does.
    fn run(&self, generation: u64) {
        let mut tasks = self.lock();
        while tasks.generation == generation && !tasks.by_id.is_empty() {
            let now = MonotonicClock.now();
            tasks = match tasks.due.first() {
                Some(&(at, id)) if at <= now => self.call(tasks, id),
                Some(&(at, _)) => {
                    let left = Duration::from_nanos(at - now);
                    self.news.wait_timeout(tasks, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.news.wait(tasks).unwrap_or_else(PoisonError::into_inner),
            };
        }
        if tasks.generation == generation {
            // The next task begins another thread.
            tasks.thread = None;
            self.process.store(0, Ordering::Relaxed);
        }
    }

    /// Calls a task, not under the lock.
    fn call<'t>(&'t self, mut tasks: MutexGuard<'t, Tasks>, id: u64) -> MutexGuard<'t, Tasks> {
        tasks.due.pop_first();
        let Some(task) = tasks.by_id.get_mut(&id) else { return tasks };
        task.at = NEVER;
        let (Some(mut call), interval) = (task.call.take(), task.interval) else { return tasks };
        let running = Some((id, thread::current().id()));
        tasks.running = running;
        drop(tasks);
        let next = caught(&mut call).unwrap_or(Next::After(Duration::ZERO));

        let mut tasks = self.lock();
        let now = MonotonicClock.now();
        tasks.running = None;
        let next = match next {
            Next::After(wait) => now.saturating_add(nanos(wait)),
            Next::Woken => NEVER,
            Next::Never => {
                tasks.by_id.remove(&id);
                NEVER
            }
        };
        if let Some(task) = tasks.by_id.get_mut(&id) {
            task.call = Some(call);
            task.earliest = now.saturating_add(interval);
            let next = next.min(task.at).max(task.earliest);
            task.at = NEVER;
            self.set_time(&mut tasks, id, next);
            self.returned.notify_all();
            return tasks;
        }
        // It has ended. Before this is told, what it holds is dropped, which may be a user's.
        tasks.running = running;
        drop(tasks);
        caught(move || drop(call));
        let mut tasks = self.lock();
        tasks.running = None;
        self.returned.notify_all();
        tasks
    }
}

/// What `f` returns; `None` if it panics, which is a user's panic and costs that call alone.
fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(panic) => {
            // It may panic when it is dropped, and has said all it had to say.
            mem::forget(panic);
            None
        }
    }
}
