#!/usr/bin/env bash
# The Python package, as its README has a user do it: installed into a fresh virtual environment, its tests run; and
# what they do not see: the linters, the source distribution, and the benchmark in small.
#
#   ci/python.sh [PYTHON...]     (default: python3)
#
# And without the interpreter's lock, in the Python named by EVANESCE_PYTHON_FT, or python3.14t, if there is one:
# crates/python/free-threaded.sh builds it.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/python"
venvs="$CARGO_TARGET_DIR/venvs"

for python in "${@:-python3}"; do
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
        echo "SKIPPED: Python package: no $python of version 3.9 or later"
        continue
    fi
    version=$("$python" -c 'import platform; print(platform.python_version())')
    venv="$venvs/$version"
    rm -rf "$venv"
    # A bare Debian has python3 without ensurepip.
    if ! "$python" -m venv "$venv" 2>/dev/null && ! "$python" -m virtualenv "$venv" 2>/dev/null; then
        echo "SKIPPED: Python package: $python makes no virtual environment (Debian: python3-venv)"
        continue
    fi
    echo "--- Python $version"
    "$venv/bin/pip" install -q './crates/python[test]'
    # cachetools' tests are in its source distribution alone.
    cachetools="$CARGO_TARGET_DIR/cachetools-$version"
    rm -rf "$cachetools" && mkdir -p "$cachetools"
    if "$venv/bin/pip" install -q cachetools==7.0.0 &&
        "$venv/bin/pip" download -q --no-deps --no-binary :all: --dest "$cachetools" cachetools==7.0.0; then
        tar -xzf "$cachetools"/cachetools-7.0.0.tar.gz -C "$cachetools"
        export CACHETOOLS_SDIST="$cachetools/cachetools-7.0.0"
    else
        echo "SKIPPED: cachetools' tests: no source distribution to be had for Python $version"
        unset CACHETOOLS_SDIST
    fi
    (cd crates/python && "$venv/bin/python" -m pytest -rs)

    sdist="$CARGO_TARGET_DIR/sdist-$version"
    rm -rf "$sdist"
    "$venv/bin/pip" install -q build
    "$venv/bin/python" -m build -q --sdist --outdir "$sdist" crates/python
    "$venv/bin/pip" uninstall -qy evanesce
    "$venv/bin/pip" install -q "$sdist"/evanesce-*.tar.gz
    (cd "$sdist" && "$venv/bin/python" -c '
from evanesce import KeyValueStore
store = KeyValueStore()
assert store.put("foo", "bar") == store.get("foo") == "bar"')
    echo "the source distribution builds and works"
done

export PYO3_PYTHON="${venv:-}/bin/python"
if [ -x "$PYO3_PYTHON" ]; then
    (cd crates/python && cargo fmt --check && cargo clippy -q -- -D warnings)
    "$venv/bin/pip" install -q cachebox cachetools rich
    "$venv/bin/python" crates/python/bench/bench.py --quick --again --sizes 20k --rounds 1 --only origin,cachebox \
        --out "$CARGO_TARGET_DIR/bench" >"$CARGO_TARGET_DIR/bench.log" 2>&1 || { cat "$CARGO_TARGET_DIR/bench.log"; exit 1; }
    echo "the benchmark runs in small"
fi

named="${EVANESCE_PYTHON_FT:-}"
python="${named:-python3.14t}"
if "$python" -c '
import sys, sysconfig
sys.exit(not sysconfig.get_config_var("Py_GIL_DISABLED") or sys.version_info < (3, 14))' 2>/dev/null; then
    venv="$venvs/free-threaded"
    rm -rf "$venv" && "$python" -m venv "$venv"
    echo "--- without the lock: $("$venv/bin/python" -VV)"
    "$venv/bin/pip" install -q ./crates/python 'pytest>=8' 'hypothesis>=6'
    unset CACHETOOLS_SDIST # cachetools is not installed here
    cd crates/python
    "$venv/bin/python" -W error -c 'import sys, evanesce; assert not sys._is_gil_enabled(), "it asks for the lock"'
    # Other packages may ask for it.
    export PYTHON_GIL=0
    "$venv/bin/python" -m pytest -rs
    "$venv/bin/python" stress.py
    "$venv/bin/python" bench/threads.py --quick --only "evanesce,dict"
elif [ -n "$named" ]; then
    echo "EVANESCE_PYTHON_FT is $named, but must be a Python of version 3.14 or later without the interpreter's lock" >&2
    exit 1
else
    echo "SKIPPED: free-threaded Python: none found"
fi
