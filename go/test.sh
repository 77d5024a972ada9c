#!/bin/sh
# Checks and tests the Go module, with cgo and without. Needs what go/build.sh has built, called with the same argument. Modules come
# from the Go module proxy.
set -eu
cd "$(dirname "$0")"
case ${1-} in
    "") kind=release ;;
    --debug) kind=debug ;;
    *) echo "usage: go/test.sh [--debug]" >&2; exit 2 ;;
esac
target=${CARGO_TARGET_DIR:-../target}
target=$(cd "$target" && pwd)
sandbox="$target/$kind/pay88 sandbox --exec -- timeout -k 10"
work=$target/go-test
mkdir -p "$work"
# An installed library would be used in place of the one inside.
unset LD_LIBRARY_PATH

# Programs of other tests, which use the module.
programs='../tests/scenarios/programs/scenario.go ../tests/environment/programs/face.go ../tests/one_manager/shared.go ../bench/go/contender.go'
unformatted=$(gofmt -l . ../packaging/goproxy $programs)
[ -z "$unformatted" ] || { echo "gofmt would change: $unformatted" >&2; exit 1; }
timeout 300 go mod tidy -diff
timeout 300 go vet ./...
for tag in pay88_none pay88_system; do timeout 300 go vet -tags $tag ./...; done
# It compiles wherever Go does. Where there is no library, New says so.
for system in linux/arm64 windows/amd64; do
    GOOS=${system%/*} GOARCH=${system#*/} timeout 300 go vet ./...
done
# Kept, because to build it takes a minute.
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOBIN=$work timeout 600 go install $staticcheck
timeout 300 "$work/staticcheck" -checks all ./...
for program in $programs; do
    CGO_ENABLED=1 timeout 300 go vet "$program"
    CGO_ENABLED=1 timeout 300 "$work/staticcheck" -checks all "$program"
done

timeout 300 env CGO_ENABLED=1 go test -race -count=1 -short -timeout 5m ./internal/native
timeout 300 env CGO_ENABLED=0 go test -count=1 -timeout 5m ./internal/native
CGO_ENABLED=1 $sandbox 400 go test -race -count=1 -timeout 5m .
CGO_ENABLED=0 $sandbox 400 go test -count=1 -timeout 5m .
CGO_ENABLED=0 GOMAXPROCS=1 GOGC=1 $sandbox 400 go test -count=1 -timeout 5m .
for module in oauth2 ../packaging/goproxy; do
    (cd $module && timeout 300 go mod tidy -diff && timeout 300 go vet ./... && timeout 300 "$work/staticcheck" -checks all ./...)
done
(cd oauth2 && $sandbox 300 go test -count=1 -timeout 5m ./...)

# A program by itself, far from this tree.
for cgo in 0 1; do
    CGO_ENABLED=$cgo timeout 300 go build -o "$work/charge" ./examples/charge
    (cd / && $sandbox 60 "$work/charge")
done
# Without a library it says why, in one line.
missing() {
    ! "$work/$1" 2>"$work/told" || exit 1
    [ "$(wc -l <"$work/told")" = 1 ] || exit 1
    grep "$2" "$work/told"
}
echo "{\"Replace\": {\"$PWD/internal/native/lib/linux_$(go env GOARCH)/libpay88.so.0\": \"\"}}" >"$work/overlay"
CGO_ENABLED=0 timeout 300 go build -overlay "$work/overlay" -o "$work/charge_empty" ./examples/charge
missing charge_empty 'run go/build.sh, or install the library'
CGO_ENABLED=0 timeout 300 go build -tags pay88_system -o "$work/charge_system" ./examples/charge
missing charge_system 'the tag pay88_system'
CGO_ENABLED=0 timeout 300 go build -tags pay88_none -o "$work/charge_none" ./examples/charge
missing charge_none 'the tag pay88_none'
# Nothing of it needs a dynamic loader.
! readelf -l "$work/charge_none" | grep -q INTERP || exit 1
mkdir -p "$work/lib"
cp "$target/$kind/libpay88_c.so" "$work/lib/libpay88.so.0"
(cd / && LD_LIBRARY_PATH=$work/lib $sandbox 60 "$work/charge_system")
