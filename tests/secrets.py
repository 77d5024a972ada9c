#!/usr/bin/env python3
"""Searches what the whole test suite has printed for pieces of keys, tokens and session IDs.

    tests/secrets.py LOG...

Twelve characters of one are enough: plain, URL-encoded, or base64 in any of its three alignments. Keys are those that the
tests use; tokens and session IDs are known by their shape (a JWT of ES256, `sess_` and a UUID), since each is new.
"""

import base64
import re
import sys
from urllib.parse import quote

PIECE = 12
# What the sandbox grants to; the common prefix of all test keys says nothing.
KEYS = ["5f0c2a7d9e3b4816", "b7e1c94d02fa6853", "c3d2e1f0a9b87654"]
TOKEN_HEADER = "eyJhbGciOiJFUzI1NiIs"
SESSION = re.compile(rb"sess_[0-9a-f]{4,8}-?[0-9a-f]{0,4}-?[0-9a-f]{0,4}")


def base64_forms(text: str) -> set[bytes]:
    """What of the base64 of a text that holds `text` is the same wherever it stands."""
    forms = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text.encode()).rstrip(b"=")
        inner = encoded[(before * 8 + 5) // 6 : (before + len(text)) * 8 // 6]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


def needles() -> set[bytes]:
    found = set()
    for secret in [*KEYS, TOKEN_HEADER]:
        for start in range(len(secret) - PIECE + 1):
            piece = secret[start : start + PIECE]
            found |= {piece.encode(), quote(piece, safe="").encode(), *base64_forms(piece)}
    return found


def main(logs: list[str]) -> int:
    wanted, leaks, size = needles(), 0, 0
    for log in logs:
        with open(log, "rb") as file:
            for number, line in enumerate(file, 1):
                size += len(line)
                if any(needle in line for needle in wanted) or any(
                    len(m.group()) >= PIECE for m in SESSION.finditer(line)
                ):
                    # Where, not what.
                    print(f"{log}:{number}: a piece of a secret")
                    leaks += 1
    if size < 1000:
        print("there is next to nothing in the logs: the suite did not run")
        return 1
    print(f"secrets: {len(wanted)} forms looked for in {size} bytes, {leaks} found")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
