#!/usr/bin/env bash
# Claim: async-cache-dedupe (npm) counts times in memory by whole seconds, and reads the clock once a second at most:
# one reading is kept, for all caches of the process, until a timer of 1 s has run. So an entry with a TTL of one second
# that is loaded 0.9 s after that reading lives for 0.1 s, and all that is put in between two readings ends together.
#
# The guess that was wrong: `ttl` is given in seconds and measured in milliseconds, so that an entry lives for its TTL.
# Where a unit is coarse one rounds up, so that it lives at least so long.
#
# Why it matters: a TTL of one second is what one puts before a database against bursts. Half of it is lost on average,
# and a busy server has all its keys end at one moment in each second: the very burst that it was to prevent.
#
# For our product: a deadline is compared to the nanosecond of the map's clock, whichever sweeper has come (the guide,
# "choosing a TTL"); and `ttl_jitter` parts entries that were put together.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund async-cache-dedupe@3.4.0
cat > finding.mjs <<'JS'
import { createCache } from 'async-cache-dedupe';

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

// How long keys live, in milliseconds, that are loaded 0, 300 and 900 ms after the first look at the clock.
async function lives() {
  for (let tries = 0; tries < 20; tries += 1) {
    await pause(1500); // the last reading is forgotten
    const caches = { first: 0, early: 300, late: 900 };
    const begun = {};
    const lived = {};
    const loaders = {};
    for (const key in caches) {
      const loader = createCache({ ttl: 1, storage: { type: 'memory' } });
      let loads = 0;
      loader.define('load', async () => { loads += 1; return loads; });
      loaders[key] = () => loader.load(key);
    }
    const start = performance.now();
    let last = start;
    let longest = 0;
    while (Object.keys(lived).length < 3) {
      for (const key in caches) {
        const now = performance.now();
        if (key in lived || now - start < caches[key]) continue;
        begun[key] ??= now;
        if (await loaders[key]() > 1) lived[key] = Math.round(performance.now() - begun[key]);
      }
      await pause(5);
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    if (longest < 50) return lived;
  }
  throw new Error('the machine paused in each of 20 tries');
}

console.log('async-cache-dedupe 3.4.0, a TTL of 1 s in three caches; how many milliseconds a key lives that is loaded');
console.log('first, 0.3 s later in the second cache, and 0.9 s later in the third');
console.log('expected: some 1000 each, and never less');
const seen = await lives();
console.log('seen:', seen);
if (seen.first < 900 || seen.early < 600 || seen.early > 800 || seen.late > 200) {
  console.error('changed: they ended together, a second after the first was loaded');
  process.exit(1);
}
JS
node finding.mjs
