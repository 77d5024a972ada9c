#!/usr/bin/env python3
"""Compares what the extension and its stub say of options, errors and events with the library's tables:

tables.py LIBRARY PHP ARGUMENT...
"""

import ctypes
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

PROGRAM = r"""
ob_start();
phpinfo(INFO_MODULES);
$shown = [];
preg_match_all('/^pay88\.(\w+) => (.*?) => /m', ob_get_clean(), $rows, PREG_SET_ORDER);
foreach ($rows as [, $name, $value]) $shown[$name] = $value;
$errors = [];
foreach ((new ReflectionExtension('pay88'))->getClassNames() as $class) {
    if (is_subclass_of($class, Pay88\Exception\Pay88Exception::class)) {
        $e = new $class;
        $errors[$e->getCode()] = [$e->errorCode(), $e->outcome(), $class];
    }
}
echo json_encode([$shown, $errors, phpversion('pay88')]);
"""


class Text(ctypes.Structure):
    _fields_ = (("data", ctypes.POINTER(ctypes.c_char)), ("len", ctypes.c_size_t))

    def __str__(self) -> str:
        return self.data[: self.len].decode()


# How a program gives an option of each kind.
NUMBERS = {"seconds": "float|int|string|null", "count": "int|string|null", "bytes": "int|string|null"}


def comment_before(stub: str, declaration: str) -> str:
    """What the stub says of a declaration, in one line."""
    (lines,) = re.findall(rf"/\*\*((?:(?!\*/).)*)\*/\s*{declaration}", stub, re.DOTALL)
    return " ".join(re.sub(r"^\s*\* ?", "", line).strip() for line in lines.splitlines()).strip()


def main(path: str, php: list[str]) -> int:
    library = ctypes.CDLL(path)
    for name in ("option_name", "option_kind", "status_name", "status_summary", "event_kind_name"):
        getattr(library, f"pay88_{name}").restype = Text
    library.pay88_version.restype = ctypes.c_char_p
    options = [
        (str(library.pay88_option_name(index)), str(library.pay88_option_kind(index)))
        for index in range(library.pay88_option_count())
    ]
    statuses = [library.pay88_status_at(index) for index in range(library.pay88_status_count())]
    events = [str(library.pay88_event_kind_name(index)) for index in range(library.pay88_event_kind_count())]
    outcomes = json.loads((ROOT / "tests/default_outcomes.json").read_text())

    # Each has a value, which is shown for those that are no secret.
    values = [argument for name, _ in options for argument in ("-d", f"pay88.{name}=of {name}")]
    output = subprocess.run([*php, *values, "-r", PROGRAM], check=True, capture_output=True, text=True).stdout
    shown, errors, version = json.loads(output)

    stub = (ROOT / "php/pay88.stub.php").read_text()
    shape = re.search(r"array\{([^}]*)\}", comment_before(stub, r"public function __construct\(\s*#"))[1]
    given = dict(re.findall(r"(\w+)\?: ([^,]+)", shape))
    wanted = {name: NUMBERS.get(kind, "string|null") for name, kind in options}
    names = re.search(r"name: (.*), level:", comment_before(stub, r"function events\("))[1]
    said = {code: comment_before(stub, f"class {row[2].split(chr(92))[-1]} ") for code, row in errors.items()}
    strangers = {
        said[code] for code in errors if not said[code].startswith(str(library.pay88_status_summary(int(code))))
    }

    expected = [
        (given == wanted, "the options of the stub", set(given.items()) ^ set(wanted.items())),
        (re.findall(r"\w+", names) == events, "the events of the stub", names),
        (not strangers, "the sentences of the stub's exceptions", strangers),
        (dict(options).keys() == shown.keys(), "the options of php.ini", sorted(shown)),
        ({n: v == "set" for n, v in shown.items()} == {n: k == "secret" for n, k in options}, "secrets", shown),
        ({n for n, v in shown.items() if v == f"of {n}"} == {n for n, k in options if k != "secret"}, "others", shown),
        ({int(code) for code in errors} == set(statuses), "the statuses", errors),
        ({name: outcome for name, outcome, _ in errors.values()} == outcomes, "the outcomes", errors),
        (
            all(name == str(library.pay88_status_name(int(code))) for code, (name, _, _) in errors.items()),
            "the codes",
            errors,
        ),
        (version.encode() == library.pay88_version(), "the version", version),
    ]
    for holds, what, got in expected:
        if not holds:
            print(f"tables: {what} are not those of the library: {got}")
    return 0 if all(holds for holds, _, _ in expected) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
