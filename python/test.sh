#!/bin/sh
# Tests the package in place, then the wheel by itself. Needs what python/build.sh has built, called with the same argument.
# Tools go to a virtual environment below the target directory.
set -eu
cd "$(dirname "$0")/.."
case ${1-} in
    "") set -- --release; kind=release ;;
    --debug) set -- --profile dev; kind=debug ;;
    *) echo "usage: python/test.sh [--debug]" >&2; exit 2 ;;
esac
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
sandbox="$target/$kind/pay88 sandbox --exec --"
tools=$target/python

fresh() {
    python3 -m venv --clear "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check "$2" "$3"
}
if ! cmp -s python/requirements-dev.txt "$tools/requirements-dev.txt"; then
    fresh "$tools" --requirement python/requirements-dev.txt
    cp python/requirements-dev.txt "$tools/requirements-dev.txt"
fi

PYTHONPATH=python timeout 600 $sandbox "$tools/bin/pytest" python -q

# The wheel holds both libraries, needs nothing else, and works far from this tree.
rm -rf "$target/wheel"
(cd python && PATH=$tools/bin:$PATH maturin build --quiet --locked "$@" --compatibility linux --out "$target/wheel")
fresh "$target/wheel/environment" --no-index "$(echo "$target"/wheel/*.whl)"
(cd / && PYTHONPATH= timeout 60 $sandbox "$target/wheel/environment/bin/python" "$OLDPWD/python/examples/charge.py")
