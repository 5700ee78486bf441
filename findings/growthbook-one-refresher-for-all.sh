#!/usr/bin/env bash
# Claim: with `stale_while_revalidate=True` growthbook (Python) has one background thread for the whole process. It
# refreshes the features of the first object that was made, with that one's interval. A second object with another client
# key is never refreshed. `destroy` of any object ends the thread, also for those that are in use.
#
# The guess that was wrong: each object that asks for it is refreshed every `stale_ttl` seconds for as long as it lives,
# and `destroy` ends what belongs to the object, as it does with the rest of its state.
#
# Why it matters: an object refreshed in the background looks at no TTL, since the thread is to see to that. So it keeps
# the flags of the moment in which it was made for as long as the process lives, and logs nothing. A tool, a test or
# a request handler that tidies up after itself freezes the flags of the server it runs in.
#
# For our product: maps share no thread unless one asks for it, and a sweeper that serves many keeps serving the rest when
# one is dropped (the guide, "Many maps and one sweeper").
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
import time

from growthbook import GrowthBook

ROUNDS = 5
logging.disable(logging.CRITICAL)
asked = {"sdk-a": 0, "sdk-b": 0}


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked[self.path.rsplit("/", 1)[1]] += 1
        body = json.dumps({"features": {"flag": {"defaultValue": True}}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def new(key):
    host = f"http://127.0.0.1:{server.server_port}"
    return GrowthBook(api_host=host, client_key=key, stale_while_revalidate=True, stale_ttl=1)


def wait(rounds):
    """Waits until the first has been refreshed so often, or surely would have been."""
    end = time.monotonic() + 4 * rounds
    while asked["sdk-a"] <= rounds and time.monotonic() < end:
        time.sleep(0.05)


first, second = new("sdk-a"), new("sdk-b")
wait(ROUNDS)
both = dict(asked)
second.destroy()
asked["sdk-a"] = 0
wait(ROUNDS)
after = asked["sdk-a"]
print(f"growthbook 4.0.0: two objects with keys of their own, to be refreshed each second, for {ROUNDS} s or more")
print("expected: both are refreshed, and the first still is when the second has been destroyed")
print(f"seen: the first is refreshed {both['sdk-a'] - 1} times, the second {both['sdk-b'] - 1} times")
print(f"seen: the first is refreshed {after} times after the second was destroyed")
if not (both["sdk-a"] > ROUNDS and both["sdk-b"] == 1 and after <= 1):
    sys.exit("changed: each object is refreshed, or goes on being so when another was destroyed")
PYTHON
