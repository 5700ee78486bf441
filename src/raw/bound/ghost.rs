//! The ghost: of which keys entries had to go, the last ones.

use crate::{
    raw::{
        memory::{
            cache::bring,
            chunked::Chunked,
            pages::{PageSize, Zeroed},
        },
        words::numbers::Prefixed,
    },
    sync::{HintU64, Ordering},
};

/// Fingerprints a word, the newest in the lowest bits.
const KEYS_PER_WORD: u32 = u64::BITS / FINGERPRINT_BITS;
/// Of 65,535 keys that never were there one is taken for each of the four.
const FINGERPRINT_BITS: u32 = 16;

/// The numbers of words: up to 235 million.
type Numbers = Prefixed<25, 1>;

/// Fingerprints of keys, in words of four. The key tells the word, and in a word the newest four stay: so about as
/// many keys are known as there is room for, each for about as long as in a queue of that length.
pub(super) struct Ghost(Chunked<Word, Numbers>);

struct Word(HintU64);

// SAFETY: an atomic integer: zero is valid, nothing to drop.
unsafe impl Zeroed for Word {
    #[cfg(any(evanesce_loom, evanesce_shuttle))]
    fn zeroed() -> Self {
        Self(HintU64::new(0))
    }
}

impl Ghost {
    pub(super) fn new() -> Self {
        Self(Chunked::new())
    }

    /// Puts a key in, in a ghost of so many keys. Lost if another comes to the same word at the same time.
    pub(super) fn put(&self, key: u32, len: u32) {
        let (number, fingerprint) = place(key, len);
        self.0.ensure(number, PageSize::Usual);
        let Some(Word(word)) = self.0.get_if_there(number) else { return };
        // Relaxed, like all here: a hint.
        let old = word.load(Ordering::Relaxed);
        word.store(old << FINGERPRINT_BITS | fingerprint, Ordering::Relaxed);
    }

    /// Begins to bring the word of a key into the cache.
    pub(super) fn bring(&self, key: u32, len: u32) {
        let (number, _) = place(key, len);
        if let Some(word) = self.0.get_if_there(number) {
            bring::<Word>(word);
        }
    }

    /// Takes a key out; false if it is not there.
    pub(super) fn take(&self, key: u32, len: u32) -> bool {
        let (number, fingerprint) = place(key, len);
        let Some(Word(word)) = self.0.get_if_there(number) else { return false };
        let old = word.load(Ordering::Relaxed);
        let is_there = |shift: &u32| old >> shift & u64::from(u16::MAX) == fingerprint;
        let Some(shift) = (0..KEYS_PER_WORD).map(|n| n * FINGERPRINT_BITS).find(is_there) else {
            return false;
        };
        word.store(old & !(u64::from(u16::MAX) << shift), Ordering::Relaxed);
        true
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// The number of a key's word, by its upper bits, and its fingerprint, the lower ones, which is not zero.
fn place(key: u32, len: u32) -> (u32, u64) {
    let words = u64::from((len / KEYS_PER_WORD).clamp(1, Numbers::CAPACITY));
    let nth = ((u64::from(key) * words) >> 32) as u32;
    (Numbers::nth(nth), u64::from(key as u16).max(1))
}

#[cfg(all(test, not(any(evanesce_loom, evanesce_shuttle))))]
mod tests {
    use super::*;

    /// A key of the `n`-th word of a ghost of `4 << 20` keys.
    fn key(n: u32, fingerprint: u32) -> u32 {
        n << 16 | fingerprint
    }

    #[test]
    fn a_ghost_knows_the_last_four_keys_of_a_word_and_each_once() {
        let (ghost, len) = (Ghost::new(), 4 << 16);
        assert!(!ghost.take(key(3, 1), len));
        (1..=5).for_each(|n| ghost.put(key(3, n), len));
        ghost.put(key(4, 9), len);
        assert!(!ghost.take(key(3, 1), len), "the fifth has put it out");
        assert!((2..=5).all(|n| ghost.take(key(3, n), len)));
        assert!(!(2..=5).any(|n| ghost.take(key(3, n), len)));
        assert!(ghost.take(key(4, 9), len));
    }

    #[test]
    fn a_ghost_for_one_key_has_a_word() {
        let ghost = Ghost::new();
        ghost.put(u32::MAX, 1);
        assert!(ghost.take(u32::MAX, 1) && !ghost.take(0, 1));
    }
}
