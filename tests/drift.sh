#!/usr/bin/env bash
# What must not drift: the header, the exported symbols, tokio's features, and the two builds of the library.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "drift: $1" >&2; exit 1; }

cp include/pay88.h target/pay88.h.committed
cargo run -q --locked -p pay88-header
diff -u target/pay88.h.committed include/pay88.h || fail "include/pay88.h is not what the sources make; run make header and commit it"

# Process-global state that a fork breaks.
for feature in signal process full; do
  if cargo tree --locked -p pay88-c -e features,normal -i tokio | grep -q "tokio feature \"$feature\""; then
    fail "tokio's feature $feature is on"
  fi
done

exported() { nm -D --defined-only --format=posix "$1" | awk '{print $1}' | grep -v '^_\(init\|fini\)$' | sort; }
cargo build -q --locked --release -p pay88-c
diff -u bindings/c/symbols.txt <(exported target/release/libpay88_c.so) || fail "the shipped library exports other symbols than bindings/c/symbols.txt"
cargo build -q --locked -p pay88-c --features test-hooks --target-dir target/hooks
hooks=$(exported target/hooks/debug/libpay88_c.so | grep -c '^pay88_test_') || fail "the build with test-hooks has none"
echo "the shipped library has no hook; the one for tests has $hooks"
