#!/usr/bin/env python3
"""Checks that every file and folder that ARCHITECTURE.md, CONTRIBUTING.md and bench/README.md name is in the tree.

Names stand in backquotes, and for what ends with them: `pool.rs` for core/src/transport/pool.rs. What a build makes is below
target/ or dist/.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md")
ENDINGS = "rs|py|sh|toml|json|mjs|js|ts|c|h|php|go|md"
NAMED = re.compile(rf"`([\w.-]*(?:[/\w.-]|\{{[\w,]+\}})*(?:\.(?:{ENDINGS})|/))`")
MADE = ("target/", "dist/")


def tree() -> set[str]:
    """All files and folders, each also without the folders above it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = set(listed.stdout.splitlines())
    paths |= {f"{parent}/" for path in paths for parent in pathlib.PurePath(path).parents}
    return {path[start:] for path in paths for start in (0, *(slash.end() for slash in re.finditer("/", path)))}


def expanded(name: str) -> list[str]:
    """`a/{b,c}.rs` is two."""
    braces = re.search(r"\{([\w,]+)\}", name)
    if not braces:
        return [name]
    return [name[: braces.start()] + one + name[braces.end() :] for one in braces.group(1).split(",")]


def main() -> int:
    known = tree()
    found = 0
    missing = []
    for document in DOCUMENTS:
        for number, line in enumerate((ROOT / document).read_text().splitlines(), 1):
            for name in (one for match in NAMED.finditer(line) for one in expanded(match.group(1))):
                found += 1
                if name not in known and not name.startswith(MADE):
                    missing.append(f"{document}:{number}: {name} is not in the tree")
    print("\n".join(missing) or f"{found} names of files, all in the tree")
    # Next to none would mean that the names are not seen.
    return 1 if missing or found < 100 else 0


sys.exit(main())
