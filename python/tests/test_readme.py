"""Every example of the package's README runs as it stands."""

import re

import pytest

from conftest import ROOT

EXAMPLES = re.findall(r"^```python\n(.*?)^```", (ROOT / "python" / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PRINTED = [
    (r"200 \S+\n", ""),
    (r"\[200, 200, 200\]\n", ""),
    ("", ""),
    ("", ""),  # test_testing.py lets pytest run it
    (r"200\n", ""),
    ("", r"INFO:pay88:token_issued of manager 1: .*\n"),
]


@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_an_example_of_the_readme_runs(sandbox, number):
    assert len(EXAMPLES) == len(PRINTED)
    status, out, err = sandbox.run(trusting(sandbox) + EXAMPLES[number])
    assert status == 0, err
    assert re.fullmatch(PRINTED[number][0], out)
    assert re.fullmatch(PRINTED[number][1], err)


def trusting(sandbox):
    """requests trusts the sandbox's certificate as it would trust a real one."""
    return f"import os; os.environ['REQUESTS_CA_BUNDLE'] = {sandbox.ca_bundle!r}\n"
