#!/usr/bin/env bash
# Puts what users install into dist/: the C archive, the command, the Python wheel and sdist, the npm tarball, the PHP archive, the Go
# modules.
# Shows at the end that they work by themselves.
# Needs what make build has built.
set -euo pipefail
cd "$(dirname "$0")"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=pay88-c-$version-linux-$(uname -m)
work=$PWD/target/dist
rm -rf dist "$work"
mkdir -p dist "$work"

bindings/c/install.sh target/release "$work/$name"
cp -r bindings/c/examples bindings/c/README.md LICENSE "$work/$name/"
tar -C "$work" -czf "dist/$name.tar.gz" "$name"
install -m 755 target/release/pay88 "dist/pay88-$version-linux-$(uname -m)"

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check build==1.6.1
CARGO_TARGET_DIR=$PWD/target "$work/venv/bin/python" -m build --outdir dist python >"$work/python.log" 2>&1 || { cat "$work/python.log" >&2; exit 1; }
(cd node && npm pack --ignore-scripts --silent --pack-destination ../dist >/dev/null)

# The extension for the PHP of php-config with its library, and the Composer package with the stub.
api=$(php/api.sh)
php=pay88-php-$version-php$api-linux-$(uname -m)
mkdir -p "$work/$php/library"
cp "target/php/$api/pay88.so" "target/php/$api/libpay88.so.0" php/README.md LICENSE "$work/$php/"
strip --strip-debug "$work/$php/pay88.so"
cp -r php/library/composer.json php/library/src php/library/stubs LICENSE "$work/$php/library/"
cmp "$work/$php/libpay88.so.0" "$work/$name/lib/libpay88.so.0"
tar -C "$work" -czf "dist/$php.tar.gz" "$php"

# The Go modules, as GOPROXY=file://… serves them, with the library inside. There they require each other by version.
go=pay88-go-$version
mkdir -p "$work/$go"
cp -r go "$work/module"
cp LICENSE "$work/module/"
cp LICENSE "$work/module/oauth2/"
module=github.com/pay88/pay88/go
go mod edit "-require=$module@v$version" "-dropreplace=$module" "$work/module/oauth2/go.mod"
go run -C packaging/goproxy . "$work/$go" "v$version" "$work/module" "$work/module/oauth2"
cp go/README.md LICENSE "$work/$go/"
cmp "$work/module/internal/native/lib/linux_$(go env GOHOSTARCH)/libpay88.so.0" "$work/$name/lib/libpay88.so.0"
tar -C "$work" -czf "dist/$go.tar.gz" "$go"

# What is shipped has no hook for tests.
if nm -D --defined-only "$work/$name/lib/libpay88.so.0" | grep pay88_test_; then
  echo "the library has hooks for tests in it" >&2
  exit 1
fi
ls -l dist
tests/packages.sh dist
