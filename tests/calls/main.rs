//! What each call answers. One binary, since each one takes seconds to build. Here each test runs alone
//! (`common::exclusive`): its drops and memory are those of a process that has one collector for all maps.

use evanesce_testkit as common;

mod builder;
mod by_ref;
mod collect;
mod expiry;
mod idle;
mod lies;
mod policy;
mod refresh;
mod set;
mod stale;
mod surface;
mod sweep;
mod sweeper;
