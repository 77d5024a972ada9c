"""The statistics of a manager, alike for both kinds of managers."""

from __future__ import annotations

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class WithStats(_native.Manager):
    """What TokenManager and AsyncTokenManager have in common beside the compiled part."""

    __slots__ = ()

    def stats(self) -> dict[str, Any]:
        """What the manager has done so far, such as "tokens_issued" and "calls", and what it may still do; times in seconds.

        The names are those of all languages; docs/monitoring.md says what each is. Holds no secret.
        """
        # Not in the compiled part: a thread that runs Python code while the interpreter ends is ended in the middle of it.
        from json import loads

        stats: dict[str, Any] = loads(self._stats_json())
        return stats
