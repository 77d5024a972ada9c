"""What is raised. Instances hold no secret and survive pickling."""

from __future__ import annotations


class Pay88Error(Exception):
    """What went wrong, and whether a request can have reached 88Pay. Each code has a subclass.

    code         such as "rate_limited" or "credentials_rejected"; the same in all languages
    message      what happened
    hint         what to do about it
    outcome      "not_sent": safe to repeat; "unknown": it may have arrived, look it up and do not repeat it;
                 "answered": a complete answer came
    http_status  the status that caused it, or None
    retry_after  seconds to wait before the next try makes sense, or None
    retryable    whether the same call may be tried again later and can then succeed
    attempt      the number of the token refresh that failed, or None: all who waited for it get the same

    Made by the library only, from these eight in this order.
    """

    args: tuple[str, str, str, str, int | None, float | None, bool, int | None]

    # All is in args, which is what pickle and copy keep. There is no __init__, since the compiled part makes the instances
    # and must not run Python code on threads that the end of the interpreter may hit.

    @property
    def code(self) -> str:
        return self.args[0]

    @property
    def message(self) -> str:
        return self.args[1]

    @property
    def hint(self) -> str:
        return self.args[2]

    @property
    def outcome(self) -> str:
        return self.args[3]

    @property
    def http_status(self) -> int | None:
        return self.args[4]

    @property
    def retry_after(self) -> float | None:
        return self.args[5]

    @property
    def retryable(self) -> bool:
        return self.args[6]

    @property
    def attempt(self) -> int | None:
        return self.args[7]

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.hint}".rstrip()

    def __repr__(self) -> str:
        return f"<pay88.{type(self).__name__} {self}>"


class ConfigInvalidError(Pay88Error, ValueError):
    """An option, credential or argument cannot be used, or the manager is closed; nothing was sent."""


class RefusedError(Pay88Error, ValueError):
    """An endpoint or header would endanger the token; nothing was sent."""


class CredentialsRejectedError(Pay88Error, PermissionError):
    """The token endpoint answered 401: wrong API key or merchant ID."""


class AccessDeniedError(Pay88Error, PermissionError):
    """The token endpoint answered 403: account or address not allowed."""


class RateLimitedError(Pay88Error):
    """No token may be asked for now: the token endpoint answered 429, or the local budget is used up. Has retry_after."""


class TimedOutError(Pay88Error, TimeoutError):
    """The deadline passed (code "timeout"). A TimeoutError."""


class CanceledError(Pay88Error):
    """The manager was closed while the call was pending."""


class ConnectionFailedError(Pay88Error, ConnectionError):
    """No connection could be had, or it was cut."""


class TlsFailedError(Pay88Error, ConnectionError):
    """TLS could not be agreed, or the certificate was not accepted."""


class BadResponseError(Pay88Error):
    """The answer is not what 88Pay documents, was cut, or is too large."""


class HttpError(Pay88Error):
    """A status of 400 or above, where raise_for_status() asked for an exception."""


class InternalError(Pay88Error):
    """A fault of the library or of its host; please report it."""


class ForkedError(Pay88Error):
    """The call was begun before a fork, in the parent process."""


def forked(outcome: str, retryable: bool) -> ForkedError:
    """For a call of the parent, which goes on with it. Of one that is "unknown" a child cannot tell how far it is."""
    hint = "Ask again in this process."
    if outcome == "unknown":
        hint = "The parent goes on with it: unless repeating it does no harm, look the transaction up."
    message = "The call was begun before a fork, in the parent process."
    return ForkedError("forked", message, hint, outcome, None, None, retryable, None)


CLASSES: dict[str, type[Pay88Error]] = {
    "config_invalid": ConfigInvalidError,
    "refused": RefusedError,
    "credentials_rejected": CredentialsRejectedError,
    "access_denied": AccessDeniedError,
    "rate_limited": RateLimitedError,
    "timeout": TimedOutError,
    "canceled": CanceledError,
    "connection_failed": ConnectionFailedError,
    "tls_failed": TlsFailedError,
    "bad_response": BadResponseError,
    "http_error": HttpError,
    "internal": InternalError,
    "forked": ForkedError,
}
