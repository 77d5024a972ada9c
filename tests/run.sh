#!/usr/bin/env bash
# Runs the suites that prove the promises, two at a time, each to its end whatever became of the others.
#
#     tests/run.sh [SUITE...]        (all of them unless named)
#
# A suite's output is in target/logs/SUITE. What failed is shown at the end. Two at a time take each other's processors, and what
# one tests may then fail for the other. So a suite that failed is run once more, alone, and said to have needed it. Where many
# fail, it is the code, and none is run again. Needs what `make build` has built.
set -euo pipefail
cd "$(dirname "$0")/.."

# The long ones first. Those that build in target/debug stand far apart: one would copy the library that the other built.
suites=(rust c php adapters python scenarios node go stress instructions php_library php_fpm php_processes environment one_manager readme)

# Whatever hangs has an end, here or inside.
suite() {
    local cargo="cargo --locked" at_a_sandbox="target/release/pay88 sandbox --exec -- timeout 600"
    case $1 in
    rust) timeout -k 10 3600 $cargo test --workspace --no-fail-fast --features pay88/test-hooks -- --test-threads=8 --show-output ;;
    adapters) timeout -k 10 600 $cargo test -p pay88 --features test-hooks,reqwest --test adapters -- --show-output ;;
    c) tests/c/run.sh ;;
    instructions) timeout 900 bench/instructions/count.py ;;
    python) python/test.sh ;;
    node) node/test.sh ;;
    go) go/test.sh ;;
    php) php/test.sh ;;
    php_library) php/library/test.sh ;;
    php_processes) timeout 600 php/tests/test_processes.py ;;
    php_fpm) timeout 800 php/tests/test_fpm.py ;;
    scenarios) timeout -k 10 2400 tests/scenarios/run.py ;;
    environment) timeout 1200 tests/environment/run.py ;;
    stress) timeout 800 tests/scenarios/stress.py ;;
    one_manager) $at_a_sandbox tests/one_manager/test.py ;;
    readme) $at_a_sandbox tests/readme.py ;;
    *)
        echo "no such suite: $1" >&2
        return 2
        ;;
    esac
}

# More failed suites than these are not run again.
most_again=3

# One suite, for the queue below.
if [ "${1-}" = --one ]; then
    said=passed
    suite "$2" >"target/logs/$2" 2>&1 || {
        said="FAILED with status $?"
        : >"target/logs/$2.failed"
    }
    printf '%-14s %s  %4d s\n' "$2" "$said" $SECONDS
    exit 0
fi

# What a failed suite said.
show() {
    printf '\n==== %s failed; the end of target/logs/%s:\n' "$1" "$1"
    grep -nE 'FAILED|FAIL:|panicked at|does not hold|^not ok|[Ee]rror:' "target/logs/$1" | tail -n 40 || true
    echo ...
    tail -n 80 "target/logs/$1"
}

mkdir -p target/logs
[ $# -gt 0 ] || set -- "${suites[@]}"
rm -f target/logs/*.failed target/logs/*.first
printf '%s\n' "$@" | xargs -P 2 -n 1 tests/run.sh --one
failed=()
for name in "$@"; do
    [ ! -e "target/logs/$name.failed" ] || failed+=("$name")
done
again=()
if [ ${#failed[@]} -le $most_again ]; then
    again=("${failed[@]}")
    failed=()
fi
for name in "${again[@]}"; do
    show "$name"
    printf '\n==== %s once more, alone\n' "$name"
    mv "target/logs/$name" "target/logs/$name.first"
    rm "target/logs/$name.failed"
    tests/run.sh --one "$name"
    [ ! -e "target/logs/$name.failed" ] || failed+=("$name")
done
for name in "${failed[@]}"; do
    show "$name"
done
rm -f target/logs/*.failed
# It fails if next to nothing was printed, as of a few suites.
[ $# != ${#suites[@]} ] || tests/secrets.py target/logs/* || failed+=("no secrets in what was printed")
[ ${#again[@]} = 0 ] || printf 'NEEDED A SECOND RUN, find out why: %s\n' "${again[@]}"
[ ${#failed[@]} = 0 ] || {
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
}
