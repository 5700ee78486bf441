//! This library. Its entrants are in a file of their own, which `before.rs` compiles for an older build; here
//! is what only the present build has.

use std::sync::Arc;

use ::evanesce as library;
use library::{TickClock, TtlMap};

use super::hasher;

pub(super) mod entrants;

/// An empty map whose deadlines are judged by a word in which a thread keeps the time.
pub(super) fn ticking<K>() -> entrants::Shared<K> {
    let map = TtlMap::builder().hasher(hasher()).clock(TickClock::shared()).build();
    Arc::new(map.expect("all numbers are the defaults"))
}
