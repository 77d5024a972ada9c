#!/bin/sh
# Builds the package in its directory: both compiled parts into native/, JavaScript and types into dist/.
# With --debug it is built quickly and runs slowly. CARGO_TARGET_DIR is honoured.
set -eu
cd "$(dirname "$0")"
case ${1-} in
    "") set -- --release; kind=release ;;
    --debug) set --; kind=debug ;;
    *) echo "usage: node/build.sh [--debug]" >&2; exit 2 ;;
esac
if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
    cp package-lock.json node_modules/.installed
fi
# Put in place as a whole, so that a program that starts meanwhile finds all of it.
rm -rf dist.new
node_modules/.bin/tsc -p . --outDir dist.new
rm -rf dist
mv dist.new dist
cd ..
cp LICENSE node/LICENSE
packaging/build.sh "$@"
built=${CARGO_TARGET_DIR:-target}/$kind
mkdir -p node/native
# Put in place by rename: a process that has the old file mapped keeps it whole.
place() {
    cp "$1" "$2.new"
    mv -f "$2.new" "$2"
}
place "$built/libpay88_c.so" node/native/libpay88.so.0
place "$built/libpay88_node.so" "node/native/pay88.$(node -p '`${process.platform}-${process.arch}`').node"
