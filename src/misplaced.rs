//! Calls of a view, made on the map or set itself: they do not compile, and the error says how they do.
//!
//! The price of an error that helps is that these names are taken on the map. A trait of the user's with a method of such
//! a name is called by the name of the trait there: `Store::get(&map, ..)`.

use core::time::Duration;

use crate::{
    clock::{Deadline, Ttl},
    iter::{Entries, Iter, Keys, Values},
    map::TtlMap,
    pinned::{Compute, EntryRef, Lookup, OccupiedError, Operation, Stale},
    set::TtlSet,
};

/// Nothing has it.
#[diagnostic::on_unimplemented(
    message = "this is a call of a view, and `{Self}` is no view: pin it first, `.pin()`",
    label = "put `.pin()` in front of this call",
    note = "what a call returns is borrowed from the view, so the view needs a name: `let pinned = map.pin();`, then \
            `pinned.get(&key)`",
    note = "for one value of a map, and in async code: `map.get_cloned(&key)`, or `map.view(&key, |value| ..)`"
)]
pub trait View {}

macro_rules! misplaced {
    ($on:ident<$($parameter:ident),*>: $(
        $name:ident$(<$of:ident$(; $n:ident)?>)?($($arg:ident: $arg_type:ty),*) -> $answer:ty;
    )*) => {
        impl<$($parameter),*> $on<$($parameter),*> { $(
            #[doc(hidden)]
            #[allow(clippy::iter_without_into_iter)] // a view has one
            pub fn $name<$($of: ?Sized, $(const $n: usize)?)?>(&self, $($arg: $arg_type),*) -> $answer
            where
                Self: View,
            {
                $(let _ = $arg;)*
                unreachable!("nothing is a `View`")
            }
        )* }
    };
}

misplaced! { TtlMap<K, V, S>:
    get<Q>(key: &Q) -> Option<&V>;
    get_key_value<Q>(key: &Q) -> Option<(&K, &V)>;
    get_entry<Q>(key: &Q) -> Option<EntryRef<'_, K, V>>;
    get_many<Q; N>(keys: [&Q; N]) -> [Option<&V>; N];
    get_stale<Q>(key: &Q) -> Option<Stale<'_, V>>;
    get_or_refresh<Q>(key: &Q, early: Duration) -> Lookup<'_, V>;
    get_or_insert_with(key: K, make: impl FnOnce() -> V) -> &V;
    get_or_insert_with_ttl(key: K, ttl: Duration, make: impl FnOnce() -> V) -> &V;
    insert_with_deadline(key: K, value: V, deadline: Deadline) -> Option<&V>;
    try_insert(key: K, value: V) -> Result<&V, OccupiedError<'_, V>>;
    try_insert_with_ttl(key: K, value: V, ttl: Duration) -> Result<&V, OccupiedError<'_, V>>;
    update(key: K, f: impl FnMut(&V) -> V) -> Option<&V>;
    update_or_insert_with(key: K, f: impl FnMut(&V) -> V, make: impl FnMut() -> V) -> &V;
    replace_if(key: K, value: V, is_expected: impl FnMut(&V) -> bool) -> Result<&V, V>;
    replace_if_with_ttl(key: K, value: V, ttl: Duration, is_expected: impl FnMut(&V) -> bool) -> Result<&V, V>;
    compute(key: K, f: impl FnMut(Option<&V>) -> Operation<V>) -> Compute<'_, V>;
    remove_entry<Q>(key: &Q) -> Option<(&K, &V)>;
    remove_if<Q>(key: &Q, is_expected: impl FnMut(&K, &V) -> bool) -> Result<Option<&V>, &V>;
    ttl<Q>(key: &Q) -> Option<Ttl>;
    set_ttl<Q>(key: &Q, ttl: Duration) -> bool;
    set_deadline<Q>(key: &Q, deadline: Deadline) -> bool;
    extend_ttl<Q>(key: &Q, ttl: Duration) -> bool;
    persist<Q>(key: &Q) -> bool;
    iter() -> Iter<'_, K, V, S>;
    keys() -> Keys<'_, K, V, S>;
    values() -> Values<'_, K, V, S>;
    iter_entries() -> Entries<'_, K, V, S>;
}

misplaced! { TtlSet<T, S>:
    get<Q>(element: &Q) -> Option<&T>;
    take<Q>(element: &Q) -> Option<&T>;
    ttl<Q>(element: &Q) -> Option<Ttl>;
    insert_with_deadline(element: T, deadline: Deadline) -> bool;
    set_ttl<Q>(element: &Q, ttl: Duration) -> bool;
    set_deadline<Q>(element: &Q, deadline: Deadline) -> bool;
    extend_ttl<Q>(element: &Q, ttl: Duration) -> bool;
    persist<Q>(element: &Q) -> bool;
    iter() -> Keys<'_, T, (), S>;
}
