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
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        outcome: str = "not_sent",
        http_status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
        attempt: int | None = None,
    ) -> None:
        # All of it, since that is what pickle and copy pass to a new instance.
        super().__init__(code, message, hint, outcome, http_status, retry_after, retryable, attempt)
        self.code = code
        self.message = message
        self.hint = hint
        self.outcome = outcome
        self.http_status = http_status
        self.retry_after = retry_after
        self.retryable = retryable
        self.attempt = attempt

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.hint}".rstrip()

    def __repr__(self) -> str:
        return f"<pay88.{type(self).__name__} {self}>"


class ConfigInvalidError(Pay88Error, ValueError):
    """An option, credential or argument cannot be used, or the manager is closed; nothing was sent."""


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


class RefusedError(Pay88Error, ValueError):
    """An endpoint or header would endanger the token; nothing was sent."""


class HttpError(Pay88Error):
    """A status of 400 or above, where raise_for_status() asked for an exception."""


class ForkedError(Pay88Error):
    """The call was begun before a fork, in the parent process."""


class InternalError(Pay88Error):
    """A fault of the library or of its host; please report it."""


CLASSES: dict[str, type[Pay88Error]] = {
    "config_invalid": ConfigInvalidError,
    "credentials_rejected": CredentialsRejectedError,
    "access_denied": AccessDeniedError,
    "rate_limited": RateLimitedError,
    "timeout": TimedOutError,
    "canceled": CanceledError,
    "connection_failed": ConnectionFailedError,
    "tls_failed": TlsFailedError,
    "bad_response": BadResponseError,
    "refused": RefusedError,
    "http_error": HttpError,
    "forked": ForkedError,
    "internal": InternalError,
}


def of(
    code: str,
    message: str,
    hint: str,
    outcome: str,
    http_status: int | None,
    retry_after: float | None,
    retryable: bool,
    attempt: int | None,
) -> Pay88Error:
    """The exception of a code; codes of later releases of the library have none of their own."""
    return CLASSES.get(code, Pay88Error)(code, message, hint, outcome, http_status, retry_after, retryable, attempt)
