//! A model of the words of tokens alone: a map's first token makes more than the words of one chunk.

use std::sync::Arc;

use loom::thread;

use super::{SlotIndex, Tokens};
use crate::raw::{reclaim::guard, words::numbers::OFFSET_BITS};

/// Whoever reclaims a slot meets the words that another thread has just made, or does not.
#[test]
fn tokens_first_of_a_chunk_vs_forget() {
    loom::model(|| {
        let tokens = Arc::new(Tokens::new());
        drop(tokens.take(SlotIndex(1), &guard::pin()));
        let in_another_chunk = SlotIndex(1 << OFFSET_BITS);
        let theirs = Arc::clone(&tokens);
        let other = thread::spawn(move || drop(theirs.take(in_another_chunk, &guard::pin())));
        let guard = guard::pin();
        tokens.forget(in_another_chunk);
        drop(guard);
        other.join().unwrap();
    });
}
