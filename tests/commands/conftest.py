"""What tests of access share: visitors, each from a network of their own."""

import email
import itertools
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

PASSWORD = "correct horse battery"
_networks = itertools.count(1)


class Visitor:
    """Somebody with an address of their own, so that no test is throttled for another."""

    def __init__(self, house: Any) -> None:
        n = next(_networks)
        self.house = house
        self.ip = f"127.77.{n // 250}.{n % 250 + 1}"
        self.http = httpx.Client(
            base_url=house.url,
            timeout=20,
            transport=httpx.HTTPTransport(local_address=self.ip),
            headers={"User-Agent": "visitor/1"},
        )
        self.email = f"Someone.{uuid4().hex[:12]}@Example.com"
        self.profile: dict[str, Any] = {}

    @property
    def tenant(self) -> UUID:
        return UUID(self.profile["workspace"]["id"])

    @property
    def user(self) -> UUID:
        return UUID(self.profile["id"])

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.http.post(path, json=body, headers=headers)

    def register(self, **more: Any) -> httpx.Response:
        body = {"email": self.email, "password": PASSWORD, "full_name": "Jane Dev", **more}
        answer = self.post("/api/auth/register", body)
        if answer.status_code == 201:
            self.profile = answer.json()
        return answer

    def login(self, password: str = PASSWORD, **more: Any) -> httpx.Response:
        fields = {"username": self.email, "password": password}
        return self.http.post("/api/auth/login", data=fields, **more)

    def entered(self) -> dict[str, Any]:
        """The tokens of a new login."""
        answer = self.login()
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def me(self, tokens: dict[str, Any]) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        return self.http.get("/api/auth/me", headers=bearer)

    def facts(self, stream: UUID | None = None) -> list[str]:
        """The names of what is on record of the user, or of another stream of theirs."""
        journal = self.house.parts.journal
        return [type(it.event).__name__ for it in journal.history(self.tenant, stream or self.user)]

    def head(self) -> int:
        """The journal's last position."""
        with psycopg.connect(self.house.database_url, autocommit=True) as connection:
            row = connection.execute("SELECT coalesce(max(position), 0) FROM facts").fetchone()
        assert row is not None
        position: int = row[0]
        return position

    def mailed(self, many: int) -> list[EmailMessage]:
        """The letters to this visitor, once there are so many."""
        until = time.monotonic() + 15
        while len(letters := self.letters()) < many:
            assert time.monotonic() < until, f"waited for {many} letters, got {len(letters)}"
            time.sleep(0.02)
        return letters

    def letters(self) -> list[EmailMessage]:
        """The letters to this visitor so far, the oldest first."""
        folder = self.house.settings.mail_dir
        found = [
            email.message_from_bytes(path.read_bytes(), policy=default)
            for path in sorted(folder.glob("*.eml"))
        ]
        return [it for it in found if it["To"] == self.email]


@pytest.fixture
def visitors(house: Any) -> Iterator[Callable[[], Visitor]]:
    """Makes visitors who have not registered yet."""
    made: list[Visitor] = []

    def one() -> Visitor:
        made.append(Visitor(house))
        return made[-1]

    house.clock.moved *= 0
    yield one
    house.clock.moved *= 0
    for visitor in made:
        visitor.http.close()


@pytest.fixture
def visitor(visitors: Callable[[], Visitor]) -> Visitor:
    return visitors()


@pytest.fixture
def jane(visitor: Visitor) -> Visitor:
    """A visitor who has registered."""
    assert visitor.register().status_code == 201
    return visitor
