#!/usr/bin/env bash
# Claim: two Keyv caches of different namespaces over one Map as their store are apart for `get`, `has` and `delete`,
# and not for `clear` and `iterator`: the first empties the other cache too, the second hands out the other's entries,
# by keys that the cache says it does not have. The README describes both as being of the current namespace.
#
# The guess that was wrong: by the docs, `clear` takes what is in the namespace, as it does with the adapters for
# servers. (For those the adapter does it; a Map has only its own `clear`.)
#
# Why it matters: one bounded store for several caches is the way to one bound on memory, and in tests a Map stands for
# the server. Emptying the cache of templates then ends all sessions. The test that would show it needs both.
#
# For our product: a map is of one kind of entries and has no namespaces; who shares one puts the kind into the key, and
# takes out one kind by `retain`.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund keyv@5.6.0
cat > finding.mjs <<'JS'
import Keyv from 'keyv';

const store = new Map();
const templates = new Keyv({ store, namespace: 'templates' });
const sessions = new Keyv({ store, namespace: 'sessions' });
await sessions.set('ada', 1);
const walked = [];
for await (const [key] of templates.iterator()) walked.push(key);
const seen = [await templates.has('ada'), walked];
await templates.delete('ada');
seen.push(await sessions.get('ada'));
await templates.clear();
seen.push(await sessions.get('ada'));

console.log('keyv 5.6.0, an entry in one of two namespaces: whether the other has it, what the other walks over,');
console.log('what the first finds after `delete` of the same key in the other, and after `clear` of the other');
console.log('expected: [ false, [], 1, 1 ]');
console.log('seen:    ', seen);
if (JSON.stringify(seen) !== JSON.stringify([false, ['ada'], 1, undefined])) {
  console.error('changed: it has it not, walks over it, and clears it');
  process.exit(1);
}
JS
node finding.mjs
