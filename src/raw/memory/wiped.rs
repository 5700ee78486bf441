//! A word that a child of a fork finds zero.

use core::ptr::NonNull;
use std::sync::Arc;

use crate::sync::{Ordering, SettingWord};

/// A word that is zero at first, and in a child of a fork: what a thread keeps that the child lacks. Where the system cannot
/// promise that, it stays zero, and nobody can write to it.
#[derive(Clone)]
pub(crate) struct WipedWord {
    /// In what is owned, or the one that stays zero.
    at: NonNull<SettingWord>,
    owned: Option<Arc<imp::Memory>>,
}

// SAFETY: it leads to an atomic that it keeps, or that is static.
unsafe impl Send for WipedWord {}
// SAFETY: as above.
unsafe impl Sync for WipedWord {}

impl WipedWord {
    /// A word that stays zero.
    pub(crate) fn zero() -> Self {
        static ZERO: SettingWord = SettingWord::new(0);
        Self { at: NonNull::from(&ZERO), owned: None }
    }

    /// A new word, if there are any.
    pub(crate) fn new() -> Self {
        imp::Memory::new().map(Arc::new).map_or_else(Self::zero, |memory| {
            let at = NonNull::from(memory.word());
            Self { at, owned: Some(memory) }
        })
    }

    /// To read it.
    #[inline]
    pub(crate) fn load(&self) -> u64 {
        // SAFETY: it is static, or in what `self` owns a share of, which does not move.
        let word = unsafe { self.at.as_ref() };
        // Relaxed: it is all there is to know.
        word.load(Ordering::Relaxed)
    }

    /// To write to it, unless it is one that stays zero.
    pub(crate) fn writable(&self) -> Option<&SettingWord> {
        self.owned.as_ref().map(|memory| memory.word())
    }
}

#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(evanesce_loom, evanesce_shuttle, miri))
))]
mod imp {
    use core::ptr::NonNull;

    use libc::{MADV_WIPEONFORK, madvise};
    use memmap2::MmapMut;

    use crate::sync::SettingWord;

    pub(super) struct Memory {
        word: NonNull<SettingWord>,
        _page: MmapMut,
    }

    // SAFETY: it owns its page, and gives out a shared reference to an atomic in it.
    unsafe impl Send for Memory {}
    // SAFETY: as above.
    unsafe impl Sync for Memory {}

    impl Memory {
        pub(super) fn new() -> Option<Self> {
            let mut page = MmapMut::map_anon(size_of::<SettingWord>()).ok()?;
            let start = page.as_mut_ptr();
            // Some emulators say yes to any advice. It is refused for what does not begin a page.
            // SAFETY: ours, and nothing is in it.
            let lied = unsafe { madvise(start.wrapping_add(1).cast(), 1, MADV_WIPEONFORK) };
            if lied == 0 {
                return None;
            }
            // SAFETY: the page is ours alone, and stays as it is in this process.
            let wiped = unsafe { madvise(start.cast(), page.len(), MADV_WIPEONFORK) };
            if wiped != 0 {
                return None;
            }
            Some(Self { word: NonNull::new(start.cast())?, _page: page })
        }

        #[inline]
        pub(super) fn word(&self) -> &SettingWord {
            // SAFETY: the page's first bytes, aligned as it is; zeros are valid, and the page goes with `self`.
            unsafe { self.word.as_ref() }
        }
    }
}

/// Windows has no fork; elsewhere a child is told by nothing.
#[cfg(all(windows, not(any(evanesce_loom, evanesce_shuttle, miri))))]
mod imp {
    use crate::sync::SettingWord;

    pub(super) struct Memory(Box<SettingWord>);

    impl Memory {
        #[allow(clippy::unnecessary_wraps)] // as where it may fail
        pub(super) fn new() -> Option<Self> {
            Some(Self(Box::new(SettingWord::new(0))))
        }

        #[inline]
        pub(super) fn word(&self) -> &SettingWord {
            &self.0
        }
    }
}

#[cfg(any(
    evanesce_loom,
    evanesce_shuttle,
    miri,
    not(any(target_os = "linux", target_os = "android", windows))
))]
mod imp {
    use core::convert::Infallible;

    use crate::sync::SettingWord;

    pub(super) struct Memory(Infallible);

    impl Memory {
        pub(super) fn new() -> Option<Self> {
            None
        }

        pub(super) fn word(&self) -> &SettingWord {
            match self.0 {}
        }
    }
}
