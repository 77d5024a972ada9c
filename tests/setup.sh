#!/usr/bin/env bash
# Installs what building and testing need, as root on Debian; elsewhere names what is missing and fails.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

for tool in cargo python3 node npm go; do
  command -v "$tool" >/dev/null || { echo "pay88 needs $tool: rustup.rs, python.org, nodejs.org, go.dev, or your system's package" >&2; exit 1; }
done
# What has to be there, a command or the pattern of a file, and the package that brings it.
missing=()
while read -r what package; do
  command -v "$what" >/dev/null || compgen -G "$what" >/dev/null || missing+=("$package")
done <<'LIST'
cc gcc
c++ g++
cmake cmake
pkg-config pkg-config
nginx nginx-light
redis-server redis-server
memcached memcached
valgrind valgrind
/usr/include/uv.h libuv1-dev
unshare util-linux
ip iproute2
readelf binutils
curl curl
script bsdutils
make make
php php-cli
phpize php-dev
php-cgi php-cgi
/usr/sbin/php-fpm* php-fpm
/usr/lib/libphp*.so libphp-embed
/usr/share/php/PhpParser php-parser
/usr/lib/php/*/curl.so php-curl
composer composer
phpunit phpunit
phpcs php-codesniffer
/usr/share/php/GuzzleHttp/Client.php php-guzzlehttp-guzzle
/usr/share/php/Nyholm/Psr7 php-nyholm-psr7
/usr/share/php/Psr/Log php-psr-log
/usr/share/php/Symfony/Component/DependencyInjection php-symfony-dependency-injection
/usr/share/php/Symfony/Component/HttpKernel php-symfony-http-kernel
/usr/share/php/Illuminate/Config php-illuminate-config
/usr/share/php/Illuminate/Container php-illuminate-container
/usr/share/php/Illuminate/Support php-illuminate-support
LIST
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # Debian starts these at once and at every boot; the tests start their own.
    for daemon in redis-server memcached php-fpm; do
      if [[ " ${missing[*]} " == *" $daemon "* ]]; then
        [ $daemon != php-fpm ] || daemon=php$(php -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')-fpm
        service "$daemon" stop >/dev/null 2>&1 || true
        update-rc.d "$daemon" disable >/dev/null 2>&1 || true
      fi
    done
  else
    echo "pay88's tests need these packages (Debian's names): ${missing[*]}" >&2
    exit 1
  fi
fi
