#!/usr/bin/env bash
# Checks that nothing the packages depend on needs a newer Rust than they say they do. What the code
# itself uses of the standard library is checked by the lint `clippy::incompatible_msrv`.
set -euo pipefail

cargo metadata --format-version 1 --all-features | python3 -c '
import json, sys

def version(text):
    return tuple(int(part) for part in (text.split(".") + ["0"])[:2])

data = json.load(sys.stdin)
members = set(data["workspace_members"])
ours = {p["rust_version"] for p in data["packages"] if p["id"] in members}
assert len(ours) == 1 and None not in ours, f"one rust-version for all packages, not {ours}"
oldest = ours.pop()
newer = [
    " ".join([p["name"], p["version"], "needs Rust", p["rust_version"]])
    for p in data["packages"]
    if p["rust_version"] and version(p["rust_version"]) > version(oldest)
]
print("Rust", oldest, "is enough for", len(data["packages"]), "packages")
sys.exit("\n".join(newer) or 0)
'
