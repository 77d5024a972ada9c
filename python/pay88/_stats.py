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
        """Returns what the manager has done so far, and what it may still do.

        The names, such as "tokens_issued" and "calls", are those of all languages; docs/monitoring.md says what each is.
        Times are in seconds. It has no secret.
        """
        # Not in the compiled part: the end of the interpreter also ends a thread that runs Python code, in the middle of it.
        from json import loads

        stats: dict[str, Any] = loads(self._stats_json())
        return stats
