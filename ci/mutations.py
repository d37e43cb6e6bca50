#!/usr/bin/env python3
"""Takes one mechanism after the other out of the code, and demands that the tests named for it fail.

usage: ci/mutations.py [--check] [name ...]

tests/model/mutations.toml lists the mechanisms. Each is taken out of a copy of the checkout, under
target/mutations; its tests have to pass before and to fail then. --check runs nothing: it compares the list with
the code, the tests and the models.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

LIST = pathlib.Path("tests/model/mutations.toml")
SCRATCH = pathlib.Path("target/mutations").absolute()
TREE = SCRATCH / "tree"

# The longest that the tests of one mutation may take, in seconds.
LIMIT = 120

# Targets that are the unit tests under a model checker, see ci/concurrency.sh.
CHECKERS = ["loom", "shuttle"]

# The folders of packages that are not in one of their own name.
FOLDERS = {"region-cache": "."}

# A mechanism that is gone may leave something unused.
ENVIRONMENT = {
    **os.environ,
    "CARGO_TARGET_DIR": str(SCRATCH / "build"),
    "CARGO_PROFILE_DEV_OPT_LEVEL": "0",
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CARGO_TERM_COLOR": "never",
    "RUSTFLAGS": "--cap-lints=allow",
    "RUST_BACKTRACE": "0",
}


class Mutation:
    """One mechanism, the promise that it keeps, and the tests that notice its absence."""

    FIELDS = {"name", "mechanism", "promise", "model", "test", "edit"}

    def __init__(self, fields):
        unknown = set(fields) - self.FIELDS
        if unknown:
            raise SystemExit(f"{fields.get('name')}: unknown {', '.join(sorted(unknown))}")
        self.name, self.mechanism = fields["name"], fields["mechanism"]
        self.promise, self.models = fields["promise"], fields.get("model", [])
        # File, old text and new text.
        text = lambda edit, of: edit[of].removesuffix("\n")
        self.edits = [(edit["file"], text(edit, "old"), text(edit, "new")) for edit in fields["edit"]]
        # Package, target and name.
        self.tests = [tuple(test.split()) for test in fields["test"]]

    def binaries(self):
        """The packages and targets of its tests."""
        return sorted({(package, target) for package, target, _ in self.tests})

    def order(self):
        """Mutations of one package, tested by the same targets, follow each other: so less is built."""
        return self.edits[0][0].split("/")[0], self.binaries(), self.edits[0][0], self.name

    def apply(self, root):
        """Takes the mechanism out. Returns the files as they were before."""
        before = {root / file: (root / file).read_text() for file, _, _ in self.edits}
        for file, old, new in self.edits:
            path = root / file
            path.write_text(path.read_text().replace(old, new))
        return before


def test_sources(package, target):
    """The files that the tests of a target may be written in."""
    base = pathlib.Path(FOLDERS.get(package, package))
    if target == "lib" or target in CHECKERS:
        return list(base.glob("src/**/*.rs"))
    files = [base / f"tests/{target}.rs", *base.glob(f"tests/{target}/**/*.rs")]
    # A list of cases: each is a test of its own in each package that runs the suite.
    return [file for file in files if file.is_file()] + [pathlib.Path("region-core/src/conformance.rs")]


def faults(mutation):
    """What of a mutation does not fit the checkout."""
    for file, old, new in mutation.edits:
        path = pathlib.Path(file)
        found = path.read_text().count(old) if path.is_file() else 0
        if found != 1:
            yield f"{file} has the old text {found} times, not once: {old.strip().splitlines()[0]}"
        if old == new:
            yield f"changes nothing in {file}"
    if not mutation.tests:
        yield "names no test"
    for package, target, name in mutation.tests:
        last = name.split("::")[-1]
        text = "\n".join(file.read_text() for file in test_sources(package, target))
        is_listed = re.search(rf"^\s*{last}\b[);]*$", text, re.MULTILINE)
        if not is_listed and not re.search(rf"#\[(tokio::)?test\b[^{{]*\bfn {last}\b", text):
            yield f"there is no test {name} in {package} {target}"


def model_mutations():
    """The mutations that the models of this folder list."""
    for file in sorted(LIST.parent.glob("*.py")):
        listed = re.search(r"^ALL_MUTATIONS = \[(.*?)\]", file.read_text(), re.MULTILINE | re.DOTALL)
        for name in re.findall(r"""['"]([\w-]+)['"]""", listed.group(1)) if listed else []:
            yield f"{file.stem} {name}"


def check(mutations):
    """Reports what does not fit. A model is covered wholly or not at all."""
    wrong = [f"{mutation.name}: {fault}" for mutation in mutations for fault in faults(mutation)]
    names = [mutation.name for mutation in mutations]
    wrong += [f"{name} is listed twice" for name in sorted(set(names)) if names.count(name) > 1]
    covered = {model for mutation in mutations for model in mutation.models}
    models = {model.split()[0] for model in covered}
    listed = {mutation for mutation in model_mutations() if mutation.split()[0] in models}
    wrong += [f"no mutation of the code is like the model's {name}" for name in sorted(listed - covered)]
    wrong += [f"no model has {name}" for name in sorted(covered - listed)]
    for message in wrong:
        print(message, file=sys.stderr)
    print(f"{len(mutations)} mutations, {len(wrong)} faults")
    return not wrong


