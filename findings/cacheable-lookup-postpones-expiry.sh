#!/usr/bin/env bash
# Claim: cacheable-lookup (npm, the DNS cache of got) has one timer that takes out what has expired, and no read looks at
# the time. A lookup of another name with a somewhat shorter TTL sets the timer anew, from that moment. So each such lookup
# that comes shortly before the timer puts off the end of all: with five neighbours a TTL of one hour lasts for six.
#
# The guess that was wrong: an answer is served for its TTL, as the option `maxTtl` and the entry's own `expires` say. A
# timer that is set again is set to the earliest end.
#
# Why it matters: a service that has moved is called at its old address for hours after the TTL, which was lowered for
# that move, and it takes nothing but lookups of other names. What comes back has an `expires` in the past.
#
# For our product: each read compares the deadline with the clock, and the sweep only frees memory (the guide,
# "Sweeping").
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$dir" \
    cacheable-lookup@7.0.0 @sinonjs/fake-timers@15.0.0 >/dev/null
cat > "$dir/finding.mjs" <<'JS'
import { createSocket } from "node:dgram";
import { promises as dns } from "node:dns";
import { once } from "node:events";
import FakeTimers from "@sinonjs/fake-timers";
import CacheableLookup from "cacheable-lookup";

const HOUR = 3600;
const asked = [];

// Answers A with 127.0.0.1 and the TTL that the first label names, and all else with nothing.
const server = createSocket("udp4");
server.on("message", (query, client) => {
  const labels = [];
  let at = 12;
  for (; query[at]; at += query[at] + 1) labels.push(query.toString("latin1", at + 1, at + 1 + query[at]));
  const isA = query.readUInt16BE(at + 1) === 1;
  if (isA) asked.push(labels.join("."));
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(isA ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
  answer.writeUInt32BE(Number(labels[0]), 6);
  server.send(Buffer.concat([head, query.subarray(12, at + 5), ...(isA ? [answer] : [])]), client.port, client.address);
});
server.bind(0, "127.0.0.1");
await once(server, "listening");
const clock = FakeTimers.install({ toFake: ["Date", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });

// For how long the first name is served with one query, in seconds, how late its `expires` is then, and how many queries
// were sent then and two seconds later.
async function served(neighbours) {
  const resolver = new dns.Resolver();
  resolver.setServers([`127.0.0.1:${server.address().port}`]);
  const cache = new CacheableLookup({ resolver, lookup: false });
  asked.length = 0;
  const begin = Date.now();
  await cache.lookupAsync(`${HOUR}.test`);
  for (let i = 1; i <= neighbours; i++) {
    clock.tick((HOUR - i) * 1000); // to a second before the timer
    await cache.lookupAsync(`${HOUR - i}.test`);
  }
  clock.tick((HOUR - neighbours - 1) * 1000);
  const entry = await cache.lookupAsync(`${HOUR}.test`);
  const [time, late] = [begin, entry.expires].map((from) => (Date.now() - from) / 1000);
  const queries = () => asked.filter((name) => name === `${HOUR}.test`).length;
  const then = queries();
  clock.tick(2000);
  await cache.lookupAsync(`${HOUR}.test`);
  return { time, late, queries: [then, queries()] };
}

const alone = await served(0);
const among = await served(5);
console.log("cacheable-lookup 7.0.0: a name with a TTL of 3600 s, alone, or while others of 3599 to 3595 s are looked up");
console.log("expected: after 3600 s the server is asked again, whatever others are looked up");
for (const [what, { time, late, queries }] of Object.entries({ alone, "with five others": among })) {
  const expires = late < 0 ? `expires in ${-late} s` : `expired ${late} s ago`;
  console.log(`seen, ${what}: after ${time} s the answer ${expires}, and asked once so far, ${queries[1] - 1} more 2 s later`);
}
clock.uninstall();
server.close();
const ended = `${alone.queries} ${among.queries}` === "1,2 1,2";
if (!(ended && alone.late < 0 && among.late > 4 * HOUR)) {
  console.error("changed: an answer is no longer served long after its TTL");
  process.exit(1);
}
JS
node "$dir/finding.mjs"
