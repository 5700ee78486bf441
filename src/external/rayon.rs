//! Parallel iteration by rayon.
//!
//! The entries are listed first, by the thread that pinned, and the list is what is gone through in parallel: the
//! references in it are good as long as the view is borrowed, which the pin of that one thread sees to.

use rayon::{iter::IntoParallelIterator, vec};

use crate::pinned::Pinned;

impl<'p, K, V, S> IntoParallelIterator for &'p Pinned<'_, K, V, S>
where
    K: Sync,
    V: Sync,
{
    type Item = (&'p K, &'p V);
    type Iter = vec::IntoIter<Self::Item>;

    /// Lists the visible entries, by one walk as [`Pinned::iter`] does it, and goes through the list in parallel:
    /// for work that costs more than the walk.
    ///
    /// An entry that ends meanwhile is gone through all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use evanesce::TtlMap;
    /// use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
    ///
    /// let map: TtlMap<u64, u64> = (0..100).map(|n| (n, n * n)).collect();
    /// let sum: u64 = map.pin().par_iter().map(|(key, square)| square - key).sum();
    /// assert_eq!(sum, (0..100).map(|n| n * n - n).sum());
    /// ```
    fn into_par_iter(self) -> Self::Iter {
        self.iter().collect::<Vec<_>>().into_par_iter()
    }
}
