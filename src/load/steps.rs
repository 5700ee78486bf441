//! The steps of a load, which futures and threads share.

use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use equivalent::Equivalent;

use super::{
    flights::{Entered, Lead, Waited, Waiter},
    options::{Load, Loaded},
};
use crate::{
    clock::{Clock, MonotonicClock, nanos},
    map::TtlMap,
    raw::{SplitKey, Waiting, pin},
    sync::planted,
};

/// How a call begins, or goes on after it has waited.
pub(super) enum Begun<'m, K, V, E> {
    Done(Result<V, E>),
    Leads(Lead<'m, K, V>),
    Waits(Waiter<'m, K, V>),
}

impl<K, V, S> TtlMap<K, V, S>
where
    K: Hash + Eq,
    V: Clone,
    S: BuildHasher,
{
    /// Looks the key up, and joins or begins its load if it is absent.
    pub(super) fn begin_load<Q, E>(&self, key: &Q) -> Begun<'_, K, V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Clone + 'static,
    {
        let place = SplitKey::from_hash(self.hasher.hash_one(key));
        let found = self.look_up(place, key);
        self.lookups.count(found.is_some());
        found.map_or_else(|| self.enter_load(place, key), |value| Begun::Done(Ok(value)))
    }

    /// Goes on after a load that has given this call nothing.
    pub(super) fn begin_again<Q, E>(&self, key: &Q) -> Begun<'_, K, V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Clone + 'static,
    {
        let place = SplitKey::from_hash(self.hasher.hash_one(key));
        let found = self.look_up(place, key);
        found.map_or_else(|| self.enter_load(place, key), |value| Begun::Done(Ok(value)))
    }

    fn enter_load<Q, E>(&self, place: SplitKey, key: &Q) -> Begun<'_, K, V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Clone + 'static,
    {
        loop {
            match self.loads.begin(&self.table).enter::<Q, E>(place, key, &pin()) {
                Entered::Leads(lead) => return self.lead_load(lead, key),
                Entered::Waits(waiter) => return Begun::Waits(waiter),
                Entered::Failed(error) => {
                    if let Some(answer) = error.answer() {
                        return Begun::Done(answer);
                    }
                }
            }
        }
    }

    /// Goes on when a wait is over: with what it came to, or because the patience is at its end.
    pub(super) fn end_wait<'m, Q, E>(
        &'m self,
        key: &Q,
        waiter: Waiter<'m, K, V>,
        told: Option<Waited<V>>,
    ) -> Begun<'m, K, V, E>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Clone + 'static,
    {
        match told {
            Some(Waited::Leads) => self.lead_load(waiter.into_lead(), key),
            Some(Waited::Done(outcome)) => {
                drop(waiter);
                outcome.answer().map_or_else(|| self.begin_again(key), Begun::Done)
            }
            Some(Waited::Over) => {
                drop(waiter);
                self.begin_again(key)
            }
            None => {
                waiter.give_up();
                self.begin_again(key)
            }
        }
    }

    /// Leads, unless the key has a value by now: of a load that ended before this one began.
    fn lead_load<'m, Q, E>(&'m self, lead: Lead<'m, K, V>, key: &Q) -> Begun<'m, K, V, E>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = if planted!(led_without_a_look) { None } else { self.look_up(lead.place, key) };
        match found {
            Some(value) => {
                lead.give(&value);
                Begun::Done(Ok(value))
            }
            None => Begun::Leads(lead),
        }
    }

    /// Ends a load: keeps the value, unless a write of the key came, and gives it to all who wait.
    pub(super) fn end_load<Q, T, E>(
        &self,
        lead: Lead<'_, K, V>,
        key: &Q,
        options: &Load<T>,
        made: Result<Loaded<V>, E>,
    ) -> Result<V, E>
    where
        Q: ToOwned<Owned = K> + ?Sized,
        E: Clone + Send + Sync + 'static,
    {
        // The time counts from here.
        let state_after = |ttl| self.table.clock.state_after(ttl);
        match made {
            Ok(Loaded { value, ttl }) => {
                if !lead.flight.is_killed() {
                    let state =
                        ttl.or(options.ttl).map_or_else(|| self.default_state(), state_after);
                    let waiting = &mut Waiting::new(key.to_owned(), value.clone());
                    let same_key =
                        |mine: &K, met: &K| Ok::<_, core::convert::Infallible>(mine == met);
                    let may_stay = || lead.flight.decide();
                    let Ok(_) = self.table.put_loaded(
                        lead.place,
                        waiting,
                        state,
                        &pin(),
                        same_key,
                        may_stay,
                    );
                }
                lead.give(&value);
                Ok(value)
            }
            Err(error) => {
                lead.fail(&error, options.negative_ttl.map(state_after));
                Err(error)
            }
        }
    }

    /// The value of the key, if it has one; where there is a maximum size that is a use.
    fn look_up<Q>(&self, place: SplitKey, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let is_match = |(met, _): &(K, V)| Ok::<_, core::convert::Infallible>(key.equivalent(met));
        let guard = &pin();
        let Ok(found) = self.table.get_and_note_use(place, guard, is_match);
        found.map(|(_, value)| value.clone())
    }
}

/// The end of the patience with a load, in real time.
#[derive(Clone, Copy)]
pub(super) struct Patience(u64);

impl Patience {
    pub(super) fn from_now(patience: Duration) -> Self {
        Self(MonotonicClock.now().saturating_add(nanos(patience)))
    }

    /// What is left of it; `None` if it is over.
    pub(super) fn left(self) -> Option<Duration> {
        let left = self.0.saturating_sub(MonotonicClock.now());
        (left > 0).then(|| Duration::from_nanos(left))
    }
}
