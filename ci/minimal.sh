#!/usr/bin/env bash
# Builds the published packages with the oldest version of each dependency that they say is enough, in a copy: the
# lock file stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git archive HEAD | tar -x -C "$copy"
target=$PWD/target/minimal
cd "$copy"
# The option is unstable, and concerns the resolver alone: what is built is built as always.
RUSTC_BOOTSTRAP=1 cargo update -Z direct-minimal-versions --quiet
cargo check --target-dir "$target" --all-features --locked \
    --package region-core --package region-memory --package region-redis --package region-derive --package region-cache
