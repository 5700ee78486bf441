//! The read-modify-write calls, each once for keys that come owned and for keys that come by reference.

use core::{
    cell::Cell,
    hash::{BuildHasher, Hash},
};

use equivalent::Equivalent;

use crate::raw::{Computed, Decision, Met, Put, SplitKey, State, Waiting};

use super::{Compute, Operation, Pinned, infallible};

/// The key of a call that may put a value.
pub(super) trait Key<K> {
    /// Its hash. `waiting` is the key that waits to be put, if there is one yet.
    fn hash(&self, waiting: Option<&K>, hasher: &impl BuildHasher) -> u64;

    /// Whether it is the key of an entry.
    fn is(&self, waiting: Option<&K>, met: &K) -> bool;

    /// Sees to it that a key waits, as a value is to be put: in the place of the entry with the key `met`, or where
    /// there is none.
    fn provide(&self, waiting: &mut Option<K>, met: Option<&K>);
}

/// The key came owned, and waits from the beginning.
pub(super) struct Owned;

impl<K: Hash + Eq> Key<K> for Owned {
    #[inline]
    fn hash(&self, waiting: Option<&K>, hasher: &impl BuildHasher) -> u64 {
        let Some(key) = waiting else { unreachable!("an owned key waits until it is put") };
        hasher.hash_one(key)
    }

    #[inline]
    fn is(&self, waiting: Option<&K>, met: &K) -> bool {
        waiting == Some(met)
    }

    #[inline]
    fn provide(&self, _: &mut Option<K>, _: Option<&K>) {}
}

/// The key came by reference. One is made when it is to be put; then it waits, also for a further try.
pub(super) struct Borrowed<'q, Q: ?Sized, F> {
    key: &'q Q,
    make_key: Cell<Option<F>>,
}

impl<'q, Q: ?Sized, F> Borrowed<'q, Q, F> {
    pub(super) fn new(key: &'q Q, make_key: F) -> Self {
        Self { key, make_key: Cell::new(Some(make_key)) }
    }
}

