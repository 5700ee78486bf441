//! The lock-free core: a split-ordered list over a slab, its directory, and reclamation.
//!
//! What crosses into it is a hash, entries `T`, closures that compare (they may fail, lie, panic or
//! call the map again, and cost wrong answers at worst), a guard, and integers. `DESIGN.md` argues
//! the rules; the code cites them by number:
//!
//! - **I1** An entry's state word alone decides whether it is free, alive, dead or moved. Terminal
//!   states are final until the slot is reclaimed. Every change of a living entry is one CAS from
//!   the state that was judged.
//! - **I2** Nodes of one split-order key form one run. A new one is appended at its end, and only
//!   by a find that has unlinked every node on its way that was over.
//! - **I3** Only a node that was met by links is replaced, removed, claimed or renewed, and whoever
//!   judges it visible reads the clock after that.
//! - **I4** A node is linked once and unlinked once, after its state became terminal; who unlinks
//!   it retires it. Its key, its entry and its terminal state stay as they are, and its link stays
//!   frozen, until every guard from before the unlinking is gone.
//! - **I5** A slot is free in the bitmap, or free in one stripe, or one draft's, or linked, or retired.
//!   Only slots of ensured chunks are handed out.
//! - **I6** To a block with a free bit the tree of blocks leads, or a thread is about to make it lead there,
//!   or to take all its slots.
//! - **I7** A sentinel's cell is unset, then its one claimer's and marked, then linked; linked it
//!   stays. A walk starts only from an unmarked one. Its chunk comes before its number.
//! - **I8** The box of a batch seen on the ready stack, by who pops or who pushes, lives, and does not
//!   come back, while the guard lasts under which it was seen. The collector runs what pushes pinned.

#[allow(unsafe_code)] // indexes the records unchecked
mod blocks;
#[cfg(any(test, loom, shuttle))]
mod check;
#[allow(unsafe_code)] // raw memory
mod chunked;
mod compute;
#[allow(unsafe_code)] // owns an entry in a slot
mod draft;
mod guard;
#[allow(unsafe_code)] // owns arrays of lines, hands out references to entries
mod index;
#[allow(unsafe_code)] // hands out entries
mod judge;
mod key;
mod nesting;
#[allow(unsafe_code)] // owns a box through a raw pointer
mod once_box;
#[allow(unsafe_code)] // overwrites emptied entries in debug builds
mod poison;
mod put;
mod refresh;
mod retain;
#[allow(unsafe_code)] // owns boxes through raw links
mod retire;
mod shrink;
#[allow(unsafe_code)] // owns entries
mod slab;
mod state;
#[allow(unsafe_code)] // owns what a turn gives a writer
mod stripe;
mod sweeping;
mod table;
#[allow(unsafe_code)] // names its words zeroed
mod tokens;
mod upkeep;

pub(crate) use blocks::MAX_SLOTS;
pub(crate) use chunked::PageSize;
pub(crate) use compute::{Computed, Decision, Met};
pub(crate) use draft::Waiting;
pub(crate) use guard::{Guard, pin};
pub(crate) use index::Position;
pub(crate) use index::TOGETHER;
pub(crate) use key::SplitKey;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use once_box::OnceBox;
pub(crate) use put::Put;
pub(crate) use refresh::Freshness;
pub(crate) use state::{Now, State};
pub(crate) use stripe::{chain_count, thread_number};
pub(crate) use table::Table;
pub use tokens::RefreshToken;
pub(crate) use upkeep::Figures;
