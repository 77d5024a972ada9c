#!/bin/bash
# The header and the symbols are what was agreed: header up to date and complete by itself, exports as listed, linked as
# other parts rely on.
#
#     tests/c/abi.sh PREFIX HOOKS_PREFIX
set -eu -o pipefail
cd "$(dirname "$0")/../.."
shipped=$1/lib/libpay88.so.0
hooks=$2/lib/libpay88.so.0

cargo run -q -p pay88-header -- --check

for language in "gcc -std=c99 -x c" "gcc -std=c11 -x c" "g++ -std=c++17 -x c++"; do
    $language -Wall -Wextra -Wpedantic -Werror -fsyntax-only include/pay88.h
done

exported() {
    nm -D --defined-only "$1" | awk '{print $3}' | LC_ALL=C sort
}
if ! diff <(exported "$shipped") bindings/c/symbols.txt; then
    echo "The exported symbols are not those of bindings/c/symbols.txt. If that is meant:" >&2
    echo "  nm -D --defined-only target/debug/libpay88_c.so | awk '{print \$3}' | LC_ALL=C sort > bindings/c/symbols.txt" >&2
    exit 1
fi
# Each of them is in the header, and nothing else.
diff <(sed -E 's://.*::' include/pay88.h | grep -oE '\bpay88_\w+\(' | tr -d '(' | LC_ALL=C sort -u) bindings/c/symbols.txt
# What tests may do more is in the other build alone.
if exported "$hooks" | grep -v '^pay88_test_' | diff - bindings/c/symbols.txt && exported "$hooks" | grep -q '^pay88_test_'; then
    :
else
    echo "The build with test-hooks must export pay88_test_* and nothing else more." >&2
    exit 1
fi

dynamic=$(readelf -dW "$shipped")
for wanted in 'soname: \[libpay88.so.0\]' SYMBOLIC NODELETE BIND_NOW; do
    grep -q "$wanted" <<<"$dynamic" || {
        echo "libpay88.so.0 is not linked with $wanted" >&2
        exit 1
    }
done
readelf -lW "$shipped" | grep -q GNU_RELRO
echo "abi       passed"
