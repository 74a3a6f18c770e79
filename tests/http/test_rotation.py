"""Rotation of the secret: what was sealed with the former key is still ours in the next process."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from zeroinvoice.kernel.secrets import Keyring

PASSWORD = "correct horse battery"


@pytest.fixture
def generations(new_database: Any, open_house: Any, tmp_path: Any) -> Any:
    """Starts the house again on one database, with other keys of the installation."""
    url = new_database()

    def started(*keys: bytes) -> Any:
        (tmp_path / "secret.key").write_text(" ".join(key.hex() for key in keys))
        return open_house(url)

    return started


OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def test_a_keyed_request_with_a_password_is_answered_again_by_the_next_key(
    generations: Any,
) -> None:
    """T45: its outcome was bound to the former secret, and other content is still refused."""
    fields = {"username": f"{uuid4().hex}@example.com", "password": PASSWORD}
    registration = {"email": fields["username"], "full_name": "Jane", "password": PASSWORD}
    headers = {"Idempotency-Key": uuid4().hex}

    def register(house: Any, **other: str) -> httpx.Response:
        path = f"{house.url}/api/auth/register"
        return httpx.post(path, json={**registration, **other}, headers=headers, timeout=10)

    first = register(generations(OLD))
    assert first.status_code == 201, first.text
    during = generations(NEW, OLD)
    again = register(during)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    changed = register(during, password="another horse battery")
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")


def test_a_cursor_is_good_for_as_long_as_its_key_is_known(generations: Any) -> None:
    """T45: a list that is being read goes on; without the former key its cursor is 400."""
    office = generations(OLD).office()
    for name in ("Alpha", "Beta"):
        office.made("/api/clients", {"name": name})
    page = office.get("/api/clients", params={"limit": 1}).json()
    for keys, status in (((NEW, OLD), 200), ((NEW,), 400)):
        house = generations(*keys)
        token = house.parts.tokens.access(
            office.user, office.tenant, office.session, 1, house.parts.clock()
        )
        said = httpx.get(
            f"{house.url}/api/clients",
            params={"limit": 1, "cursor": page["next_cursor"]},
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )
        assert said.status_code == status, said.text


def test_the_first_key_seals_and_every_key_is_known() -> None:
    """T45: by each purpose of its own."""
    old, both, new = Keyring(OLD), Keyring(NEW, OLD), Keyring(NEW)
    assert both.seal("a", "text") == new.seal("a", "text")
    assert both.seals("a", "text") == (new.seal("a", "text"), old.seal("a", "text"))
    assert both.holds("a", "text", old.seal("a", "text"))
    assert not new.holds("a", "text", old.seal("a", "text"))
    assert not both.holds("b", "text", old.seal("a", "text"))
    for weak in ((), (b"short",), (NEW, b"short")):
        with pytest.raises(ValueError, match="32 bytes"):
            Keyring(*weak)
