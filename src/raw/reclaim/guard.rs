//! The door to epoch-based reclamation: pin, hand over a batch, flush. The only file that names
//! crossbeam-epoch, with a stand-in for models. Models of two threads also run on the real one, under
//! `--cfg evanesce_loom --cfg crossbeam_loom`, which gives crossbeam-epoch loom's atomics as well.
//!
//! The collector is private to this crate. With the default one, a reader of some other crate would
//! run our deferred functions inside its pins, and our readers would run theirs.

pub(crate) use imp::{Guard, pin};

#[cfg(any(not(any(evanesce_loom, evanesce_shuttle)), crossbeam_loom))]
mod imp {
    use crossbeam_epoch::{Collector, LocalHandle};

    #[cfg(not(crossbeam_loom))]
    use crate::sync::ProcessBox;

    #[cfg(not(crossbeam_loom))]
    fn collector() -> &'static Collector {
        static COLLECTOR: ProcessBox<Collector> = ProcessBox::new();
        COLLECTOR.get_or_init(Collector::new)
    }

    #[cfg(not(crossbeam_loom))]
    std::thread_local! {
        static HANDLE: LocalHandle = collector().register();
    }

    // Under loom both live as long as one execution of a model.
    #[cfg(crossbeam_loom)]
    fn collector() -> Collector {
        crate::sync::lazy_static! { static ref COLLECTOR: Collector = Collector::new(); }
        COLLECTOR.clone()
    }

    #[cfg(crossbeam_loom)]
    loom::thread_local! { static HANDLE: LocalHandle = collector().register(); }

    /// A pinned thread: no slot that a line named when the pin began is reused before it ends.
    #[derive(Debug)]
    pub(crate) struct Guard(crossbeam_epoch::Guard);

    /// Pins the current thread. Lock-free: a fence, and one time in 128 a look at the other threads
    /// and a bounded number of deferred functions, none of which runs user code.
    #[inline]
    pub(crate) fn pin() -> Guard {
        // In a thread-local destructor that runs after the handle's, a fresh handle serves.
        let pinned = HANDLE.try_with(LocalHandle::pin);
        Guard(pinned.unwrap_or_else(|_| collector().register().pin()))
    }

    impl Guard {
        /// Ends the pin and begins another, which lets the epoch move. Does nothing while the
        /// thread holds a second guard.
        #[inline]
        pub(crate) fn repin(&mut self) {
            self.0.repin();
        }

        /// Runs `f` after every pin that exists now has ended; in any thread, at any time.
        ///
        /// `f` owns plain memory only and runs no user code: a reader's pin may be what runs it.
        pub(crate) fn defer(&self, f: impl FnOnce() + Send + 'static) {
            self.0.defer(f);
        }

        /// Hands deferred functions over to the collector, which otherwise waits until a thread
        /// has 64 of them, and runs what is due.
        pub(crate) fn flush(&self) {
            self.0.flush();
        }
    }
}

/// A collector that frees at the earliest moment the rules allow, for models, and orders no more than the real
/// one promises:
///
/// - A pin sees what was done before each function that was deferred before the pin.
/// - A deferred function runs behind its deferring, and behind the end of every guard that did not see what was
///   done before that.
///
/// So a pin does not see what was done before other pins, nor before their ends: a model whose threads are pinned
/// before the first function is deferred has the map's own orderings, and no others.
///
/// `defer` notes the guards that are active; a guard's end takes it off every note, and what waits
/// for nobody any more runs at once. Each step is a read-modify-write for the model checker
/// and plain bookkeeping under a std mutex, which adds no states.
#[cfg(all(any(evanesce_loom, evanesce_shuttle), not(crossbeam_loom)))]
mod imp {
    use std::{collections::BTreeSet, sync::Mutex};

    use crate::sync::{AtomicUsize, Ordering, lazy_static};

    type Deferred = (BTreeSet<usize>, Box<dyn FnOnce() + Send>);

    #[derive(Default)]
    struct Notes {
        next_guard: usize,
        active: BTreeSet<usize>,
        waiting: Vec<Deferred>,
    }

    struct StandIn {
        /// Released by who defers, acquired by pins.
        deferred: AtomicUsize,
        /// Released by who defers and by the ends of guards, acquired by who runs what was deferred.
        ended: AtomicUsize,
        notes: Mutex<Notes>,
    }

    lazy_static! {
        static ref STAND_IN: StandIn = StandIn {
            deferred: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            notes: Mutex::default(),
        };
    }

    /// A step on one of the two words, and what it does to the notes.
    fn step<R>(word: &AtomicUsize, order: Ordering, f: impl FnOnce(&mut Notes) -> R) -> R {
        word.fetch_add(1, order);
        f(&mut STAND_IN.notes.lock().unwrap())
    }

    #[derive(Debug)]
    pub(crate) struct Guard {
        number: usize,
        not_send: core::marker::PhantomData<*const ()>,
    }

    pub(crate) fn pin() -> Guard {
        let number = step(&STAND_IN.deferred, Ordering::Acquire, |notes| {
            notes.next_guard += 1;
            notes.active.insert(notes.next_guard);
            notes.next_guard
        });
        Guard { number, not_send: core::marker::PhantomData }
    }

    impl Guard {
        pub(crate) fn repin(&mut self) {
            *self = pin();
        }

        pub(crate) fn defer(&self, f: impl FnOnce() + Send + 'static) {
            // A pin between the two counts as one from before.
            STAND_IN.deferred.fetch_add(1, Ordering::Release);
            step(&STAND_IN.ended, Ordering::Release, |notes| {
                let active = notes.active.clone();
                notes.waiting.push((active, Box::new(f)));
            });
        }

        pub(crate) fn flush(&self) {}
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let due = step(&STAND_IN.ended, Ordering::Release, |notes| {
                notes.active.remove(&self.number);
                for (guards, _) in &mut notes.waiting {
                    guards.remove(&self.number);
                }
                let (due, waiting) = std::mem::take(&mut notes.waiting)
                    .into_iter()
                    .partition::<Vec<_>, _>(|(guards, _)| guards.is_empty());
                notes.waiting = waiting;
                due
            });
            if !due.is_empty() {
                STAND_IN.ended.fetch_add(1, Ordering::Acquire);
            }
            for (_, f) in due {
                f();
            }
        }
    }
}
