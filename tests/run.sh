#!/usr/bin/env bash
# Runs the suites that prove the promises, two at a time, each to its end whatever became of the others.
#
#     tests/run.sh [SUITE...]        (all of them unless named)
#
# A suite's output is in target/logs/SUITE. What failed is shown at the end. A suite that failed while the machine was measured late
# (tests/lateness.py) is run once more, alone, and said to have needed it: two at a time share two processors, and a thread that is
# given none for a while cannot keep a time. Needs what `make build` has built.
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

# In milliseconds: from then on a test that measures time may fail for it.
late=200

# One suite, for the queue below.
if [ "${1-}" = --one ]; then
    log=target/logs/$2
    : >"$log.late"
    tests/lateness.py >"$log.late" &
    suite "$2" >"$log" 2>&1 && status=0 || status=$?
    kill $!
    # It may have had no time yet to prepare for its end.
    wait $! || true
    lateness=$(cat "$log.late")
    rm "$log.late"
    said=passed
    [ $status = 0 ] || said="FAILED with status $status"
    printf '%-14s %s  %4d s, the machine up to %d ms late\n' "$2" "$said" $SECONDS "${lateness:=0}"
    [ $status = 0 ] || echo "$lateness" >"$log.failed"
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
again=()
for name in "$@"; do
    [ -e "target/logs/$name.failed" ] || continue
    show "$name"
    if [ "$(cat "target/logs/$name.failed")" -ge $late ]; then
        rm "target/logs/$name.failed"
        mv "target/logs/$name" "target/logs/$name.first"
        printf '\n==== %s once more, alone, since the machine was late\n' "$name"
        tests/run.sh --one "$name"
        again+=("$name")
        [ -e "target/logs/$name.failed" ] || continue
        show "$name"
    fi
    failed+=("$name")
done
rm -f target/logs/*.failed
# It fails if next to nothing was printed, as of a few suites.
[ $# != ${#suites[@]} ] || tests/secrets.py target/logs/* || failed+=("no secrets in what was printed")
[ ${#again[@]} = 0 ] || printf 'NEEDED A SECOND RUN on a late machine: %s\n' "${again[@]}"
[ ${#failed[@]} = 0 ] || {
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
}
