#!/bin/sh
# Says for which PHP an extension is: the number of the API of php-config's PHP, with -zts behind it if that is thread-safe.
# PHP_CONFIG names another php-config.
set -eu
config=${PHP_CONFIG:-php-config}
# Only Debian's php-config has --phpapi, and what the directory of extensions is called differs by distribution.
api=$(sed -n 's/^#define ZEND_MODULE_API_NO //p' "$("$config" --include-dir)/Zend/zend_modules.h")
case $("$config" --configure-options) in
    *--enable-zts*) echo "$api-zts" ;;
    *) echo "$api" ;;
esac
