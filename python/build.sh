#!/bin/sh
# Builds the compiled parts into the package directory, so that it can be used in place:
#   python/build.sh && PYTHONPATH=python python3 -c 'import pay88'
# With --debug it is built quickly and runs slowly. CARGO_TARGET_DIR is honoured.
set -eu
cd "$(dirname "$0")/.."
case ${1-} in
    "") set -- --release; kind=release ;;
    --debug) set --; kind=debug ;;
    *) echo "usage: python/build.sh [--debug]" >&2; exit 2 ;;
esac
packaging/build.sh "$@"
built=${CARGO_TARGET_DIR:-target}/$kind
# Put in place by rename: a process that has the old file mapped keeps it whole.
place() {
    cp "$1" "$2.new"
    mv -f "$2.new" "$2"
}
place "$built/libpay88_c.so" python/pay88/libpay88.so.0
place "$built/libpay88_python.so" python/pay88/_native.abi3.so
