"""What pip tells where there is no wheel for the machine and none can be built."""

import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1]

# Maturin is there when pip asks, but is not asked itself.
ASKED = """
import sys, sysconfig, types
wheel = editable = None
sys.modules["maturin"] = types.SimpleNamespace(
    prepare_metadata_for_build_wheel=wheel, prepare_metadata_for_build_editable=editable
)
import build_backend
{elsewhere}
build_backend.get_requires_for_build_wheel()
"""


@pytest.mark.parametrize(
    ("elsewhere", "told"),
    [
        ("sys.platform = 'darwin'", "not for darwin: install it in a container"),
        ("sys.platform = 'win32'", "not for win32: install it in a container"),
        (
            "sysconfig.get_config_var = lambda _: 'cpython-312-x86_64-linux-musl'",
            "not with musl: install it in a container",
        ),
    ],
)
def test_another_system_is_one_sentence_that_says_how_to_go_on(elsewhere, told):
    program = ASKED.format(elsewhere=elsewhere)
    run = subprocess.run([sys.executable, "-c", program], cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert told in run.stderr
    assert run.stderr.count("\n") == 1
