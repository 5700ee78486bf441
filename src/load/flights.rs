//! The loads of a map that go on, by key, and the errors that are kept: where writes and those who come later find them.

use core::{
    convert::Infallible,
    hash::Hash,
    panic::{RefUnwindSafe, UnwindSafe},
    task::{Poll, Waker},
};
use std::sync::Arc;

use equivalent::Equivalent;

use super::flight::{Flight, Outcome, Told};
use crate::{
    listener::Listener,
    raw::{Decision, Guard, Position, SplitKey, State, Table, Waiting, pin},
    sweep::Budget,
    sync::{AtomicUsize, OnceBox, Ordering, SettingWord, fence, order},
};

/// What a map has for its loads. Nothing, before the first.
pub(crate) struct Loads<K, V> {
    /// Whether there was any.
    began: SettingWord,
    begun: OnceBox<Begun<K, V>>,
}

/// The table of flights, and the code of what is done to it by those who load nothing.
struct Begun<K, V> {
    flights: Flights<K, V>,
    code: Box<dyn Upkeep<K, V>>, // of no size: nothing is allocated
}

/// What writes, sweeps and their like do to flights. By a `dyn` that the first load of a map makes: a map whose program
/// never loads is built without the code of a second table, which was a sixth to a fifth of all (docs/lab/first-hour.md).
trait Upkeep<K, V>: Send + Sync + UnwindSafe + RefUnwindSafe {
    fn kill(
        &self,
        flights: &Flights<K, V>,
        key: SplitKey,
        guard: &Guard,
        is_match: &mut dyn FnMut(&K) -> Result<bool, Refused>,
    ) -> Result<(), Refused>;
    fn kill_all(&self, flights: &Flights<K, V>, guard: Guard);
    fn forget_killed(&self, flights: &Flights<K, V>);
    fn sweep(&self, flights: &Flights<K, V>, budget: Budget);
    fn shrink_to_fit(&self, flights: &Flights<K, V>);
    fn bytes(&self, flights: &Flights<K, V>) -> usize;
}

/// A comparison of keys came to an error, which its caller has.
struct Refused;

/// A table of them. A load that may yet be kept is in it: one that is not is over, or was killed before another took its
/// place.
pub(crate) struct Flights<K, V> {
    table: Table<(K, Arc<Flight<V>>)>,
    /// How many there are, and are about to be.
    count: Arc<AtomicUsize>,
    /// How many there may be for an error to be kept.
    most: usize,
}

// SAFETY: whoever has a flight beside the table borrows the map; so none has when it is moved, and nobody shares a `V`.
unsafe impl<K: Send, V: Send> Send for Flights<K, V> {}

impl<K, V> Loads<K, V> {
    pub(crate) fn new() -> Self {
        Self { began: SettingWord::new(0), begun: OnceBox::new() }
    }

    /// Whether there may be any load that a write has to kill.
    ///
    /// One load and a branch, where none ever was. `SeqCst`: a write that is made known to the origin before it is made
    /// here misses no load that does not know of it, if both sides reach the origin by such accesses, or by a lock
    /// (docs/lab/loading.md).
    #[inline]
    pub(crate) fn are_there(&self) -> bool {
        self.began.load(Ordering::SeqCst) != 0
    }

    /// The table of loads, made for a map with this table.
    pub(super) fn begin<T>(&self, table: &Table<T>) -> &Flights<K, V> {
        let begun =
            self.begun.get_or_init(|| Begun { flights: Flights::of(table), code: Box::new(Made) });
        if !self.are_there() {
            self.began.store(1, Ordering::SeqCst);
        }
        &begun.flights
    }

    /// Makes the load of a key lose.
    #[cold]
    #[inline(never)]
    pub(crate) fn kill<E>(
        &self,
        key: SplitKey,
        guard: &Guard,
        mut is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<(), E> {
        let Some(Begun { flights, code }) = self.begun.get() else { return Ok(()) };
        let mut error = None;
        let is_match =
            &mut |met: &K| is_match(met).map_err(|met| error = Some(met)).or(Err(Refused));
        _ = code.kill(flights, key, guard, is_match);
        error.map_or(Ok(()), Err)
    }

    /// Makes all loads lose that go on now, and all errors that are kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn kill_all(&self, guard: Guard) {
        if let Some(Begun { flights, code }) = self.begun.get() {
            code.kill_all(flights, guard);
        }
    }

    /// Takes the errors out that were kept and killed.
    pub(crate) fn forget_killed(&self) {
        if let Some(Begun { flights, code }) = self.begun.get() {
            code.forget_killed(flights);
        }
    }

    /// Forgets errors that are kept no longer, and reclaims memory.
    pub(crate) fn sweep(&self, budget: Budget) {
        if let Some(Begun { flights, code }) = self.begun.get() {
            code.sweep(flights, budget);
        }
    }

