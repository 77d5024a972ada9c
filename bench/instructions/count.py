#!/usr/bin/env python3
"""Counts the instructions of the operations that matter, and fails if one takes 5 % more than counts.json says.

    bench/instructions/count.py            after make build
    bench/instructions/count.py --update   writes what was counted into counts.json

callgrind counts what a C program and the library as it is shipped execute, in all threads. Times depend on the machine and
on what else it does. These counts do not: they differ by a thousandth for a blocking charge, and by a hundredth for an
asynchronous one. What they do depend on is pinned or named:

- glibc has a memcpy for each kind of processor. GLIBC_TUNABLES has it take the one that every x86-64 processor has.
  valgrind shows the same few kinds of processors on all machines, so the cryptography differs little.
- counts.json names the compiler and the C library. With others a count that has grown is told, but fails only in the
  gate, which sets PAY88_TEST_NOTHING_SKIPPED.
"""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COUNTS = HERE / "counts.json"

# Of each operation: so many batches are counted, each of so many operations. The median of the batches counts, so a
# batch that was disturbed does not matter.
OPERATIONS = {"token": (5, 100), "charge": (11, 5), "asynchronous_charge": (21, 5)}

# What an operation may take more than counts.json says.
GROWTH = 1.05

TUNABLES = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM"

# Longer than it takes on a very busy machine.
TIMEOUT = 300


def build(directory):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "release"
    library, command = target / "libpay88_c.so", target / "pay88"
    for file in library, command:
        if not file.exists():
            sys.exit(f"count.py: {file} is missing: run make build")
    (directory / "libpay88.so.0").symlink_to(library)
    program = directory / "operations"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{ROOT / 'include'}"]
    sources = [HERE / "operations.c", directory / "libpay88.so.0", f"-Wl,-rpath,{directory}"]
    subprocess.run(["cc", *flags, "-o", program, *sources], check=True)
    return command, program


def count(operation, command, program, directory):
    """The instructions of one operation."""
    batches, times = OPERATIONS[operation]
    out = directory / operation
    dumps = ["--zero-before=batch", "--dump-after=batch"]
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *dumps]
    result = subprocess.run(
        [command, "sandbox", "--exec", "--", *callgrind, program, operation, str(batches), str(times)],
        env=os.environ | {"GLIBC_TUNABLES": TUNABLES},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    if result.returncode != 0:
        sys.exit(f"count.py: {operation}: status {result.returncode}\n{result.stdout}")
    # The first dump also has what was executed before the first batch.
    counted = [directory / f"{operation}.{number}" for number in range(2, batches + 1)]
    totals = [int(re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)[1]) for dump in counted]
    return round(statistics.median(totals) / times)


def made_with():
    rustc = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    library, version = platform.libc_ver()
    return {"rustc": rustc, library: version}


def main(arguments):
    if arguments not in ([], ["--update"]):
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="pay88-instructions-") as name:
        directory = pathlib.Path(name)
        command, program = build(directory)
        counted = {operation: count(operation, command, program, directory) for operation in OPERATIONS}

    all_counts = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    machine = platform.machine()
    if arguments:
        all_counts[machine] = {"made_with": made_with(), "instructions": counted}
        COUNTS.write_text(json.dumps(all_counts, indent=2) + "\n")
        print(f"{COUNTS.relative_to(ROOT)}: {counted}")
        return
    strict = "PAY88_TEST_NOTHING_SKIPPED" in os.environ
    known = all_counts.get(machine)
    if known is None:
        print(f"no counts of {machine} in counts.json to compare with: {counted}")
        sys.exit(1 if strict else 0)
    grown = []
    for operation, now in counted.items():
        before = known["instructions"][operation]
        print(f"{operation:<20}{now:>8} instructions, {now / before - 1:+.1%} against {before}")
        if now > before * GROWTH:
            grown.append(operation)
        elif now * GROWTH < before:
            print("  Keep it: bench/instructions/count.py --update")
    if not grown:
        return
    print(f"More than {GROWTH - 1:.0%} has been added to: {', '.join(grown)}.")
    print("Find out by what (bench/README.md says how). If it is worth it: bench/instructions/count.py --update.")
    if known["made_with"] != made_with():
        print(f"It was built with {made_with()}, and the counts are of {known['made_with']}: that may be the reason.")
        if not strict:
            return
    sys.exit(1)


main(sys.argv[1:])
