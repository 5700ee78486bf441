#!/usr/bin/env bash
# Builds the source distribution, and from that alone a wheel for each CPython of 3.9 to 3.14 and 3.14t that is found;
# installs each wheel into a fresh virtual environment, and tries it. What is not found is SKIPPED, aloud. (A wheel for
# each, and not one for all: see the README.)
#
#   crates/python/wheels.sh [FOLDER]     (default: target/python/dist)
#
# An interpreter is found as python3.X on the PATH, or as a version of pyenv's.
set -euo pipefail
cd "$(dirname "$0")"

target="${CARGO_TARGET_DIR:-$PWD/../../target}/python"
out="$(realpath -m "${1:-$target/dist}")"
work="$target/wheels-work"
rm -rf "$work" && mkdir -p "$work" "$out"
export CARGO_TARGET_DIR="$target"

venv() { # INTERPRETER FOLDER
    "$1" -m venv "$2" 2>/dev/null || "$1" -m virtualenv -q "$2" # a bare Debian has python3 without ensurepip
}

quietly() { # COMMAND...
    "$@" >"$work/log" 2>&1 || { cat "$work/log" && return 1; }
}

# The interpreter of a version, and whether it does without the lock, is what it says it is.
find_python() { # 3.X or 3.Xt
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"${1%t}".*/bin/python; do
        if [ "$("$candidate" -c '
import platform, sys, sysconfig
lock = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
print(platform.python_implementation(), "%d.%d" % sys.version_info[:2] + lock)' 2>/dev/null)" = "CPython $1" ]; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
}

venv python3 "$work/tools"
"$work/tools/bin/pip" install -q 'maturin>=1.9.4,<2' twine
quietly "$work/tools/bin/maturin" sdist --out "$out"
sdist="$(ls -t "$out"/evanesce-*.tar.gz | head -1)"
tar -xzf "$sdist" -C "$work"
cd "$work/$(basename "$sdist" .tar.gz)"

built=("$sdist")
for version in 3.9 3.10 3.11 3.12 3.13 3.14 3.14t; do
    python="$(find_python "$version")"
    if [ -z "$python" ]; then
        echo "SKIPPED: wheel: no CPython $version"
        continue
    fi
    quietly "$work/tools/bin/maturin" build --release --interpreter "$python" --out "$work/$version"
    wheel="$(echo "$work/$version"/evanesce-*.whl)"
    if ! venv "$python" "$work/venv-$version"; then
        echo "SKIPPED: wheel: $python makes no virtual environment to try it in (Debian: python3-venv)"
        continue
    fi
    "$work/venv-$version/bin/pip" install -q --no-index "$wheel"
    (cd / && "$work/venv-$version/bin/python" -W error - <<'SMOKE'
import importlib.metadata, time
import evanesce
from evanesce import KeyValueStore, TtlMap, cached

metadata = importlib.metadata.metadata("evanesce")
assert metadata["Version"] == evanesce.__version__
assert metadata.get_payload().startswith("# evanesce for Python"), "the library's README"
files = [str(file) for file in importlib.metadata.files("evanesce")]
for licence in ["LICENSE-MIT", "LICENSE-APACHE"]:
    assert any(file.endswith(".dist-info/licenses/" + licence) for file in files), files
ends = []
store = KeyValueStore(maxsize=2, eviction_listener=lambda *end: ends.append(end))
assert store.put("a", 1) == store.get("a") == 1
store.put("b", 2, duration=1)
limit = time.monotonic() + 60
while not ends and time.monotonic() < limit:
    time.sleep(0.001)
assert ends == [("b", 2, "expired")] and "b" not in store
assert dict(TtlMap({"a": 1}, time_to_idle=1000).items()) == {"a": 1}
double = cached(ttl=1000)(lambda n: 2 * n)
assert (double(2), double(2), double.cache_info().hits) == (4, 4, 1)
SMOKE
    )
    mv "$wheel" "$out"
    built+=("$out/$(basename "$wheel")")
    echo "built, installed and tried: $(basename "$wheel")"
done
"$work/tools/bin/twine" check --strict "${built[@]}"
