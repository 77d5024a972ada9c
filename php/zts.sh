#!/bin/bash
# Builds a thread-safe PHP (ZTS), runs the tests with it, and a program in which threads of its own run PHP:
#
#     php/zts.sh [--debug]
#
# Debian has no such PHP, so it is built once from Debian's source package, with little more than the tests need, and kept in
# target/php/zts. Needs what php/build.sh has built, called with the same argument, and dpkg-dev; other tools are as for make test.
set -eu -o pipefail
cd "$(dirname "$0")/.."
argument=${1-} kind=release
[ "$argument" != --debug ] || kind=debug
mkdir -p "${CARGO_TARGET_DIR:-target}/php/zts"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
zts=$target/php/zts
command -v dpkg-source >/dev/null || { echo "php/zts.sh needs dpkg-source: Debian's package dpkg-dev" >&2; exit 1; }

if [ ! -x "$zts/prefix/bin/php" ]; then
    cd "$zts"
    # Lists of our own, so that nothing of the machine's is changed. Main alone has sources that can be had.
    mkdir -p apt/lists/partial apt/archives/partial
    echo "deb-src http://deb.debian.org/debian bookworm main" >apt/sources.list
    options=(-o Dir::Etc::SourceList="$zts/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$zts/apt/lists" -o Dir::Cache="$zts/apt" -o APT::Sandbox::User=root)
    timeout 300 apt-get "${options[@]}" -qq update
    timeout 600 apt-get "${options[@]}" -qq source --download-only php8.2
    rm -rf source
    dpkg-source -x php8.2_*.dsc source >log 2>&1 || { cat log >&2; exit 1; }
    # Debian fills these in while it makes its packages.
    sed -i 's/@DEBIAN_PHP_API@/20220829/g' source/scripts/phpize.in source/scripts/php-config.in
    cd source
    {
        ./buildconf --force
        ./configure --prefix="$zts/prefix" --disable-all --enable-zts --enable-embed=shared --enable-cli --enable-cgi \
            --disable-phpdbg --enable-pcntl --enable-posix --without-pcre-jit CFLAGS="-O1 -g0"
        nice make -j"$(nproc)"
        make install
    } >"$zts/log" 2>&1 || { tail -n 50 "$zts/log" >&2; exit 1; }
    cd "$target/.."
    rm -rf "$zts/source"
fi
cd "$(dirname "$(readlink -f "$0")")/.."

export PHP_CONFIG=$zts/prefix/bin/php-config PHPIZE=$zts/prefix/bin/phpize
php/build.sh $argument
# Only there are modules of its own; the extension is the one thing that is looked at.
PATH=$zts/prefix/bin:$PATH php/test.sh $argument tables plain

place=$target/php/$("$PHP_CONFIG" --phpapi)-zts${argument#-}
# shellcheck disable=SC2046
gcc -std=gnu11 -g -Wall -Wextra -Wno-unused-parameter -Werror $("$PHP_CONFIG" --includes) -o "$zts/threads" php/tests/threads.c \
    -L"$zts/prefix/lib" -Wl,-rpath,"$zts/prefix/lib" -lphp -pthread
timeout 120 "$target/$kind/pay88" sandbox --exec -- "$zts/threads" "$place/pay88.so"
echo "PHP, thread-safe: all passed"
