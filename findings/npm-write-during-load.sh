#!/usr/bin/env bash
# Claim: what a write does that comes while a value is being loaded differs between npm's two large caches, and neither
# is what one would guess. In lru-cache a `set` or `delete` during `fetch` makes `fetch` throw, for all who wait, though
# the loader has ended well. In cacheable, `getOrSet` puts its older value over what was set, and puts back what was
# deleted.
#
# The guess that was wrong: the newer write stays and whoever waits gets the loaded value (or the written one).
#
# Why it matters: a write during a load is how an invalidation meets a slow database. With lru-cache each invalidation of
# a busy key is a failed request for all who wait; with cacheable the value of before is served for a whole TTL.
#
# For our product: a write during a load wins, and whoever waits gets a value (the guide, "loading"); tests/load.rs.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund lru-cache@11.5.3 cacheable@2.5.0
cat > finding.mjs <<'JS'
import { LRUCache } from 'lru-cache';
import { Cacheable } from 'cacheable';

/** What the load returned to each of two waiters, and what is in the cache afterwards. */
async function during(load, write, get) {
  let started, finish;
  const running = new Promise(resolve => { started = resolve; });
  const loader = () => new Promise(resolve => {
    started();
    finish = () => resolve('loaded');
  });
  const waiters = [load(loader), load(loader)].map(p => p.catch(error => `Error: ${error.message}`));
  await running;
  await write();
  finish();
  return [...(await Promise.all(waiters)), await get()];
}

const seen = {};
for (const what of ['set', 'delete']) {
  let loader;
  const lru = new LRUCache({ max: 10, fetchMethod: () => loader() });
  const cacheable = new Cacheable();
  const write = cache => () => (what === 'set' ? cache.set('k', 'written') : cache.delete('k'));
  seen[`lru-cache 11.5.3, ${what}`] = await during(
    l => { loader = l; return lru.fetch('k'); }, write(lru), () => lru.get('k'));
  seen[`cacheable 2.5.0, ${what}`] = await during(
    l => cacheable.getOrSet('k', l), write(cacheable), () => cacheable.get('k'));
}
console.log('a write during the load: what two waiters get, and what the cache holds afterwards');
console.log("expected, set:    [ 'loaded', 'loaded', 'written' ]");
console.log("expected, delete: [ 'loaded', 'loaded', undefined ]");
for (const name in seen) console.log(`seen, ${name}:`, seen[name]);
const was = [
  ['Error: replaced', 'Error: replaced', 'written'], ['loaded', 'loaded', 'loaded'],
  ['Error: deleted', 'Error: deleted', undefined], ['loaded', 'loaded', 'loaded'],
];
if (JSON.stringify(Object.values(seen)) !== JSON.stringify(was)) {
  console.error('changed: lru-cache threw to the waiters, cacheable kept the loaded value');
  process.exit(1);
}
JS
node finding.mjs
