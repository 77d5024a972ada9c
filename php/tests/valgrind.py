#!/usr/bin/env python3
"""Shows what valgrind found in the extension or the library: valgrind.py SOURCES LOG...

PHP has reports of its own: what a fatal error leaves behind, above all, which it frees with the whole heap of a request, and
valgrind sees without that heap. A report counts if a function of the extension's sources, or one of libpay88's, is in it.
"""

import pathlib
import re
import sys


def main(sources: str, logs: list[str]) -> int:
    files = "|".join(re.escape(path.name) for path in pathlib.Path(sources).glob("*.c"))
    ours = re.compile(rf"\((?:{files}):\d+\)|\bpay88_\w+ \(|libpay88\.so")
    found = 0
    for log in logs:
        text = pathlib.Path(log).read_text(errors="replace")
        lines = [re.sub(r"^==\d+== ?", "", line) for line in text.splitlines()]
        for report in "\n".join(lines).split("\n\n"):
            if ours.search(report):
                print(f"{log}:\n{report}\n")
                found += 1
    if not logs:
        print("there is no log: nothing ran under valgrind")
        return 1
    print(f"valgrind: {len(logs)} processes, {found} reports of the extension or the library")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
