#!/bin/sh
# Builds the extension for the PHP of php-config, and puts it beside the library:
#
#     php/build.sh
#     php -d extension=$PWD/target/php/20220829/pay88.so -r 'var_dump(new Pay88\TokenManager());'
#
# The directory is target/php/API, where API is what php/api.sh says; it holds pay88.so and libpay88.so.0, which belong together
# and may be moved together. With --debug the library is built quickly and runs slowly, and the directory is target/php/API-debug.
# PHP_CONFIG and PHPIZE name another PHP's tools; PHP_CFLAGS (for the extension alone) and CARGO_TARGET_DIR are honoured; CARGO=true
# takes the library that is there; BUILD_SUFFIX is put behind the name of the directory, for another build beside the first.
# Nothing is written outside of the target directory.
set -eu
cd "$(dirname "$0")/.."
case ${1-} in
    "") set -- --release; kind=release; suffix= ;;
    --debug) set --; kind=debug; suffix=-debug ;;
    *) echo "usage: php/build.sh [--debug]" >&2; exit 2 ;;
esac
packaging/build.sh "$@"
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
config=${PHP_CONFIG:-php-config}
for tool in "$config" "${PHPIZE:-phpize}"; do
    command -v "$tool" >/dev/null || { echo "php/build.sh needs $tool: Debian's package php-dev, or PHP's own sources" >&2; exit 1; }
done
api=$(php/api.sh)
work=$target/php/$api-build${BUILD_SUFFIX-}
place=$target/php/$api$suffix${BUILD_SUFFIX-}

# phpize writes into the directory that it is called in: a copy of the sources, kept so that only what changed is compiled.
mkdir -p "$work" "$place"
for file in php/*.c php/*.h php/config.m4 include/pay88.h; do
    cmp -s "$file" "$work/${file##*/}" || cp "$file" "$work/"
done
cd "$work"
# The Makefile names this directory, which may have been copied from another place.
flags="-std=gnu11 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror ${PHP_CFLAGS-}"
if [ ! -f Makefile ] || [ "$(cat flags 2>/dev/null)" != "$work $config $flags" ] || [ config.m4 -nt Makefile ]; then
    rm -f ./*.lo
    "${PHPIZE:-phpize}" >log 2>&1 || { cat log >&2; exit 1; }
    ./configure --with-php-config="$config" CFLAGS="$flags" >log 2>&1 || { cat log >&2; exit 1; }
    echo "$work $config $flags" >flags
fi
make >log 2>&1 || { cat log >&2; exit 1; }
# Put in place by rename: a process that has the old file mapped keeps it whole.
cp modules/pay88.so "$place/pay88.so.new"
mv -f "$place/pay88.so.new" "$place/pay88.so"
cp "$target/$kind/libpay88_c.so" "$place/libpay88.so.0.new"
mv -f "$place/libpay88.so.0.new" "$place/libpay88.so.0"
