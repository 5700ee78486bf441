#!/usr/bin/env bash
# Claim: once the Moka store of tower-sessions (Rust) holds as many sessions as it was made for, a session that has just begun
# is the one to go, within a second, unless it has been loaded more often by then than an old one was in all its time. Old
# sessions that nobody uses any more keep their places until they expire.
#
# The guess that was wrong: the store drops what has not been used for longest, as one expects of sessions. The docs tell of
# expiry and call the number a maximum capacity. moka says that it may refuse a new entry, and who knows that
# expects it of keys that are never asked for; here they are asked for several times first.
#
# Why it matters: with the store full, users log in, click through three pages and are logged out, again and again, while
# those who logged in first notice nothing. TTLs of two weeks keep it so for two weeks. No error and no count tells.
#
# For our product: `max_entries` never ends the entry that was just put, and one that was used twice since then counts as
# much as any older one (the guide, "A maximum size").
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export CARGO_TARGET_DIR="$dir/target"
mkdir "$dir/src"
cat > "$dir/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
pollster = "=0.4.0"
time = "0.3"
tower-sessions-core = "=0.14.0"
tower-sessions-moka-store = "=0.15.0"
moka = "=0.12.16"
TOML
cat > "$dir/src/main.rs" <<'RUST'
use std::process::exit;
use std::{thread, time};

use ::time::{Duration, OffsetDateTime};
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::SessionStore;
use tower_sessions_moka_store::MokaStore;

const CAPACITY: usize = 100;
const LOGINS: usize = 10;
/// How often each of the old sessions was loaded, before everything.
const OLD_LOADS: usize = 5;

async fn log_in(store: &MokaStore) -> Id {
    let expiry_date = OffsetDateTime::now_utc() + Duration::days(14);
    let mut record = Record { id: Id::default(), data: Default::default(), expiry_date };
    store.create(&mut record).await.unwrap();
    record.id
}

async fn is_there(store: &MokaStore, id: &Id) -> bool {
    store.load(id).await.unwrap().is_some()
}

/// How many of the new sessions, and of the old ones, are lost after each new one has been loaded `loads` times.
async fn lost(loads: usize) -> (usize, usize) {
    let store = MokaStore::new(Some(CAPACITY as u64));
    let (mut old, mut new) = (vec![], vec![]);
    for _ in 0..CAPACITY {
        old.push(log_in(&store).await);
    }
    for _ in 0..OLD_LOADS {
        for id in &old {
            assert!(is_there(&store, id).await);
        }
    }
    thread::sleep(time::Duration::from_secs(1));
    for _ in 0..LOGINS {
        let id = log_in(&store).await;
        for _ in 0..loads {
            is_there(&store, &id).await;
        }
        new.push(id);
    }
    for _ in 0..3 {
        thread::sleep(time::Duration::from_millis(500));
        is_there(&store, &old[0]).await; // a call, from which moka's upkeep runs
    }
    let mut lost = (0, 0);
    for id in &new {
        lost.0 += usize::from(!is_there(&store, id).await);
    }
    for id in &old {
        lost.1 += usize::from(!is_there(&store, id).await);
    }
    lost
}

fn main() {
    let few = pollster::block_on(lost(OLD_LOADS - 2));
    let many = pollster::block_on(lost(OLD_LOADS * 2));
    println!("tower-sessions-moka-store 0.15.0, room for {CAPACITY}: as many sessions, loaded {OLD_LOADS} times each and then left");
    println!("idle; then {LOGINS} others log in");
    println!("expected: {LOGINS} of the idle ones go, and none of the new");
    for (loads, (new, old)) in [(OLD_LOADS - 2, few), (OLD_LOADS * 2, many)] {
        println!("seen if each new one is loaded {loads} times at once: {new} new and {old} old ones are gone");
    }
    if !(few.0 >= LOGINS * 4 / 5 && many.0 <= LOGINS / 2) {
        eprintln!("changed: a new session no longer has to be used more often than the old ones to stay");
        exit(1);
    }
}
RUST
cargo run --quiet --manifest-path "$dir/Cargo.toml"
