#!/usr/bin/env bash
# Claim: the Python SDK of OpenFeature runs its event handlers in a pool of threads, each event as a task of its own. One
# handler is called for two events at a time, and the later event may be done with before the earlier.
#
# The guess that was wrong: a handler gets the events of one provider one after the other, in their order. That they come
# on another thread is no surprise; that one handler runs beside itself is.
#
# Why it matters: the event that flags have changed is what caches of flag values are cleared or refilled by. A handler
# that fetches and stores may store the older answer over the newer, and one that was written for one call at a time
# has a data race. READY, STALE and ERROR come the same way, so the last one seen need not be how things are.
#
# For our product: who refills a map from such events puts the version of the data beside the value, and replaces only what
# is older (`replace_if`), or swaps whole tables from one thread (the guide, "A table that is replaced whole").
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check openfeature-sdk==0.10.0
"$dir/venv/bin/python" - <<'PYTHON'
import sys
import threading

from openfeature import api
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.provider.in_memory_provider import InMemoryProvider

PATIENCE = 5  # seconds for which the first call waits to be overtaken

provider = InMemoryProvider({})
api.set_provider_and_wait(provider)
done = []
second_done, both_done = threading.Event(), threading.Event()


def handler(details):
    """The first event takes longer to handle, here until the second has been handled, if that can be."""
    if details.message == "first":
        second_done.wait(PATIENCE)
    done.append(details.message)
    if details.message == "second":
        second_done.set()
    if len(done) == 2:
        both_done.set()


api.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, handler)
for message in ("first", "second"):
    provider.emit_provider_configuration_changed(ProviderEventDetails(message=message))
both_done.wait(30)
print("openfeature-sdk 0.10.0: a provider emits two events, from one thread, and one handler takes longer for the first")
print("expected: first, second")
print(f"seen: {', '.join(done)}")
if done != ["second", "first"]:
    sys.exit("changed: the second event waits for the handler of the first")
PYTHON
