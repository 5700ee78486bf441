#!/usr/bin/env bash
# Claim: aiodns (Python) has a cache, that of c-ares below it, which no option turns off. A positive answer and "no such name"
# are kept in it as long as their records say. "The name has no record of this type" is kept for an hour, whatever the SOA
# that comes with it says, so a record that is added meanwhile is not seen by that resolver; a new one sees it.
#
# The guess that was wrong: aiodns asks the server at each call, as its docs speak of no cache; and if there is one, both
# negative answers live by the SOA, as RFC 2308 has it.
#
# Why it matters: most names have no AAAA record, until they get one; and a name whose records are replaced one type at a
# time has none for a moment. Who asks in that moment is without an answer for an hour. Two caches are in a row
# where the program has one of its own. (It is reported to c-ares as issue 1293.)
#
# For our product: in a DNS cache on a map the caller names the TTL with each answer, negative ones included, and a
# resolver that caches below it adds its own (the example `dns`).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check aiodns==4.0.4 pycares==5.2.1 dnspython==2.9.2
"$dir/venv/bin/python" - <<'PYTHON'
import asyncio
import socket
import sys
import threading

import aiodns
import dns.message
import dns.rcode
import dns.rrset

SOA = "ns.test. admin.test. 1 3600 600 86400 1"  # one second for negative answers
added = False
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))


def serve():
    while True:
        wire, client = server.recvfrom(4096)
        query = dns.message.from_wire(wire)
        name = query.question[0].name
        response = dns.message.make_response(query)
        if added:
            response.answer.append(dns.rrset.from_text(name, 1, "IN", "A", "127.0.0.2"))
        elif str(name).startswith("positive"):
            response.answer.append(dns.rrset.from_text(name, 1, "IN", "A", "127.0.0.1"))
        else:
            if str(name).startswith("no-name"):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(dns.rrset.from_text("test.", 1, "IN", "SOA", SOA))
        server.sendto(response.to_wire(), client)


def new():
    return aiodns.DNSResolver(nameservers=[f"127.0.0.1:{server.getsockname()[1]}"], timeout=30)


async def ask(resolver, name):
    try:
        answer = (await resolver.query_dns(name, "A")).answer
        return answer[0].data.addr
    except aiodns.error.DNSError as error:
        return error.args[1]


async def main():
    global added
    names = ("positive.test", "no-name.test", "no-data.test")
    resolver = new()
    first = [await ask(resolver, name) for name in names]
    added = True
    await asyncio.sleep(3)  # three times as long as all of them are to be kept
    return {name: (before, await ask(resolver, name), await ask(new(), name)) for name, before in zip(names, first)}


threading.Thread(target=serve, daemon=True).start()
seen = asyncio.run(main())
print("aiodns 4.0.4: three answers that are to be kept for 1 s; then each name gets the address 127.0.0.2; 3 s later")
print("expected: 127.0.0.2 for all")
for name, (before, later, by_new) in seen.items():
    print(f"seen, {name}: first {before!r}, later {later!r}, by a new resolver {by_new!r}")
later = [later == "127.0.0.2" for _, later, _ in seen.values()]
if later != [True, True, False] or any(by_new != "127.0.0.2" for *_, by_new in seen.values()):
    sys.exit("changed: an answer without data no longer outlives the second that it is given")
PYTHON
