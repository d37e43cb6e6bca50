#!/usr/bin/env python3
"""Checks that no circle of modules spans folders.

In each package the folders of `src`, and the files beside them, are the nodes; `crate::a::b` written in one is an
arrow to `a`. Tests do not count: inline test modules, and files named `tests.rs`.
"""
import re
import sys
from pathlib import Path

ARROW = re.compile(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))")
TESTS = re.compile(r"^#\[cfg\(test\)\]\s*mod [a-z_]+ \{", re.MULTILINE)
COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)


def arrows(package):
    """The nodes of a package, each with the nodes that it uses and where."""
    source = package / "src"
    graph = {}
    for file in sorted(source.rglob("*.rs")):
        if file.name in ("lib.rs", "main.rs", "tests.rs"):
            continue
        node = file.relative_to(source).parts[0].removesuffix(".rs")
        uses = graph.setdefault(node, {})
        text = COMMENT.sub("", TESTS.split(file.read_text())[0])
        for match in ARROW.finditer(text):
            group, single = match.groups()
            line = text.count("\n", 0, match.start()) + 1
            for name in re.findall(r"[a-z_]+", group) if group else [single]:
                if name != node:
                    uses.setdefault(name, f"{file}:{line}")
    return {node: {to: at for to, at in uses.items() if to in graph} for node, uses in graph.items()}


def circles(graph):
    """A circle through each node that reaches itself."""
    found = set()
    for start in graph:
        stack = [(start, [start])]
        seen = set()
        while stack:
            node, path = stack.pop()
            for to in graph[node]:
                if to == start:
                    least = path.index(min(path))
                    found.add(tuple(path[least:] + path[:least]))
                elif to not in seen:
                    seen.add(to)
                    stack.append((to, path + [to]))
    return sorted(found)


def main():
    root = Path(__file__).resolve().parent.parent
    failed = False
    for manifest in sorted(root.glob("region-*/Cargo.toml")):
        package = manifest.parent
        graph = arrows(package)
        for circle in circles(graph):
            failed = True
            print(f"{package.name}: " + " -> ".join(circle + circle[:1]))
            for node, to in zip(circle, circle[1:] + circle[:1]):
                print(f"    {Path(graph[node][to]).relative_to(root)}")
    sys.exit(1 if failed else 0)


main()
