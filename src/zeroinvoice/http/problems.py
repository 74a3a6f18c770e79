"""Problems (RFC 9457): the one place that knows which refusal has which status."""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from zeroinvoice.kernel.refusals import (
    BadInput,
    Forbidden,
    Invalid,
    Missing,
    Refusal,
    Refused,
    Stale,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from zeroinvoice.kernel.value import Value

log = structlog.get_logger()
PROBLEM_JSON = "application/problem+json"

STATUS: dict[type[Refusal], int] = {
    BadInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    Missing: 404,
    Refused: 409,
    Stale: 412,
    Invalid: 422,
    Throttled: 429,
    Unavailable: 503,
}
TITLES = {
    400: "The request is malformed",
    401: "It is not known who asks",
    403: "This is not yours to do",
    404: "There is no such thing",
    405: "This resource has no such method",
    409: "Its state does not allow this",
    412: "Someone else changed it first",
    413: "The body is too large",
    415: "This content type is not taken here",
    422: "This breaks a rule",
    428: "Name the version you saw",
    429: "Too many attempts",
    500: "This is our fault",
    503: "Not to be had at the moment",
}
CODES = {
    400: "bad_input",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_attempts",
}


class FieldError(Value):
    pointer: str  # RFC 6901 into the body, or "?name" for a query parameter
    code: str
    detail: str


class Problem(Value):
    """An error, as RFC 9457 has it. `code` is stable; further members depend on it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    trace_id: str
    errors: list[FieldError] = []


def problem(
    request_path: str,
    trace: str,
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    **more: Any,
) -> bytes:
    """The body of a problem document."""
    body = msgspec.to_builtins(
        Problem(
            type=f"/problems/{code}",
            title=TITLES.get(status, "Error"),
            status=status,
            code=code,
            detail=detail,
            instance=request_path,
            trace_id=trace,
            errors=errors or [],
        )
    )
    return msgspec.json.encode({**body, **more})


def _response(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    errors: list[FieldError] | None = None,
    **more: Any,
) -> Response[bytes]:
    trace = str(request.scope.get("zi_request", ""))
    return Response(
        problem(request.url.path, trace, status, code, detail, errors=errors, **more),
        status_code=status,
        media_type=PROBLEM_JSON,
        headers=headers,
    )


def refused(request: Request[Any, Any, Any], no: Refusal) -> Response[bytes]:
    """A refusal of the business, with its status."""
    status = next(STATUS[kind] for kind in type(no).__mro__ if kind in STATUS)
    headers: dict[str, str] = {}
    errors = None
    if isinstance(no, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(no, Stale):
        headers["ETag"] = f'"{no.version}"'
    if isinstance(no, (Throttled, Unavailable)):
        headers["Retry-After"] = str(no.retry_after)
    if isinstance(no, BadInput):
        errors = [FieldError(no.pointer, no.code, no.message)]
    return _response(
        request, status, no.code, no.message, headers=headers, errors=errors, **no.details
    )


def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework found wrong before a handler ran."""
    status = error.status_code
    errors = None
    detail = error.detail or TITLES.get(status, "Error")
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        errors = [
            FieldError(_pointer(item), "bad_input", _why(item))
            for item in error.extra
            if isinstance(item, dict)
        ]
        detail = "; ".join(f"{e.pointer or 'request'}: {e.detail}" for e in errors) or detail
    if status == 404:
        detail = "There is nothing at this address."
    code = CODES.get(status, "error")
    headers = dict(error.headers or {})
    return _response(request, status, code, detail, headers=headers, errors=errors)


def _pointer(item: dict[str, Any]) -> str:
    key = str(item.get("key", ""))
    if key == "data":  # how handlers call the body
        return ""
    return f"?{key}" if item.get("source") == "query" else f"/{key}" if key else ""


def _why(item: dict[str, Any]) -> str:
    why = str(item.get("message", ""))
    return "Send a body." if why == "'data'" else why  # all the framework says of one that lacks


def fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: logged whole, shown without a word of the inside."""
    log.error(
        "fault",
        request=str(request.scope.get("zi_request", "")),
        method=request.method,
        path=request.url.path,
        exc_info=error,
    )
    return _response(request, 500, "fault", "Something went wrong here; it has been logged.")


handlers: dict[Any, Any] = {Refusal: refused, HTTPException: framework, Exception: fault}


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """What the API description says of the errors a route may answer with."""
    return {
        status: ResponseSpec(
            Problem,
            description=TITLES[status],
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status in statuses
    }
