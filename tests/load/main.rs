//! Loads: one for all who wait, whether threads or futures. Each test runs alone (`common::exclusive`).

use evanesce_testkit as common;

mod asynchronous;
mod blocking;
