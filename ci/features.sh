#!/usr/bin/env bash
# Checks every package that is published without features, and with each of its features alone.
set -euo pipefail

cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] == []:
        continue
    print(package["name"])
    for feature in package["features"]:
        print(package["name"], feature)
' | while read -r package feature; do
    echo "$package: ${feature:-no features}"
    cargo check --quiet --package "$package" --no-default-features ${feature:+--features "$feature"}
done
