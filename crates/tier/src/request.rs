//! What a request takes along.

use crate::{gate::Origin, wire::Session};

/// A request that is about to leave.
pub(crate) struct At {
    pub(crate) session: Session,
    /// From before it leaves.
    pub(crate) origin: Origin,
    /// Whether what it reads may be kept: it goes to the server that has the key and will say when it changes.
    pub(crate) may_keep: bool,
}
