#!/usr/bin/env bash
# A charge from every language, each in a process of its own, at the sandbox that started this script: they need one token.
set -euo pipefail
cd "$(dirname "$0")/.."

tokens() { curl -fsS "$PAY88_SANDBOX_CONTROL/counters" | python3 -c 'import json, sys; print(json.load(sys.stdin)["tokens_issued"])'; }

failed=0
row() { # language, command…
  local language=$1 line status=0
  shift
  line=$("$@" 2>&1) || status=$?
  [ $status = 0 ] || failed=1
  printf '%-8s %-46s tokens issued so far: %s\n' "$language" "$(head -n 1 <<<"$line")" "$(tokens)"
}

charge='{"flow":"PAYIN","method_code":"CARDS","amount":50000,"currency":"COP","country":"COL"}'
echo "A charge at $EIGHTY_EIGHT_PAY_BASE_URL over TLS:"
row Rust target/release/examples/charge
row C target/release/examples/charge_c
row "C, poll" target/release/examples/poll_c
row "C, uv" target/release/examples/libuv_c
row C++ target/release/examples/charge_cpp
row Python env PYTHONPATH=python python3 python/examples/charge.py
row Node node node/examples/charge.mjs
row PHP php -n -d extension="$PWD/target/php/$(php/api.sh)/pay88.so" php/examples/charge.php
row Go target/release/examples/charge_go
row Shell sh -c 'target/release/pay88 request POST /api/transactions/charges -d "$1" | python3 -c "import json, sys; print(200, json.load(sys.stdin)[\"data\"][\"reference\"])"' sh "$charge"
issued=$(tokens)
if [ "$issued" != 1 ]; then
  echo "demo: these processes needed $issued tokens; they share one" >&2
  failed=1
fi
exit $failed
