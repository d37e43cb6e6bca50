#!/usr/bin/env bash
# Runs the models of lock-free code and of code that waits: `loom` under all schedules with few
# preemptions, `shuttle` under random ones. The models lie beside the code, in files named `models.rs`.
set -euo pipefail

for checker in loom shuttle; do
    echo "$checker"
    RUSTFLAGS="--cfg region_$checker -D warnings" timeout 600 \
        cargo test --quiet --package region-core --lib --target-dir target/models models::
done
