#!/usr/bin/env bash
# The suites on servers beyond a single one, by TLS, sentinels and clusters, ROUNDS times (5 if not given), each at
# most LIMIT seconds (900) long. Stops at the first failure. Each line says what has run, for how long, and how busy
# the machine was.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-5}
limit=${LIMIT:-900}
# A program, and which of its cases.
runs=(conformance_redis conformance_valkey conformance_cluster cluster tls "faults sentinel::")

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Built beforehand, so that a round contains no compiler.
tests=("${runs[@]%% *}")
declare -A programs
while read -r name program; do
    programs[$name]=$program
done < <(cargo test -q -p region-redis --all-features --no-run --message-format=json \
    "${tests[@]/#/--test=}" |
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        print(message["target"]["name"], message["executable"])')

cd region-redis
for ((round = 1; round <= rounds; round++)); do
    for run in "${runs[@]}"; do
        read -r name cases <<<"$run"
        start=$SECONDS outcome=passed
        # shellcheck disable=SC2086
        timeout --kill-after=10 "$limit" "${programs[$name]}" $cases >"$log" 2>&1 ||
            outcome="failed ($?)"
        read -r load _ </proc/loadavg
        printf 'round %d, %s: %s after %d s, load %s\n' \
            "$round" "$run" "$outcome" $((SECONDS - start)) "$load"
        if [ "$outcome" != passed ]; then
            cat "$log"
            exit 1
        fi
    done
done
