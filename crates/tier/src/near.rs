//! What this process keeps, and when it may be served (DESIGN.md, "Steps"). It knows no server.

use std::{future::Future, sync::Arc, time::Duration};

use evanesce::{Load, Loaded, Lookup, RefreshToken, TtlMap};

use crate::{
    error::Error,
    gate::{Gate, Generation, Origin},
    stats::Counts,
};

/// What a key has, and in which generation its fill began.
///
/// With the map's word and the key it fills a cache line, which is all that a hit loads of the entry itself.
#[derive(Debug)]
pub(crate) struct Kept<V> {
    /// Its word is one of values.
    generation: Generation,
    what: What<V>,
}

#[derive(Debug)]
enum What<V> {
    /// No value, as those say who had the key after so many changes of the topology.
    None { changes: u64 },
    /// A value that ends here before it ends in the server, so that an early refresh gives it more time.
    EndsHere(Arc<V>),
    /// One that ends when the server says.
    EndsThere(Arc<V>),
}

impl<V> Kept<V> {
    pub(crate) fn of(read: Read<V>) -> Self {
        let Origin { generation: Generation { gate, word }, changes } = read.origin;
        let generation = Generation { gate, word: word.of_values() };
        let what = match read.value {
            None => What::None { changes },
            Some(value) if read.ends_near => What::EndsHere(value),
            Some(value) => What::EndsThere(value),
        };
        Self { generation, what }
    }

    #[inline]
    pub(crate) fn value(&self) -> Option<&Arc<V>> {
        match &self.what {
            What::EndsHere(value) | What::EndsThere(value) => Some(value),
            What::None { .. } => None,
        }
    }

    /// Whether who began under `start` may have it.
    pub(crate) fn is_for(&self, start: &Origin) -> bool {
        let is_of_its_topology = match self.what {
            What::None { changes } => changes >= start.changes,
            _ => true,
        };
        is_of_its_topology && !self.generation.is_before(&start.generation)
    }

    /// Whether it is never served again.
    fn is_outdated(&self) -> bool {
        self.generation.is_over() || self.is_of_another_topology()
    }

    /// It says that there is no such key, and who would know that may be another now.
    #[inline]
    fn is_of_another_topology(&self) -> bool {
        match self.what {
            What::None { changes } => {
                changes != self.generation.gate.changes() && !planted!(absences_kept)
            }
            _ => false,
        }
    }
}

impl<V> Clone for Kept<V> {
    fn clone(&self) -> Self {
        Self { generation: self.generation.clone(), what: self.what.clone() }
    }
}

impl<V> Clone for What<V> {
    fn clone(&self) -> Self {
        match self {
            Self::None { changes } => Self::None { changes: *changes },
            Self::EndsHere(value) => Self::EndsHere(Arc::clone(value)),
            Self::EndsThere(value) => Self::EndsThere(Arc::clone(value)),
        }
    }
}

/// What a fill has read.
#[derive(Debug)]
pub(crate) struct Read<V> {
    /// From before the request left.
    pub(crate) origin: Origin,
    pub(crate) value: Option<Arc<V>>,
    /// How long it may be kept; zero: not at all.
    pub(crate) ttl: Duration,
    pub(crate) ends_near: bool,
}

/// A fill that failed, and in which generation it began.
#[derive(Clone)]
struct Failed {
    generation: Generation,
    error: Error,
}

/// How a read stands.
pub(crate) enum Look<V> {
    Hit(Option<Arc<V>>),
    /// The same, and its caller is to refresh it.
    Due(Option<Arc<V>>, RefreshToken),
    Miss,
    /// Others are to have their turn before.
    Turn,
    /// The connection is lost. Boxed: an error is far larger than a hit.
    Lost(Box<Error>),
}

/// Whether a value may be served.
enum Judged {
    Fresh,
    Stale,
    Outdated,
    Lost(Duration),
}

/// The map of a tier.
pub(crate) struct Near<V> {
    map: TtlMap<Vec<u8>, Kept<V>>,
    pub(crate) counts: Counts,
    max_stale: Duration,
    refresh_early: Option<Duration>,
    /// How long one waits for another's fill that somebody may hold and not poll.
    #[cfg_attr(evanesce_shuttle, allow(dead_code))]
    patience: Duration,
}

