#!/usr/bin/env bash
# Claim: in bentocache (npm) a value that is put in the same millisecond in which one of its tags was deleted counts as
# deleted, for its whole life: `set` has answered, and no `get` finds it. And a value that was asked for before the
# deletion and comes from its factory after it counts as new, and is served for its whole TTL.
#
# The guess that was wrong: a deletion ends what was there before it, in the order of the calls. (It notes the wall
# clock's millisecond. An entry holds if the clock at its storing was past that, and a tie is decided against it.)
#
# Why it matters: "delete the tag, then put the new list" is one function, and in memory both are done within a
# millisecond, so that the cache never holds just what was warmed up. Tests see it now and then. The other half keeps
# what the deletion was to forbid.
#
# For our product: what comes before what is not read off a clock. A load that a remove or a clear overtakes is not
# stored (the guide, "loading"), and what is inserted after it is there. If it ever gets tags, their generations must be
# counters.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund bentocache@1.6.1
cat > finding.mjs <<'JS'
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';

const ROUNDS = 20;
const make = () => new BentoCache({ default: 'm', stores: { m: bentostore().useL1Layer(memoryDriver({})) } });
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const options = { key: 'k', tags: ['t'], ttl: '1h' };

// How many of ROUNDS values are found that were put after their tag was deleted: in the same millisecond, or later.
async function foundAfter(later) {
  const cache = make();
  let found = 0;
  for (let round = 0; round < ROUNDS;) {
    await pause(2);
    const begin = Date.now();
    await cache.deleteByTag({ tags: ['t'] });
    if (later) await pause(3);
    await cache.set({ ...options, value: round });
    if (!later && Date.now() !== begin) continue; // the millisecond was over
    await pause(3);
    if (await cache.get({ key: 'k' }) === round) found += 1;
    round += 1;
  }
  return found;
}

async function overtaken() {
  const cache = make();
  let give;
  const asked = cache.getOrSet({ ...options, factory: () => new Promise(resolve => { give = resolve; }) });
  while (!give) await pause(1);
  await pause(3);
  await cache.deleteByTag({ tags: ['t'] });
  await pause(3);
  give('old');
  await asked;
  return cache.get({ key: 'k' });
}

const seen = [await foundAfter(true), await foundAfter(false), await overtaken()];
console.log(`bentocache 1.6.1: of ${ROUNDS} values put after their tag was deleted, how many are found;`);
console.log('and what is left by a load that a deletion overtook');
console.log(`expected: ${ROUNDS}, ${ROUNDS}, undefined`);
console.log(`seen: ${seen[0]} if put in a later millisecond, ${seen[1]} in the same one, ${seen[2]}`);
if (JSON.stringify(seen) !== JSON.stringify([ROUNDS, 0, 'old'])) {
  console.error('changed: all, none, and the old value');
  process.exit(1);
}
JS
node finding.mjs
