#!/usr/bin/env python3
"""What PIE, the installer of PHP extensions, wants of composer.json, which it reads only on a user's machine:

    php/tests/pie.py

PIE passes over what it does not know, so a word that is misspelt would be lost without a word.
"""

import copy
import json
import pathlib
import re
import unittest

PHP = pathlib.Path(__file__).resolve().parents[1]
EXTENSION = json.loads((PHP / "composer.json").read_text())
LIBRARY = json.loads((PHP / "library" / "composer.json").read_text())
CONFIGURE = (PHP / "config.m4").read_text()

KNOWN = {
    "extension-name", "priority", "support-zts", "support-nts", "build-path", "download-url-method", "os-families",
    "os-families-exclude", "configure-options",
}  # fmt: skip
FAMILIES = {"windows", "bsd", "darwin", "solaris", "linux", "unknown"}
# Composer's own rule for names.
PACKAGE = r"[a-z0-9]([_.-]?[a-z0-9]+)*/[a-z0-9](([_.]|-{1,2})?[a-z0-9]+)*"


def faults(package):
    """What PIE could not use, or would understand in another way than it is meant."""
    found = []

    def need(holds, what):
        if not holds:
            found.append(what)

    name = package.get("name", "")
    need(re.fullmatch(PACKAGE, name), "name is no name of a package")
    need(name != LIBRARY["name"], "name is that of the Composer package; PIE and Composer would take one for the other")
    need(package.get("type") == "php-ext", "type has to be php-ext")
    need(package.get("license") and package.get("description"), "license and description are missing")
    required = package.get("require", {})
    need("php" in required, "no version of PHP is required")
    need(all(re.fullmatch(r"php|ext-\w+", one) for one in required), "an extension requires PHP and extensions only")
    settings = package.get("php-ext", {})
    for word in settings.keys() - KNOWN:
        need(False, f"PIE does not know {word}")
    # Without one it would be the name of the package, whose hyphen no extension may have.
    extension = settings.get("extension-name", name.rpartition("/")[2])
    need(re.fullmatch(r"[A-Za-z]\w+", extension, re.ASCII), "extension-name is no name of an extension")
    need(f"PHP_NEW_EXTENSION([{extension}]" in CONFIGURE, "extension-name is not what config.m4 builds")
    priority = settings.get("priority")
    need(type(priority) is int and 10 <= priority <= 99, "priority has to be a number of two digits")
    for kind in ("support-zts", "support-nts"):
        need(settings.get(kind) is True, f"{kind} has to be true: it is tested")
    families = settings.get("os-families")
    need(
        isinstance(families, list) and families and set(families) <= FAMILIES,
        "os-families is no list of what PIE knows",
    )
    need(families == ["linux"], "the library runs on Linux alone")
    need("os-families-exclude" not in settings, "os-families and os-families-exclude cannot be said both")
    need(settings.get("download-url-method", "composer-default") in ("composer-default", "pre-packaged-source"),
         "PIE has no such download-url-method")  # fmt: skip
    build = settings.get("build-path")
    need(build is None or isinstance(build, str), "build-path is no path")
    options = settings.get("configure-options", [])
    for option in options:
        flag = option.get("name", "")
        need(re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_-]*", flag), "a configure option has no name, or one with --")
        need(option.get("description"), "a configure option is not described")
        # PIE takes a value only for one that says so; and config.m4 has to have it with a value.
        need(
            option.get("needs-value") is True and f"[--{flag}[=DIR]]" in CONFIGURE,
            "config.m4 takes no such option with a value",
        )
    taken = {f"{kind.lower()}-{name}" for kind, name in re.findall(r"PHP_ARG_(WITH|ENABLE)\(\[(\w+)\]", CONFIGURE)}
    need({option.get("name") for option in options} == taken, "not every option of config.m4 can be said to PIE")
    return found


def changed(path, value):
    """composer.json with one thing said differently; None takes it out."""
    package = copy.deepcopy(EXTENSION)
    *parents, last = path.split("/")
    place = package
    for parent in parents:
        place = place[int(parent) if parent.isdigit() else parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return package


WRONG = [
    ("name", None),
    ("name", "ext-pay88"),
    ("name", LIBRARY["name"]),
    ("type", None),
    ("type", "library"),
    ("license", None),
    ("description", None),
    ("require", None),
    ("require", {"php": ">=8.1", "psr/log": "^3.0"}),
    ("php-ext", None),
    ("php-ext/extension-name", None),
    ("php-ext/extension-name", "ext-pay88"),
    ("php-ext/extension-name", "pay_88"),
    ("php-ext/priority", None),
    ("php-ext/priority", 100),
    ("php-ext/priority", "80"),
    ("php-ext/support-zts", None),
    ("php-ext/support-zts", False),
    ("php-ext/support-nts", "yes"),
    ("php-ext/support-ts", True),
    ("php-ext/os-families", None),
    ("php-ext/os-families", []),
    ("php-ext/os-families", "linux"),
    ("php-ext/os-families", ["Linux"]),
    ("php-ext/os-families", ["linux", "darwin"]),
    ("php-ext/os-families-exclude", ["windows"]),
    ("php-ext/build-path", 8),
    ("php-ext/download-url-method", "git"),
    ("php-ext/configure-options", None),
    ("php-ext/configure-options/0/name", None),
    ("php-ext/configure-options/0/name", "--with-pay88"),
    ("php-ext/configure-options/0/name", "with-libpay88"),
    ("php-ext/configure-options/0/description", None),
    ("php-ext/configure-options/0/needs-value", None),
    ("php-ext/configure-options/0/needs-value", False),
]


class Pie(unittest.TestCase):
    def test_composer_json_is_as_pie_wants_it(self):
        self.assertEqual(faults(EXTENSION), [])

    def test_what_is_missing_or_wrong_is_found(self):
        for path, value in WRONG:
            with self.subTest(path=path, value=value):
                self.assertNotEqual(faults(changed(path, value)), [])


if __name__ == "__main__":
    unittest.main()
