#!/usr/bin/env bash
# Claim: a TTL of 30 days is too long for Node's timers, which take at most 2^31 - 1 ms (24.8 days) and make 1 ms of
# anything longer. Caches that end an entry by a timer of its own forget it at once: memory-cache, expiry-map and
# timed-cache. lru-cache with `ttlAutopurge` and node-cache with such a `checkperiod` keep the entry, and wake up again
# and again without end. @isaacs/ttlcache, cacheable and node-cache without such a period do neither.
#
# The guess that was wrong: a far deadline is the easy case. (Node says a warning, once a timer, which names no cache.)
#
# Why it matters: 30 days is what sessions and remember-me cookies get. Such a service works in every test with an hour
# and loses each session within a millisecond when the real figure comes from the settings.
#
# For our product: deadlines are numbers and no timers, and the longest TTL means never (tests/expiry.rs,
# `longest_ttls_and_deadlines_mean_never`). Whoever sleeps until `next_deadline` on a timer must cut that sleep.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund memory-cache@0.2.0 expiry-map@2.0.0 timed-cache@2.0.0 lru-cache@11.5.3 \
    node-cache@5.1.2 @isaacs/ttlcache@2.1.5 cacheable@2.5.0
cat > finding.mjs <<'JS'
import { LRUCache } from 'lru-cache';
import { TTLCache } from '@isaacs/ttlcache';
import { CacheableMemory } from 'cacheable';
import ExpiryMap from 'expiry-map';
import memoryCache from 'memory-cache';
import NodeCache from 'node-cache';
import TimedCache from 'timed-cache';

const MONTH = 30 * 86_400_000;
let warnings = 0;
process.on('warning', () => warnings++);

const caches = {
  'memory-cache 0.2.0': ttl => { memoryCache.put('k', 1, ttl); return () => memoryCache.get('k'); },
  'expiry-map 2.0.0': ttl => { const c = new ExpiryMap(ttl); c.set('k', 1); return () => c.get('k'); },
  'timed-cache 2.0.0': ttl => { const c = new TimedCache({ defaultTtl: ttl }); c.put('k', 1); return () => c.get('k'); },
  'lru-cache 11.5.3, ttlAutopurge': ttl => {
    const c = new LRUCache({ ttl, ttlAutopurge: true });
    c.set('k', 1);
    return () => c.get('k');
  },
  'node-cache 5.1.2, checkperiod': ttl => {
    const c = new NodeCache({ stdTTL: ttl / 1000, checkperiod: ttl / 1000 });
    c.set('k', 1);
    return () => c.get('k');
  },
  'node-cache 5.1.2': ttl => { const c = new NodeCache({ stdTTL: ttl / 1000 }); c.set('k', 1); return () => c.get('k'); },
  '@isaacs/ttlcache 2.1.5': ttl => { const c = new TTLCache({ ttl }); c.set('k', 1); return () => c.get('k'); },
  'cacheable 2.5.0': ttl => { const c = new CacheableMemory(); c.set('k', 1, ttl); return () => c.get('k'); },
};

/** Whether the value is there a second later, and how many timers were too long meanwhile: none, one or many. */
async function kept(name, ttl) {
  const read = caches[name](ttl);
  await new Promise(resolve => setTimeout(resolve, 1000));
  return [read() === 1, ['none', 'one'][warnings] ?? 'many'];
}

const [name, ttl] = process.argv.slice(2);
if (name) {
  console.log(JSON.stringify(await kept(name, ttl === 'month' ? MONTH : 3_600_000)));
  process.exit();
}
const { execFileSync } = await import('node:child_process');
// Each in a process of its own, so that the warnings are its own.
const run = (name, ttl) => JSON.parse(execFileSync(process.execPath, ['--no-warnings', 'finding.mjs', name, ttl]));
console.log('is the value there a second later, and how many timers were too long: for a TTL of a month, of an hour');
console.log('expected: [true,"none"] for both');
const was = [
  [false, 'one'], [false, 'one'], [false, 'one'], [true, 'many'], [true, 'many'],
  [true, 'none'], [true, 'none'], [true, 'none'],
];
let changed = false;
Object.keys(caches).forEach((name, i) => {
  const month = JSON.stringify(run(name, 'month'));
  const hour = JSON.stringify(run(name, 'hour'));
  console.log(`seen, ${name}: ${month}, ${hour}`);
  changed ||= month !== JSON.stringify(was[i]) || hour !== '[true,"none"]';
});
if (changed) {
  console.error('changed: the first three forgot the value, the next two woke up for ever, the others were right');
  process.exit(1);
}
JS
node finding.mjs
