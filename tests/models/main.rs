//! Models and random schedules, in the builds for them (`ci/rungs.sh`). In others this is empty.
#![cfg(any(evanesce_loom, evanesce_shuttle))]

#[cfg(evanesce_shuttle)]
#[path = "../common/history.rs"]
mod history;
mod small;

mod bound;
mod epoch;
mod lines;
mod loads;
mod memory;
mod operations;
mod schedules;
