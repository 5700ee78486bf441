//! The suites that rungs of the ladder run as well, with sanitizers and with bugs planted (`ci/rungs.sh`): random
//! operations against a model, what is dropped and given back, and user code that panics or calls again. Each test runs
//! alone (`common::exclusive`).

use evanesce_testkit as common;

mod bulk;
mod drops;
mod hashers;
mod iter;
mod listener;
mod memory;
mod model;
mod panic;
mod reclaim;
mod reentry;
mod regressions;
mod size;
mod turns;
mod types;
mod upkeep;