impl<V> Near<V> {
    pub(crate) fn new(
        map: TtlMap<Vec<u8>, Kept<V>>,
        max_stale: Duration,
        refresh_early: Option<Duration>,
        patience: Duration,
    ) -> Self {
        Self { map, counts: Counts::default(), max_stale, refresh_early, patience }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Forgets a key: no fill that goes on now keeps it.
    pub(crate) fn forget(&self, key: &[u8]) {
        self.map.remove(key);
    }

    #[inline]
    fn judge(&self, kept: &Kept<V>) -> Judged {
        let Generation { gate, word } = &kept.generation;
        if *word == gate.word() && !kept.is_of_another_topology() {
            return Judged::Fresh;
        }
        self.judge_unlike(kept)
    }

    /// That of what was not read under the word of now.
    #[cold]
    fn judge_unlike(&self, kept: &Kept<V>) -> Judged {
        if planted!(generation_not_compared) {
            return Judged::Fresh;
        }
        if kept.is_of_another_topology() {
            return Judged::Outdated;
        }
        let Generation { gate, word: of } = &kept.generation;
        loop {
            let word = gate.word();
            if *of == word {
                return Judged::Fresh;
            }
            if *of != word.of_values() {
                return Judged::Outdated;
            }
            match gate.lost_for(word) {
                Some(time) if time < self.max_stale => return Judged::Stale,
                Some(time) => return Judged::Lost(time),
                None => {} // another word by now
            }
        }
    }

    /// Calls `read` with what the key has, if that may be served.
    #[inline]
    pub(crate) fn view<R>(&self, key: &[u8], read: impl FnOnce(Option<&Arc<V>>) -> R) -> Option<R> {
        let pinned = self.map.pin();
        let kept = pinned.get(key)?;
        match self.judge(kept) {
            Judged::Fresh => {}
            Judged::Stale => self.counts.hits.add_stale(),
            Judged::Outdated | Judged::Lost(_) => return None,
        }
        let value = kept.value();
        self.counts.hits.add_view();
        Some(read(value))
    }

    /// Looks a key up. One caller is told to refresh it when that is due, and each at times that it is the turn of others, unless that `was_turn`.
    #[inline]
    pub(crate) fn look(&self, key: &[u8], was_turn: bool) -> Look<V> {
        if let Some(early) = self.refresh_early {
            return self.look_early(key, early, was_turn);
        }
        let pinned = self.map.pin();
        let Some(kept) = pinned.get(key) else { return Look::Miss };
        self.served(kept, was_turn)
    }

    #[inline(never)]
    fn look_early(&self, key: &[u8], early: Duration, was_turn: bool) -> Look<V> {
        let pinned = self.map.pin();
        let (kept, token) = match pinned.get_or_refresh(key, early) {
            Lookup::Fresh(kept) | Lookup::Stale(kept) => return self.served(kept, was_turn),
            Lookup::Refresh(kept, token) => (kept, token),
            Lookup::Missing => return Look::Miss,
        };
        match (self.judge(kept), self.served(kept, was_turn)) {
            // Where the server ends it a refresh would give it no time, and be due again.
            (Judged::Fresh, Look::Hit(value)) if matches!(kept.what, What::EndsHere(_)) => {
                Look::Due(value, token)
            }
            (_, look) => look,
        }
    }

    #[inline]
    fn served(&self, kept: &Kept<V>, was_turn: bool) -> Look<V> {
        let is_stale = match self.judge(kept) {
            Judged::Fresh => false,
            Judged::Stale => true,
            Judged::Outdated => return Look::Miss,
            Judged::Lost(time) => return Look::Lost(Box::new(kept.generation.gate.lost(time))),
        };
        if !self.counts.hits.add_in_turn(was_turn) {
            return Look::Turn;
        }
        if is_stale {
            self.counts.hits.add_stale();
        }
        Look::Hit(kept.value().cloned())
    }

    /// Has `read` called by one of those who ask for the key at a time, and keeps what it gives for as long as that says, unless
    /// the key is forgotten meanwhile. The gate is of the server that has the key as far as is known.
    ///
    /// What it returns was asked for not before this call, or by a fill that no push had killed when this call began.
    pub(crate) async fn fill<Fut>(
        &self,
        gate: &Arc<Gate>,
        key: &[u8],
        mut read: impl FnMut() -> Fut,
    ) -> Result<Kept<V>, Error>
    where
        Fut: Future<Output = Result<Read<V>, Error>>,
    {
        loop {
            let start = Origin::now(gate);
            if let Some(ago) = gate.lost_for(start.generation.word) {
                return Err(gate.lost(ago));
            }
            self.drop_outdated(key);
            if planted!(naive_fill) {
                let read = read().await?;
                let (ttl, kept) = (read.ttl, Kept::of(read));
                self.map.insert_with_ttl(key.to_vec(), kept.clone(), ttl);
                return Ok(kept);
            }
            let mut kept_for = None;
            let (slot, read) = (&mut kept_for, &mut read);
            let read = move || {
                self.counts.fills.add();
                let Origin { generation, .. } = Origin::now(gate);
                let reading = read();
                let slot = slot;
                async move {
                    let mut read = reading.await.map_err(|error| Failed { generation, error })?;
                    if planted!(word_read_late) {
                        read.origin = Origin::now(&read.origin.generation.gate);
                    }
                    let ttl = read.ttl;
                    *slot = Some(ttl);
                    Ok::<_, Failed>(Loaded::with_ttl(Kept::of(read), ttl))
                }
            };
            let found = self.map.try_get_or_load_with(key, &self.load(), read).await;
            match (found, kept_for) {
                // Somebody else's, from before this call's word.
                (Ok(kept), None) if !kept.is_for(&start) => {}
                (Err(failed), None) if failed.generation.is_before(&start.generation) => {}
                (Ok(kept), None) => {
                    self.counts.joined.add();
                    return Ok(kept);
                }
                (Ok(kept), Some(ttl)) => {
                    if !ttl.is_zero() && !self.has(key, &kept) {
                        self.counts.refused_fills.add();
                    }
                    return Ok(kept);
                }
                (Err(failed), _) => return Err(failed.error),
            }
        }
    }

    #[cfg(not(evanesce_shuttle))]
    fn load(&self) -> Load<fn(Duration) -> tokio::time::Sleep> {
        Load::new().patience(self.patience).sleep(tokio::time::sleep)
    }

    #[cfg(evanesce_shuttle)]
    #[allow(clippy::unused_self, reason = "as the other")]
    fn load(&self) -> Load {
        Load::new()
    }

    /// Takes an outdated entry out, so that the key is read again.
    fn drop_outdated(&self, key: &[u8]) {
        let pinned = self.map.pin();
        if pinned.get(key).is_some_and(Kept::is_outdated) {
            _ = pinned.remove_if(key, |_, kept| kept.is_outdated());
        }
    }

    fn has(&self, key: &[u8], wanted: &Kept<V>) -> bool {
        self.map.view(key, |kept| {
            !kept.generation.is_before(&wanted.generation)
                && match (kept.value(), wanted.value()) {
                    (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                    (one, other) => one.is_none() && other.is_none(),
                }
        }) == Some(true)
    }

    /// Puts what was read in the place of the entry that the token is of. False if that is gone, or nothing is to be kept.
    pub(crate) fn refresh(&self, token: RefreshToken, key: &[u8], read: Read<V>) -> bool {
        let ttl = read.ttl;
        if ttl.is_zero() {
            drop(token);
            self.forget(key);
            return false;
        }
        let kept = Kept::of(read);
        let pinned = self.map.pin();
        let is_kept = pinned.refresh_with_ttl(token, key.to_vec(), kept, ttl).is_ok();
        if !is_kept {
            self.counts.refused_fills.add();
        }
        is_kept
    }
}

#[cfg(all(test, not(evanesce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_fits_a_cache_line() {
        // The map puts a word before it.
        let bytes = size_of::<u64>() + size_of::<(Vec<u8>, Kept<String>)>();
        assert_eq!(bytes, 64);
    }
}
