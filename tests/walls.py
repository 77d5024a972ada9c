#!/usr/bin/env python3
"""The walls between the rooms of core/src: fails where an import goes up, or where a room does what is another's.

ROOMS is the one table: an import goes down it, never up, so that rooms form no circle, and neither do files of different
rooms. Within a room files form none but those of KNOTS; a module and the modules below it count as one. Tests
(`#[cfg(test)]`, and the files of such modules) may import anything.
"""

import functools
import pathlib
import re
import sys

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "core" / "src"

VALUES = ("cause", "error", "secret", "time", "exchange", "json")
BELOW = None

# The rooms, ground first, and which of those before it each may import; BELOW: all of them.
ROOMS = {
    "cause": (),
    "error": ("cause",),
    "secret": (),
    "time": (),
    "exchange": ("cause",),
    "json": (),
    "platform": VALUES,
    "policy": VALUES,
    "telemetry": (*VALUES, "platform"),
    "transport": ("cause", "time", "exchange", "platform"),
    "refresh": (*VALUES, "policy"),
    "config": (*VALUES, "platform", "transport"),
    "store": (*VALUES, "platform", "policy", "transport", "refresh", "config"),
    "manager": BELOW,
    "call": BELOW,
    "api": BELOW,
    "simulation": BELOW,
    "test_support": BELOW,
}
FOR_TESTS = ("simulation", "test_support")

# Files that need each other, and why.
KNOTS = (
    # The handlers of a fork close the descriptors that the list has; who is in the list knows its process by them.
    {"platform/not_inherited.rs", "platform/process.rs"},
    # A reactor waits for sockets, a deadline waits by a reactor, and a socket connects by a deadline.
    {"transport/deadline.rs", "transport/reactor.rs", "transport/socket.rs"},
)

CLOCKS = r"\b(?:Instant|SystemTime)::now\b|\bclock_gettime\b"
SYSTEM = r"\blibc::[a-z_]+\s*\(|\btokio::|\bstd::(?:fs|net|process|thread)\b|\bstd::env::(?!consts)"
SOCKETS = r"\b(?:Tcp|Unix|Udp)(?:Stream|Listener|Socket|Datagram)\b|\bsocket2::|\blibc::(?:socket|connect)\b"
ENVIRONMENT = r"\benv::vars?(?:_os)?\b|\b(?:secure_)?getenv\b|\benviron\b"

# What a room never does: the wall, the rooms that keep it, and how a breach looks.
NEVER = (
    ("values, rules and the refresh machine read no clock", (*VALUES, "policy", "refresh"), CLOCKS),
    ("values, rules and the refresh machine do no I/O", (*VALUES, "policy", "refresh"), SYSTEM),
    ("rules and the refresh machine keep nothing in a static", ("policy", "refresh"), r"\bstatic\s+(?:mut\s+)?[A-Z]"),
)
# What few do: the wall, the rooms or files that may, and how it looks.
ONLY = (
    ("only transport opens a socket", ("transport",), SOCKETS),
    ("only transport knows hyper and rustls", ("transport",), r"\b(?:hyper|hyper_util|rustls)::"),
    ("only its adapter knows reqwest", ("api/adapters/reqwest.rs",), r"\breqwest::"),
    ("only config reads the environment", ("config/environment.rs",), ENVIRONMENT),
    (
        "errors of tokens and calls are made in policy/errors.rs",
        ("error.rs", "policy/errors.rs", "refresh/record/format.rs"),  # the last reads those of others
        r"(?<!io::)\bError::new\(",
    ),
    (
        "a token reaches a request where calls are authorized alone",
        ("call/mod.rs", "api/adapters/reqwest.rs"),
        r"\bAUTHORIZATION\b|\bsnapshot\.authorization\b",
    ),
)

