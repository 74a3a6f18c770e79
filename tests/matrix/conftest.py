"""What the matrix and its neighbours share: the operations as served, and somebody for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from belongings import Belongings
from examples import BESIDES, EXAMPLES, PASSWORD, Asked, Example, Made
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from principals import Principals

from zeroinvoice.domain.roles import Permission
from zeroinvoice.http.routes import operation_id, permissions


@dataclass(frozen=True)
class Operation:
    """A method on a path, as the application serves it."""

    method: str
    path: str
    name: str  # area.verb, and what its body says where that decides who may
    handler: HTTPRouteHandler

    @property
    def row(self) -> str:
        """How the table calls it."""
        _, _, more = self.name.partition(" ")
        return f"{self.method} {self.path}" + (f" [{more}]" if more else "")

    @property
    def needed(self) -> tuple[Permission, ...]:
        return (*permissions(self.handler), *BESIDES.get(self.name, ()))

    def send(self, http: Any, example: Example) -> Any:
        return http.request(
            self.method,
            self.path.format(**example.path),
            json=example.json,
            data=example.data,
            params=example.query,
        )


def _operations(app: Any) -> list[Operation]:
    found = []
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or not route.path.startswith(("/api", "/public")):
            continue
        for handler in route.route_handlers:
            for method in sorted(set(handler.http_methods) - {"OPTIONS", "HEAD"}):
                name = operation_id(handler, method, route.path)
                words = [it for it in EXAMPLES if it == name or it.startswith(f"{name} ")]
                for each in words or [name]:
                    found.append(Operation(method, route.path_format, each, handler))
    return sorted(found, key=lambda it: (it.path, it.row))


@pytest.fixture(scope="session")
def operations(house: Any) -> list[Operation]:
    """Every operation that is served, from the application's own routes."""
    return _operations(house.app._app)


@pytest.fixture(scope="module")
def principals(house: Any) -> Iterator[Principals]:
    house.clock.moved *= 0
    it = Principals(house)
    yield it
    it.close()


@pytest.fixture(scope="module")
def asked(principals: Principals) -> Asked:
    """What a workspace has, for examples to be about."""
    return _asked(principals)


def _asked(principals: Principals) -> Asked:
    email = f"{uuid4().hex}@example.com"
    body = {"email": email, "password": PASSWORD, "full_name": "Jane Dev"}
    made = principals.nobody.post("/api/auth/register", json=body)
    assert made.status_code == 201, made.text
    return Asked(principals, email)


@pytest.fixture(scope="session")
def examples() -> dict[str, Made]:
    return EXAMPLES


@pytest.fixture(scope="module")
def foreign(principals: Principals) -> Belongings:
    """What another workspace has of the same kinds."""
    return Belongings(principals.stranger.http, str(principals.stranger.id))
