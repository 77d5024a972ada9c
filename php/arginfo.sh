#!/bin/sh
# Makes pay88_arginfo.h from pay88.stub.php.
#
#     php/arginfo.sh              in place
#     php/arginfo.sh FILE         as another file, to be compared
#
# PHP's own gen_stub.php does it, with Debian's PHP-Parser (package php-parser), which it would otherwise download. PHP_CONFIG names
# another php-config.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/pay88_arginfo.h}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
parser=/usr/share/php/PhpParser
[ -d "$parser" ] || { echo "php/arginfo.sh needs PHP-Parser in $parser: Debian's package php-parser" >&2; exit 1; }
config=${PHP_CONFIG:-php-config}
php=$("$config" --php-binary)
build=$("$config" --prefix)/lib/php/build
# Debian has one for each API.
[ -d "$build" ] || build=$("$config" --prefix)/lib/php/$("$here/api.sh")/build
cp "$build/gen_stub.php" "$work/"
# Where gen_stub.php of 8.2 looks for the release that it would download.
mkdir -p "$work/PHP-Parser-4.15.1/lib"
ln -s "$parser" "$work/PHP-Parser-4.15.1/lib/PhpParser"
cp "$here/pay88.stub.php" "$work/"
# Nothing of it can be shown where it works: it names files of the scratch directory.
tokenizer=
"$php" -n -m | grep -qx tokenizer || tokenizer='-d extension=tokenizer'
# shellcheck disable=SC2086
"$php" -n $tokenizer "$work/gen_stub.php" "$work/pay88.stub.php" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
cp "$work/pay88_arginfo.h" "$output"
