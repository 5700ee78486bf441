#!/usr/bin/env bash
# Claim: requests-cache with `stale_while_revalidate` answers from the cache at once when an entry has expired, and
# sends a request of its own to the origin, on a thread of its own, for each such answer: ten reads while the first
# revalidation is under way are ten requests at a time. cachified (npm) sends one for as many.
#
# The guess that was wrong: the stale answer is given because one revalidation is under way, so who comes meanwhile gets
# it and starts nothing.
#
# Why it matters: it is switched on for an origin that is slow. Without it a reader waits, and a worker asks one thing
# at a time; with it the same worker does not wait, and so sends as many requests as it gets reads, the more the slower
# the origin is. Nothing bounds the threads.
#
# For our product: `get_or_refresh` hands a token to one caller, and the value, as stale, to the others until that one
# is done or its time is over (the guide).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check requests-cache==1.3.3
cd "$dir"
npm install --silent --no-audit --no-fund @epic-web/cachified@5.6.3
cat > peer.mjs <<'JS'
import { cachified } from '@epic-web/cachified';

const READS = 10;
const cache = new Map();
let requests = 0;
let open = Promise.resolve();
const read = () => cachified({
  cache, key: 'k', ttl: 20, swr: 3600_000, staleRefreshTimeout: 0,
  getFreshValue: async () => { requests += 1; await open; return requests; },
});
await read();
await new Promise(resolve => setTimeout(resolve, 50));
let release;
open = new Promise(resolve => { release = resolve; });
for (let i = 0; i < READS; i += 1) await read();
await new Promise(resolve => setTimeout(resolve, 200)); // whatever is to start has started
console.log(requests - 1);
release();
JS
peer=$(node peer.mjs)
"$dir/venv/bin/python" - "$peer" <<'PYTHON'
import http.server
import sys
import threading
import time

import requests_cache

READS = 10
TTL = 0.05


class Origin(http.server.BaseHTTPRequestHandler):
    """Answers the first request, and holds all later ones until it is told to go on."""

    lock = threading.Lock()
    requests = 0
    go_on = threading.Event()

    def do_GET(self):
        with Origin.lock:
            Origin.requests += 1
            number = Origin.requests
        if number > 1:
            Origin.go_on.wait()
        self.send_response(200)
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(b"v")

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
session = requests_cache.CachedSession(backend="memory", expire_after=TTL, stale_while_revalidate=True)
session.get(url)
time.sleep(TTL * 2)
stale = sum(session.get(url).from_cache for _ in range(READS))
end = time.monotonic() + 10
while Origin.requests < 1 + READS and time.monotonic() < end:
    time.sleep(0.01)
held = Origin.requests - 1
Origin.go_on.set()

print(f"requests-cache 1.3.3, {READS} reads after the expiry: those answered at once, requests then at the origin")
print(f"expected: {READS}, 1")
print(f"seen: {stale}, {held}; and {sys.argv[1]} request by cachified 5.6.3")
if (stale, held, sys.argv[1]) != (READS, READS, "1"):
    sys.exit("changed: each read sent a request, and one in the other library")
PYTHON
