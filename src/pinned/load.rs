//! What every call does that may put or remove a key, before it looks for it: loads of the key lose (`load/`).

use core::convert::Infallible;

use equivalent::Equivalent;

use super::Pinned;
use crate::raw::SplitKey;

impl<K, V, S> Pinned<'_, K, V, S> {
    /// Makes the load of a key lose, if there is one.
    #[inline]
    pub(super) fn outrun_load<Q>(&self, place: SplitKey, key: &Q)
    where
        Q: Equivalent<K> + ?Sized,
    {
        let Ok(()) = self.outrun_load_by(place, |met| Ok::<_, Infallible>(key.equivalent(met)));
    }

    /// The same of the key that `is_match` accepts.
    #[inline]
    pub(super) fn outrun_load_by<E>(
        &self,
        place: SplitKey,
        is_match: impl FnMut(&K) -> Result<bool, E>,
    ) -> Result<(), E> {
        if self.map.loads.are_there() {
            self.map.loads.kill(place, &self.guard, is_match)?;
        }
        Ok(())
    }
}
