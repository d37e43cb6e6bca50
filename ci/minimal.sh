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
packages=()
while read -r name; do
    packages+=(--package "$name")
done < <(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print(package["name"])')
cargo check --target-dir "$target" --all-features --locked "${packages[@]}"
