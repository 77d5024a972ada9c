#!/usr/bin/env python3
"""Shows what valgrind found in the extension or the library: valgrind.py SOURCES LOG...

PHP has reports of its own. A report counts if a function of the extension's sources, or one of libpay88's, is in it. What a
fatal error leaves behind PHP frees with the whole heap of the request, which valgrind does not see: in a log whose name ends
with ".fatal" a leak counts only if the library has made it.
"""

import pathlib
import re
import sys


def main(sources: str, logs: list[str]) -> int:
    files = "|".join(re.escape(path.name) for path in pathlib.Path(sources).glob("*.c"))
    ours = re.compile(rf"\((?:{files}):\d+\)|\bpay88_\w+ \(|libpay88\.so")
    of_heap = re.compile(r"^[\d,]+ .*bytes in [\d,]+ blocks are .* lost in(?s:.*)\b__zend_(?:malloc|calloc|realloc) \(")
    found = 0
    for log in logs:
        text = pathlib.Path(log).read_text(errors="replace")
        lines = [re.sub(r"^==\d+== ?", "", line) for line in text.splitlines()]
        for report in "\n".join(lines).split("\n\n"):
            if log.endswith(".fatal") and of_heap.match(report):
                continue
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