def copy_checkout():
    """Copies what has changed since the last copy, so that cargo builds no more than that."""
    names = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], check=True, stdout=subprocess.PIPE)
    names = {name for name in names.stdout.decode().split("\0") if name and pathlib.Path(name).is_file()}
    for file in list(TREE.rglob("*")):
        if file.is_file() and str(file.relative_to(TREE)) not in names:
            file.unlink()
    for name in names:
        copy = TREE / name
        if not copy.is_file() or copy.read_bytes() != pathlib.Path(name).read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, copy)
            shutil.copymode(name, copy)


def build(package, target):
    """Builds a test program. Returns its path, or None and what the compiler says."""
    is_lib = target == "lib" or target in CHECKERS
    selected = ["--lib"] if is_lib else ["--test", target]
    environment = dict(ENVIRONMENT)
    if target in CHECKERS:
        environment["RUSTFLAGS"] += f" --cfg region_{target}"
    command = ["cargo", "test", "-j", "2", "-q", "-p", package, "--all-features", *selected, "--no-run",
               "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=TREE, env=environment, capture_output=True, text=True)
    if built.returncode != 0:
        return None, built.stderr
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    kind = "lib" if is_lib else "test"
    for message in messages:
        if message.get("executable") and kind in message["target"]["kind"]:
            return message["executable"], ""
    return None, f"no test program of {package} {target}"


def run_tests(package, program, names):
    """Runs the tests of these names. Returns what became of each, and what they say."""
    command = [program, "--exact", *names]
    running = subprocess.Popen(command, cwd=TREE / FOLDERS.get(package, package), env=ENVIRONMENT, text=True, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = running.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        output, _ = running.communicate()
    said = dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", output, re.MULTILINE))
    # A test that prints while it runs has its result on a line of its own.
    said |= {name: "FAILED" for name in re.findall(r"^---- (\S+) stdout ----$", output, re.MULTILINE)}
    return {name: said.get(name, "no result") for name in names}, output


def results(mutation):
    """What becomes of the tests of a mutation in the copy as it is; None if that cannot be built."""
    everything, said = {}, ""
    for package, target in mutation.binaries():
        program, errors = build(package, target)
        if program is None:
            return None, errors
        names = [name for of, at, name in mutation.tests if (of, at) == (package, target)]
        outcome, output = run_tests(package, program, names)
        everything |= outcome
        said += output
    return everything, said


def pass_unmutated(mutations):
    """Runs all tests that the mutations name in the copy as it is. Returns true if all pass."""
    wanted = {}
    for mutation in mutations:
        for package, target, name in mutation.tests:
            wanted.setdefault((package, target), set()).add(name)
    good = True
    for (package, target), names in sorted(wanted.items()):
        program, said = build(package, target)
        if program is None:
            print(said, file=sys.stderr)
            return False
        outcome, said = run_tests(package, program, sorted(names))
        for name in sorted(name for name in names if outcome[name] != "ok"):
            good = False
            print(f"{package} {target} {name}: {outcome[name]} without a mutation", file=sys.stderr)
    return good


def is_caught(mutation):
    """Runs the tests of a mutation without its mechanism. Returns whether all of them fail."""
    start = time.monotonic()
    before = mutation.apply(TREE)
    try:
        outcome, said = results(mutation)
    finally:
        for path, text in before.items():
            path.write_text(text)
    seconds = time.monotonic() - start
    for package, target, name in mutation.tests:
        how = "does not build" if outcome is None else outcome[name]
        verdict = "caught" if how == "FAILED" else f"NOT CAUGHT ({how})"
        print(f"{mutation.name:34} {mutation.promise:>4}  {package} {target} {name:70} {seconds:4.0f}  {verdict}",
              flush=True)
    caught = outcome is not None and all(how == "FAILED" for how in outcome.values())
    if not caught:
        print("\n".join(said.splitlines()[-30:]), file=sys.stderr)
    return caught


def main(arguments):
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    with LIST.open("rb") as file:
        mutations = [Mutation(fields) for fields in tomllib.load(file)["mutation"]]
    if not check(mutations):
        return 1
    if arguments == ["--check"]:
        return 0
    unknown = set(arguments) - {mutation.name for mutation in mutations}
    if unknown:
        print(f"no mutation is called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    chosen = [mutation for mutation in mutations if not arguments or mutation.name in arguments]
    chosen.sort(key=Mutation.order)
    copy_checkout()
    if not pass_unmutated(chosen):
        return 1
    survivors = [mutation.name for mutation in chosen if not is_caught(mutation)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations caught")
    for name in survivors:
        print(f"not caught: {name}", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
