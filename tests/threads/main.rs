//! Real threads, and what they may see of one another. Each test runs alone (`common::exclusive`).

#[path = "../common/mod.rs"]
mod common;

mod linearizable;
mod presence;
mod stress;
