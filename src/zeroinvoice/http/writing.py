"""The writer: hands a request's decision to the committer and tells what became of it."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency

from zeroinvoice.domain.principal import Asking, Principal, not_permitted
from zeroinvoice.domain.roles import Permission
from zeroinvoice.http.edge import told
from zeroinvoice.http.origins import origin_of
from zeroinvoice.http.routes import permissions
from zeroinvoice.journal.command import Command, Key
from zeroinvoice.journal.committer import Committer
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import HOUSE, Actor, Event, Origin, State
from zeroinvoice.kernel.refusals import BadInput

S = TypeVar("S", bound=State[Any])
T = TypeVar("T")

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ETAG = re.compile(r'"(\d{1,9})"')


class Writer:
    """What one request may record, in whose name."""

    def __init__(
        self,
        request: Request[Any, Any, Any],
        committer: Committer,
        principal: Asking | None,
        admitted: Callable[[Asking], None] = lambda _: None,
    ) -> None:
        self._request = request
        self._committer = committer
        self._principal = principal
        self._admitted = admitted  # told whom it was who was let in
        self._needed: list[Permission] = [*permissions(request.route_handler)]

    @property
    def tenant(self) -> UUID:
        return self._principal.tenant if self._principal else HOUSE

    @property
    def principal(self) -> Principal:
        """The person who asks. Raises `Forbidden` for an API key, which is nobody's account."""
        assert self._principal is not None, "this route is for those who are logged in"
        if not isinstance(self._principal, Principal):
            raise not_permitted("account")
        return self._principal

    @property
    def has_key(self) -> bool:
        """Whether the request is told apart from its repetitions by an Idempotency-Key."""
        return "idempotency-key" in self._request.headers

    def needs(self, permission: Permission) -> None:
        """Ask for one more permission than the route does, since the body wants more."""
        self._needed.append(permission)

    async def decide(self, kind: type[S], id: UUID, verb: Callable[[S], Iterable[Event]]) -> S:
        """One decision on one stream that exists; answers the state it led to."""

        def decision(desk: Desk) -> S:
            state = desk.open(kind, id)
            return desk.record(state, verb(state))

        return await self.commit(decision, wants=[(kind, id)])

    async def commit(
        self,
        decision: Callable[[Desk], T],
        *,
        wants: Sequence[tuple[type[State[Any]], UUID]] = (),
        bound: str | tuple[str, ...] = "",
    ) -> T:
        """A decision over the streams it opens: all it records is committed, or nothing.

        `wants` names streams it will surely open, which saves a round trip. The answer's
        first state gives the ETag. `bound` is what an Idempotency-Key is bound to beside the
        body: a token that came in a cookie, or secrets where the body holds a password, of which
        the first is the current one.
        Raises whatever the decision refuses with.
        """
        key = await self._key((bound,) if isinstance(bound, str) else bound)
        expected = expected_versions(self._request)
        return await self._submit(decision, self._origin(), wants, key, expected)

    async def go_on(self, decision: Callable[[Desk], T]) -> T:
        """One more part of what was committed before it, where that is too much for one command.

        The key and the version that the request names are those of its first part. Each part can
        be done again: who repeats the request carries on where it was interrupted.
        """
        origin = self._origin()
        return await self._submit(decision, origin.but(correlation=origin.request))

    async def _submit(
        self,
        decision: Callable[[Desk], T],
        origin: Origin,
        wants: Sequence[tuple[type[State[Any]], UUID]] = (),
        key: Key | None = None,
        expected: tuple[int, ...] | None = None,
    ) -> T:
        request, tenant = self._request, self.tenant
        places: list[tuple[type[State[Any]], tuple[UUID, UUID]]] = [
            (kind, (tenant, id)) for kind, id in wants
        ]
        guard, principal, needed = None, self._principal, tuple(self._needed)
        if principal is not None:
            places.extend((kind, (tenant, id)) for kind, id in principal.standing)

            def guard(desk: Desk) -> None:
                principal.admit(desk, needed)
                self._admitted(principal)

        command = Command(
            tenant, origin, decision, wants=places, guard=guard, key=key, expected=expected
        )
        done = await self._committer.submit(command)
        answer = told(request.scope)
        answer.position = done.position or answer.position
        answer.replayed = answer.replayed or done.replayed
        first = done.answer[0] if isinstance(done.answer, tuple) and done.answer else done.answer
        if isinstance(first, State):
            answer.version = first.version
        return done.answer  # type: ignore[no-any-return]

    def _origin(self) -> Origin:
        principal = self._principal
        return origin_of(self._request, principal.actor if principal else Actor("anonymous"))

    async def _key(self, bound: tuple[str, ...]) -> Key | None:
        request = self._request
        header = request.headers.get("idempotency-key")
        if header is None:
            return None
        if len(request.headers.getall("idempotency-key")) > 1:
            raise BadInput("Send one Idempotency-Key.")
        text = header[1:-1] if len(header) > 2 and header[0] == header[-1] == '"' else header
        if _KEY.fullmatch(text) is None:
            raise BadInput("An Idempotency-Key has 1 to 255 visible ASCII characters.")
        who = self._principal.actor.id if self._principal else HOUSE
        path = request.scope["path"].rstrip("/")
        scope = "\n".join((self.tenant.hex, who.hex, request.method, path, text))
        query = "&".join(sorted(request.scope["query_string"].decode("latin-1").split("&")))
        content = request.headers.get("content-type", "")
        body = await request.body()
        used, *formerly = (
            hashlib.sha256("\n".join((query, content, it)).encode() + body).digest() for it in bound
        )
        return Key(hashlib.sha256(scope.encode()).digest(), used, tuple(formerly))


def expected_versions(request: Request[Any, Any, Any]) -> tuple[int, ...] | None:
    """The versions `If-Match` names (RFC 9110 13.1.1); None when any will do.

    A weak or malformed tag names no version, so it never matches.
    """
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    found = (_ETAG.fullmatch(part.strip()) for part in header.split(","))
    return tuple(int(match[1]) for match in found if match)


Writing = NamedDependency[Writer]
