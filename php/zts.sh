#!/bin/bash
# Builds a thread-safe PHP (ZTS), runs the tests with it, and a program in which threads of its own run PHP:
#
#     php/zts.sh [--debug]
#
# Debian has no such PHP, so it is built once from the source of Debian's package, with little more than the tests need, and kept in
# target/php/zts. Needs what php/build.sh has built, called with the same argument, and xz; other tools are as for make test.
set -eu -o pipefail
cd "$(dirname "$0")/.."
argument=${1-} kind=release
[ "$argument" != --debug ] || kind=debug
mkdir -p "${CARGO_TARGET_DIR:-target}/php/zts"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
zts=$target/php/zts
command -v xz >/dev/null || { echo "php/zts.sh needs xz: Debian's package xz-utils" >&2; exit 1; }

if [ ! -e "$zts/made" ]; then (
    cd "$zts"
    rm -rf source prefix php8.2_*
    # Lists of our own, so that nothing of the machine's is changed. Main alone has sources that can be had.
    mkdir -p apt/lists/partial apt/archives/partial source
    echo "deb-src http://deb.debian.org/debian bookworm main" >apt/sources.list
    options=(-o Dir::Etc::SourceList="$zts/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$zts/apt/lists" -o Dir::Cache="$zts/apt" -o APT::Sandbox::User=root)
    timeout 300 apt-get "${options[@]}" -qq update
    # PHP's own archive, without what Debian changes: that is for a PHP in Debian's places.
    timeout 600 apt-get "${options[@]}" -qq source --download-only --tar-only php8.2
    tar -xf php8.2_*.orig.tar.xz -C source --strip-components=1
    {
        cd source
        # The three options of threads are those that FrankenPHP demands. With them a time limit is a thread's own.
        ./configure --prefix="$zts/prefix" --disable-all --enable-zts --disable-zend-signals --enable-zend-max-execution-timers \
            --enable-embed=shared --enable-cli --enable-cgi --disable-phpdbg --enable-pcntl --enable-posix --enable-tokenizer \
            --without-pcre-jit CFLAGS="-O0 -g0"
        # Each file is compiled once, for the library, and the programs are linked with the same objects.
        sed -i 's/^build_old_libs=yes/build_old_libs=no/' libtool
        sed -i '/^BUILD_C[LG]I = /s/:\.lo=\.o//g' Makefile
        nice make -j"$(nproc)"
        make install
    } >log 2>&1 || { tail -n 50 "$zts/log" >&2; exit 1; }
    rm -rf "$zts/source"
    touch "$zts/made"
) fi

export PHP_CONFIG=$zts/prefix/bin/php-config PHPIZE=$zts/prefix/bin/phpize
php/build.sh "$@"
php/test.sh "$@" drift tables source embed plain asan

place=$target/php/$(php/api.sh)${argument#-}
# compile NAME FLAG...: the program whose threads run PHP.
compile() {
    local name=$1
    shift
    # shellcheck disable=SC2046
    gcc -std=gnu11 -g -Wall -Wextra -Wno-unused-parameter -Werror "$@" $("$PHP_CONFIG" --includes) -rdynamic \
        -o "$zts/threads-$name" php/tests/threads.c -L"$zts/prefix/lib" -Wl,-rpath,"$zts/prefix/lib" -lphp -pthread
}
# threads NAME DIRECTORY: runs it with the extension in this directory.
threads() {
    local name=$1 directory=$2 begun=$SECONDS
    timeout -k 10 900 "$target/$kind/pay88" sandbox --exec -- \
        "$zts/threads-$name" "$directory/pay88.so" "$PWD/php/tests/threads.php" >"$zts/threads.log" 2>&1 || {
        cat "$zts/threads.log"
        echo "FAILED: php, threads, $name"
        exit 1
    }
    printf 'php threads, %s: %s, %d s\n' "$name" "$(tail -n 1 "$zts/threads.log")" $((SECONDS - begun))
}
compile plain
threads plain "$place"
# Sanitizers see the extension's C and the program alone. PHP opens extensions in a way that they refuse. Valgrind would not do: the
# masks of signals are its own then, and PHP with threads does not free what the registration of a class has taken.
compile asan -fsanitize=address,undefined -fno-sanitize-recover=all php/tests/no_deepbind.c
ASAN_OPTIONS=detect_leaks=0 USE_ZEND_ALLOC=0 threads asan "$place-asan"
PHP_CFLAGS="-O1 -fsanitize=thread" BUILD_SUFFIX=-tsan php/build.sh "$@"
compile tsan -fsanitize=thread php/tests/no_deepbind.c
TSAN_OPTIONS=ignore_noninstrumented_modules=1 USE_ZEND_ALLOC=0 threads tsan "$place-tsan"
echo "PHP, thread-safe: all passed"
