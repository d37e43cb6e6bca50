#!/usr/bin/env python3
"""Measures the Python library region_cache against a running Redis server.

Install (works as it is on Python 3.11, no pins needed):

    pip install region_cache

which is the same as, with the versions that were tried:

    pip install region_cache==0.3.8 redis==8.1.0 hiredis==3.5.0 blinker==1.9.0

Versions 0.3.0 and later have no local LRU of deserialised values. The last
version that has it is 0.2.5; to measure that one instead:

    pip install region_cache==0.2.5 redis==8.1.0 hiredis==3.5.0 blinker==1.9.0 boltons==26.2.0

Usage: python3 seed.py --port 6400 [--seconds 1]

Prints one line of JSON to stdout, all times in microseconds:
  get_us         one get of a present value of 200 bytes
  set_us         one set of a value of 200 bytes, another value every time
  invalidate_us  invalidating a region, by the number of its child regions,
                 each of them holding one entry
The versions measured go to stderr. Exit codes: 1 the measurement failed,
2 bad arguments, 3 region_cache is not installed.
"""
import argparse
import collections
import collections.abc
import importlib.metadata
import json
import os
import signal
import statistics
import sys
import time
from time import perf_counter

# region_cache 0.2.5 imports this name from where it was until Python 3.10.
if not hasattr(collections, "MutableMapping"):
    collections.MutableMapping = collections.abc.MutableMapping

try:
    from region_cache import RegionCache
except ImportError as error:
    print(f"region_cache cannot be imported ({error}); install it with:\n"
          "pip install region_cache", file=sys.stderr)
    sys.exit(3)

VALUE_BYTES = 200
KEYS = 64  # less than the 128 entries that the local LRU of 0.2.5 keeps
RUNS = 5
CHILDREN = (100, 1000, 10000)
NO_NEW_RUN_AFTER = 40  # seconds since the start
GIVE_UP_AFTER = 60


def value(n):
    return n.to_bytes(8, "big") + b"v" * (VALUE_BYTES - 8)


def median_us(operation, check, seconds):
    """The median over RUNS runs of each run's median time of one operation."""
    operations = iter(range(1 << 62))

    def run(length):
        times = []
        end = perf_counter() + length
        while not times or perf_counter() < end:
            n = next(operations)
            key, val = f"key{n % KEYS}", value(n)
            start = perf_counter()
            result = operation(key, val)
            times.append(perf_counter() - start)
            check(n, result)
        return statistics.median(times)

    run(min(0.3, seconds))  # warm-up
    return 1e6 * statistics.median(run(seconds / RUNS) for _ in range(RUNS))


def get_us(region, seconds):
    # Every key has a value of its own, and all of them fit in the local LRU.
    for n in range(KEYS):
        region[f"key{n}"] = value(n)

    def check(n, result):
        assert result == value(n % KEYS), "a get returned another value"

    return median_us(lambda key, _: region[key], check, seconds)


def set_us(region, seconds):
    last = {}

    def check(n, _):
        last[f"key{n % KEYS}"] = value(n)

    result = median_us(region.__setitem__, check, seconds)
    assert all(region[key] == val for key, val in last.items()), "a set was lost"
    return result


def invalidate_us(region, count, began):
    # The Region objects are made here, so no invalidation pays for that.
    children = [region.region(f"child{n}") for n in range(count)]
    times = []
    for run in range(RUNS + 1):
        for n, child in enumerate(children):
            child["key"] = value(run * count + n)
        start = perf_counter()
        region.invalidate()
        times.append(perf_counter() - start)
        for child in children[::max(1, count // 100)]:
            assert len(child) == 0, "an entry outlived its invalidation"
        if len(times) > 1 and time.monotonic() - began > NO_NEW_RUN_AFTER:
            break
    return 1e6 * statistics.median(times[1:])  # the first is the warm-up


def clean_up(conn, name, had_root):
    conn.srem("root::child_caches", name)
    keys = list(conn.scan_iter(match=name + "*", count=1000))
    for n in range(0, len(keys), 1000):
        conn.delete(*keys[n:n + 1000])
    if not had_root:
        conn.delete("root")


def seconds_argument(text):
    seconds = float(text)
    if not 0 < seconds <= 8:
        raise argparse.ArgumentTypeError("must be above 0 and at most 8")
    return seconds


def versions():
    found = []
    for package in ("region_cache", "redis", "hiredis", "blinker", "boltons"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            pass
    return ", ".join(found)


def main():
    parser = argparse.ArgumentParser(description="Measures region_cache.")
    parser.add_argument("--port", type=int, required=True, help="of a Redis server on 127.0.0.1")
    parser.add_argument("--seconds", type=seconds_argument, default=1.0,
                        help="how long to measure gets, and sets (default 1, at most 8)")
    args = parser.parse_args()

    def give_up(*_):
        raise TimeoutError(f"not done after {GIVE_UP_AFTER} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(GIVE_UP_AFTER)
    began = time.monotonic()

    cache = RegionCache(host="127.0.0.1", port=args.port)
    had_root = cache.conn.exists("root")
    # The root region keeps its default name: names below another one come out wrong.
    bench = cache.region(f"bench{os.getpid()}")
    try:
        region = bench.region("values")
        local_lru = hasattr(region, "_local_storage")
        print(f"{versions()}; local LRU: {'yes' if local_lru else 'no'}", file=sys.stderr)
        result = {
            "get_us": round(get_us(region, args.seconds), 1),
            "set_us": round(set_us(bench.region("writes"), args.seconds), 1),
            "invalidate_us": {
                str(count): round(invalidate_us(bench.region(f"tree{count}"), count, began), 1)
                for count in CHILDREN
            },
        }
    finally:
        signal.alarm(0)
        clean_up(cache.conn, bench.name, had_root)
    print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"seed.py: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
