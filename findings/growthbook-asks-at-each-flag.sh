#!/usr/bin/env bash
# Claim: when the features that growthbook (Python) has cached are past their TTL and the server answers with an error,
# the SDK drops them for all objects made from then on, whose flags are all off, and sends a request of its own, in
# the caller's thread, for each flag that is evaluated. An object that is kept for long keeps its flags, and asks as often.
#
# The guess that was wrong: a failed refresh leaves the last features in use, and is tried again after some time. The
# docs call the TTL how long features are cached, which reads as how often the server is asked.
#
# Why it matters: an outage of the flag server turns off each feature a TTL later, in all processes at a time, and makes
# each page wait for as many failing requests as it has flags, which is also what the server gets as it comes back.
#
# For our product: on a map with a `grace` the last value is at hand when a load fails (`get_stale`; the guide, "Serving what
# has expired"). All who wait at a time share one load; what comes after it begins another.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check growthbook==4.0.0
"$dir/venv/bin/python" - <<'PYTHON'
import http.server
import json
import logging
import sys
import threading

import growthbook.growthbook as sdk

FLAGS = 10
TTL = 60
now = [1000.0]
sdk.time = lambda: now[0]  # the SDK's clock
logging.disable(logging.CRITICAL)
status, asked = [200], [0]


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked[0] += 1
        body = json.dumps({"features": {f"flag{i}": {"defaultValue": True} for i in range(FLAGS)}}).encode()
        self.send_response(status[0])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def new():
    return sdk.GrowthBook(api_host=f"http://127.0.0.1:{server.server_port}", client_key="sdk-key", cache_ttl=TTL)


def page(book):
    """How many flags of a page are on, and how many requests that took."""
    asked[0] = 0
    book.load_features()
    return sum(book.is_on(f"flag{i}") for i in range(FLAGS)), asked[0]


kept = new()
seen = {"server up": page(kept), "server up, another object": page(new())}
now[0] += TTL + 1
status[0] = 503
seen["TTL over, server down"] = page(kept)
seen["TTL over, server down, another object"] = page(new())
print(f"growthbook 4.0.0: a page evaluates {FLAGS} flags, all of them on; features are cached for {TTL} s")
print(f"expected: {FLAGS} flags on, with one request at most, also while the server is down")
for when, (on, requests) in seen.items():
    print(f"seen, {when}: {on} flags on, {requests} requests")
if list(seen.values()) != [(FLAGS, 1), (FLAGS, 0), (FLAGS, FLAGS + 1), (0, FLAGS + 1)]:
    sys.exit("changed: a failed refresh no longer turns flags off, or is no longer tried at each flag")
PYTHON
