"""Writes `encrypted-*.v1`: payloads as `Encrypted` around `Postcard` writes them, by another implementation.

Run it in this folder with python 3 and PyNaCl.
"""

import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

KEY, KEY_ID, NONCE = bytes(range(32)), 7, bytes(range(0x40, 0x58))
REGION, ENTRY_KEY, FINGERPRINT = b"shop.org:42", b"summary", 0x0123456789ABCDEF
VALUE, ABSENCE = 1, 2

text = b"the doll is hollow"
for name, kind, value in [("value", VALUE, bytes([len(text)]) + text), ("absence", ABSENCE, b"")]:
    header = struct.pack("<BI", 1, KEY_ID)
    place = struct.pack("<BQI", kind, FINGERPRINT, len(REGION)) + REGION + ENTRY_KEY
    with open(f"encrypted-{name}.v1", "wb") as file:
        file.write(header + NONCE + encrypt(value, header + place, NONCE, KEY))
