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
# What tests need says nothing of what users need.
python3 - <<'END'
import json, pathlib, re, subprocess
metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--no-deps", "--format-version", "1"]))
published = {pathlib.Path(package["manifest_path"]) for package in metadata["packages"] if package["publish"] != []}
here = pathlib.Path.cwd().resolve()
for manifest in published:
    text = re.sub(r"^\[dev-dependencies\]\n(?:(?!\[).*\n?)*", "", manifest.read_text(), flags=re.MULTILINE)
    members = [str(other.parent.resolve().relative_to(here)) for other in published]
    text = re.sub(r"^members = \[.*\]$", f"members = {json.dumps(sorted(members))}", text, flags=re.MULTILINE)
    manifest.write_text(text)
END
# The option is unstable, and concerns the resolver alone: what is built is built as always.
RUSTC_BOOTSTRAP=1 cargo update -Z direct-minimal-versions --quiet
cargo check --target-dir "$target" --all-features --locked --workspace
