//! What is made by whoever needs it first, and then stays. Lock-free: all who come at once make one, and one
//! of them gets in. (The standard library's `OnceLock` has the others wait for the first.)

use core::{marker::PhantomData, ptr};
use std::sync::OnceLock;

use super::{AtomicPtr, Ordering, order, planted};

/// A box that is filled once.
pub(crate) struct OnceBox<T> {
    /// Null before.
    value: AtomicPtr<T>,
    /// What it was made with, in a model, where each look at `value` is a step of its own.
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    filled: Option<Box<T>>,
    /// As shareable as this: who shares it may get a `&T`, and may bring the `T` that another drops.
    like: PhantomData<OnceLock<T>>,
}

impl<T> OnceBox<T> {
    #[cfg(not(any(evanesce_loom, evanesce_shuttle)))]
    pub(crate) const fn new() -> Self {
        Self { value: AtomicPtr::new(ptr::null_mut()), like: PhantomData }
    }

    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    pub(crate) fn new() -> Self {
        Self { value: AtomicPtr::new(ptr::null_mut()), filled: None, like: PhantomData }
    }

    /// One that models take for a part of what it is in.
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    pub(crate) fn filled(value: T) -> Self {
        let (value, filled) = (AtomicPtr::new(ptr::null_mut()), Some(Box::new(value)));
        Self { value, filled, like: PhantomData }
    }

    /// One with this in it.
    pub(crate) fn holding(value: Box<T>) -> Self {
        let empty = Self::new();
        // Relaxed: nobody else has it.
        empty.value.store(Box::into_raw(value), Ordering::Relaxed);
        empty
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        #[cfg(any(evanesce_loom, evanesce_shuttle))]
        if let Some(filled) = &self.filled {
            return Some(filled);
        }
        // Acquire (O11): pairs with the CAS that put it there.
        let value = self.value.load(order!(box_met, Acquire));
        // SAFETY: a box that was put there stays, unchanged, for as long as `self`.
        unsafe { value.as_ref() }
    }

    /// What it holds; if that is nothing, what `make` makes, or another thread was first to put there.
    #[inline]
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.get().unwrap_or_else(|| self.init(make))
    }

    #[cold]
    #[inline(never)]
    fn init(&self, make: impl FnOnce() -> T) -> &T {
        self.put(make())
    }

    /// What it holds, to be changed.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        #[cfg(any(evanesce_loom, evanesce_shuttle))]
        if let Some(filled) = &mut self.filled {
            return Some(filled);
        }
        // Relaxed: `&mut self`.
        let value = self.value.load(Ordering::Relaxed);
        // SAFETY: from `into_raw`, and `&mut self` is the only use.
        unsafe { value.as_mut() }
    }

    /// Takes out what it holds.
    pub(crate) fn take(&mut self) -> Option<Box<T>> {
        #[cfg(any(evanesce_loom, evanesce_shuttle))]
        if let Some(filled) = self.filled.take() {
            return Some(filled);
        }
        // Relaxed, both: `&mut self`.
        let value = self.value.load(Ordering::Relaxed);
        self.value.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: if it is not null it is from `into_raw`, and nobody else has it any more.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }

    /// Puts a value there, unless there is one; returns the one that is there then.
    #[cold]
    fn put(&self, value: T) -> &T {
        let new = Box::into_raw(Box::new(value));
        let none = ptr::null_mut();
        // Release (O11): publishes it. Acquire on failure: another's is what we go on with.
        let (filled, lost) = (order!(box_filled, Release), order!(box_lost, Acquire));
        let there = if planted!(box_put_blindly) {
            self.value.store(new, Ordering::Release); // planted
            new
        } else {
            match self.value.compare_exchange(none, new, filled, lost) {
                Ok(_) => new,
                Err(there) => {
                    // SAFETY: from `into_raw` just now, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    there
                }
            }
        };
        // SAFETY: as in `get`.
        unsafe { &*there }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(all(test, evanesce_loom, not(crossbeam_loom)))]
mod models {
    use loom::{alloc::Track, cell::UnsafeCell, sync::Arc, thread};

    use super::*;

    /// Two threads come at once: both go on with one value, which is whole, and the other is freed.
    #[test]
    fn once_box_is_filled_once() {
        loom::model(|| {
            let shared = Arc::new(OnceBox::<(u8, UnsafeCell<u8>, Track<()>)>::new());
            let come = |shared: &OnceBox<_>, me| {
                let value = || (me, UnsafeCell::new(me), Track::new(()));
                let (by, cell, _): &(u8, UnsafeCell<u8>, Track<()>) = shared.get_or_init(value);
                // SAFETY: nobody writes there any more.
                assert_eq!(cell.with(|place| unsafe { *place }), *by);
                *by
            };
            let theirs = Arc::clone(&shared);
            let other = thread::spawn(move || come(&theirs, 1));
            let mine = come(&shared, 2);
            assert_eq!(mine, other.join().unwrap(), "two were put there");
        });
    }
}
