#!/usr/bin/env bash
# Packs every package that is published, as it would be uploaded, and builds each from what was packed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
while read -r name; do
    packages+=(--package "$name")
done < <(cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print(package["name"])')
cargo publish --dry-run "${packages[@]}" "$@"
