"""Principals: everybody who may ask, each with an address and tokens of their own."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any, get_args
from uuid import UUID

import httpx

from zeroinvoice.domain.membership import MemberJoined
from zeroinvoice.domain.roles import FOR_KEYS, Permission, Role
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.http.passwords import Passwords
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.ids import new_id

COLUMNS = (
    "anonymous", "other", "auditor", "member", "accountant", "admin", "owner", "key-", "key+",
    "half",
)  # fmt: skip
PASSWORD = "correct horse battery"
SESSIONS = 16  # begun for each person, since some requests end the one they are made in

_networks = itertools.count(1)


class Person:
    """Somebody with sessions in a workspace, who speaks HTTP from an address of their own."""

    def __init__(self, house: Any, tenant: UUID, role: Role) -> None:
        self.house, self.tenant, self.role = house, tenant, role
        self.id = new_id()
        self.sessions = [new_id() for _ in range(SESSIONS)]
        self.http = client(house)
        self.use(self.sessions[0])

    def use(self, session: UUID) -> None:
        parts = self.house.parts
        token = parts.tokens.access(self.id, self.tenant, session, 1, parts.clock())
        self.http.headers["Authorization"] = f"Bearer {token}"

    def renewable(self) -> str:
        """A refresh token that nobody has used yet."""
        token: str = self.house.parts.tokens.refresh(self.tenant, self.sessions.pop(), 1)
        return token

    def begin(self, desk: Desk) -> None:
        user = desk.new(User, self.id)
        email = f"{self.id.hex}@example.com"
        registered = user.register(email, "Jane Dev", _hashed(), "en", "here")
        desk.record(user, registered)
        for id in self.sessions:
            session = desk.new(Session, id)
            desk.record(session, session.start(self.id))


@cache
def _hashed() -> str:
    return asyncio.run(Passwords().hash(PASSWORD))


class Patient(httpx.HTTPTransport):
    """Asks again where the machine was too busy: who may do what is the question here."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(20):
            answer = super().handle_request(request)
            if answer.status_code != 503 or "/ainative/" in request.url.path:  # not set up at all
                break
            answer.read()
            time.sleep(0.25)
        return answer


def client(house: Any) -> httpx.Client:
    """Each has a network of its own, so that nobody is throttled for another."""
    n = next(_networks)
    transport = Patient(local_address=f"127.88.{n // 250}.{n % 250 + 1}")
    return httpx.Client(base_url=house.url, timeout=20, transport=transport)


def staff(house: Any, roles: Sequence[Role] = get_args(Role)) -> dict[Role, Person]:
    """A workspace with one person in each role; the owner has opened it."""
    tenant = new_id()
    people = {role: Person(house, tenant, role) for role in roles}

    def opened(desk: Desk) -> None:
        workspace = desk.new(Workspace, tenant)
        workspace = desk.record(workspace, workspace.open(people["owner"].id, Settings("Matrix")))
        others = (it for it in people.values() if it.role != "owner")
        desk.record(workspace, [MemberJoined(it.id, it.role) for it in others])
        for person in people.values():
            person.begin(desk)

    house.commit(tenant, opened)
    return people


class Principals:
    """Those of one workspace, its programs, and the strangers."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.people = staff(house)
        self.owner = self.people["owner"]
        self.stranger = staff(house, ["owner"])["owner"]
        self.nobody = client(house)
        self.half = client(house)
        self.half.headers["Authorization"] = f"Bearer {self._half_way()}"
        self._keys: dict[frozenset[Permission], httpx.Client] = {}

    def speaking(self, column: str, needed: Sequence[Permission]) -> httpx.Client:
        """Who asks in a column; a key lacks what is needed, or has all that a key can have."""
        match column:
            case "anonymous":
                return self.nobody
            case "other":
                return self.stranger.http
            case "key-":
                return self._key(FOR_KEYS - set(needed))
            case "key+":
                return self._key(FOR_KEYS)
            case "half":
                return self.half
            case _:
                return next(it for it in self.people.values() if it.role == column).http

    def _half_way(self) -> str:
        """What the owner's password opens while their second factor is to come."""
        id, parts = new_id(), self.house.parts

        def begun(desk: Desk) -> None:
            session = desk.new(Session, id)
            desk.record(session, session.start(self.owner.id, half=True))

        self.house.commit(self.owner.tenant, begun)
        token: str = parts.tokens.half_way(self.owner.id, self.owner.tenant, id, parts.clock())
        return token

    def _key(self, permissions: frozenset[Permission]) -> httpx.Client:
        if permissions not in self._keys:
            expires_at = self.house.clock() + timedelta(days=1)
            body = {
                "name": "Matrix",
                "permissions": sorted(permissions),
                "expires_at": expires_at.isoformat(),
            }
            made = self.owner.http.post("/api/workspace/api-keys", json=body)
            assert made.status_code == 201, made.text
            speaks = client(self.house)
            speaks.headers["X-API-Key"] = made.json()["token"]
            self._keys[permissions] = speaks
        return self._keys[permissions]

    def close(self) -> None:
        people = [*self.people.values(), self.stranger]
        for http in [self.nobody, self.half, *(it.http for it in people), *self._keys.values()]:
            http.close()
