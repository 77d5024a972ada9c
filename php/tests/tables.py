#!/usr/bin/env python3
"""Compares what the extension says of options and errors with the library's tables: tables.py LIBRARY PHP ARGUMENT..."""

import ctypes
import json
import pathlib
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


def main(path: str, php: list[str]) -> int:
    library = ctypes.CDLL(path)
    for name in ("option_name", "option_kind", "status_name"):
        getattr(library, f"pay88_{name}").restype = Text
    library.pay88_version.restype = ctypes.c_char_p
    options = [
        (str(library.pay88_option_name(index)), str(library.pay88_option_kind(index)))
        for index in range(library.pay88_option_count())
    ]
    statuses = [library.pay88_status_at(index) for index in range(library.pay88_status_count())]
    outcomes = json.loads((ROOT / "tests/default_outcomes.json").read_text())

    # Each has a value, which is shown for those that are no secret.
    values = [argument for name, _ in options for argument in ("-d", f"pay88.{name}=of {name}")]
    output = subprocess.run([*php, *values, "-r", PROGRAM], check=True, capture_output=True, text=True).stdout
    shown, errors, version = json.loads(output)

    expected = [
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
