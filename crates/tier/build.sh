# How the near tier's tests are built: by the compilers in rustc/ for the workspace's own packages, so that what these depend on is built
# once for all of them. For planted.sh and ci/tier.sh, to be sourced in the root of the repository.

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/tier
export CARGO_TARGET_DIR

by() {
    local compiler=$PWD/crates/tier/rustc/$1
    RUSTC_WORKSPACE_WRAPPER=$compiler "${@:2}"
}
