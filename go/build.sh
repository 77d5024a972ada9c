#!/bin/sh
# Puts the library into the Go module, which has it inside programs that import it.
#
#     go/build.sh [--debug]
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
case ${1-} in
    "") set -- --release; kind=release ;;
    --debug) set --; kind=debug ;;
    *) echo "usage: go/build.sh [--debug]" >&2; exit 2 ;;
esac
packaging/build.sh "$@"
place=go/internal/native/lib/linux_$(go env GOHOSTARCH)
# Whoever reads it meanwhile has the old one or the new one.
cp "$target/$kind/libpay88_c.so" "$place/new"
[ $kind = release ] || strip --strip-debug "$place/new"
chmod 644 "$place/new"
mv "$place/new" "$place/libpay88.so.0"
