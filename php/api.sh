#!/bin/sh
# Says for which PHP an extension is: the number of the API of php-config's PHP, with -zts behind it if that is thread-safe.
# PHP_CONFIG names another php-config.
set -eu
config=${PHP_CONFIG:-php-config}
# Only Debian's php-config has --phpapi. Its directory ends with /NUMBER, that of others with /no-debug-non-zts-NUMBER.
directory=$("$config" --extension-dir)
directory=${directory##*/}
case $("$config" --configure-options) in
    *--enable-zts*) echo "${directory##*-}-zts" ;;
    *) echo "${directory##*-}" ;;
esac
