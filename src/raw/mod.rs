//! The lock-free core: a split-ordered hash table of lines over a slab, and reclamation.
//!
//! What crosses into it is a hash, entries `T`, closures that compare (they may fail, lie, panic or
//! call the map again, and cost wrong answers at worst), a guard, and integers. `DESIGN.md` argues
//! the rules; the code cites them by number:
//!
//! - **I1** An entry's state word alone decides whether it is free, alive, dead or moved. Terminal
//!   states are final until the slot is reclaimed. Every change of a living entry is one CAS from
//!   the state that was judged; its winner alone returns the value, reports, and counts.
//! - **I2** At no instant do two present cells of a line and its chain name entries of one key. A name
//!   is published only by a CAS from the presence in which a search found none of its key.
//! - **I3** Only an entry that a present cell named is replaced, removed, claimed or renewed, and
//!   whoever judges it visible reads the clock after meeting it. (A sweep reads it before: what was due
//!   stays due. A hit may renew a replacement that no cell names yet.)
//! - **I4** A name is published once and taken off once, after the entry's state became terminal; who
//!   takes it off retires the slot. Its key half, entry and state stay until every guard from before that
//!   is gone.
//! - **I5** A slot is free in its block's bitmap, or free in one stripe, or held by one draft, or named by
//!   a line, or retired. Only slots of allocated chunks are handed out. Slot 0 never is.
//! - **I6** To a block with a free bit the tree of blocks leads, or a thread is about to make it lead there,
//!   or to take all its slots.
//! - **I7** An array is the next of the root, then the root, then old. Only one that was met as the root, or
//!   as its next, under a guard is looked into; an old one is freed once, a grace period after it was left.
//!   Writers enter a line only when all of its group are born.
//! - **I8** The box of a batch seen on the ready stack, by who pops or who pushes, is neither freed nor
//!   pushed again while the guard lasts under which it was seen. The collector runs what pushes pinned.
//!
//! And of a cell in a line:
//!
//! - **R1** One that is not present belongs to the one draft that reserved it, if any; only that writes it,
//!   and nobody looks into the entry.
//! - **R2** One that is present is changed only by a swing to the replacement, by its publisher taking the
//!   draft's flag off, and by the mark.
//! - **R3** It becomes present only by a publication, which is counted, or at the birth of its line.
//! - **R4** A frozen line stays frozen, and its presence as it is.
//! - **R5** A slot that any cell ever named is free again only after a grace period that began when no cell
//!   of a line that is not frozen named it.
//! - **R6** A draft never comes back to a cell that it left.

// Each folder uses those above it here, and none below.
mod words;

mod memory;

mod reclaim;

mod bound;

#[allow(unsafe_code)] // owns entries, and hands them out
mod slab;

#[allow(unsafe_code)] // owns arrays of lines, hands out references to entries
mod index;

mod table;

mod upkeep;

mod ops;

pub(crate) use bound::Limit;
pub(crate) use index::{Position, TOGETHER};
pub(crate) use memory::{pages::PageSize, wiped::WipedWord};
pub(crate) use ops::{
    compute::{Computed, Decision, Met},
    draft::Waiting,
    put::Put,
    refresh::Freshness,
};
pub(crate) use reclaim::{
    guard::{Guard, pin},
    stripe::{chain_count, thread_number},
};
pub use slab::tokens::RefreshToken;
pub(crate) use table::{Setup, Table};
pub(crate) use upkeep::Figures;
pub(crate) use words::{
    key::SplitKey,
    numbers::MAX_SLOTS,
    state::{Now, State},
};
