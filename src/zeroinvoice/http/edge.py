"""The outermost layer: request ids, security headers, and what a handler tells about its answer."""

from typing import Any
from uuid import UUID

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from zeroinvoice.http.turnstile import Turnstile
from zeroinvoice.kernel.ids import new_id

SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"strict-transport-security", b"max-age=31536000"),
]
API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data:; frame-ancestors 'none'",
)
AT_ONCE = frozenset({"/api/health", "/api/health/", "/api/ready", "/api/ready/"})
PRIVATE = (b"cache-control", b"no-store")


class Told:
    """What the reader or writer of a request has to say in the answer's headers."""

    __slots__ = ("empty", "lag", "position", "replayed", "version", "whole")

    def __init__(self) -> None:
        self.position: int | None = None
        self.version: int | None = None
        self.lag = 0
        self.replayed = False
        self.whole = False  # it shows more than its own version covers
        self.empty = False  # the client has this version already


class Edge:
    """Wraps the application: gives each request an id, each answer its headers."""

    def __init__(self, app: ASGIApp, proxies: int = 0) -> None:
        self._app = app
        self._proxies = proxies  # that stand before us
        self._turnstile = Turnstile()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        if self._proxies:
            scope["client"] = _forwarded(scope, self._proxies)
        request = new_id()
        told = Told()
        scope["zi_request"] = request  # type: ignore[typeddict-unknown-key]
        scope["zi_told"] = told  # type: ignore[typeddict-unknown-key]
        api = scope["path"].startswith(("/api", "/schema", "/public"))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                if told.version is not None and message["status"] == 200 and _seen(scope, told):
                    message["status"] = 304
                    told.empty = True
                headers: list[tuple[bytes, bytes]] = list(message["headers"])
                headers.extend(SECURITY)
                headers.append(API_POLICY if api else PAGE_POLICY)
                headers.append((b"x-request-id", str(request).encode()))
                if api:
                    headers.append(PRIVATE)
                if told.position is not None:
                    headers.append((b"x-position", b"%d" % told.position))
                if told.version is not None and message["status"] < 400:
                    headers.append((b"etag", b'"%d"' % told.version))
                if told.lag:
                    headers.append((b"x-projection-lag", b"%d" % told.lag))
                if told.replayed:
                    headers.append((b"idempotent-replayed", b"true"))
                if told.empty:
                    headers = [
                        it for it in headers if it[0] not in (b"content-length", b"content-type")
                    ]
                message["headers"] = headers
            elif told.empty:
                message["body"] = b""  # type: ignore[typeddict-unknown-key]
            await send(message)

        if scope["path"] not in AT_ONCE:
            await self._turnstile.turn()
        await self._app(scope, receive, sending)


def _forwarded(scope: HTTPScope, proxies: int) -> tuple[str, int] | None:
    """What the outermost of our proxies saw; what stands left of it anybody may have written."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    seen = [it.strip() for it in b",".join(lines).decode("latin-1").split(",")]
    return (seen[-proxies], 0) if len(seen) >= proxies and seen[-proxies] else scope["client"]


def told(scope: Any) -> Told:
    answer: Told = scope["zi_told"]
    return answer


def request_id(scope: Any) -> UUID:
    id: UUID = scope["zi_request"]
    return id


def _seen(scope: HTTPScope, told: Told) -> bool:
    """Whether `If-None-Match` names the version that is about to be sent (RFC 9110 13.1.2)."""
    if scope["method"] != "GET" or told.whole:
        return False
    header = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
    if header is None:
        return False
    tags = {tag.strip().removeprefix(b"W/") for tag in header.split(b",")}
    return b"*" in tags or b'"%d"' % (told.version or 0) in tags
