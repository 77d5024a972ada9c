#!/bin/sh
# Builds the compiled parts into the package directory, so that it can be used in place:
#   python/build.sh && PYTHONPATH=python python3 -c 'import pay88'
# Arguments go to cargo, such as --release; CARGO_TARGET_DIR is honoured.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
cargo build --quiet --package pay88-c --package pay88-python "$@"
built=${CARGO_TARGET_DIR:-target}/debug
for argument in "$@"; do
    case $argument in --release) built=${CARGO_TARGET_DIR:-target}/release ;; esac
done
# Put in place by rename: a process that has the old file mapped keeps it whole.
place() {
    cp "$1" "$2.new"
    mv -f "$2.new" "$2"
}
place "$built/libpay88_c.so" "$here/pay88/libpay88.so.0"
place "$built/libpay88_python.so" "$here/pay88/_native.abi3.so"
