#!/usr/bin/env python3
"""Checks that each test that a table of the pages names exists, and that each row names one.

usage: scenarios.py [PAGE ..]
"""

import pathlib
import re
import sys

PAGES = ["tests/SCENARIOS.md", "docs/from-python.md"]
TEST = re.compile(r"`([\w/.-]+\.rs)::(\w+)`")
LISTS = re.compile(r"(?:on_both|cases)! \{([^}]*)\}|@topic \$callback, \$argument, \w+:([^;)]*)")


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


def rows_of(page):
    """The rows of the tables of a page, without their heads."""
    lines = pathlib.Path(page).read_text().splitlines()
    for line, following in zip(lines, lines[1:] + [""]):
        if line.startswith("| ") and not following.startswith("|--"):
            yield line


def faults(page):
    """The number of rows of a page, and what is wrong with them."""
    wrong = []
    rows = 0
    for line in rows_of(page):
        rows += 1
        tests = TEST.findall(line)
        if not tests:
            wrong.append(f"no test: {line}")
        for path, name in tests:
            file = pathlib.Path(path)
            if not file.is_file() or not is_test(file, name):
                wrong.append(f"{path} has no test {name}")
    return rows, wrong


def main():
    failed = False
    for page in sys.argv[1:] or PAGES:
        rows, wrong = faults(page)
        for message in wrong:
            print(message, file=sys.stderr)
        print(f"{page}: {rows} rows, {len(wrong)} faults")
        failed |= bool(wrong) or not rows
    return 1 if failed else 0


sys.exit(main())