# Comments, strings and characters; not lifetimes.
TEXT = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(?P<hashes>\#*)".*?"(?P=hashes)|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^']+|[^'\\])'""", re.DOTALL
)
CFG_TEST = re.compile(r"#\[cfg\(test\)\]\s*")
TEST_MODULE = re.compile(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")
PATH = re.compile(r"(?<!::)(?<!\w)(?:crate|super|self)\s*::\s*[\w{*]")
FIELD = re.compile(r"(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?\w+\s*:[^:]")


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def end_of_item(code, start):
    """Where the item, statement, block, arm or field ends that begins at `start`."""
    is_field = FIELD.match(code, start)
    depth = 0
    for at in range(start, len(code)):
        sign = code[at]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth < 0:
                return at
            if depth == 0 and sign == "}" and not re.match(r"\s*(?:[;.]|else\b)", code[at + 1 :]):
                return at + 1
        elif depth == 0 and (sign == ";" or (sign == "," and is_field)):
            return at + 1
    return len(code)


def without_tests(code):
    while found := CFG_TEST.search(code):
        end = end_of_item(code, found.end())
        code = code[: found.start()] + blank(code[found.start() : end]) + code[end:]
    return code


def named_paths(code, start):
    """The paths that begin at `start`, with their braces taken apart: `a::{b, c::d}` names `a::b` and `a::c::d`."""
    first = re.compile(r"\w+(?:\s*::\s*\w+)*").match(code, start)
    path = re.split(r"\s*::\s*", first.group())
    more = re.compile(r"\s*::\s*\{").match(code, first.end())
    if not more:
        yield path
        return
    depth, begin = 1, more.end()
    for at in range(more.end(), len(code)):
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        if depth == 0 or (depth == 1 and code[at] == ","):
            if part := code[begin:at].strip():
                yield from ([*path, *rest] for rest in named_paths(part, 0))
            begin = at + 1
        if depth == 0:
            return


def module_of(name):
    parts = name.removesuffix(".rs").split("/")
    return tuple(parts[:-1] if parts[-1] == "mod" else parts)


class Sources:
    """The files of a crate by their names below its source directory, and what they import."""

    def __init__(self, files):
        self.codes = {name: TEXT.sub(lambda text: blank(text.group()), text) for name, text in files.items()}
        self.files = {module_of(name): name for name in self.codes}
        self.for_tests = {
            (*(() if name == "lib.rs" else module_of(name)), child)
            for name, code in self.codes.items()
            for child in TEST_MODULE.findall(code)
        }

    def production(self):
        """The files of production with their modules and code, without what is for tests."""
        for name, code in sorted(self.codes.items()):
            module = module_of(name)
            is_test = any(module[:n] in self.for_tests for n in range(1, len(module) + 1))
            if name != "lib.rs" and module[0] not in FOR_TESTS and not is_test:
                yield name, module, without_tests(code)

    @staticmethod
    def imports(module, code):
        """The place of each import, as it is written and as it is from the crate's root."""
        for match in PATH.finditer(code):
            for path in named_paths(code, match.start()):
                ups = next((n for n, part in enumerate(path) if part not in ("super", "self")), len(path))
                base = () if path[0] == "crate" else module[: len(module) - path[:ups].count("super")]
                yield match.start(), "::".join(path), (*base, *path[1 if path[0] == "crate" else ups :])

    def file_of(self, path):
        """The file of the module that the path leads to or through."""
        known = (self.files.get(path[:n]) for n in range(len(path), 0, -1))
        return next((name for name in known if name), None)


def line_of(name, code, at, what, wall):
    return f"core/src/{name}:{code.count(chr(10), 0, at) + 1}: {what}: {wall}"


def breaches(files):
    """What is wrong with `files`: a line for each import or act that breaks a wall."""
    sources = Sources(files)
    order = list(ROOMS)
    edges = {}
    for name, module, code in sources.production():
        room = module[0]
        tell = functools.partial(line_of, name, code)
        if room not in ROOMS:
            yield tell(0, room, "no room of the table in tests/walls.py")
            continue
        for match in re.finditer(r"\bcrate::simulation\b", sources.codes[name]):
            yield tell(
                match.start(), match.group(), "production has no seam for the simulation, not even under cfg(test)"
            )
        for at, shown, path in sources.imports(module, code):
            if path and path[0] in ROOMS and path[0] == room:
                if (other := sources.file_of(path)) not in (None, name):
                    edges.setdefault(name, {}).setdefault(other, tell(at, shown, "files of a room form a circle"))
            elif not path or path[0] not in ROOMS:
                yield tell(at, shown, "not by its room, which is how others find it")
            elif order.index(path[0]) > order.index(room):
                yield tell(at, shown, f"an import goes down, never up, and {path[0]} is above {room}")
            elif ROOMS[room] is not BELOW and path[0] not in ROOMS[room]:
                yield tell(at, shown, f"{room} imports nothing of {path[0]}")
        for wall, rooms, look in NEVER:
            if room in rooms:
                yield from (tell(match.start(), match.group(), wall) for match in re.finditer(look, code))
        for wall, places, look in ONLY:
            if room not in places and name not in places:
                yield from (tell(match.start(), match.group(), wall) for match in re.finditer(look, code))
    yield from circles(edges)


def circles(edges):
    """The imports by which a file comes back to itself."""

    def are_one(one, other):
        one, other = module_of(one), module_of(other)
        return one[: len(other)] == other or other[: len(one)] == one

    def reaches(start, end, seen):
        nexts = (other for other in edges.get(start, ()) if not are_one(start, other) and other not in seen)
        return start == end or any(reaches(other, end, seen | {other}) for other in nexts)

    for one, others in edges.items():
        for other, line in others.items():
            known = any({one, other} <= knot for knot in KNOTS)
            if not known and not are_one(one, other) and reaches(other, one, {other}):
                yield line


# The checker checked: files of a made-up core, and the walls that they break.
SAMPLES = (
    ({"policy/retry.rs": "use crate::error::{Error, Result};\nuse crate::exchange::Failure;\n"}, []),
    (
        {"config/mod.rs": "use std::fmt;\nuse crate::store::Share;\n"},
        ["config/mod.rs:2: crate::store::Share: an import goes down"],
    ),
    (
        {"store/host/file.rs": "fn f() {\n super::super::super::manager::now();\n}"},
        [":2: super::super::super::manager::now: an import"],
    ),
    (
        {"store/mod.rs": "use crate::{error::Error, call::{self, Call}};"},
        ["crate::call::self: an import", "crate::call::Call: an import"],
    ),
    ({"transport/tls.rs": "use crate::error::Error;"}, ["transport imports nothing of error"]),
    ({"call/mod.rs": "use crate::Error;"}, ["crate::Error: not by its room"]),
    (
        {
            "policy/retry.rs": "// crate::call\n/* crate::api */ const A: &str = \"crate::api\"; const B: char = '\"'; // '"
        },
        [],
    ),
    (
        {"policy/retry.rs": "#[cfg(test)]\nmod tests {\n use crate::api::X;\n}\nuse crate::call::Y;"},
        [":5: crate::call::Y"],
    ),
    ({"policy/a.rs": "struct S {\n #[cfg(test)]\n a: crate::call::A,\n b: crate::call::B,\n}"}, [":4: crate::call::B"]),
    (
        {
            "policy/a.rs": "fn f() {\n #[cfg(test)]\n let Some(a) = crate::call::a() else { return; };\n crate::call::b();\n}"
        },
        [":4: crate::call::b"],
    ),
    ({"policy/a.rs": "#[cfg(test)]\nmod tests;", "policy/a/tests.rs": "use crate::api::X;"}, []),
    (
        {"platform/random.rs": "#[cfg(test)]\nuse crate::simulation::seed;"},
        [":2: crate::simulation: production has no seam"],
    ),
    ({"policy/expiry.rs": "fn f() { std::time::Instant::now(); }"}, ["read no clock"]),
    ({"refresh/mod.rs": 'static LAST: u8 = 0; const A: &\'static str = "";'}, ["keep nothing in a static"]),
    ({"store/fleet/redis.rs": "use std::net::TcpStream;"}, ["only transport opens a socket"]),
    ({"call/mod.rs": 'fn f() { std::env::var("X"); }'}, ["only config reads the environment"]),
    ({"call/mod.rs": "fn f() { io::Error::new(a, b); Error::new(a, b, c); }"}, ["errors of tokens and calls are made"]),
    (
        {
            "manager/a.rs": "use super::b::B;",
            "manager/b.rs": "use crate::manager::c::C;",
            "manager/c.rs": "use super::a::A;",
        },
        ["a circle"] * 3,
    ),
    ({"refresh/mod.rs": "mod a;\nuse self::a::A;", "refresh/a.rs": "use super::B;"}, []),
    ({"attic.rs": ""}, ["attic: no room"]),
)


def main():
    for files, expected in SAMPLES:
        found = list(breaches(files))
        assert len(found) == len(expected) and all(want in line for want, line in zip(expected, found)), (files, found)
    found = list(breaches({str(path.relative_to(SOURCES)): path.read_text() for path in SOURCES.rglob("*.rs")}))
    print(*found, sep="\n", end="\n" * bool(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
