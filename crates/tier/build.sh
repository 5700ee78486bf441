# One folder and one choice of packages and features for all builds of the near tier's tests, so that what they depend on is built
# once. For planted.sh and ci/tier.sh, to be sourced in the root of the repository.

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/tier
export CARGO_TARGET_DIR
# Without debug information a first build takes a sixth less. A panic says its line all the same.
export CARGO_PROFILE_DEV_DEBUG=none
packages="-p evanesce-tier -p evanesce-tier-bench -p tier-web-examples --all-features"
