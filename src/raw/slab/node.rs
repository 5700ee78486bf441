//! What stands in a slot, and beside it.

use core::mem::MaybeUninit;

#[cfg(debug_assertions)]
use crate::sync::DebugWord;
use crate::{
    raw::{
        memory::{
            cache::{LINE_BYTES, bring},
            pages::Zeroed,
            poison,
        },
        words::state::{AtomicState, State},
    },
    sync::{AtomicU32, Ordering, UnsafeCell},
};

/// An entry and its state, in its slot.
#[repr(C)]
pub(in crate::raw) struct Node<T> {
    pub(in crate::raw) state: AtomicState,
    pub(super) entry: UnsafeCell<MaybeUninit<T>>,
    /// How often the slot was emptied.
    #[cfg(debug_assertions)]
    lives: DebugWord,
}

/// Which life of a slot it was met in: a slot that is recycled under a guard is a use after free that
/// no tool would see. Known in debug builds only; elsewhere all lives are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::raw) struct Life(#[cfg(debug_assertions)] u32);

// SAFETY: zeros are the free state and an entry that is not there; atomics, integers and `MaybeUninit` need no drop.
unsafe impl<T> Zeroed for Node<T> {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self {
            state: AtomicState::free(),
            entry: UnsafeCell::new(MaybeUninit::uninit()),
            #[cfg(debug_assertions)]
            lives: DebugWord::new(0),
        }
    }
}

impl<T> Node<T> {
    /// Begins to bring it into the cache, a line's length of it.
    #[inline]
    pub(in crate::raw) fn bring(&self) {
        let first = core::ptr::from_ref(self).cast::<u8>();
        bring(first);
        // It may straddle two lines.
        bring(first.wrapping_add(size_of::<Self>().min(LINE_BYTES) - 1));
    }

    /// The life that the slot is in.
    #[inline]
    pub(in crate::raw) fn life(&self) -> Life {
        Life(
            #[cfg(debug_assertions)]
            self.lives.load(Ordering::Relaxed),
        )
    }

    /// The entry.
    ///
    /// # Safety
    ///
    /// - The slot is filled.
    /// - It is not emptied while the reference lives: a line named it under a guard that lives
    ///   as long (I4), or the caller owns the slot.
    #[inline]
    pub(in crate::raw) unsafe fn entry(&self) -> &T {
        self.entry.with(|entry| {
            // SAFETY: nobody writes to a filled slot.
            let entry = unsafe { &*entry };
            // SAFETY: filled, as the caller says.
            unsafe { entry.assume_init_ref() }
        })
    }

    /// Takes the entry out and frees the slot for the next (the bitmap apart).
    ///
    /// # Safety
    ///
    /// - The slot is filled, and no one else reads its entry, now or later.
    #[inline]
    pub(super) unsafe fn empty(&self) -> T {
        let read = |entry: *const T| {
            // SAFETY: filled; read out this once.
            unsafe { entry.read() }
        };
        // SAFETY: filled and ours alone, as the caller says.
        unsafe { self.move_out(read) }
    }

    /// The same by means of `read`.
    ///
    /// # Safety
    ///
    /// - As for `empty`.
    /// - `read` moves the entry out of where it is told.
    #[inline]
    pub(super) unsafe fn move_out<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        let entry = self.entry.with_mut(|cell| {
            let entry = read(cell.cast());
            // SAFETY: ours alone, and the entry is out.
            unsafe { poison::on(cell) };
            entry
        });
        #[cfg(debug_assertions)]
        self.lives.fetch_add(1, Ordering::Relaxed);
        // Relaxed: whoever takes the slot next is ordered behind the bitmap's Release (O4).
        self.state.store(State::FREE, Ordering::Relaxed);
        entry
    }
}

/// The upper half of the split-order key of the entry in a slot: what tells its line. Beside the nodes, so that a
/// migration, which asks for nothing else, finds sixteen of them in a cache line.
pub(super) struct NodeKey(pub(super) AtomicU32);

// SAFETY: an atomic integer: zero is valid, nothing to drop.
unsafe impl Zeroed for NodeKey {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self(AtomicU32::new(0))
    }
}
