#!/usr/bin/env bash
# Builds the example programs that make demo runs, with the library in target/release.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/release/examples
cargo build -q --locked --release -p pay88 --example charge
go build -C go -o "$PWD/$out/charge_go" ./examples/charge
flags=(-O2 -Wall -Wextra -Werror -Iinclude -Ltarget/release -Wl,-rpath,"$PWD/target/release")
cc -std=c11 "${flags[@]}" bindings/c/examples/charge.c -lpay88 -o "$out/charge_c"
c++ -std=c++17 "${flags[@]}" bindings/c/examples/charge.cpp -lpay88 -o "$out/charge_cpp"
cc -std=c11 "${flags[@]}" bindings/c/examples/poll.c -lpay88 -o "$out/poll_c"
# shellcheck disable=SC2046
cc -std=gnu11 "${flags[@]}" bindings/c/examples/libuv.c -lpay88 $(pkg-config --cflags --libs libuv) -o "$out/libuv_c"
