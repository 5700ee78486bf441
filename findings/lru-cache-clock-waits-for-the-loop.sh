#!/usr/bin/env bash
# Claim: lru-cache (npm) reads the clock once and keeps the reading until a timer of 1 ms has run. Where the event loop
# gets to no timers, by a long computation or by `await`s that are done at once, time stands still from the last hit
# on: an entry of 50 ms is served after 500 ms, `getRemainingTTL` still shows nearly the whole, and `purgeStale` finds
# nothing.
#
# The guess that was wrong: the docs call `ttlResolution` the least time between two looks at the clock, 1 ms if not
# given; so an entry would be seen at most 1 ms too long. In truth it is a least time with no most.
#
# Why it matters: the loop is busy just where load is high, and a handler that awaits only caches and promises that are
# done keeps it so. What is served then may be a token, a price or a flag that ended long ago. `ttlResolution: 0` reads
# the clock each time.
#
# For our product: `TickClock` is the same bargain, a time that something else keeps. Ours is kept by a thread and not by
# the threads that read it, and a map that must be exact takes the default clock; the guide says by how much it may lag.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund lru-cache@11.5.3
cat > finding.mjs <<'JS'
import { LRUCache } from 'lru-cache';

const TTL = 50;
const BUSY = TTL * 10;

async function served(ttlResolution, busy) {
  for (;;) {
    const cache = new LRUCache({ max: 10, ttl: TTL, ttlResolution });
    await new Promise(resolve => setTimeout(resolve, 5));
    cache.set('k', 1);
    if (cache.get('k') !== 1) continue; // the machine paused
    const end = performance.now() + BUSY;
    while (performance.now() < end) await busy();
    const purged = cache.purgeStale();
    return [cache.get('k'), purged, Math.sign(cache.getRemainingTTL('k'))];
  }
}

const computing = () => {
  const end = performance.now() + BUSY;
  while (performance.now() < end);
};
const seen = {
  'computing': await served(1, computing),
  'await of what is done': await served(1, () => Promise.resolve()),
  'await of timers': await served(1, () => new Promise(resolve => setTimeout(resolve, 5))),
  'computing, ttlResolution 0': await served(0, computing),
};
console.log(`lru-cache 11.5.3, an entry of ${TTL} ms, read once, and ${BUSY} ms later; [get, purgeStale, sign of what is left]`);
console.log('expected: [ undefined, true, 0 ]');
for (const how in seen) console.log(`seen, ${how}:`, seen[how]);
const found = JSON.stringify(Object.values(seen));
const was = [[1, false, 1], [1, false, 1], [undefined, true, 0], [undefined, true, 0]];
if (found !== JSON.stringify(was)) {
  console.error('changed: only the last two saw the end of the entry');
  process.exit(1);
}
JS
node finding.mjs
