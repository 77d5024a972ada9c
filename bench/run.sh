#!/bin/sh
# Builds the library and its contenders as they are shipped, then measures: bench/run.sh [--rounds N] [--minutes N]
# [--only TEXT] [--results DIRECTORY]. Writes below the target directory only, but for the packages that are built in place and the
# results. As root, missing Debian packages are installed.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
built=$target/bench

missing=
[ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v ip >/dev/null || missing="$missing iproute2"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
# shellcheck disable=SC2016
dpkg-query -W -f='${Status}\n' libcurl4-openssl-dev 2>/dev/null | grep -q '^install ok' ||
    missing="$missing libcurl4-openssl-dev"
command -v phpize >/dev/null || missing="$missing php-cli php-dev"
[ -e /usr/share/php/GuzzleHttp/Client.php ] || missing="$missing php-curl php-guzzlehttp-guzzle"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "bench: install these Debian packages first:$missing" >&2
        exit 1
    fi
    # RUNLEVEL=1 keeps nginx from being started as a service.
    # shellcheck disable=SC2086
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >&2
fi

CARGO_TARGET_DIR=$target "$root/python/build.sh"
CARGO_TARGET_DIR=$target "$root/node/build.sh"
CARGO_TARGET_DIR=$target "$root/php/build.sh"
CARGO_TARGET_DIR=$target "$root/go/build.sh"
cargo build --quiet --release --locked --target-dir "$target" --manifest-path "$root/bench/Cargo.toml"

mkdir -p "$built"
cp "$target/release/libpay88_c.so" "$built/libpay88.so.0"
flags="-O2 -Wall -Wextra -Werror -std=gnu11"
# shellcheck disable=SC2086
cc $flags -I"$root/include" -o "$built/pay88" "$root/bench/c/pay88.c" \
    "$built/libpay88.so.0" -Wl,-rpath,"$built" -pthread
# shellcheck disable=SC2086
cc $flags -o "$built/curl" "$root/bench/c/curl.c" -lcurl

go build -C "$root/go" -o "$built/go" "$root/bench/go/contender.go"

# The peers for Python and Node.
if ! cmp -s "$root/bench/python/requirements.txt" "$built/python/requirements.txt"; then
    python3 -m venv --clear "$built/python"
    "$built/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/bench/python/requirements.txt"
    cp "$root/bench/python/requirements.txt" "$built/python/"
fi
if ! cmp -s "$root/bench/node/package-lock.json" "$built/node/node_modules/.installed"; then
    mkdir -p "$built/node"
    cp "$root/bench/node/package.json" "$root/bench/node/package-lock.json" "$built/node/"
    (cd "$built/node" && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error)
    cp "$root/bench/node/package-lock.json" "$built/node/node_modules/.installed"
fi
export BENCH_PYTHON="$built/python/bin/python" PYTHONPATH="$root/python" BENCH_NODE=node BENCH_NODE_PEERS="$built/node/"

# PHP reads its own settings first, which load curl and opcache.
mkdir -p "$built/php"
echo "extension=$target/php/$("$root/php/api.sh")/pay88.so" >"$built/php/pay88.ini"
export BENCH_PHP=php PHP_INI_SCAN_DIR=":$built/php"

BENCH_C=$built/pay88 BENCH_GO=$built/go BENCH_CURL=$built/curl BENCH_COMMAND=$target/release/pay88 exec "$target/release/pay88-bench" "$@"
