#!/usr/bin/env python3
"""Checks that each test that tests/SCENARIOS.md names exists, and that each scenario names one."""

import pathlib
import re
import sys

TABLE = pathlib.Path("tests/SCENARIOS.md")
TEST = re.compile(r"`([\w/.-]+\.rs)::(\w+)`")
LISTS = re.compile(r"on_both! \{([^}]*)\}|@topic \$callback, \$argument, \w+:([^;)]*)")


def is_test(file, name):
    """Whether the file has a function of this name that runs as a test."""
    text = file.read_text()
    if not re.search(rf"\bfn {name}\b", text):
        return False
    if re.search(rf"#\[(tokio::)?test\b[^\n]*\n(\s*[#/][^\n]*\n)*\s*(async )?fn {name}\b", text):
        return True
    if re.search(rf"proptest! \{{.*\bfn {name}\b", text, re.DOTALL):
        return True
    listing = text
    if "conformance/cases" in str(file):
        listing = pathlib.Path("region-core/src/conformance.rs").read_text()
    words = " ".join("".join(found) for found in LISTS.findall(listing))
    return re.search(rf"\b{name}\b", words) is not None


def main():
    wrong = []
    rows = 0
    for line in TABLE.read_text().splitlines():
        if not line.startswith("| ") or line.startswith("| scenario"):
            continue
        rows += 1
        tests = TEST.findall(line)
        if not tests:
            wrong.append(f"no test: {line}")
        for path, name in tests:
            file = pathlib.Path(path)
            if not file.is_file() or not is_test(file, name):
                wrong.append(f"{path} has no test {name}")
    for message in wrong:
        print(message, file=sys.stderr)
    print(f"{rows} scenarios, {len(wrong)} faults")
    return 1 if wrong or not rows else 0


sys.exit(main())
