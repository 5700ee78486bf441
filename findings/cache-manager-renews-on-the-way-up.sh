#!/usr/bin/env bash
# Claim: where cache-manager's `wrap` finds a value in its second store, it puts it into the first for a whole TTL, and
# not for what is left. An entry of a TTL is then served for nearly two, after the second store has forgotten it.
# cacheable, by the same authors, takes what is left.
#
# The guess that was wrong: one entry has one end, whichever store it is read from. The second store says when that is,
# and `cache.ttl` asks it.
#
# Why it matters: memory before Redis is what several stores are for. Each process that starts late reads the old value
# near its end and keeps it for a TTL more, so that two processes differ for that long, and "at most a minute old" is
# two. With three stores it is three.
#
# For our product: the tier reads the time left with each value (`PTTL`, one trip with the `GET`) and keeps it no longer
# than that.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund cache-manager@7.2.9 cacheable@2.5.0 keyv@5.6.0
cat > finding.mjs <<'JS'
import { createCache } from 'cache-manager';
import { Cacheable } from 'cacheable';
import Keyv from 'keyv';

const TTL = 1000;
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

// What is read of an entry that was found in the second store at 0.6 of its TTL: then, and at 1.3 of it.
async function read(make) {
  for (let tries = 0; tries < 20; tries += 1) {
    const near = new Keyv();
    const far = new Keyv();
    const ask = make(near, far);
    await far.set('k', 'old', TTL);
    const start = performance.now();
    await pause(TTL * 0.6);
    const first = await ask();
    const asked = performance.now() - start;
    await pause(TTL * 0.7);
    const inFar = await far.get('k');
    const second = await ask();
    if (asked < TTL * 0.9 && performance.now() - start < TTL * 1.5) return [first, inFar, second];
  }
  throw new Error('the machine paused in each of 20 tries');
}

const seen = {
  'cacheable 2.5.0': await read((primary, secondary) => {
    const cache = new Cacheable({ primary, secondary, ttl: TTL });
    return () => cache.getOrSet('k', async () => 'new');
  }),
  'cache-manager 7.2.9': await read((near, far) => {
    const cache = createCache({ stores: [near, far], ttl: TTL });
    return () => cache.wrap('k', async () => 'new');
  }),
};
console.log('an entry of the second store, asked for at 0.6 and at 1.3 of its TTL:');
console.log('[first answer, what the second store has at 1.3, second answer]');
console.log("expected: [ 'old', undefined, 'new' ]");
for (const name in seen) console.log(`seen, ${name}:`, seen[name]);
if (JSON.stringify(Object.values(seen)) !== JSON.stringify([['old', undefined, 'new'], ['old', undefined, 'old']])) {
  console.error('changed: cacheable made it anew, cache-manager served the old one');
  process.exit(1);
}
JS
node finding.mjs
