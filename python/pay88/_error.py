"""What is raised. Errors hold no secret. They can be pickled and copied, and a program can make them, above all in mocks."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from ._response import Response

    Code = Literal[
        "config_invalid",
        "refused",
        "credentials_rejected",
        "access_denied",
        "rate_limited",
        "timeout",
        "canceled",
        "connection_failed",
        "tls_failed",
        "bad_response",
        "http_error",
        "internal",
        "forked",
    ]
    Outcome = Literal["not_sent", "unknown", "answered"]


class Pay88Error(Exception):
    """Says what went wrong, and whether a request can have reached 88Pay. Each code has a subclass.

    code         such as "rate_limited" or "credentials_rejected"; the same in all languages
    message      what happened
    hint         what to do about it
    outcome      "not_sent": nothing was sent, it is safe to repeat; "unknown": the call may have arrived, look it up
                 and do not repeat it; "answered": a complete answer came
    http_status  the status of the answer that caused the error, or None
    retry_after  seconds to wait before another try makes sense, or None
    retryable    whether you may try the same call again later and it can then succeed
    attempt      the number of the token request that failed, or None. All callers that waited for it get the same
    response     the answer of an HttpError, otherwise None

    A program can make an error from a message, for example RateLimitedError("Later.", retry_after=60) in a mock. An
    attribute that is not passed has the value that it has most often in such errors. retryable is then True only if
    nothing was sent.
    """

    # The values that most errors of a class have. The compiled part sets them on an instance without calling __init__,
    # because it must not run Python code on threads that the end of the interpreter may hit.
    code: Code = "internal"
    outcome: Outcome = "unknown"
    message: str = ""
    hint: str = ""
    http_status: int | None = None
    retry_after: float | None = None
    retryable: bool = False
    attempt: int | None = None
    response: Response | None = None

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        outcome: Outcome | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        attempt: int | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.outcome = outcome or type(self).outcome
        if http_status is None and response is not None:
            http_status = response.status_code
        self.http_status = http_status
        self.retry_after = retry_after
        self.retryable = self.outcome == "not_sent" and self.code in _TRANSIENT if retryable is None else retryable
        self.attempt = attempt
        self.response = response

    def __str__(self) -> str:
        message = self.message
        if self.hint and not message.endswith((".", "!", "?")):
            message += "."
        return f"{self.code}: {message} {self.hint}".rstrip()

    def __repr__(self) -> str:
        return f"<pay88.{type(self).__name__} {self}>"


class ConfigInvalidError(Pay88Error, ValueError, TypeError):
    """An option, credential or argument cannot be used, or the manager is closed; nothing was sent."""

    code = "config_invalid"
    outcome = "not_sent"


class RefusedError(Pay88Error, ValueError):
    """An endpoint or header would endanger the token; nothing was sent."""

    code = "refused"
    outcome = "not_sent"


class CredentialsRejectedError(Pay88Error, PermissionError):
    """The token endpoint answered 401: wrong API key or merchant ID."""

    code = "credentials_rejected"
    outcome = "not_sent"


class AccessDeniedError(Pay88Error, PermissionError):
    """The token endpoint answered 403: account or address not allowed."""

    code = "access_denied"
    outcome = "not_sent"


class RateLimitedError(Pay88Error):
    """No new token is allowed now: the token endpoint answered 429, or the limits that are counted here are used up.

    It has retry_after.
    """

    code = "rate_limited"
    outcome = "not_sent"


class TimedOutError(Pay88Error, TimeoutError):
    """The time limit passed before there was a result (code "timeout"). It is a TimeoutError too."""

    code = "timeout"


class CanceledError(Pay88Error):
    """The manager was closed, or the caller gave up, while the call was pending."""

    code = "canceled"


class ConnectionFailedError(Pay88Error, ConnectionError):
    """No connection could be made, or it was cut."""

    code = "connection_failed"


class TlsFailedError(Pay88Error, ConnectionError):
    """The TLS handshake failed, or the certificate was not accepted."""

    code = "tls_failed"
    outcome = "not_sent"


class BadResponseError(Pay88Error):
    """The answer is not as 88Pay documents it, was cut, or is too large."""

    code = "bad_response"


class HttpError(Pay88Error):
    """The answer has a status of 400 or above, and raise_for_status() was called. The attribute response is the answer."""

    code = "http_error"
    outcome = "answered"


class InternalError(Pay88Error):
    """The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says
    which.
    """

    code = "internal"


class ForkedError(Pay88Error):
    """The call was begun before a fork, in the parent process."""

    code = "forked"


_TRANSIENT = ("rate_limited", "timeout", "connection_failed", "forked")


def forked(outcome: Outcome, retryable: bool) -> ForkedError:
    """The error for a call of the parent, which goes on with it. A child cannot tell how far an "unknown" call has
    come.
    """
    hint = "Ask again in this process."
    if outcome == "unknown":
        hint = "The parent process goes on with the call. Look the transaction up, unless repeating it does no harm."
    message = "The call was begun before a fork, in the parent process."
    return ForkedError(message, hint=hint, outcome=outcome, retryable=retryable)


CLASSES: dict[str, type[Pay88Error]] = {
    error.code: error
    for error in (
        ConfigInvalidError,
        RefusedError,
        CredentialsRejectedError,
        AccessDeniedError,
        RateLimitedError,
        TimedOutError,
        CanceledError,
        ConnectionFailedError,
        TlsFailedError,
        BadResponseError,
        HttpError,
        InternalError,
        ForkedError,
    )
}
