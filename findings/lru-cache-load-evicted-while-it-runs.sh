#!/usr/bin/env bash
# Claim: in lru-cache (npm) a load by `fetch` takes a place in the cache from its beginning. If other keys need the
# place before it ends, it is evicted and the caller's promise is rejected, though the loader, which need not look at
# its signal, ends well. With room for two, three loads at a time of three keys are two answers and an error; so are a
# load and two `set`s of other keys. With `ignoreFetchAbort` all get their values.
#
# The guess that was wrong: room is a matter of what is kept. A load in excess gives its value to those who wait, and is
# not stored, or evicts something when it ends.
#
# Why it matters: no single key is written here, nothing fails, and the cache works as long as fewer keys are loaded at
# a time than it has room for. A burst, or an origin that has become slow, goes past that, and each load in excess is a
# failed request. By weight (`maxSize`) the limit is not even a count that one could know.
#
# For our product: a load shows nowhere while it goes on (the guide, "loading"), so any number may run at a time. But a
# map at its `max_slots` refuses a load as it does an insert (tests/load); one at its `max_entries` evicts.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund lru-cache@11.5.3
cat > finding.mjs <<'JS'
import { LRUCache } from 'lru-cache';

// How three loads at a time end in a cache with room for two; or one load, during which two other keys are set.
async function ends(options, keys, others) {
  let open;
  const opened = new Promise(resolve => { open = resolve; });
  let done = 0;
  const cache = new LRUCache({
    max: 2,
    fetchMethod: async key => { await opened; done += 1; return key; },
    ...options,
  });
  const loads = keys.map(key => cache.fetch(key));
  for (const key of others) cache.set(key, key);
  open();
  const results = await Promise.allSettled(loads);
  if (done !== keys.length) throw new Error('a loader did not end well');
  return results.map(result => result.status === 'rejected' ? 'an error' : result.value).join(', ');
}

const seen = {
  'two loads': await ends({}, ['a', 'b'], []),
  'three loads': await ends({}, ['a', 'b', 'c'], []),
  'one load, two writes': await ends({}, ['a'], ['x', 'y']),
  'three loads, ignoreFetchAbort': await ends({ ignoreFetchAbort: true }, ['a', 'b', 'c'], []),
};
console.log('lru-cache 11.5.3 with room for two; how loads end that run at a time, all of whose loaders end well');
console.log('expected: each by its value');
for (const what in seen) console.log(`seen, ${what}: ${seen[what]}`);
if (Object.values(seen).join('; ') !== 'a, b; an error, b, c; an error; a, b, c') {
  console.error('changed: the oldest load in excess ended by an error');
  process.exit(1);
}
JS
node finding.mjs
