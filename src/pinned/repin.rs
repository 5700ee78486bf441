//! A view, renewed.

use super::Pinned;

impl<K, V, S> Pinned<'_, K, V, S> {
    /// Lets the epoch move on, as if this view were dropped and made anew, at a fraction of the
    /// cost. Does nothing while the thread holds a second view, of this map or of any other.
    ///
    /// # Examples
    ///
    /// ```
    /// let map = evanesce::TtlMap::new();
    /// let mut pinned = map.pin();
    /// for n in 0..1000 {
    ///     pinned.insert(n % 10, n);
    ///     pinned.repin(); // what was replaced can be dropped
    /// }
    /// assert_eq!(pinned.get(&3), Some(&993));
    /// ```
    #[inline]
    pub fn repin(&mut self) {
        self.guard.repin();
    }
}
