#!/bin/sh
# Tests the Composer packages with Debian's Guzzle, PSR, Symfony and Laravel: needs what php/build.sh has built, called with the
# same argument.
set -eu
cd "$(dirname "$0")/../.."
case ${1-} in
    "") kind=release; suffix= ;;
    --debug) kind=debug; suffix=-debug ;;
    *) echo "usage: php/library/test.sh [--debug]" >&2; exit 2 ;;
esac
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
extension=$target/php/$(php/api.sh)$suffix/pay88.so

# Composer's own autoloader, from the file that users install by; nothing is fetched for it.
export COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_HOME="$target/php/composer" COMPOSER_VENDOR_DIR="$target/php/vendor" COMPOSER_DISABLE_NETWORK=1
composer validate --quiet --no-interaction --strict --no-check-publish --working-dir=php/library
composer dump-autoload --quiet --no-interaction --working-dir=php/library
phpcs -n -q --standard=PSR12 --extensions=php --ignore='*/stubs/*' php/library php/examples \
    tests/scenarios/programs tests/environment/programs
php -l php/library/stubs/pay88.php >/dev/null
php/library/stub.sh | diff -u php/library/stubs/pay88.php - || {
    echo "php/library/stubs/pay88.php is not what pay88.stub.php says: php/library/stub.sh >php/library/stubs/pay88.php" >&2
    exit 1
}
# All but E_DEPRECATED: Debian's Guzzle is older than its PHP.
PAY88_TEST_AUTOLOAD="$target/php/vendor/autoload.php" "$target/$kind/pay88" sandbox --exec -- timeout 120 \
    php -d extension="$extension" -d zend.assertions=1 -d error_reporting=24575 \
    /usr/bin/phpunit --bootstrap php/library/tests/bootstrap.php --do-not-cache-result --fail-on-warning --fail-on-risky \
    php/library/tests
