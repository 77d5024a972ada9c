#!/usr/bin/env python3
"""packaging/deny.py refuses each thing that deny.toml does not allow, and reads licences as they are meant."""

import unittest

import deny

RULES = {
    "licenses": {"allow": ["MIT", "ISC"], "exceptions": [{"crate": "maker", "allow": ["MPL-2.0"]}]},
    "bans": {"deny": [{"crate": "openssl-sys"}]},
}


def crate(**more):
    name, version = next(iter(deny.checksums()))
    return {"name": name, "version": version, "license": "MIT", "source": deny.REGISTRY} | more


class Deny(unittest.TestCase):
    def assert_faults(self, given, *told):
        found = deny.faults([given], RULES)
        self.assertEqual(len(found), len(told), found)
        for fault, wanted in zip(found, told):
            self.assertIn(wanted, fault)

    def test_what_is_allowed(self):
        self.assert_faults(crate())
        self.assert_faults(crate(name="pay88", source=None))

    def test_a_licence(self):
        self.assert_faults(crate(license="GPL-3.0-only"), "GPL-3.0-only, which deny.toml does not allow")
        self.assert_faults(crate(license=None), "None, which deny.toml does not allow")
        self.assert_faults(crate(license="MPL-2.0"), "MPL-2.0, which deny.toml does not allow")
        self.assert_faults(crate(license="MPL-2.0", name="maker", source=None))

    def test_a_name(self):
        self.assert_faults(crate(name="openssl-sys", source=None), "is banned by deny.toml")

    def test_a_source(self):
        self.assert_faults(crate(source="git+https://example.com/crate"), "not from crates.io")
        self.assert_faults(crate(version="0.0.0-none"), "has no checksum in Cargo.lock")

    def test_choices_of_licences(self):
        licences = {"MIT", "ISC", "Apache-2.0 WITH LLVM-exception"}
        for expression, allowed in {
            "MIT": True,
            "Apache-2.0": False,
            "MIT OR Apache-2.0": True,
            "MIT/Apache-2.0": True,
            "MIT AND Apache-2.0": False,
            "ISC AND (Apache-2.0 OR MIT)": True,
            "Apache-2.0 WITH LLVM-exception": True,
            "Apache-2.0 WITH Other-exception OR GPL-3.0": False,
        }.items():
            self.assertEqual(deny.allowed(expression, licences), allowed, expression)


if __name__ == "__main__":
    unittest.main()
