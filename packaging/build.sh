#!/bin/sh
# Builds all that is compiled for the packages, in one go: what crates share has its features chosen once, so that nothing is
# compiled, nor linked, a second time.
#
#     packaging/build.sh [--release]
#
# CARGO_TARGET_DIR is honoured; CARGO=true takes what is there.
set -eu
cd "$(dirname "$0")/.."
exec "${CARGO:-cargo}" build --quiet --locked --package pay88-c --package pay88-cli --package pay88-python --package pay88-node "$@"
