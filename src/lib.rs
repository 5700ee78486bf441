//! A concurrent hash map whose entries can expire.
#![doc = include_str!("../docs/crate.md")]

mod build_error;
mod builder;
mod clock;
mod collect;
mod external;
mod iter;
mod listener;
mod load;
mod map;
mod misplaced;
mod pinned;
mod policy;
mod raw;
mod set;
mod stats;
mod sweep;
mod sync;
mod weigher;

pub use build_error::BuildError;
pub use builder::Builder;
pub use clock::{Clock, Deadline, ManualClock, MonotonicClock, TickClock, Ttl};
pub use iter::{Entries, Iter, Keys, Linked, Values};
pub use listener::RemovalCause;
pub use load::{Load, Loaded, NoSleep, Sleep};
pub use map::{TryReserveError, TtlMap};
pub use pinned::{ByRef, Compute, EntryRef, Lookup, OccupiedError, Operation, Pinned, Stale};
pub use policy::Policy;
pub use raw::RefreshToken;
pub use set::{PinnedSet, TtlSet};
pub use stats::Stats;
pub use sweep::{Budget, SharedSweeper, SweepReport, Sweeper};
pub use weigher::TooHeavyError;

#[doc(no_inline)]
pub use equivalent::Equivalent;

#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}

#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/migrating.md")]
pub mod migrating {}

/// The README's code, run with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What must not compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/misuse.md")]
struct Misuse;
