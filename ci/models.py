#!/usr/bin/env python3
"""Runs the executable models of `tests/model`: the design keeps its promises in every schedule, and without any one of its
mechanisms it breaks one. More seeds say more: `python3 tests/model/depends.py 60000`."""
import importlib.util
import pathlib
import sys

sys.dont_write_bytecode = True
MODELS = pathlib.Path(__file__).resolve().parent.parent / 'tests' / 'model'

# The schedules of the design that are tried, and of a mutation until one shows it.
DESIGN, MUTATION = 600, 400

# Where a mutation shows seldom, the seed from which its schedules are tried.
FROM = {('depends', 'lost-marker-followed'): 2600, ('protocol', 'flying-trusted'): 11700, ('protocol', 'counted-ids'): 3000,
        ('anchors', 'stale-claim-replaces'): 800, ('anchors', 'seen-unchecked'): 800, ('anchors', 'outer-first'): 300}


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    return model


def violation(model, mutation, seeds):
    model.MUT.clear()
    model.MUT.update([mutation] if mutation else [])
    return next((f'seed {seed}: {bad}' for seed in seeds if (bad := model.run(seed))), None)


def wrong(path):
    """what is wrong with a model"""
    model = load(path)
    if bad := violation(model, None, range(DESIGN)):
        yield f'{path.stem}: the design is violated: {bad}'
    for mutation in model.ALL_MUTATIONS:
        start = FROM.get((path.stem, mutation), 0)
        if not violation(model, mutation, range(start, start + MUTATION)):
            yield f'{path.stem}: no schedule shows the mutation {mutation}'
    print(f'{path.stem}: {DESIGN} schedules, {len(model.ALL_MUTATIONS)} mutations')


found = [line for path in sorted(MODELS.glob('*.py')) for line in wrong(path)]
print('\n'.join(found))
sys.exit(bool(found))
