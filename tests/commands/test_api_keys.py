"""API keys over HTTP: issued, used, refused, revoked."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from zeroinvoice.domain.api_key import key_token

KEYS = "/api/workspace/api-keys"
ASKED = (
    ("GET", "/api/clients"),
    ("POST", "/api/clients"),
    ("GET", "/api/auth/me"),
    ("POST", "/api/auth/logout"),
)
READS = ["clients:read", "invoices:read"]


@pytest.fixture
def program(house: Any) -> Iterator[httpx.Client]:
    """Somebody without a session."""
    with httpx.Client(base_url=house.url, timeout=10) as http:
        yield http


def issued(office: Any, *permissions: str, **more: Any) -> dict[str, Any]:
    body = {"name": "Shop", "permissions": list(permissions) or READS, **more}
    made: dict[str, Any] = office.made(KEYS, body)
    return made


def shows(token: str) -> dict[str, str]:
    return {"X-API-Key": token}


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    body: dict[str, Any] = answer.json()
    return body


def listed(office: Any, **query: Any) -> list[dict[str, Any]]:
    answer = office.get(KEYS, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_key_acts_in_its_workspace_by_either_header(office: Any, program: Any) -> None:
    made = issued(office, "clients:read", "clients:write")
    by_key = program.post("/api/clients", json={"name": "Acme"}, headers=shows(made["token"]))
    assert by_key.status_code == 201, by_key.text
    bearer = {"Authorization": f"Bearer {made['token']}"}
    found = program.get("/api/clients", headers=bearer)
    assert [it["name"] for it in found.json()["items"]] == ["Acme"]
    (fact,) = office.facts(by_key.json()["id"])
    assert (fact.origin.by.kind, fact.origin.by.id) == ("api_key", UUID(made["id"]))
    (entry,) = office.get("/api/audit/logs", params={"actor": made["id"], "action": "ClientAdded"}
                          ).json()["items"]  # fmt: skip
    assert entry["actor"] == {"type": "api_key", "id": made["id"], "name": "Shop"}


def test_its_token_is_shown_once_and_only_its_hash_is_on_record(office: Any) -> None:
    """T32: no canary in the list, the audit log or the journal."""
    made = issued(office)
    seen = listed(office)
    assert seen == [{name: it for name, it in made.items() if name != "token"}]
    assert made["ends_with"] == made["token"][-4:]
    assert made["last_used_on"] is None
    shown = office.get("/api/audit/logs").text + office.get(KEYS).text
    history = office.get(f"/api/audit/resource/api_key/{made['id']}/history")
    assert history.status_code == 200
    with psycopg.connect(office.house.database_url) as connection:
        facts = connection.execute(
            "SELECT string_agg(state, ' ') FROM facts WHERE tenant_id = %s", [office.tenant]
        ).fetchone()
    assert facts is not None
    for text in (shown, history.text, facts[0]):
        assert made["token"] not in text
        assert made["token"][50:] not in text
    assert "•••" in history.text


def test_a_repeated_issue_under_one_key_shows_the_same_token(office: Any) -> None:
    """R-CMD-1."""
    headers, body = {"Idempotency-Key": uuid4().hex}, {"name": "Shop", "permissions": READS}
    first, again = (office.post(KEYS, json=body, headers=headers) for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert len(listed(office)) == 1


def test_a_key_may_do_what_it_was_given_and_no_more(office: Any, program: Any) -> None:
    """T3: what it lacks is 403, and names what is lacking."""
    made = issued(office, "clients:read")
    headers = shows(made["token"])
    assert program.get("/api/clients", headers=headers).status_code == 200
    before = office.facts(made["id"])
    refused = program.post("/api/clients", json={"name": "Acme"}, headers=headers)
    assert problem(refused, 403, "not_permitted")["permission"] == "clients:write"
    for path in ("/api/invoices", "/api/audit/logs", KEYS, "/api/auth/me"):
        problem(program.get(path, headers=headers), 403, "not_permitted")
    problem(program.post("/api/auth/logout", headers=headers), 403, "not_permitted")
    assert len(office.facts(made["id"])) - len(before) in (0, 1)  # that it was used today


@pytest.mark.parametrize(
    "permission",
    ["account", "logout", "members:write", "keys:read", "keys:write", "bank_accounts:write"],
)
def test_no_key_is_given_what_people_alone_may_do(office: Any, permission: str) -> None:
    body = {"name": "Shop", "permissions": ["clients:read", permission]}
    problem(office.post(KEYS, json=body), 422, "not_for_keys")
    assert listed(office) == []


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"permissions": []}, 422, "no_permissions"),
        ({"permissions": ["clients:own"]}, 400, "bad_input"),
        ({"permissions": ["clients:read"] * 101}, 400, "bad_input"),
        ({"name": " "}, 422, "bad_name"),
        ({"name": "x" * 101}, 400, "bad_input"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "bad_expiry"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, 422, "bad_expiry"),
        ({"expires_at": "2099-01-01T00:00:00"}, 400, "bad_input"),
        ({"token": "zik_mine"}, 400, "bad_input"),
    ],
)
def test_a_bad_key_is_not_issued(office: Any, more: dict[str, Any], status: int, code: str) -> None:
    body = {"name": "Shop", "permissions": READS, **more}
    problem(office.post(KEYS, json=body), status, code)
    assert listed(office) == []


def test_a_wrong_revoked_or_expired_key_is_401(office: Any, program: Any, house: Any) -> None:
    """Row auth; T18: also one that is cut, in another case, or made up."""
    made, other = issued(office), issued(office)
    good = made["token"]
    keyring = house.parts.keyring
    invented = key_token(keyring, office.tenant, uuid4())
    somebody = key_token(keyring, uuid4(), UUID(made["id"]))
    session = key_token(keyring, office.tenant, office.session)  # of something that is no key
    wrong = [good[:-1], good.swapcase(), f"{good[:-5]}AAAAA", invented, somebody, session, "zik_"]
    for token in wrong:
        for headers in (shows(token), {"Authorization": f"Bearer {token}"}):
            for method, path in ASKED:
                body = {"name": "Acme"} if path.endswith("clients") else None
                answer = program.request(method, path, json=body, headers=headers)
                assert answer.status_code == 401, (token, method, path, answer.text)
                assert answer.headers["www-authenticate"] == "Bearer"
    token = office.http.headers["authorization"].removeprefix("Bearer ")
    assert program.get("/api/clients", headers=shows(token)).status_code == 401
    both = {**shows(good), "Authorization": f"Bearer {good}"}
    assert program.get("/api/clients", headers=both).status_code == 401
    assert office.delete(f"{KEYS}/{made['id']}").status_code == 204
    assert office.delete(f"{KEYS}/{made['id']}").status_code == 204  # it is revoked already
    assert program.get("/api/clients", headers=shows(good)).status_code == 401
    assert program.get("/api/clients", headers=shows(other["token"])).status_code == 200
    house.clock.moved += timedelta(days=90, seconds=5)
    late = program.get("/api/clients", headers=shows(other["token"]))
    problem(late, 401, "api_key_expired")


def test_revoked_keys_are_listed_only_if_asked_for(office: Any) -> None:
    kept, gone = issued(office, name="Kept"), issued(office, name="Gone")
    office.delete(f"{KEYS}/{gone['id']}")
    assert [it["id"] for it in listed(office)] == [kept["id"]]
    everything = listed(office, include_deleted=True, sort="name")
    assert [it["name"] for it in everything] == ["Gone", "Kept"]
    assert everything[0]["revoked_at"] is not None


def test_its_use_is_noted_once_a_day(
    office: Any, program: Any, house: Any, eventually: Any
) -> None:
    """Many requests are one fact, by the key itself; the next day has one of its own."""
    made = issued(office, "clients:read", "clients:write")
    headers = shows(made["token"])

    def uses() -> list[Any]:
        return [it for it in office.facts(made["id"]) if type(it.event).__name__ == "ApiKeyUsed"]

    for name in ("A", "B", "C"):
        assert program.get("/api/clients", headers=headers).status_code == 200
        added = program.post("/api/clients", json={"name": name}, headers=headers)
        assert added.status_code == 201
    eventually(lambda: len(uses()) == 1)
    assert uses()[0].origin.by.kind == "api_key"
    assert listed(office)[0]["last_used_on"] == str(house.clock().date())
    house.clock.moved += timedelta(days=1)
    program.get("/api/clients", headers=headers)
    program.get("/api/clients", headers=headers)
    eventually(lambda: len(uses()) == 2)


def test_a_refused_key_is_not_noted(office: Any, program: Any) -> None:
    made = issued(office, "clients:read")
    office.delete(f"{KEYS}/{made['id']}")
    program.get("/api/clients", headers=shows(made["token"]))
    program.get("/api/invoices", headers=shows(made["token"]))
    names = [type(it.event).__name__ for it in office.facts(made["id"])]
    assert names == ["ApiKeyIssued", "ApiKeyRevoked"]


def test_another_workspaces_key_is_not_there(office: Any, house: Any) -> None:
    """T4."""
    made, other = issued(office), house.office()
    assert other.delete(f"{KEYS}/{made['id']}").status_code == 404
    assert listed(other) == []
    assert len(office.facts(made["id"])) == 1
    other.http.close()


def test_a_key_makes_what_it_repeats_only_once(office: Any, program: Any) -> None:
    """R-CMD-1: an Idempotency-Key is a key's own, as it is a person's."""
    made = issued(office, "clients:write")
    headers = {**shows(made["token"]), "Idempotency-Key": uuid4().hex}
    body = {"name": "Acme"}
    first, again = (program.post("/api/clients", json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    own = office.post("/api/clients", json=body, headers={"Idempotency-Key":
                                                          headers["Idempotency-Key"]})  # fmt: skip
    assert own.json()["id"] != first.json()["id"]
