#!/bin/bash
# Builds the C library and runs all that is promised of it: plain, under AddressSanitizer and UBSan, under valgrind.
#
#     tests/c/run.sh [abi] [install] [plain] [asan] [valgrind]        (all of them unless named)
#
# PROGRAMS="exit signals" runs these alone. CARGO_TARGET_DIR is respected. Nothing outside of it is written.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/c-tests
warnings="-Wall -Wextra -Wpedantic -Werror"
programs=${PROGRAMS:-surface arguments lifetimes completions single_flight exit fork fork_places two_copies cancel unused stack no_threads signals panics charge.c charge.cpp poll.c libuv.c}
steps=${*:-abi install plain asan valgrind}

# Nothing of this machine's settings is to help or to hinder.
for variable in $(compgen -e | grep -iE '^(https?|all|no)_proxy$|^SSL_CERT|^EIGHTY_EIGHT_PAY_' || true); do
    unset "$variable"
done

mkdir -p "$work"
cargo build -q -p pay88-cli
cargo build -q -p pay88-c --features test-hooks
rm -rf "$work/hooks" "$work/shipped"
bindings/c/install.sh "$target/debug" "$work/hooks"
cargo build -q -p pay88-c
bindings/c/install.sh "$target/debug" "$work/shipped"
sandbox="$target/debug/pay88"

# compile SOURCE OUTPUT PREFIX FLAGS...
compile() {
    local source=$1 output=$2 prefix=$3 compiler="gcc -std=c11" more=""
    shift 3
    [ "${source##*.}" != cpp ] || compiler="g++ -std=c++17"
    case $source in
    */libuv.c) compiler="gcc -std=gnu11" more=$(pkg-config --cflags --libs libuv) ;;
    bindings/*) ;;
    *) source="$source tests/c/support.c" ;;
    esac
    # shellcheck disable=SC2086
    $compiler -g $warnings -pthread "$@" -Itests/c -I"$prefix/include" $source \
        -L"$prefix/lib" -Wl,-rpath,"$prefix/lib" -lpay88 -lm $more -o "$output"
}

# run SECONDS PROGRAM...: at a sandbox of its own, with an end.
options=()
run() {
    local seconds=$1
    shift
    timeout -k 5 "$seconds" "$sandbox" sandbox "${options[@]}" --exec -- "$@" >"$work/output" 2>&1 || {
        local status=$?
        cat "$work/output"
        echo "FAILED with status $status: $*"
        exit 1
    }
}

# all NAME FLAGS SECONDS RUNNER...: every program, built with these flags.
all() {
    local name=$1 flags=$2 limit=$3 begun arguments
    shift 3
    mkdir -p "$work/$name"
    python3 tests/c/arguments.py include/pay88.h >"$work/arguments.c"
    for program in $programs; do
        local source=tests/c/$program.c prefix=$work/shipped more=()
        # A child has lost what the stacks of the parent's other threads hold.
        [[ $name/$program != valgrind/fork* ]] || more=(--leak-check=no)
        # The sanitizer's own allocator may be locked at the moment of a fork, and stays so in the child.
        [[ $name/$program != asan/fork* ]] || continue
        # The kilobytes that the header names; what watches a program needs stack of its own.
        arguments=()
        if [ "$program" = stack ]; then
            [ "$name" = plain ] || continue
            arguments=("$(sed -n 's/.*needs \([0-9]*\) KiB of stack.*/\1/p' include/pay88.h)")
        fi
        # It waits for 45 seconds, and the other programs call in the same way.
        [[ $name/$program = plain/unused || $program != unused ]] || continue
        [ "$program" != arguments ] || source=$work/arguments.c
        [ "$program" != panics ] || prefix=$work/hooks
        case $program in *.c | *.cpp) source=bindings/c/examples/$program ;; esac
        # shellcheck disable=SC2086
        compile "$source" "$work/$name/$program" "$prefix" $flags
        case $flags in
        *sanitize*)
            for instrument in __asan_init __ubsan_handle; do
                nm "$work/$name/$program" | grep "$instrument" >/dev/null || {
                    echo "$name/$program has no $instrument in it"
                    exit 1
                }
            done
            ;;
        esac
        begun=$SECONDS
        run "$limit" "$@" "${more[@]}" "$work/$name/$program" "${arguments[@]}"
        printf '%-9s %-14s %3d s\n' "$name" "$program" $((SECONDS - begun))
    done
}

for step in $steps; do
    case $step in
    abi) tests/c/abi.sh "$work/shipped" "$work/hooks" ;;
    install) tests/c/install.sh "$work/shipped" "$sandbox" ;;
    plain) all plain "-O2" 600 ;;
    asan)
        export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1
        export PAY88_TEST_SLOW=2
        all asan "-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" 600
        unset ASAN_OPTIONS UBSAN_OPTIONS PAY88_TEST_SLOW
        ;;
    valgrind)
        export PAY88_TEST_SLOW=10
        # What the process keeps to its end is found by pointers into it, which valgrind calls possibly lost.
        memcheck="valgrind -q --num-callers=40 --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect
            --errors-for-leak-kinds=definite,indirect"
        # shellcheck disable=SC2086
        all valgrind "-O1" 900 $memcheck --suppressions=tests/c/valgrind.supp
        options=(--http)
        for program in $programs; do
            case $program in
            surface | arguments | lifetimes)
                # shellcheck disable=SC2086
                run 300 $memcheck "$work/valgrind/$program"
                ;;
            esac
        done
        options=()
        unset PAY88_TEST_SLOW
        ;;
    *)
        echo "no such step: $step" >&2
        exit 2
        ;;
    esac
done
echo "C: all passed"
