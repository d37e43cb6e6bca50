#!/usr/bin/env python3
"""Takes one mechanism after the other out of the code, and demands that the oracle's seeds catch it.

usage: ci/teeth.py [--check] [--all] [--seeds N] [name ...]

tests/oracle/teeth.toml lists the mechanisms. Each is taken out of a copy of the checkout, as ci/mutations.py does,
and seeds are run until one cannot be explained: as many at most as the tests run. Prints a table. --check runs
nothing, and compares the list with the code. --all tries every mutation of ci/mutations.py that a simulation
could notice, and demands nothing. A name chooses mechanisms or mutations; that of a program, those which
its seeds must notice.
"""

import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

import mutations
from mutations import TREE, Mutation

LIST = pathlib.Path("tests/oracle/teeth.toml")

# Programs of their own: what runs thousands of seeds is worth a little optimising.
BUILD = mutations.SCRATCH / "oracle"
ENVIRONMENT = {**mutations.ENVIRONMENT, "CARGO_TARGET_DIR": str(BUILD), "CARGO_PROFILE_DEV_OPT_LEVEL": "1",
               "CARGO_INCREMENTAL": "1"}

# The longest that building or running one takes, in seconds.
LIMIT = 1800


# The programs that run seeds, and the tests that say how many of each are run.
TESTS = {"oracle": "tests/oracle/tests/seeds.rs", "oracle_redis": "tests/oracle/tests/redis.rs"}


def promised_seeds(program):
    """The number of seeds that the tests run."""
    text = pathlib.Path(TESTS[program]).read_text()
    return int(re.search(r"^const SEEDS: u64 = ([\d_]+);", text, re.MULTILINE).group(1).replace("_", ""))


class Tooth:
    """A mechanism, and the program whose seeds must notice its absence."""

    FIELDS = {"name", "mutation", "promise", "edit", "program"}

    def __init__(self, fields, known):
        if unknown := set(fields) - self.FIELDS:
            raise SystemExit(f"{fields.get('name')}: unknown {', '.join(sorted(unknown))}")
        self.name = fields["name"]
        self.program = fields.get("program", "oracle")
        if self.program not in TESTS:
            raise SystemExit(f"{self.name}: no program is called {self.program}")
        if "mutation" in fields:
            if fields["mutation"] not in known:
                raise SystemExit(f"{self.name}: no mutation is called {fields['mutation']}")
            self.mutation = known[fields["mutation"]]
        else:
            own = {"name": self.name, "mechanism": self.name, "test": ["- - -"]}
            self.mutation = Mutation(own | {"promise": fields["promise"], "edit": fields["edit"]})

    def faults(self):
        """What of it does not fit the checkout."""
        for file, old, new in self.mutation.edits:
            path = pathlib.Path(file)
            found = path.read_text().count(old) if path.is_file() else 0
            if found != 1 or old == new:
                yield f"{file} has the old text {found} times, not once: {old.strip().splitlines()[0]}"


def listed():
    """The mechanisms of the list, and all mutations by their names."""
    with mutations.LIST.open("rb") as file:
        known = {fields["name"]: Mutation(fields) for fields in tomllib.load(file)["mutation"]}
    with LIST.open("rb") as file:
        return [Tooth(fields, known) for fields in tomllib.load(file)["mechanism"]], known


def check(teeth):
    """Reports what does not fit."""
    wrong = [f"{tooth.name}: {fault}" for tooth in teeth for fault in tooth.faults()]
    names = [(tooth.program, tooth.name) for tooth in teeth]
    twice = sorted(name for name in set(names) if names.count(name) > 1)
    wrong += [f"{name} is listed twice for {program}" for program, name in twice]
    for message in wrong:
        print(message, file=sys.stderr)
    print(f"{len(teeth)} mechanisms, {len(wrong)} faults")
    return not wrong


def build(program):
    """Builds the program that runs seeds. Returns its path, or None and what the compiler says."""
    command = ["cargo", "build", "-j", "2", "-q", "-p", "oracle", "--bin", program]
    built = subprocess.run(command, cwd=TREE, env=ENVIRONMENT, capture_output=True, text=True, timeout=LIMIT)
    return (BUILD / "debug" / program, "") if built.returncode == 0 else (None, built.stderr)


def run_seeds(program, seeds):
    """Runs seeds until one fails. Returns the line that says so, or None."""
    path, errors = build(program)
    if path is None:
        print(errors[-3000:], file=sys.stderr)
        return "does not build"
    ran = subprocess.run([path, "first", str(seeds)], env=ENVIRONMENT, capture_output=True, text=True,
                         timeout=LIMIT)
    lines = ran.stdout.strip().splitlines() or ["no answer: " + ran.stderr[-300:]]
    return None if ran.returncode == 0 else lines[-1]


def is_caught(tooth, seeds):
    """Runs so many seeds without the mechanism, and prints a line of the table."""
    start = time.monotonic()
    before = tooth.mutation.apply(TREE)
    try:
        said = run_seeds(tooth.program, seeds)
    finally:
        for path, text in before.items():
            path.write_text(text)
    found = re.match(r"seed \d+, the (\d+)th, breaks promise (\d+): (.*)", said or "")
    number, promise, message = found.groups() if found else ("-", "-", said or "NOT CAUGHT")
    seconds = time.monotonic() - start
    print(f"{tooth.name:50} {tooth.mutation.promise:>7} {promise:>6} {number:>6} {seconds:>6.0f}  {message[:110]}",
          flush=True)
    return found is not None


def main(arguments):
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    seeds = {program: promised_seeds(program) for program in TESTS}
    if "--seeds" in arguments:
        at = arguments.index("--seeds")
        seeds = dict.fromkeys(TESTS, int(arguments[at + 1]))
        del arguments[at:at + 2]
    teeth, known = listed()
    if not check(teeth):
        return 1
    if arguments == ["--check"]:
        return 0
    everything = "--all" in arguments
    names = [name for name in arguments if name != "--all"]
    if everything or any(name in known for name in names):
        program = lambda name: "oracle_redis" if "redis" in name else "oracle"
        fields = lambda name: {"name": name, "mutation": name, "program": program(name)}
        teeth = [Tooth(fields(name), known) for name in known]
    programs = [name for name in names if name in TESTS] or list(TESTS)
    names = [name for name in names if name not in TESTS]
    teeth = [tooth for tooth in teeth if tooth.program in programs and (not names or tooth.name in names)]
    mutations.copy_checkout()
    for program in sorted({tooth.program for tooth in teeth}):
        if said := run_seeds(program, min(seeds[program], 1000)):
            print(f"{program} fails with every mechanism in place: {said}", file=sys.stderr)
            return 1
    print(f"{'mechanism':50} {'promise':>7} {'broken':>6} {'seeds':>6} {'secs':>6}  first violation")
    survivors = [tooth.name for tooth in teeth if not is_caught(tooth, seeds[tooth.program])]
    most = ", ".join(f"{seeds[program]} of {program}" for program in sorted({tooth.program for tooth in teeth}))
    print(f"{len(teeth) - len(survivors)} of {len(teeth)} caught within the seeds: {most}")
    for name in survivors:
        print(f"not caught: {name}", file=sys.stderr)
    return 1 if survivors and not everything else 0


sys.exit(main(sys.argv[1:]))
