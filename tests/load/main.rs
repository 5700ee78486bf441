//! Loads: one for all who wait, whether threads or futures. Each test runs alone (`common::exclusive`).

#[path = "../common/mod.rs"]
mod common;

mod asynchronous;
mod blocking;