impl<'q, K, Q, F> Key<K> for Borrowed<'q, Q, F>
where
    K: Clone,
    Q: Hash + Equivalent<K> + ?Sized,
    F: FnOnce(&'q Q) -> K,
{
    #[inline]
    fn hash(&self, _: Option<&K>, hasher: &impl BuildHasher) -> u64 {
        hasher.hash_one(self.key)
    }

    #[inline]
    fn is(&self, _: Option<&K>, met: &K) -> bool {
        self.key.equivalent(met)
    }

    #[inline]
    fn provide(&self, waiting: &mut Option<K>, met: Option<&K>) {
        if waiting.is_none() {
            *waiting = Some(met.map_or_else(
                || {
                    let Some(make_key) = self.make_key.take() else {
                        unreachable!("a key that was made waits until it is put")
                    };
                    made_key(self.key, make_key)
                },
                K::clone,
            ));
        }
    }
}

/// The key that `make_key` makes.
///
/// # Panics
///
/// If it is another.
pub(super) fn made_key<'q, K, Q>(key: &'q Q, make_key: impl FnOnce(&'q Q) -> K) -> K
where
    Q: Equivalent<K> + ?Sized,
{
    let made = make_key(key);
    assert!(
        key.equivalent(&made),
        "evanesce: the `make_key` of `by_ref` made a key that is not equivalent to the one it was given"
    );
    made
}

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    #[inline]
    pub(super) fn update_at(
        &self,
        waiting: &mut Waiting<K, V>,
        key: &impl Key<K>,
        mut f: impl FnMut(&V) -> V,
    ) -> Option<&V> {
        // It changes what is there alone, and outruns no load.
        match infallible(self.change(waiting, key, false, |new, value| {
            let Some(value) = value else { return Ok(Decision::Leave) };
            *new = Some(f(value));
            Ok(Decision::Put(None))
        })) {
            Compute::Updated { new, .. } => Some(new),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn update_or_insert_at(
        &self,
        waiting: &mut Waiting<K, V>,
        key: &impl Key<K>,
        mut f: impl FnMut(&V) -> V,
        mut make: impl FnMut() -> V,
    ) -> &V {
        match infallible(self.change(waiting, key, true, |new, value| {
            *new = Some(value.map_or_else(&mut make, &mut f));
            Ok(Decision::Put(None))
        })) {
            Compute::Inserted(new) | Compute::Updated { new, .. } => new,
            _ => unreachable!("a value is put in either case"),
        }
    }

    /// Puts the value that waits, with the deadline that `state` gives, or else the one that is there.
    #[inline]
    pub(super) fn replace_if_at(
        &self,
        waiting: &mut Waiting<K, V>,
        key: &impl Key<K>,
        mut is_expected: impl FnMut(&V) -> bool,
        state: impl Fn() -> Option<State>,
    ) -> Result<&V, V> {
        let computed = self.map.table.compute(
            SplitKey::from_hash(key.hash(waiting.key.as_ref(), &self.map.hasher)),
            waiting,
            &self.guard,
            |waiting, met| Ok(key.is(waiting, met)),
            |waiting, met| match met {
                Some(Met { entry: (met, value), .. }) if is_expected(value) => {
                    key.provide(&mut waiting.key, Some(met));
                    Decision::Put(state())
                }
                _ => Decision::Leave,
            },
        );
        match infallible(computed) {
            Computed::Put(Put { replaced: Some((_, old)), .. }) => Ok(old),
            Computed::Left(_) => Err(waiting.take_value()),
            _ => unreachable!("it is put over another, or left"),
        }
    }

    #[inline]
    pub(super) fn compute_at<'p>(
        &'p self,
        waiting: &mut Waiting<K, V>,
        key: &impl Key<K>,
        mut f: impl FnMut(Option<&'p V>) -> Operation<V>,
    ) -> Compute<'p, V> {
        let decide = |new: &mut Option<V>, value: Option<&'p V>| Ok(self.decide_by(f(value), new));
        infallible(self.change(waiting, key, true, decide))
    }

    /// An error of `f` leaves all as it is, and comes back.
    #[inline]
    pub(super) fn try_compute_at<'p, E>(
        &'p self,
        waiting: &mut Waiting<K, V>,
        key: &impl Key<K>,
        mut f: impl FnMut(Option<&'p V>) -> Result<Operation<V>, E>,
    ) -> Result<Compute<'p, V>, E> {
        self.change(waiting, key, true, |new, value| Ok(self.decide_by(f(value)?, new)))
    }

    #[inline]
    fn decide_by(&self, operation: Operation<V>, new: &mut Option<V>) -> Decision {
        match operation {
            Operation::Insert(value) => {
                *new = Some(value);
                Decision::Put(None)
            }
            Operation::InsertWithTtl(value, ttl) => {
                *new = Some(value);
                Decision::Put(Some(self.map.table.clock.state_after(ttl)))
            }
            Operation::Remove => Decision::Remove,
            Operation::Abort => Decision::Leave,
        }
    }

    /// Does with a key what `decide` says of its value. It is given the place of the value to be put; what it puts
    /// without a deadline keeps the old one, or gets the default TTL. If it may put or remove the key, it outruns loads.
    #[inline]
    fn change<'p, E>(
        &'p self,
        waiting: &mut Waiting<K, V>,
        key: &impl Key<K>,
        outruns: bool,
        mut decide: impl FnMut(&mut Option<V>, Option<&'p V>) -> Result<Decision, E>,
    ) -> Result<Compute<'p, V>, E> {
        let mut error = None;
        let place = SplitKey::from_hash(key.hash(waiting.key.as_ref(), &self.map.hasher));
        if outruns {
            infallible(self.outrun_load_by(place, |met| Ok(key.is(waiting.key.as_ref(), met))));
        }
        let computed = self.map.table.compute(
            place,
            waiting,
            &self.guard,
            |waiting, met| Ok(key.is(waiting, met)),
            |new, met| {
                // What was made for nothing is dropped before another is made.
                (new.value, error) = (None, None);
                let (met, value) = met.map(|Met { entry: (met, value), .. }| (met, value)).unzip();
                match decide(&mut new.value, value) {
                    Ok(Decision::Put(state)) => {
                        key.provide(&mut new.key, met);
                        // The default is for a key that has no deadline to keep.
                        let default = || self.map.default_state();
                        Decision::Put(if met.is_none() {
                            state.or_else(|| Some(default()))
                        } else {
                            state
                        })
                    }
                    Ok(decision) => decision,
                    Err(refusal) => {
                        error = Some(refusal);
                        Decision::Leave
                    }
                }
            },
        );
        if let Some(error) = error {
            waiting.discard();
            return Err(error);
        }
        Ok(match infallible(computed) {
            Computed::Put(Put { entry: (_, new), replaced: None }) => Compute::Inserted(new),
            Computed::Put(Put { entry: (_, new), replaced: Some((_, old)) }) => {
                Compute::Updated { old, new }
            }
            Computed::Removed((_, value)) => Compute::Removed(value),
            Computed::Left(entry) => Compute::Unchanged(entry.map(|(_, value)| value)),
        })
    }
}
