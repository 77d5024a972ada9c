"""The fixtures of pay88.testing. pytest finds them by the package's entry point; nothing else imports this module.

pytest imports it in every run, so what a fixture needs is imported when the fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._manager import TokenManager
    from .testing import Merchant, Sandbox


@pytest.fixture(scope="session")
def pay88_running_sandbox() -> Iterator[Sandbox]:
    """The sandbox of this run: the one that the environment names, or one of its own. Override it to start it with other
    options: Sandbox.start("--voids-old")."""
    from .testing import Sandbox

    given = Sandbox.given()
    if given is not None:
        yield given
        return
    with Sandbox.start() as sandbox:
        yield sandbox


@pytest.fixture
def pay88_sandbox(pay88_running_sandbox: Sandbox) -> Iterator[Merchant]:
    """The sandbox as a merchant sees it that this test has to itself. The EIGHTY_EIGHT_PAY_ variables lead to it."""
    merchant = pay88_running_sandbox.merchant()
    with pytest.MonkeyPatch.context() as patch:
        # A key, a proxy or a store of the machine is for no test.
        for name in [name for name in os.environ if name.startswith("EIGHTY_EIGHT_PAY_")]:
            patch.delenv(name)
        for name, value in merchant.environment.items():
            patch.setenv(name, value)
        yield merchant


@pytest.fixture
def pay88_manager(pay88_sandbox: Merchant) -> Iterator[TokenManager]:
    """A manager of the test's merchant. It is closed when the test ends."""
    with pay88_sandbox.manager() as manager:
        yield manager