    /// Gives back what memory it can.
    pub(crate) fn shrink_to_fit(&self) {
        if let Some(Begun { flights, code }) = self.begun.get() {
            code.shrink_to_fit(flights);
        }
    }

    /// The memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.begun.get().map_or(0, |begun| size_of_val(begun) + begun.code.bytes(&begun.flights))
    }
}

/// The one [`Upkeep`].
struct Made;

impl<K, V> Upkeep<K, V> for Made {
    fn kill(
        &self,
        flights: &Flights<K, V>,
        key: SplitKey,
        guard: &Guard,
        is_match: &mut dyn FnMut(&K) -> Result<bool, Refused>,
    ) -> Result<(), Refused> {
        if flights.go_on() {
            let met =
                flights.table.get(key, guard, |(met, _)| is_match(met), |(_, flight)| flight)?;
            if let Some(flight) = met
                && flight.kill()
            {
                flights.remove(key, flight);
            }
        }
        Ok(())
    }

    fn kill_all(&self, flights: &Flights<K, V>, mut guard: Guard) {
        if !flights.go_on() {
            return;
        }
        for range in flights.table.ranges() {
            let mut position = Position::default();
            flights.table.enter(range, &mut position, &guard);
            while let Some((_, flight)) = flights.table.next(&mut position, &guard) {
                _ = flight.kill();
            }
            guard.repin();
        }
    }

    fn forget_killed(&self, flights: &Flights<K, V>) {
        flights.table.retain(|(_, flight)| !flight.is_forgotten());
    }

    fn sweep(&self, flights: &Flights<K, V>, budget: Budget) {
        budget.run(&flights.table);
    }

    fn shrink_to_fit(&self, flights: &Flights<K, V>) {
        flights.table.shrink_to_fit();
    }

    fn bytes(&self, flights: &Flights<K, V>) -> usize {
        flights.table.figures().bytes
    }
}

/// How a call stands with the load of its key.
pub(super) enum Entered<'m, K, V> {
    /// It leads one.
    Leads(Lead<'m, K, V>),
    /// Another does.
    Waits(Waiter<'m, K, V>),
    /// There was one, and the error that it came to is kept.
    Failed(Outcome<V>),
}

impl<K, V> Flights<K, V> {
    /// For a map with this table: on its clock, with as many slots as there can be, and with as many kept errors as the map
    /// may have entries.
    fn of<T>(table: &Table<T>) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        // SeqCst: as in `Loads::are_there`.
        let listener = Listener::new(move |_: &(K, Arc<Flight<V>>), _| {
            counted.fetch_sub(1, order!(load_ended, SeqCst));
        });
        Self { table: table.beside(listener), count, most: table.most_entries() }
    }

    /// Whether there is anything in the table.
    fn go_on(&self) -> bool {
        // SeqCst: as in `Loads::are_there`.
        let are_any = self.count.load(order!(loads_counted, SeqCst)) != 0;
        if are_any {
            // With that of `enter`: a load that the caller does not find has not looked at the origin yet.
            fence(order!(load_looked_for, SeqCst));
        }
        are_any
    }

    /// Begins a load of `key`, unless there is one to join or one that came to an error `E` which is kept.
    pub(super) fn enter<Q, E>(&self, place: SplitKey, key: &Q, guard: &Guard) -> Entered<'_, K, V>
    where
        K: Hash + Eq,
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: 'static,
    {
        let is_match = |(met, _): &(K, Arc<Flight<V>>)| Ok::<_, Infallible>(key.equivalent(met));
        let Ok(met) = self.table.get(place, guard, is_match, |(_, flight)| flight);
        if let Some(met) = met
            && let Some(entered) = self.join::<E>(place, met)
        {
            return entered;
        }
        let flight = Arc::new(Flight::new());
        let mut lead = Lead { flights: self, place, flight: Arc::clone(&flight), is_over: false };
        let counted = &mut Counted::new(&self.count, Waiting::new(key.to_owned(), flight));
        let mut joined = None;
        let Ok(_) = self.table.compute(
            place,
            &mut counted.waiting,
            guard,
            |mine, met| Ok::<_, Infallible>(mine == Some(met)),
            |_, met| {
                joined = met.and_then(|met| self.join::<E>(place, &met.entry.1));
                if joined.is_some() { Decision::Leave } else { Decision::Put(Some(State::NEVER)) }
            },
        );
        if let Some(joined) = joined {
            lead.is_over = true;
            return joined;
        }
        // With that of `Loads::kill`: a write that did not find it is known to the origin.
        fence(order!(load_begun, SeqCst));
        Entered::Leads(lead)
    }

    /// How one who meets this flight stands with it; `None` if it is over.
    fn join<E: 'static>(
        &self,
        place: SplitKey,
        flight: &Arc<Flight<V>>,
    ) -> Option<Entered<'_, K, V>> {
        if flight.is_open() {
            let flight = Arc::clone(flight);
            return Some(Entered::Waits(Waiter { flights: self, place, flight, ticket: None }));
        }
        flight.kept_error::<E>().map(Entered::Failed)
    }

    /// Takes a flight that is over out of the table, if it is there still. No user's code runs.
    fn remove(&self, place: SplitKey, flight: &Arc<Flight<V>>) {
        self.table.remove_quietly(place, &pin(), |(_, met)| Arc::ptr_eq(met, flight));
    }
}

