//! An older build of this library, which `before.sh` makes a dependency: the same entrants over it.

use ::evanesce_before as library;

#[allow(clippy::duplicate_mod)] // twice on purpose: neither library's types are the other's
#[path = "evanesce/entrants.rs"]
pub(super) mod entrants;
