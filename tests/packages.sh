#!/usr/bin/env bash
# Shows that what make dist has put into dist/ works by itself: installed far from the sources, each package makes a charge at
# a sandbox over TLS, and libpay88 and the wheel are one manager in a process that has both.
#
#     tests/packages.sh DIST
set -euo pipefail
dist=$(realpath "${1:?usage: $0 DIST}")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Nothing of the tree and of this machine's settings is to help: no LD_LIBRARY_PATH, no PYTHONPATH.
alone() { env -i PATH="$PATH" HOME="$work" timeout 300 "$@"; }
# What is not of this tree is fetched with the user's settings, which may name proxies, mirrors and certificates.
fetch() { env -u LD_LIBRARY_PATH -u PYTHONPATH -u PYTHONHOME timeout 300 "$@"; }
command=$(echo "$dist"/pay88-[0-9]*-linux-*)
sandbox() { alone "$command" sandbox --exec -- "$@"; }

row() { # package, command…
  local package=$1 line
  shift
  line=$(sandbox "$@")
  case $line in
    200*) printf '%-22s makes a charge\n' "$package" ;;
    *) printf '%s does not work: %s\n' "$package" "$line" >&2; exit 1 ;;
  esac
}

tar -C "$work" -xzf "$(echo "$dist"/pay88-c-*.tar.gz)"
archive=$(echo "$work"/pay88-c-*)
cp python/examples/charge.py node/examples/charge.mjs php/examples/charge.php tests/one_manager/program.c "$work"
cd "$work"

# The commands of its README make programs that find the library, wherever the archive was unpacked.
blocks() { sed -n '/^```sh$/,/^```$/{/^```/!p}' "$1"; }
(cd "$archive" && blocks README.md >"$work/build.sh" && alone sh -eu "$work/build.sh")
row "C archive's README" "$archive/charge"
row "static library" "$archive/charge-static"
# So does the command that each example names.
for source in "$archive"/examples/charge.*; do
  (cd "$archive/examples" && PKG_CONFIG_PATH=$archive/lib/pkgconfig sh -eu -c "$(sed -n 's/^[ */]* *\(c[c+]* .*\) && .*$/\1/p' "$source")")
  row "${source##*/}'s command" "$archive/examples/a.out"
done

compile() { cc -Wall -Wextra -Werror -pthread "-I$archive/include" "$1" "-L$archive/lib" "-Wl,-rpath,$archive/lib" -o "$2" "${@:3}"; }
compile "$archive/examples/charge.c" charge -lpay88
row "C archive" ./charge

# Python's sdist needs cargo, and without it says so.
alone python3 -m venv venv
mkdir bare
for tool in sh env timeout cc ld uname; do ln -s "$(command -v "$tool")" bare/; done
if PATH=$work/bare alone venv/bin/pip wheel --no-deps -w none "$dist"/pay88-[0-9]*.tar.gz >sdist.log 2>&1; then
  echo "an sdist was built without cargo" >&2; exit 1
fi
grep -q 'cargo is missing: install Rust' sdist.log && ! grep -q Traceback sdist.log || { cat sdist.log >&2; exit 1; }
printf '%-22s says that cargo is missing\n' sdist

alone venv/bin/pip install --quiet --disable-pip-version-check --no-index "$(echo "$dist"/pay88-*.whl)"
row "wheel" venv/bin/python charge.py

# A program of PyInstaller takes the library along, as a directory and as one file.
alone python3 -m venv --system-site-packages pyinstaller
pip_install() { "$1" pyinstaller/bin/pip install --quiet --disable-pip-version-check "${@:2}"; }
pip_install fetch pyinstaller==6.22.3
pip_install alone --no-index "$(echo "$dist"/pay88-*.whl)"
for kind in onedir onefile; do
  alone pyinstaller/bin/pyinstaller --log-level ERROR --$kind --name "$kind" charge.py
  program=dist/$kind
  [ $kind = onefile ] || program=$program/$kind
  row "PyInstaller, $kind" "./$program"
done

mkdir project
cp charge.mjs project
cd project
echo '{ "private": true }' >package.json
npm_install() { "$1" npm install --no-audit --no-fund --no-update-notifier "${@:2}" 2>&1; }
told=$(npm_install alone --offline "$(echo "$dist"/pay88-*.tgz)")
if grep -i warn <<<"$told"; then
  echo "npm warns of the tarball" >&2; exit 1
