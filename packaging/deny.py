#!/usr/bin/env python3
"""Fails if a crate that is locked, for building and testing too, is not as deny.toml wants it: licence, name and source.

    packaging/deny.py

cargo-deny reads the same table. It would have to be compiled first, which takes as long as all else.
"""

from __future__ import annotations

import functools
import json
import pathlib
import platform
import re
import subprocess
import sys
from typing import Any

import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = f"{platform.machine()}-unknown-linux-gnu"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def cargo(*arguments: str) -> str:
    return subprocess.run(
        ["cargo", *arguments, "--locked"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


@functools.cache
def metadata() -> dict[str, Any]:
    return json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", TARGET))


@functools.cache
def checksums() -> dict[tuple[str, str], str]:
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(entry["name"], entry["version"]): entry["checksum"] for entry in locked if "checksum" in entry}


def allowed(expression: str, licences: set[str]) -> bool:
    """Whether an expression of SPDX leaves a choice among these licences alone."""
    words = re.findall(r"[()/]|AND|OR|[^\s()/]+(?: WITH [^\s()/]+)?", expression)
    operators = {"AND": "and", "OR": "or", "/": "or", "(": "(", ")": ")"}
    # Of these operators, True and False alone.
    return bool(eval(" ".join(operators.get(word) or str(word in licences) for word in words)))


def faults(crates: list[dict[str, Any]], rules: dict[str, Any]) -> list[str]:
    """What of these crates is not as the rules want it."""
    exceptions = {exception["crate"]: exception["allow"] for exception in rules["licenses"]["exceptions"]}
    banned = {ban["crate"] for ban in rules["bans"]["deny"]}
    found = []
    for crate in crates:
        name = f"{crate['name']} {crate['version']}"
        licences = {*rules["licenses"]["allow"], *exceptions.get(crate["name"], ())}
        if not crate["license"] or not allowed(crate["license"], licences):
            found.append(f"{name} has the licence {crate['license']}, which deny.toml does not allow")
        if crate["name"] in banned:
            found.append(f"{name} is banned by deny.toml")
        if crate["source"] not in (None, REGISTRY):
            found.append(f"{name} comes from {crate['source']}, not from crates.io")
        if crate["source"] and (crate["name"], crate["version"]) not in checksums():
            found.append(f"{name} has no checksum in Cargo.lock")
    return found


def main() -> None:
    crates = metadata()["packages"]
    if found := faults(crates, tomllib.loads((ROOT / "deny.toml").read_text())):
        sys.exit("\n".join(found))
    print(f"The {len(crates)} crates that are locked are as deny.toml wants them.")


if __name__ == "__main__":
    main()
