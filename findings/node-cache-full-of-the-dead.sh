#!/usr/bin/env bash
# Claim: a node-cache with `maxKeys` that is full of expired entries refuses every write, until its timer comes round
# (`checkperiod`, ten minutes) or somebody reads one of the dead by its key. `keys()` lists them. And when it is full
# it refuses to overwrite a key that it holds.
#
# The guess that was wrong: what has expired is not there, as `has` says, so it takes no room; or it is thrown out when
# room is needed. And an overwrite needs no room.
#
# Why it matters: `set` throws. With sessions of one minute and a bound of 10,000, a burst fills the cache, and for the
# nine minutes after it nobody can log in, nor can a session that is there be renewed.
#
# For our product: a map at its `max_slots` that is full of expired entries takes as many new ones (tests/regressions.rs,
# `a_map_full_of_expired_entries_takes_as_many_new_ones`). Once it panicked, so the fault is an easy one to make.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund node-cache@5.1.2
cat > finding.mjs <<'JS'
import NodeCache from 'node-cache';

const cache = new NodeCache({ maxKeys: 2 });
const set = (key, ttl) => {
  try {
    return cache.set(key, 1, ttl);
  } catch (error) {
    return error.errorcode;
  }
};

set('a', 0.1);
set('b', 0.1);
const full = set('a', 0.1);
await new Promise(resolve => setTimeout(resolve, 500));
const seen = { overwrite: full, 'all expired': set('c', 10), keys: cache.keys(), has: cache.has('a') };
seen['after has'] = set('c', 10);
console.log('node-cache 5.1.2 with room for two keys: overwriting one of two; a new key when both have expired, the keys');
console.log('listed, `has` of an expired one; and a new key after that');
console.log("expected: { overwrite: true, 'all expired': true, keys: [ 'c' ], has: false, 'after has': true }");
console.log('seen:    ', seen);
cache.close();
const was = { overwrite: 'ECACHEFULL', 'all expired': 'ECACHEFULL', keys: ['a', 'b'], has: false, 'after has': true };
if (JSON.stringify(seen) !== JSON.stringify(was)) {
  console.error('changed: an overwrite of a full cache and a write to one full of expired entries were refused');
  process.exit(1);
}
JS
node finding.mjs
