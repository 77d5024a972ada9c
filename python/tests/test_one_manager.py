"""One manager for one set of credentials in the whole process, whoever else uses libpay88 there."""

import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest

from abi import LIBRARY
from conftest import ROOT

# A second user of the library, written without pay88: through the bare soname, as another language's binding has it.
THROUGH_CTYPES = """
import ctypes, os, sys

def managers_id(library):
    library.pay88_config_new.restype = ctypes.c_void_p
    library.pay88_manager_id.restype = ctypes.c_uint64
    config, manager = ctypes.c_void_p(library.pay88_config_new()), ctypes.c_void_p()
    assert library.pay88_manager_new(config, ctypes.byref(manager), None) == 0
    return library.pay88_manager_id(manager)
"""


@pytest.mark.parametrize("first", ["pay88", "ctypes"])
def test_a_process_has_one_manager_whoever_loads_the_library_first(sandbox, first):
    through_pay88 = "import pay88; tm = pay88.TokenManager(); other = pay88.TokenManager(merchant_id='MCH-COL-1')\n"
    steps = [through_pay88, "library = ctypes.CDLL('libpay88.so.0', mode=os.RTLD_NOLOAD)\n"]
    if first == "ctypes":
        steps = [f"library = ctypes.CDLL({LIBRARY!r})\nmanagers_id(library)\n", through_pay88]
    # The other manager comes between, so that a second copy of the library would count differently.
    program = THROUGH_CTYPES + "".join(steps) + "print(tm.manager_id == managers_id(library) != other.manager_id)"
    assert sandbox.run(program) == (0, "True\n", "")


def test_a_second_file_loaded_by_its_path_is_another_library(sandbox, tmp_path):
    """The documented limit; the manager of the second library asks for a token of its own."""
    second = tmp_path / "second.so"
    shutil.copyfile(LIBRARY, second)
    program = THROUGH_CTYPES + "import pay88; pay88.TokenManager(merchant_id='MCH-COL-1'); tm = pay88.TokenManager()\n"
    program += f"print(tm.manager_id, managers_id(ctypes.CDLL({str(second)!r})))"
    assert sandbox.run(program) == (0, "2 1\n", "")


def test_a_program_that_links_the_library_and_embeds_python_has_one_manager(sandbox, tmp_path):
    libpython = pathlib.Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
    if libpython.suffix == ".a" or not libpython.exists():
        pytest.skip("this Python has no shared library to embed")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # A file of its own, not the package's under another name, which the loader would know by its inode.
    shutil.copyfile(LIBRARY, elsewhere / "libpay88.so.0")
    (elsewhere / "libpay88.so").symlink_to("libpay88.so.0")
    program = tmp_path / "program"
    source = ROOT / "python" / "tests" / "embedding.c"
    link = [f"-L{elsewhere}", f"-Wl,-rpath,{elsewhere}", "-lpay88", "-ldl"]
    subprocess.run(["cc", "-o", program, source, f"-I{ROOT / 'include'}", *link], check=True, timeout=60)
    python = "import pay88; tm = pay88.TokenManager(); other = pay88.TokenManager(merchant_id='MCH-COL-1')\n"
    python += "print(tm.manager_id, other.manager_id, tm.get_token().expires_in)"
    environment = {**sandbox.environment, "PYTHONHOME": sys.base_prefix}
    done = subprocess.run([program, libpython, python], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n1 2 60\n", "")
    assert sandbox.tokens_issued() == 1
