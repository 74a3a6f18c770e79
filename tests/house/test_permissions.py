"""Every route says whom it is for, or the program does not start."""

from typing import Any

import pytest

from zeroinvoice.domain.roles import ALL, READING, ROLES
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import ANYBODY, get, post
from zeroinvoice.http.writing import Writing


def show(reader: Reading) -> None:
    """Show."""


async def change(writer: Writing) -> None:
    """Change."""


async def enter() -> None:
    """Enter."""


def test_a_route_without_a_permission_cannot_be_made() -> None:
    """T3: deny by default."""
    undeclared: Any = get
    with pytest.raises(TypeError, match="may"):
        undeclared("/things")


@pytest.mark.parametrize(
    ("route", "may", "function"),
    [
        (get, "things:read", show),  # there is no such permission
        (get, ANYBODY, show),  # looks at what belongs to a tenant
        (post, ANYBODY, change),
        (post, "clients:write", enter),  # nothing would look at the permission
    ],
)
def test_a_route_whose_permission_means_nothing_cannot_be_made(
    route: Any, may: str, function: Any
) -> None:
    """T3: a permission is one that is looked at."""
    with pytest.raises(AssertionError):
        route("/things", may=may)(function)


def test_each_role_may_do_what_the_one_below_may() -> None:
    """An auditor reads everything and changes nothing but their own account."""
    assert ROLES["member"] < ROLES["accountant"] < ROLES["admin"] < ROLES["owner"] == ALL
    assert ROLES["auditor"] == READING | {"account", "logout"}
