"""Clients, listed and searched."""

from typing import Any

import psycopg
import pytest


@pytest.fixture
def acme(office: Any) -> dict[str, Any]:
    body = {
        "name": "Acme Rockets",
        "email": "billing@acme.example",
        "phone": "(415) 555-2671",
        "country": "US",
        "tax_id": "DE 123.456.789",
    }
    made: dict[str, Any] = office.made("/api/clients", body)
    return made


def listed(office: Any, **params: Any) -> list[str]:
    answer = office.get("/api/clients/", params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


def found(office: Any, q: str, **params: Any) -> list[dict[str, Any]]:
    answer = office.get("/api/clients/search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_list_shows_what_the_single_view_shows(office: Any, acme: dict[str, Any]) -> None:
    (item,) = office.get("/api/clients").json()["items"]
    view = office.get(f"/api/clients/{acme['id']}").json()
    assert {name: view[name] for name in item if name != "deleted"} == {
        name: value for name, value in item.items() if name != "deleted"
    }


def test_lists_are_filtered_and_sorted(office: Any) -> None:
    """R-CMD-7 and rule 4."""
    for name, currency, tags in (
        ("beta", "EUR", ["vip"]),
        ("Alpha", "USD", ["vip", "north"]),
        ("Gamma", "USD", []),
    ):
        office.made("/api/clients", {"name": name, "currency": currency, "tags": tags})
    assert listed(office) == ["Gamma", "Alpha", "beta"]
    assert listed(office, sort="name") == ["Alpha", "beta", "Gamma"]
    assert listed(office, currency="USD", sort="-name") == ["Gamma", "Alpha"]
    assert listed(office, tag="vip") == ["Alpha", "beta"]
    assert listed(office, tag=["vip", "north"]) == ["Alpha"]
    assert listed(office, q="LPH") == ["Alpha"]
    assert listed(office, q="%") == []
    assert listed(office, created_from="2100-01-01T00:00:00Z") == []
    assert listed(office, created_to="2100-01-01T00:00:00Z", limit=1) == ["Gamma"]
    page = office.get("/api/clients", params={"limit": 2, "include_total": True}).json()
    assert page["total"] == 3
    assert listed(office, limit=2, cursor=page["next_cursor"]) == ["beta"]
    beta = office.get("/api/clients", params={"q": "beta"}).json()["items"][0]
    since = office.put(f"/api/clients/{beta['id']}", json={"archived": True}).json()["updated_at"]
    assert listed(office, sort="name") == ["Alpha", "Gamma"]
    assert listed(office, include_archived=True, sort="name") == ["Alpha", "beta", "Gamma"]
    assert listed(office, status="archived") == ["beta"]
    assert listed(office, status=["archived", "active"], updated_since=since) == ["beta"]


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "password_hash"},
        {"limit": 0},
        {"limit": 201},
        {"limit": "NaN"},
        {"cursor": "00.x"},
        {"status": "deleted"},
        {"created_from": "yesterday"},
    ],
)
def test_a_list_that_makes_no_sense_is_bad_input(office: Any, params: dict[str, Any]) -> None:
    """T39."""
    assert office.get("/api/clients", params=params).status_code == 400


def test_an_exact_number_email_or_tax_id_ranks_first(office: Any, acme: dict[str, Any]) -> None:
    """Rule 5: whatever else resembles the question."""
    for name in (acme["number"], acme["email"], "DE123456789"):
        office.made("/api/clients", {"name": name, "email": f"x{acme['email']}"})
    for q, field in (
        (acme["number"].lower(), "number"),
        ("Billing@Acme.example", "email"),
        ("de123456789", "tax_id"),
        ("DE-123-456-789", "tax_id"),
    ):
        first, *rest = found(office, q)
        assert (first["client"]["id"], first["score"]) == (acme["id"], 1.0)
        assert first["match"]["field"] == field
        assert all(it["score"] < 1 for it in rest)


@pytest.mark.parametrize(
    ("q", "field", "snippet"),
    [
        ("rockets", "name", "Acme Rockets"),
        ("acme rokets", "name", "Acme Rockets"),
        ("ac", "name", "Acme Rockets"),
        ("billing@", "email", "billing@acme.example"),
        ("+1 415 555-2671", "phone", "(415) 555-2671"),
        ("5552671", "phone", "(415) 555-2671"),
        ("415", "phone", "(415) 555-2671"),
        ("123.456", "tax_id", "DE 123.456.789"),
    ],
)
def test_a_search_forgives_and_shows_what_matched(
    office: Any, acme: dict[str, Any], q: str, field: str, snippet: str
) -> None:
    """Rule 5: trigrams on name, e-mail, number and tax id; a telephone's digits."""
    office.made("/api/clients", {"name": "Quite another", "phone": "030 99999"})
    (only,) = found(office, q)
    assert only["client"]["id"] == acme["id"]
    assert only["match"] == {"field": field, "snippet": snippet}
    assert 0 < only["score"] < 1


def test_the_better_answer_comes_first(office: Any) -> None:
    for name in ("Globex Holding International", "Globex", "Globexia", "Initech"):
        office.made("/api/clients", {"name": name})
    names = [it["client"]["name"] for it in found(office, "globex")]
    assert names[0] == "Globex"
    assert set(names) == {"Globex", "Globex Holding International", "Globexia"}
    assert len(found(office, "globex", limit=2)) == 2


def test_archived_clients_are_found_only_when_asked_for(office: Any, acme: dict[str, Any]) -> None:
    office.put(f"/api/clients/{acme['id']}", json={"archived": True})
    assert found(office, "acme") == []
    assert len(found(office, "acme", include_archived=True)) == 1


@pytest.mark.parametrize("q", ["", "   ", "x" * 201, None])
def test_a_question_has_1_to_200_characters(office: Any, q: str | None) -> None:
    params = {} if q is None else {"q": q}
    assert office.get("/api/clients/search", params=params).status_code == 400


@pytest.mark.parametrize("q", ["%", "_", "\\", "'", '"', "/", "a & b | !c", "()", "😀", "<%", "%s"])
def test_no_question_breaks_the_search(office: Any, acme: dict[str, Any], q: str) -> None:
    """T41: what the user writes is only ever a value."""
    assert found(office, q) == []


def test_the_trigram_indexes_are_there(office: Any) -> None:
    with psycopg.connect(office.house.database_url) as connection:
        names = {
            row[0]
            for row in connection.execute(
                "SELECT indexname FROM pg_indexes WHERE schemaname LIKE 'clients_%'"
                " AND indexdef LIKE '%gin_trgm_ops%'"
            )
        }
    assert "clients_like_name" in names
    assert len(names) == 5


@pytest.mark.parametrize("path", ["/api/clients?q=%00", "/api/clients/search?q=%00"])
def test_a_question_with_a_nul_is_bad_input(office: Any, path: str) -> None:
    """Postgres could not take it."""
    answer = office.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "?q")
