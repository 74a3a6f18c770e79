"""The ways the business says no. `zeroinvoice.http.problems` gives each its status."""

from typing import Any


class Refusal(Exception):
    """A request that was understood and is not granted.

    `code` is stable and meant for programs; the message is a whole sentence for people;
    `details` are further members of the problem document, such as the balance due.
    """

    code = "refused"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = details


class BadInput(Refusal):
    """The request itself is malformed: wrong type, unknown field, not JSON."""

    code = "bad_input"

    def __init__(self, message: str, *, pointer: str = "", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.pointer = pointer  # RFC 6901, into the body; "?name" for a query parameter


class Missing(Refusal):
    """There is no such thing, or it is not yours."""

    code = "not_found"


class Refused(Refusal):
    """The thing is not in a state that allows this."""


class Invalid(Refused):
    """A well-formed request that breaks a rule of the business."""

    code = "invalid"


class Stale(Refusal):
    """Someone else changed it first."""

    code = "stale"

    def __init__(self, message: str, *, version: int) -> None:
        super().__init__(message)
        self.version = version  # what the stream is at now


class Unauthenticated(Refusal):
    """It is not known who asks."""

    code = "unauthenticated"


class Forbidden(Refusal):
    """It is known who asks, and this is not theirs to do."""

    code = "forbidden"


class Throttled(Refusal):
    """Too many attempts; try again after `retry_after` seconds."""

    code = "too_many_attempts"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """Something this needs is away or not configured; trying later may help."""

    code = "unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after  # seconds