fi
row "npm tarball" node charge.mjs
# A bundle leaves the package external, as the README says; one that does not is told so.
npm_install fetch --loglevel=error esbuild@0.28.1 >/dev/null
bundle() { alone node_modules/.bin/esbuild charge.mjs --bundle --platform=node --format=esm --log-level=error "$@"; }
bundle --external:pay88 --outfile=bundle.mjs
row "esbuild, external" node bundle.mjs
bundle --loader:.node=copy --outfile=all/bundle.mjs
told=$(! sandbox node all/bundle.mjs 2>&1)
case $told in
  *"has to leave pay88 external"*) ;;
  *) echo "a bundle with the package in it does not say what to do: $told" >&2; exit 1 ;;
esac
cd ..

# The extension finds its library beside it, wherever both are and by whatever name PHP has it.
mkdir "with a space" linked
tar -C "with a space" -xzf "$(echo "$dist"/pay88-php-*.tar.gz)"
php=$(echo "$work/with a space"/pay88-php-*)
ln -s "$php/pay88.so" linked/
for directory in "$php" "$work/linked"; do
  row "PHP archive" php -n -d "extension=\"$directory/pay88.so\"" charge.php
done
# The Composer package beside it, by its own composer.json, with Debian's PSR packages.
alone env COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_DISABLE_NETWORK=1 composer dump-autoload --quiet --working-dir="$php/library"
cat >psr18.php <<'PHP'
<?php
require 'GuzzleHttp/autoload.php';
require getenv('AUTOLOAD');
$charge = '{"flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"}';
$request = new GuzzleHttp\Psr7\Request('POST', '/api/transactions/charges', [], $charge);
echo (new Pay88\Http\Handler(new Pay88\TokenManager()))->sendRequest($request)->getStatusCode();
PHP
row "Composer package" env AUTOLOAD="$php/library/vendor/autoload.php" php -n -d "extension=\"$php/pay88.so\"" psr18.php

# An empty module gets each Go module from the archive, and what that requires from the user's own cache or proxy. Without cgo.
tar -xzf "$(echo "$dist"/pay88-go-*.tar.gz)"
proxies="file://$(echo "$work"/pay88-go-*),file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)"
go_alone() {
  fetch env CGO_ENABLED=0 GOWORK=off GOFLAGS="$(go env GOFLAGS) -mod=mod -modcacherw" GOMODCACHE="$work/gomodcache" GOPROXY="$proxies" \
    GONOSUMDB="github.com/pay88,$(go env GONOSUMDB)" go "$@" >go.log 2>&1 || { cat go.log >&2; exit 1; }
}
go_module() { # module
  mkdir "$work/${1##*/}"
  cd "$work/${1##*/}"
  go_alone mod init example.com/charge
  go_alone get "$1"
}
go_module github.com/pay88/pay88/go
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"

	pay88 "github.com/pay88/pay88/go"
)

func main() {
	charge := map[string]any{"flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"}
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		panic(err)
	}
	defer manager.Close()
	answer, err := manager.Do(context.Background(), &pay88.Request{Method: "POST", Endpoint: "/api/transactions/charges", JSON: charge})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.StatusCode)
}
GO
go_alone build -o charge .
row "Go module" ./charge
# It requires the other module, in the version that the archive has.
go_module github.com/pay88/pay88/go/oauth2
go_alone test -c -o oauth2 github.com/pay88/pay88/go/oauth2
sandbox ./oauth2 >go.log || { cat go.log >&2; exit 1; }
printf '%-22s passes its test\n' "Go module oauth2"
cd "$work"

# A program that has the archive's library, and runs Python that imports the wheel.
python=$(alone python3 -c 'import sysconfig; v = sysconfig.get_config_var; print(v("LIBDIR") + "/" + v("INSTSONAME"))')
case $python in
  *.so*)
    compile program.c program -ldl
    packages=$(echo venv/lib/python3*/site-packages)
    home=$(alone python3 -c 'import sys; print(sys.base_prefix)')
    seen=$(sandbox env PYTHONPATH="$packages" PYTHONHOME="$home" EIGHTY_EIGHT_PAY_SHARE=process \
      sh -c '"$@" && curl -fsS "$PAY88_SANDBOX_CONTROL/counters"' sh \
      ./program "$python" 'import pay88; tm = pay88.TokenManager(); tm.get_token(); print(tm.manager_id, flush=True)')
    case $seen in
      $'1\n1\n'*'"tokens_issued":1,'*) echo "C archive and wheel    one manager and one token" ;;
      *) echo "the archive's library and the wheel have managers of their own: $seen" >&2; exit 1 ;;
    esac
    ;;
  *) echo "C archive and wheel    not shown: this Python cannot be embedded" ;;
esac
