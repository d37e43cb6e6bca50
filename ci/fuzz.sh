#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS on the stable toolchain; if not given, all together for two minutes.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

export RUSTC_BOOTSTRAP=1
unset RUSTFLAGS
mapfile -t targets < <(cargo fuzz list)
seconds="${FUZZ_SECONDS:-$((120 / ${#targets[@]}))}"
memory_mb=1024

for target in "${targets[@]}"; do
    echo "fuzzing $target for $seconds s"
    mkdir -p "corpus/$target"
    cargo fuzz run --sanitizer none "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb="$memory_mb" -timeout=10 -print_final_stats=0
done
