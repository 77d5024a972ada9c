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
alone() { env -i PATH="$PATH" HOME="$work" timeout 120 "$@"; }
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
cp python/examples/charge.py node/examples/charge.mjs tests/one_manager/program.c "$work"
cd "$work"

compile() { cc -Wall -Wextra -Werror -pthread "-I$archive/include" "$1" "-L$archive/lib" "-Wl,-rpath,$archive/lib" -o "$2" "${@:3}"; }
compile "$archive/examples/charge.c" charge -lpay88
row "C archive" ./charge

alone python3 -m venv venv
alone venv/bin/pip install --quiet --disable-pip-version-check --no-index "$(echo "$dist"/pay88-*.whl)"
row "wheel" venv/bin/python charge.py

mkdir project
cp charge.mjs project
cd project
echo '{ "private": true }' >package.json
alone npm install --offline --no-audit --no-fund --no-update-notifier --loglevel=error "$(echo "$dist"/pay88-*.tgz)" >/dev/null
row "npm tarball" node charge.mjs
cd ..

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
