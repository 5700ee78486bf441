//! Real threads, and what they may see of one another. Each test runs alone (`common::exclusive`).

use evanesce_testkit as common;

mod linearizable;
mod presence;
mod stress;