/// A flight that waits to be put, and is counted.
struct Counted<'f, K, V> {
    count: &'f AtomicUsize,
    waiting: Waiting<K, Arc<Flight<V>>>,
}

impl<'f, K, V> Counted<'f, K, V> {
    fn new(count: &'f AtomicUsize, waiting: Waiting<K, Arc<Flight<V>>>) -> Self {
        // SeqCst: as in `Loads::are_there`. Before it is put: no write is to pass by it.
        count.fetch_add(1, order!(load_counted, SeqCst));
        Self { count, waiting }
    }
}

impl<K, V> Drop for Counted<'_, K, V> {
    /// What was put is counted until the table's listener is told of its end.
    fn drop(&mut self) {
        if self.waiting.key.is_some() {
            self.count.fetch_sub(1, order!(load_not_put, SeqCst));
        }
    }
}

/// The right, and the duty, to load a key. Dropped before its end it goes to one of those who wait.
pub(super) struct Lead<'m, K, V> {
    flights: &'m Flights<K, V>,
    pub(super) place: SplitKey,
    pub(super) flight: Arc<Flight<V>>,
    is_over: bool,
}

impl<K, V> Lead<'_, K, V> {
    /// Gives the value to all who wait.
    pub(super) fn give(mut self, value: &V)
    where
        V: Clone,
    {
        if self.flight.is_awaited() {
            self.flight.deliver(Outcome::Value(Arc::new(value.clone())), false);
        }
        self.is_over = true;
        self.flights.remove(self.place, &self.flight);
    }

    /// Gives the error to all who wait, and keeps it until `kept`, if that is a time, no write of the key came, and there
    /// is room.
    pub(super) fn fail<E>(mut self, error: &E, kept: Option<State>)
    where
        E: Clone + Send + Sync + 'static,
    {
        // Relaxed: a limit that may be passed by as many as come at once.
        let has_room = self.flights.count.load(Ordering::Relaxed) <= self.flights.most;
        let kept = kept.filter(|_| has_room && self.flight.decide());
        if kept.is_some() || self.flight.is_awaited() {
            self.flight.deliver(Outcome::Error(Arc::new(error.clone())), kept.is_some());
        }
        self.is_over = true;
        let Some(deadline) = kept else {
            return self.flights.remove(self.place, &self.flight);
        };
        let is_match =
            |(_, met): &(K, Arc<Flight<V>>)| Ok::<_, Infallible>(Arc::ptr_eq(met, &self.flight));
        let Ok(_) = self.flights.table.renew(self.place, |_| deadline, &pin(), is_match);
    }
}

impl<K, V> Drop for Lead<'_, K, V> {
    fn drop(&mut self) {
        if !self.is_over && self.flight.forsake() {
            self.flights.remove(self.place, &self.flight);
        }
    }
}

/// One who waits for another's load. Dropped it waits no more.
pub(super) struct Waiter<'m, K, V> {
    flights: &'m Flights<K, V>,
    place: SplitKey,
    flight: Arc<Flight<V>>,
    ticket: Option<u64>,
}

/// What waiting came to.
pub(super) enum Waited<V> {
    /// It is for the waiter to load.
    Leads,
    Done(Outcome<V>),
    /// It is over, and the map may have the value.
    Over,
}

impl<'m, K, V> Waiter<'m, K, V> {
    /// Looks how it stands, and has `waker` woken when that changes.
    ///
    /// # Panics
    ///
    /// If this thread is in the loader that is waited for.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Waited<V>> {
        assert!(
            !self.flight.runs_here(),
            "evanesce: a loader asks for the key that it loads, and would wait for itself"
        );
        match self.flight.look(&mut self.ticket, waker.clone()) {
            Told::Wait(_) => Poll::Pending,
            Told::Lead => Poll::Ready(Waited::Leads),
            Told::Done(outcome) => Poll::Ready(Waited::Done(outcome)),
            Told::Gone => Poll::Ready(Waited::Over),
        }
    }

    /// Leads, when it was told to.
    pub(super) fn into_lead(self) -> Lead<'m, K, V> {
        let (flights, place, flight) = (self.flights, self.place, Arc::clone(&self.flight));
        Lead { flights, place, flight, is_over: false }
    }

    /// Waits no more for this leader: what it loads is not kept, and whoever comes begins a load of their own.
    pub(super) fn give_up(self) {
        _ = self.flight.kill();
    }
}

impl<K, V> Drop for Waiter<'_, K, V> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket
            && self.flight.leave(ticket)
        {
            self.flights.remove(self.place, &self.flight);
        }
    }
}
