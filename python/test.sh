#!/bin/sh
# Checks and tests the package in place, then the wheel that pip builds from the sdist. Needs what python/build.sh has built,
# called with the same argument. Tools go to a virtual environment below the target directory, from PyPI.
set -eu
cd "$(dirname "$0")/.."
case ${1-} in
    "") kind=release ;;
    --debug) kind=debug ;;
    *) echo "usage: python/test.sh [--debug]" >&2; exit 2 ;;
esac
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
sandbox="$target/$kind/pay88 sandbox --exec --"
tools=$target/python
# With the sandbox in it, for tests that start one themselves.
export PAY88_COMMAND="$target/$kind/pay88"

fresh() {
    python3 -m venv --clear "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check "$2" "$3"
}
# kept ENVIRONMENT REQUIREMENTS: makes it unless it is there with the same requirements.
kept() {
    cmp -s "$2" "$1/requirements.txt" && return
    fresh "$1" --requirement "$2"
    cp "$2" "$1/requirements.txt"
}
kept "$tools" python/requirements-dev.txt
# The lowest versions that the adapters work with; those of the tools are the highest.
kept "$target/python-lowest" python/requirements-lowest.txt
export PATH="$tools/bin:$PATH"

cd python
set -- . ../bench ../packaging ../php/tests ../tests/scenarios ../tests/one_manager ../tests/readme.py ../tests/secrets.py ../tests/walls.py ../tests/named_files.py
ruff format --check --quiet --config pyproject.toml "$@"
ruff check --quiet --config pyproject.toml "$@"
mypy
python -m mypy.stubtest pay88._native --mypy-config-file pyproject.toml
PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT=1 pyright
PYTHONPATH=. timeout 900 $sandbox "$tools/bin/pytest" -q
PYTHONPATH=. timeout 600 $sandbox "$target/python-lowest/bin/pytest" -q tests/test_adapters.py

# The sdist holds all that a wheel is built from, and the wheel all that it needs: both are used far from this tree.
rm -rf "$target/wheel"
for place in wheel wheel/again; do
    python -m build --no-isolation --sdist --outdir "$target/$place" . >"$target/sdist.log" 2>&1 || { cat "$target/sdist.log"; exit 1; }
done
# The same sources give the same bytes.
cmp "$target"/wheel/pay88-*.tar.gz "$target"/wheel/again/pay88-*.tar.gz
cd "$target/wheel"
# With today's times (-m): cargo, whose directory is an old one, compiles what is newer than that.
tar -xmzf pay88-*.tar.gz
CARGO_TARGET_DIR="$target" pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
    --config-settings profile=dev ./pay88-*/
fresh "$target/wheel/environment" --no-index "$(echo "$target"/wheel/*.whl)"
example=$OLDPWD/examples/charge.py
shop=$OLDPWD/examples/shop
cd /
PYTHONPATH='' timeout 60 $sandbox "$target/wheel/environment/bin/python" "$example"
# The fixtures are found by the wheel's entry point, and start the sandbox themselves.
site=$(echo "$target"/wheel/environment/lib/python3*/site-packages)
PYTHONPATH="$site" timeout 300 \
    "$tools/bin/pytest" -q -n 2 -p no:cacheprovider --rootdir "$shop" "$shop"
