#!/bin/sh
# Tests the package in place, then the tarball by itself. Needs what node/build.sh has built, called with the same argument.
set -eu
cd "$(dirname "$0")"
case ${1-} in
    "") kind=release ;;
    --debug) kind=debug ;;
    *) echo "usage: node/test.sh [--debug]" >&2; exit 2 ;;
esac
target=${CARGO_TARGET_DIR:-../target}
target=$(cd "$target" && pwd)
sandbox="$target/$kind/pay88 sandbox --exec --"
work=$target/node-test
rm -rf "$work"
mkdir -p "$work/project"

# What users test with, and a newer Node, which are heavy: kept beside their lock file.
runners=tests/runners
if ! cmp -s $runners/package-lock.json $runners/node_modules/.installed; then
    (cd $runners && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error)
    cp $runners/package-lock.json $runners/node_modules/.installed
fi
newer=$runners/node_modules/node-linux-$(node -p process.arch)/bin/node

node_modules/.bin/prettier --check --log-level warn --config .prettierrc.json . ../bench/node ../tests/scenarios/programs
node_modules/.bin/tsc -p tests

# This one waits 51 s for a token's end, so it runs beside the others.
timeout 150 $sandbox node --test tests/documentation.test.mjs >"$work/documentation.log" 2>&1 &
documentation=$!
for file in tests/*.test.mjs; do
    [ "$file" = tests/documentation.test.mjs ] || timeout 300 $sandbox node --test "$file"
done
# The highest undici needs it, and what is done to requests of axios goes by what Node keeps of them.
for file in tests/adapters.test.mjs tests/axios.test.mjs tests/mocks.test.mjs; do
    timeout 300 $sandbox "$newer" --test "$file"
done
wait $documentation || { cat "$work/documentation.log"; exit 1; }

# The tarball holds both libraries, has no install script, needs nothing else, and works far from this tree.
npm pack --ignore-scripts --silent --pack-destination "$work" >/dev/null
cd "$work/project"
echo '{ "private": true }' >package.json
npm install --offline --no-audit --no-fund --loglevel=error "$work"/pay88-*.tgz
node -e 'const { scripts } = require("pay88/package.json");
process.exit(["preinstall", "install", "postinstall"].filter((name) => name in scripts).length)'
cp "$OLDPWD/examples/charge.mjs" .
env -u LD_LIBRARY_PATH timeout 60 $sandbox node charge.mjs
