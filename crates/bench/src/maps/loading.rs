//! Maps that load what is not there, once for all who ask for it at a time, and block them meanwhile.
//!
//! evanesce: `get_or_load_blocking`; moka: `get_with`; `quick_cache`: `get_or_insert_with`. No capacity is given.

use std::convert::Infallible;
use std::hint::black_box;

use super::caches::{self, Moka, QuickCache};
use super::evanesce::entrants::{self, Shared};
use super::{EVANESCE, MOKA, QUICK_CACHE};

/// A map from numbers to numbers that loads.
pub(crate) trait Loading: Send + Sync {
    /// Asks for each key, which `loader` makes if it is not there; returns the sum of the values.
    fn ask(&self, keys: &[u64], loader: &(dyn Fn(u64) -> u64 + Sync)) -> u64;
}

/// An empty map that loads.
pub(crate) fn loading(name: &str) -> Box<dyn Loading> {
    match name {
        EVANESCE => Box::new(entrants::fresh::<u64>()),
        QUICK_CACHE => Box::new(caches::roomy::<u64>()),
        MOKA => Box::new(caches::unbounded::<u64>()),
        other => unreachable!("no map that loads is called {other}"),
    }
}

/// The sum of what `ask` answers for each key.
fn sum(keys: &[u64], ask: impl Fn(&u64) -> u64) -> u64 {
    keys.iter().fold(0, |sum, key| sum.wrapping_add(black_box(ask(black_box(key)))))
}

impl Loading for Shared<u64> {
    fn ask(&self, keys: &[u64], loader: &(dyn Fn(u64) -> u64 + Sync)) -> u64 {
        sum(keys, |key| self.get_or_load_blocking(key, || loader(*key)))
    }
}

impl Loading for QuickCache<u64> {
    fn ask(&self, keys: &[u64], loader: &(dyn Fn(u64) -> u64 + Sync)) -> u64 {
        sum(keys, |key| {
            let Ok(value) = self.get_or_insert_with(key, || Ok::<_, Infallible>(loader(*key)));
            value
        })
    }
}

impl Loading for Moka<u64> {
    fn ask(&self, keys: &[u64], loader: &(dyn Fn(u64) -> u64 + Sync)) -> u64 {
        sum(keys, |key| self.get_with(*key, || loader(*key)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::keys::keys;

    #[test]
    fn every_map_loads_what_is_not_there_and_only_that() {
        for name in [EVANESCE, QUICK_CACHE, MOKA] {
            let map = loading(name);
            let loads = AtomicUsize::new(0);
            let load = |key: u64| {
                loads.fetch_add(1, Ordering::Relaxed);
                !key
            };
            let keys = keys(0..100);
            let expected = keys.iter().fold(0_u64, |sum, key| sum.wrapping_add(!key));
            assert_eq!(map.ask(&keys, &load), expected, "{name}");
            assert_eq!(map.ask(&keys, &load), expected, "{name}");
            assert_eq!(loads.into_inner(), 100, "{name}");
        }
    }
}
