"""Writes the entries `foreign-*.v1`, as a program in another language would write them.

Run it in this folder with python 3, msgpack, cbor2 and xxhash; `tests/serializers/foreign.rs` says which versions the
files were made with. The constants below are all that it has to know of the Rust program.
"""

import json
import struct

import cbor2
import msgpack
from xxhash import xxh3_64_intdigest as xxh3

REGION = "shop.shelf:7"
KEY = "doll"

# `SerializerId` of the format, and `Fingerprint::of::<Doll>(readability).to_bits()`.
FORMATS = {
    "json": (2, 0xad0268c4d6667bf1, lambda value: json.dumps(value).encode()),
    "msgpack": (3, 0xad0268c4d6667bf1, msgpack.packb),
    "cbor": (4, 0xad0268c4d6667bf1, cbor2.dumps),
    # The shortest form of each number, lists of unknown length, and a tag that nobody asked for.
    "cbor-other-forms": (4, 0xad0268c4d6667bf1, lambda value: other_forms(value)),
}

DOLL = {
    "name": "Матрёшка",
    "size": 7,
    "weight": 0.5,
    "painted": True,
    "owner": None,
    "colours": ["red", "gold"],
    "prices": {"EUR": 1200, "JPY": -1},
    "kind": {"Lot": {"number": 12}},
    "made": 2**64 - 1,
    "inside": {
        "name": "Маша",
        "size": 3,
        "weight": 2,
        "painted": False,
        "owner": "Anna",
        "colours": [],
        "prices": {},
        "kind": "Plain",
        "made": 0,
        "inside": None,
    },
}


def other_forms(value):
    if isinstance(value, dict):
        pairs = (other_forms(key) + other_forms(item) for key, item in value.items())
        return b"\xbf" + b"".join(pairs) + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(map(other_forms, value)) + b"\xff"
    if isinstance(value, str):
        # A text in two pieces, behind the tag that says "this is CBOR".
        half = len(value) // 2
        return b"\xd9\xd9\xf7\x7f" + cbor2.dumps(value[:half]) + cbor2.dumps(value[half:]) + b"\xff"
    return cbor2.dumps(value, canonical=True)


def entry(region, key, serializer, fingerprint, payload):
    place = xxh3(key.encode(), seed=xxh3(region.encode(), seed=1))
    header = struct.pack("<BBBQ", 1, 0, serializer, fingerprint)
    return header + struct.pack("<Q", xxh3(header + payload, seed=place)) + payload


for name, (serializer, fingerprint, dump) in FORMATS.items():
    with open(f"foreign-{name}.v1", "wb") as file:
        file.write(entry(REGION, KEY, serializer, fingerprint, dump(DOLL)))
