"""Routes: the five verbs as this house uses them, and a request that reads JSON our way."""

from collections.abc import Callable
from inspect import getdoc, iscoroutinefunction, signature
from typing import Any, Literal

import litestar
from litestar import Request
from litestar.exceptions import ClientException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from zeroinvoice.domain.roles import ALL, FOR_KEYS, Permission
from zeroinvoice.http.bodies import decoded
from zeroinvoice.http.past import AsOf, kept_to_now, operation
from zeroinvoice.http.problems import documented

READ_ERRORS = (400, 401, 403, 404, 422, 429, 503)
ASK_ERRORS = (*READ_ERRORS, 415)
ANYBODY: Literal["anybody"] = "anybody"  # of routes for those who are not logged in, too
May = Permission | Literal["anybody"]
WRITE_ERRORS = (400, 401, 403, 404, 409, 412, 415, 422, 429, 503)


class ApiRequest(Request[Any, Any, Any]):
    """A request whose JSON is read by the one decoder, straight into the handler's type."""

    async def json(self) -> Any:
        kind, _, _ = self.headers.get("content-type", "").partition(";")
        if kind.strip().lower() != "application/json":
            raise _unsupported()
        field = self.route_handler.parsed_data_field
        assert field is not None
        return decoded(await self.body(), field.annotation)


class UnsupportedMedia(ClientException):
    status_code = 415


def _unsupported() -> UnsupportedMedia:
    return UnsupportedMedia(detail="Send the body as application/json.")


def operation_id(handler: HTTPRouteHandler, method: Any, path: Any) -> str:
    """`area.verb`, such as `invoices.send`."""
    function = getattr(handler.fn, "func", handler.fn)  # a plain function is wrapped by Litestar
    area = function.__module__.rpartition(".")[2]
    return f"{area}.{handler.handler_name.rpartition('.')[2]}"


def _tag(path: str | list[str]) -> str:
    """The heading a route stands under in the API's description: the first word of its path."""
    first = path if isinstance(path, str) else path[0]
    word = first.lstrip("/").partition("/")[0]
    return {"ready": "health"}.get(word, word.replace("-", " "))


def permissions(handler: HTTPRouteHandler) -> tuple[Permission, ...]:
    """What a route asks for of whoever speaks for themselves."""
    may: May = handler.opt["may"]
    return () if may == "anybody" else (may,)


def _described(path: str | list[str], function: Callable[..., Any], may: May) -> dict[str, Any]:
    """What a route asks for, and what the API's description says of it.

    Its docstring begins with the summary. Permissions are looked at by whoever reads or writes
    for a request, so a route that asks for one has a reader or a writer.
    """
    assert may in ALL or may == ANYBODY, f"{path}: there is no permission {may!r}"
    inside = not {"writer", "reader"}.isdisjoint(signature(function).parameters)
    assert inside == (may != ANYBODY), f"{path} would let in whoever comes, or nobody"
    summary, _, more = (getdoc(function) or "").partition("\n\n")
    return {
        "may": may,
        "operation_id": operation_id,
        "tags": [_tag(path)],
        "security": _security(may),
        "summary": " ".join(summary.split()).rstrip("."),
        "description": " ".join(more.split()) or None,
    }


def _security(may: May) -> list[dict[str, list[str]]]:
    """What may be sent to be let in; an API key only where one can be permitted."""
    if may == "anybody":
        return [{}]
    keys: list[dict[str, list[str]]] = [{"api_key": []}] if may in FOR_KEYS else []
    return [{"bearer": []}, *keys]


Route = Callable[..., Callable[[Callable[..., Any]], HTTPRouteHandler]]


def _reads(verb: Any, errors: tuple[int, ...]) -> Route:
    """A read: a plain function, run in the bounded thread pool, unless it is async itself.

    Without a word on `as_of`, a list that comes in parts is of now, as is what a body asks for,
    and what else a reader shows can be had of any instant. `files` are the media types that an
    answer may have beside JSON.
    """

    def route(
        path: str | list[str],
        *,
        may: May,
        errors: tuple[int, ...] = errors,
        responses: dict[int, ResponseSpec] | None = None,
        as_of: AsOf | None = None,
        files: tuple[str, ...] = (),
        **options: Any,
    ) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
        def made(function: Callable[..., Any]) -> HTTPRouteHandler:
            taken = signature(function).parameters
            whole = "reader" in taken and "listing" not in taken and "data" not in taken
            past = as_of or ("instant" if whole else "never")
            handler: HTTPRouteHandler = verb(
                path,
                status_code=200,
                sync_to_thread=None if iscoroutinefunction(function) else True,
                responses={**documented(*errors), **(responses or {})},
                guards=[kept_to_now],
                operation_class=operation(past, files),
                as_of=past,
                **_described(path, function, may),
                **options,
            )(function)
            return handler

        return made

    return route


def _writes(verb: Any, status: int) -> Route:
    def route(
        path: str | list[str],
        *,
        may: May,
        status_code: int = status,
        responses: dict[int, ResponseSpec] | None = None,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
        def made(function: Callable[..., Any]) -> HTTPRouteHandler:
            handler: HTTPRouteHandler = verb(
                path,
                status_code=status_code,
                responses={**documented(*WRITE_ERRORS), **(responses or {})},
                guards=[kept_to_now],
                **_described(path, function, may),
                **options,
            )(function)
            return handler

        return made

    return route


get = _reads(litestar.get, READ_ERRORS)
ask = _reads(litestar.post, ASK_ERRORS)  # a read whose question is a body; it writes nothing
post = _writes(litestar.post, 201)
put = _writes(litestar.put, 200)
patch = _writes(litestar.patch, 200)
delete = _writes(litestar.delete, 204)

__all__ = [
    "ANYBODY",
    "ApiRequest",
    "ask",
    "delete",
    "get",
    "operation_id",
    "patch",
    "permissions",
    "post",
    "put",
]
