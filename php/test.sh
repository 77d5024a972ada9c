#!/bin/bash
# Tests the extension. Needs what php/build.sh has built, called with the same argument.
#
#     php/test.sh [--debug] [drift] [tables] [source] [embed] [plain] [valgrind] [asan]        (all of them unless named)
#
# TESTS="calls errors" runs these of tests/*.phpt alone. PHP_CONFIG, PHPIZE and CARGO_TARGET_DIR are as for php/build.sh. Nothing is
# written outside of the target directory.
set -eu -o pipefail
cd "$(dirname "$0")/.."
kind=release argument=
if [ "${1-}" = --debug ]; then
    kind=debug argument=--debug
    shift
fi
steps=${*:-drift tables source embed plain valgrind asan}
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
config=${PHP_CONFIG:-php-config}
php=$("$config" --php-binary)
api=$(php/api.sh)
place=$target/php/$api${argument#-}
work=$target/php/$api-test
sandbox=$target/$kind/pay88
runner=$("$config" --prefix)/lib/php/build/run-tests.php
# Debian has one for each API.
[ -e "$runner" ] || runner=$("$config" --prefix)/lib/php/$api/build/run-tests.php
cgi=$("$config" --prefix)/bin/php-cgi
[ -x "$cgi" ] || cgi=

# Nothing of this machine's settings is to help or to hinder. What names the tools is for php/build.sh, too.
for variable in $(compgen -e | grep -iE '^(https?|all|no)_proxy$|^SSL_CERT|^EIGHTY_EIGHT_PAY_|^PHP|^TEST_PHP' |
    grep -vx -e PHP_CONFIG -e PHPIZE || true); do
    unset "$variable"
done

# shared NAME...: how to load what PHP has as a module of its own and the tests need.
shared() {
    local name
    for name in "$@"; do
        "$php" -n -m | grep -x "$name" >/dev/null || printf -- '-d extension=%s ' "$name"
    done
}
modules=$(shared posix tokenizer)

# phpt NAME EXTENSION_DIRECTORY SECONDS SANDBOX_OPTION...: the tests, in a copy, since results are written beside them.
phpt() {
    local name=$1 extension=$2/pay88.so limit=$3 status=0 tests=()
    shift 3
    rm -rf "$work/$name"
    mkdir -p "$work/$name"
    cp php/tests/*.phpt php/tests/*.inc "$work/$name/"
    for test in ${TESTS:-$(cd php/tests && echo *.phpt)}; do
        tests+=("$work/$name/${test%.phpt}.phpt")
    done
    local begun=$SECONDS
    # What the tests start has the same modules.
    # shellcheck disable=SC2086
    env PAY88_TEST_PHP_FLAGS="-n $modules-d pcre.jit=0 -d extension=$extension" NO_INTERACTION=1 \
        TEST_PHP_EXECUTABLE="${test_php:-$php}" TEST_PHP_CGI_EXECUTABLE="$cgi" \
        timeout -k 10 "$limit" "$sandbox" sandbox "$@" --exec -- "$php" -n $modules "$runner" -n -q --offline --show-diff \
        --set-timeout 500 $modules-d pcre.jit=0 -d "extension=$extension" "${tests[@]}" >"$work/$name.log" 2>&1 || status=$?
    local passed skipped
    passed=$(sed -n 's/^Tests passed *: *\([0-9]*\) .*/\1/p' "$work/$name.log")
    skipped=$(sed -n 's/^Tests skipped *: *\([0-9]*\) .*/\1/p' "$work/$name.log")
    # A test that is left out fails where everything has to be; one that passed at its second try failed.
    [ -z "${PAY88_TEST_NOTHING_SKIPPED-}" ] || skipped=0
    if [ "$status" != 0 ] || [ $((passed + skipped)) != ${#tests[@]} ]; then
        cat "$work/$name.log"
        echo "FAILED: php, $name, status $status"
        exit 1
    fi
    printf 'php %-9s %s of %s tests passed, %d s\n' "$name" "$passed" "${#tests[@]}" $((SECONDS - begun))
}

for step in $steps; do
    case $step in
    drift)
        php/arginfo.sh "$work.arginfo"
        diff php/pay88_arginfo.h "$work.arginfo" || {
            echo "php/pay88_arginfo.h is not what php/pay88.stub.php says: run php/arginfo.sh" >&2
            exit 1
        }
        # The library is never linked, neither is ever unloaded, and nothing but the module is seen by others.
        dynamic=$(readelf -d "$place/pay88.so")
        ! grep -E 'libpay88|RPATH|RUNPATH' <<<"$dynamic" && grep -q NODELETE <<<"$dynamic" || {
            echo "pay88.so is not linked as it has to be: $dynamic" >&2
            exit 1
        }
        [ "$(nm -D --defined-only "$place/pay88.so" | awk '{ print $3 }')" = get_module ] || {
            echo "pay88.so exports more than get_module" >&2
            exit 1
        }
        ;;
    tables)
        # shellcheck disable=SC2086
        php/tests/tables.py "$place/libpay88.so.0" "$php" -n $modules -d "extension=$place/pay88.so"
        ;;
    source)
        # As PIE installs it: from its own files alone, with the library where pkg-config or --with-pay88 says.
        php/tests/pie.py
        rm -rf "$work/source" "$work/prefix" "$work/installed"
        mkdir -p "$work/source"
        cp php/*.c php/*.h php/config.m4 "$work/source/"
        bindings/c/install.sh "$target/$kind" "$work/prefix"
        (
            cd "$work/source"
            "${PHPIZE:-phpize}"
            # What the package says that it takes is what there is.
            for option in $("$php" -n -r 'foreach (json_decode(file_get_contents($argv[1]))->{"php-ext"}->{"configure-options"} as $option)
                echo $option->name, " ";' "$OLDPWD/php/composer.json"); do
                ./configure --help | grep -F -e "--$option"
            done
            ! env -u PKG_CONFIG_PATH ./configure --with-php-config="$config"
            ./configure --with-php-config="$config" --with-pay88="$work/prefix"
            grep "^#define PAY88_LIBRARY_DIRECTORY \"$work/prefix/lib\"" config.h
            PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig ./configure --with-php-config="$config"
            make
            make install INSTALL_ROOT="$work/installed"
        ) >"$work/source.log" 2>&1 || {
            cat "$work/source.log"
            echo "FAILED: php, source"
            exit 1
        }
        "$php" -n -d extension="$(find "$work/installed" -name pay88.so)" --ri pay88 |
            grep -F "Loaded from => $work/prefix/lib/libpay88.so." || {
            echo "FAILED: php, source: the library that pkg-config names is not loaded"
            exit 1
        }
        ;;
    embed)
        rm -rf "$work/embed"
        mkdir -p "$work/embed"
        cp "$place/pay88.so" "$work/embed/"
        library=$(ls "$("$config" --prefix)"/lib/libphp*.so | tail -n 1)
        # shellcheck disable=SC2046
        gcc -std=gnu11 -g -Wall -Wextra -Wno-unused-parameter -Werror $("$config" --includes) -o "$work/embed/again" \
            php/tests/again.c "$library" -Wl,-rpath,"${library%/*}"
        timeout -k 5 60 "$sandbox" sandbox --exec -- "$work/embed/again" "$work/embed/pay88.so" "$place/libpay88.so.0"
        ;;
    plain) phpt plain "$place" 600 ;;
    valgrind)
        # The heap of a request would hide what is leaked; TLS has false reports (assembly of ring).
        rm -rf "$work/valgrind-logs"
        mkdir -p "$work/valgrind-logs"
        # php-cgi, which a test starts, is traced as all other PHP is.
        cat >"$work/valgrind-php" <<END
#!/bin/sh
# What a child has inherited, and its parent's other threads had, is lost in it.
case \$* in */fork.php* | */events.php*) leaks=no ;; *) leaks=full ;; esac
exec valgrind -q --num-callers=40 --leak-check=\$leaks --show-leak-kinds=definite,indirect --trace-children=yes \\
    --trace-children-skip='/bin/*,/usr/bin/*sh,/usr/bin/[a-oq-z]*' --log-file="$work/valgrind-logs/%p.%q{PAY88_TEST_END}" "$php" "\$@"
END
        chmod +x "$work/valgrind-php"
        PAY88_TEST_END=usual EIGHTY_EIGHT_PAY_TIMEOUT=300 test_php=$work/valgrind-php USE_ZEND_ALLOC=0 PAY88_TEST_SLOW=10 \
            phpt valgrind "$place" 1500 --http
        php/tests/valgrind.py php "$work"/valgrind-logs/*
        ;;
    asan)
        # The extension's C alone; gcc's runtime has to come first, but for what makes PHP's way of loading possible.
        PHP_CFLAGS="-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" BUILD_SUFFIX=-asan \
            php/build.sh $argument
        nm "$place-asan/pay88.so" | grep __asan_init >/dev/null || { echo "there is no sanitizer in pay88.so" >&2; exit 1; }
        gcc -shared -fPIC -o "$work.no_deepbind.so" php/tests/no_deepbind.c
        LD_PRELOAD="$work.no_deepbind.so $(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
            ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1 \
            USE_ZEND_ALLOC=0 PAY88_TEST_SLOW=3 phpt asan "$place-asan" 900
        ;;
    *)
        echo "no such step: $step" >&2
        exit 2
        ;;
    esac
done
echo "PHP: all passed"
