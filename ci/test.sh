#!/usr/bin/env bash
# Every check there is, in order; stops at the first that fails. The last line counts the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

step() { # title, command ...
    printf '\n== %s\n' "$1"
    shift
    "$@" 2>&1 | tee -a "$log"
}

export CARGO_TERM_COLOR=never
export RUSTFLAGS="${RUSTFLAGS:-} -D warnings"

step "tools" ci/install.sh
step "format" cargo fmt --all --check
step "oldest Rust" ci/msrv.sh
step "module circles" ci/circles.py
step "scenarios" ci/scenarios.py
step "models" ci/models.py
step "mutations" ci/mutations.py --check
step "teeth" ci/teeth.py --check
step "lints" cargo clippy --workspace --all-targets --all-features -- -D warnings
step "each feature alone" ci/features.sh
step "documentation" env RUSTDOCFLAGS="-D warnings" \
    cargo doc --workspace --no-deps --all-features
step "schedules" ci/concurrency.sh
step "tests" cargo test --workspace --all-targets --all-features
step "documentation tests" cargo test --workspace --doc --all-features
step "packages" ci/publish.sh
step "fuzz" ci/fuzz.sh

printf '\n== all checks passed\n'
awk '/^test result: /{ passed += $4; failed += $6 }
    END { printf "%d passed, %d failed\n", passed, failed; exit passed == 0 || failed > 0 }' "$log"
