#!/usr/bin/env bash
# Claim: the cache of dnspython's resolver counts two misses for each name it has to ask the server for, and a miss
# beside the hit for each name of which it knows that it does not exist. Where 9 of 10 calls were answered from the cache,
# the hit ratio reads 82 % for a name that exists and 45 % for one that does not.
#
# The guess that was wrong: a call of `resolve` is a hit or a miss, so `hits / (hits + misses)` is the share of calls
# that sent nothing. The docs name the two as how many hits and misses the cache has had, and keep a call that reads both
# together.
#
# Why it matters: the ratio is what one sizes a cache by, and lists of names that mostly do not exist (blocklists, mail
# checks, search domains) are what such caches are for. There the figure cannot pass a half, however
# large the cache is. A change in the mix of names looks like a change of the cache.
#
# For our product: a `get` is one hit or one miss (`stats`). A DNS cache on a map that keeps "no such name" under a key
# of its own has to count calls itself, for the same reason.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check dnspython==2.9.2
"$dir/venv/bin/python" - <<'PYTHON'
import socket
import sys
import threading

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset

CALLS = 10
asked = []
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))


def serve():
    while True:
        wire, client = server.recvfrom(4096)
        query = dns.message.from_wire(wire)
        name = query.question[0].name
        asked.append(str(name))
        response = dns.message.make_response(query)
        if str(name) == "there.test.":
            response.answer.append(dns.rrset.from_text(name, 3600, "IN", "A", "127.0.0.1"))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
            soa = "ns.test. admin.test. 1 3600 600 86400 3600"
            response.authority.append(dns.rrset.from_text("test.", 3600, "IN", "SOA", soa))
        server.sendto(response.to_wire(), client)


threading.Thread(target=serve, daemon=True).start()


def counted(name):
    """Queries sent, hits and misses, after some calls for one name."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
    resolver.timeout = resolver.lifetime = 30  # no query is sent twice
    resolver.cache = dns.resolver.LRUCache()
    asked.clear()
    for _ in range(CALLS):
        try:
            resolver.resolve(name, "A")
        except dns.resolver.NXDOMAIN:
            pass
    statistics = resolver.cache.get_statistics_snapshot()
    return len(asked), statistics.hits, statistics.misses


seen = {name: counted(name) for name in ("there.test.", "none.test.")}
print(f"dnspython 2.9.2: {CALLS} calls for one name, of which the first asks the server")
print(f"expected: {CALLS - 1} hits and 1 miss, whether it exists or not")
for name, (queries, hits, misses) in seen.items():
    print(f"seen, {name}: {queries} query, {hits} hits and {misses} misses, a ratio of {hits / (hits + misses):.0%}")
if seen != {"there.test.": (1, CALLS - 1, 2), "none.test.": (1, CALLS - 1, CALLS + 1)}:
    sys.exit("changed: a call is no longer counted as two misses, or as a hit and a miss")
PYTHON
