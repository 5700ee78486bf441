#!/usr/bin/env bash
# Builds a CPython without the interpreter's lock from Debian's source package, into a folder.
#
#   crates/python/free-threaded.sh FOLDER [PACKAGE...]     (default: python3.15 python3.14)
#
# On Debian or one like it, with apt-get, a C compiler and make; as any user. It takes the first of the packages, in its
# newest version, whose source the system's mirror hands out, of Debian's suites sid, forky and trixie. (No binary package
# has such an interpreter.) The system's own list of sources stays as it is. It takes 0.9 GB and some minutes;
# MAKEFLAGS=-j4, say, for more processors at once. Afterwards:
#
#   EVANESCE_PYTHON_FT=FOLDER/bin/python3 ci/python.sh
set -euo pipefail

folder="$(realpath -m "${1:?usage: free-threaded.sh FOLDER [PACKAGE...]}")"
shift
[ $# -gt 0 ] || set -- python3.15 python3.14
packages=("$@")
work="$folder/build"
mkdir -p "$work"/{lists/partial,state,cache/archives/partial,source}

# The mirror that the system is set up with.
mirror="$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m1 -E '/debian/?$' || true)"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -z "$mirror" ] || [ ! -e "$keys" ]; then
    echo "no mirror of Debian's, or no keys ($keys): is this a Debian, and was apt-get update run?" >&2
    exit 1
fi
printf 'Types: deb-src\nURIs: %s\nSuites: sid forky trixie\nComponents: main\nSigned-By: %s\n' "$mirror" "$keys" \
    >"$work/debian.sources"
touch "$work/state/status"
cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/debian.sources";
Dir::Etc::sourceparts "-";
Dir::State "$work/state";
Dir::State::lists "$work/lists";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "";
END
export APT_CONFIG="$work/apt.conf"
apt-get update -qq

cd "$work/source"
for package in "${packages[@]}"; do
    for version in $(apt-cache showsrc "$package" 2>/dev/null | sed -n 's/^Version: //p' | sort -ruV); do
        if apt-get source -qq --download-only "$package=$version" >"$work/log" 2>&1; then
            found="$package $version"
            break 2
        fi
        echo "the mirror does not hand out the source of $package $version"
    done
done
if [ -z "${found:-}" ]; then
    echo "none of these was to be had: ${packages[*]}" >&2
    exit 1
fi
echo "$found"

tar -xf ./*.orig.tar.xz --strip-components=1
{
    ./configure --disable-gil --prefix="$folder"
    make
    make install
} >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2 && exit 1; }
cd "$folder" && rm -rf "$work"
bin/python3 -c 'import sys; assert not sys._is_gil_enabled(); print(sys.executable, sys.version)'
