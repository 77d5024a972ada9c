#!/bin/sh
# Gives what cargo built the names under which programs look for it, in the same directory.
#
#     bindings/c/link.sh target/debug
set -eu
cd "${1:?usage: $0 BUILD_DIRECTORY}"
ln -sf libpay88_c.so libpay88.so.0
ln -sf libpay88.so.0 libpay88.so
ln -sf libpay88_c.a libpay88.a
