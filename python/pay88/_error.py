"""What is raised. Instances hold no secret and survive pickling."""

from __future__ import annotations


class Pay88Error(Exception):
    """What went wrong, and whether a request can have reached 88Pay.

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
        return f"<pay88.Pay88Error {self}>"
