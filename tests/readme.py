#!/usr/bin/env python3
"""Every block of code in README.md and docs/sandbox.md does what it is there for, at a sandbox over TLS.

    pay88 sandbox --exec -- tests/readme.py [--debug]

Needs what `make build` has built (with --debug: python/build.sh, node/build.sh, php/build.sh and go/build.sh, each with
--debug).
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / (
    "debug" if "--debug" in sys.argv else "release"
)


def blocks(path):
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)


BLOCKS = blocks("README.md")
CHARGE = '{"flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"}'
CHARGED = r"200 [0-9a-f-]{36}\n"
LIMIT = 60

# The block in C says how the calls follow each other.
C = """
#include <pay88.h>
#include <stdio.h>
#include <string.h>
#define PATH "/api/transactions/charges"
int main(void) {
    const char *json = %s;
    pay88_manager *manager = NULL;
    pay88_request *request = NULL;
    pay88_response *response = NULL;
    pay88_error *error = NULL;
%s
    else
        printf("%%u\\n", pay88_response_status(response));
    return error != NULL;
}
"""


def block(language):
    return next(code for one, code in BLOCKS if one == language)


class Readme(unittest.TestCase):
    def run_it(self, *command, directory=ROOT, **more):
        path = os.pathsep.join((str(BUILT), os.environ["PATH"]))
        own = {
            name: value
            for name, value in os.environ.items()
            if re.match("EIGHTY_EIGHT_PAY_|PAY88_|LD_LIBRARY_PATH$", name)
        }
        done = subprocess.run(
            command, env={**own, "PATH": path, **more}, cwd=directory, capture_output=True, text=True, timeout=LIMIT
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_every_language_is_looked_at(self):
        self.assertEqual([language for language, _ in BLOCKS], ["sh", "rust", "c", "python", "js", "php", "go", "sh"])

    def test_the_python_block_makes_a_charge(self):
        printed = self.run_it(sys.executable, "-c", block("python"), PYTHONPATH=str(ROOT / "python"))
        self.assertRegex(printed, CHARGED)

    def test_the_node_block_makes_a_charge(self):
        code = f"const charge = {CHARGE}, signal = AbortSignal.timeout(20_000);\n{block('js')}"
        self.assertRegex(self.run_it("node", "--input-type=module", "-e", code, directory=ROOT / "node"), CHARGED)

    def test_the_php_block_makes_a_charge(self):
        api = self.run_it(str(ROOT / "php" / "api.sh")).strip() + ("-debug" if BUILT.name == "debug" else "")
        extension = BUILT.parent / "php" / api / "pay88.so"
        self.assertRegex(self.run_it("php", "-n", "-d", f"extension={extension}", "-r", block("php")), CHARGED)

    def test_the_go_block_makes_a_charge(self):
        # What a program has around it.
        program = f"""package main

import (
	"context"
	"fmt"

	pay88 "github.com/pay88/pay88/go"
)

func try(ctx context.Context, charge any) error {{
{block("go")}	return err
}}

func main() {{
	charge := map[string]any{CHARGE.replace(": ", ":")}
	if err := try(context.Background(), charge); err != nil {{
		panic(err)
	}}
}}
"""
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory, "main.go")
            source.write_text(program)
            home = {name: os.environ[name] for name in ("HOME", "GOPATH", "GOCACHE", "GOFLAGS") if name in os.environ}
            self.assertRegex(self.run_it("go", "run", str(source), directory=ROOT / "go", **home), CHARGED)

    def test_the_c_block_makes_a_charge(self):
        with tempfile.TemporaryDirectory() as directory:
            source, program = pathlib.Path(directory, "block.c"), pathlib.Path(directory, "block")
            source.write_text(C % ('"' + CHARGE.replace('"', '\\"') + '"', block("c")))
            flags = [
                "-std=c11",
                "-Wall",
                "-Wextra",
                "-Werror",
                f"-I{ROOT / 'include'}",
                f"-L{BUILT}",
                f"-Wl,-rpath,{BUILT}",
            ]
            self.run_it(str(ROOT / "bindings" / "c" / "link.sh"), str(BUILT))
            self.run_it("cc", *flags, str(source), "-lpay88", "-o", str(program))
            self.assertEqual(self.run_it(str(program)), "200\n")

    def test_the_rust_block_is_the_example_that_the_crate_s_documentation_compiles(self):
        source = (ROOT / "core" / "src" / "api" / "token_manager.rs").read_text()
        without_space = [re.sub(r"\s|///", "", text) for text in (block("rust"), source)]
        self.assertIn(*without_space)

    def test_the_shell_block_runs(self):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "charge.json").write_text(CHARGE)
            tests = pathlib.Path(directory, "my-tests")
            tests.write_text("#!/bin/sh\npay88 token >/dev/null && echo tested\n")
            tests.chmod(0o755)
            code = [code for language, code in BLOCKS if language == "sh"][-1]
            printed = self.run_it("sh", "-e", "-c", code, directory=directory)
            self.assertRegex(printed, r'"reference"[^\0]*tested\n$')

    def test_the_shell_blocks_about_the_sandbox_run(self):
        # Those in JSON are run by the sandbox's own tests.
        lines = [line for language, code in blocks("docs/sandbox.md") if language == "sh" for line in code.splitlines()]
        with tempfile.TemporaryDirectory() as directory:
            tests = pathlib.Path(directory, "my-tests")
            tests.write_text('#!/bin/sh\npay88 token >/dev/null && test -n "$PAY88_SANDBOX_CONTROL" && echo tested\n')
            tests.chmod(0o755)
            asked = 0
            for line in lines:
                line = line.partition("  #")[0].replace("/shared/", "./")
                if line.startswith("pay88 sandbox --") and "--exec" not in line:
                    # Until it is told to end.
                    begun = f"{line.replace('8443', '0')} --ready-file ready & begun=$!"
                    line = f"{begun}; until [ -s ready ]; do sleep 0.05; done; kill $begun; wait $begun; rm -f ready"
                printed = self.run_it("bash", "-e", "-c", line, directory=directory)
                asked += line.startswith("curl")
                if "--exec" in line:
                    self.assertEqual(printed, "tested\n")
            self.assertEqual(asked, 4)
            self.assertIn("export PAY88_SANDBOX_CONTROL=", pathlib.Path(directory, "env.sh").read_text())


if __name__ == "__main__":
    unittest.main(argv=[one for one in sys.argv if one != "--debug"])
