"""Invoice search: exact numbers first, likeness next, and filters read from plain words."""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.invoice_question import Understood, amount, understood
from zeroinvoice.domain.client import Client, Profile

TODAY = date(2026, 5, 20)


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("roof repair", Understood(text="roof repair")),
        (
            "overdue invoices for Acme over 500",
            Understood(status=("overdue",), amount_gt=Decimal(500), text="Acme"),
        ),
        ("over 1,500.00 EUR", Understood(amount_gt=Decimal("1500.00"), currency="EUR")),
        ("under 1.500,50 €", Understood(amount_lt=Decimal("1500.50"), currency="EUR")),
        ("at least 5 at most 9", Understood(amount_gte=Decimal(5), amount_lte=Decimal(9))),
        ("between 200 and 100", Understood(amount_gte=Decimal(100), amount_lte=Decimal(200))),
        (
            "unpaid in March",
            Understood(
                status=("sent", "overdue"),
                issued_from=date(2026, 3, 1),
                issued_to=date(2026, 3, 31),
            ),
        ),
        (
            "december",  # the latest one that has begun
            Understood(issued_from=date(2025, 12, 1), issued_to=date(2025, 12, 31)),
        ),
        ("february 2024", Understood(issued_from=date(2024, 2, 1), issued_to=date(2024, 2, 29))),
        ("last month", Understood(issued_from=date(2026, 4, 1), issued_to=date(2026, 4, 30))),
        ("in 2025", Understood(issued_from=date(2025, 1, 1), issued_to=date(2025, 12, 31))),
        ("it may march on", Understood(text="it may march on")),
        ("handover 500", Understood(text="handover 500")),
        ("INV-2026-00017", Understood(text="INV-2026-00017")),
        ("prepaid hosting", Understood(text="prepaid hosting")),
        ("over 1.2.3", Understood(text="over 1.2.3")),
    ],
)
def test_a_question_is_read_by_its_words(question: str, meant: Understood) -> None:
    """A4-13: amounts, month names and status words."""
    assert understood(question, TODAY) == meant


@given(st.text(max_size=200))
def test_no_question_is_beyond_reading(question: str) -> None:
    """T38: whatever is typed, the reading ends, and without a fault."""
    assert understood(question, TODAY).text is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [("1500", "1500"), ("1,500", "1500"), ("1.500,00", "1500.00"), ("12,50", "12.50"),
     ("1,234,567.89", "1234567.89"), ("1.2.3", None), ("", None)],
)  # fmt: skip
def test_amounts_are_read_as_people_write_them(text: str, value: str | None) -> None:
    """A18-5."""
    assert amount(text) == (Decimal(value) if value else None)


@pytest.fixture
def acme(office: Any) -> str:
    return _client(office, "Acme Corp")


def _client(office: Any, name: str, currency: str = "USD") -> str:
    def added(desk: Any) -> UUID:
        client = desk.new(Client)
        return desk.record(client, client.add(Profile(name, currency))).id

    return str(office.house.commit(office.tenant, added))


def _sent(office: Any, client_id: str, line: str, price: str, **more: Any) -> dict[str, Any]:
    body = {"client_id": client_id, "line_items": [{"description": line, "unit_price": price}]}
    invoice = office.made("/api/invoices", {**body, **more})
    answer = office.patch(f"/api/invoices/{invoice['id']}/status", json={"status": "sent"})
    assert answer.status_code == 200, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


def _found(office: Any, q: str, limit: int = 20) -> list[tuple[str, str]]:
    answer = office.get("/api/invoices/search", params={"q": q, "limit": limit})
    assert answer.status_code == 200, answer.text
    return [(it["invoice"]["id"], it["match"]["field"]) for it in answer.json()["items"]]


def test_an_exact_number_is_found_first_and_alone(office: Any, acme: str) -> None:
    """A4-13: numbers exact-first, whatever their case."""
    first, second = (_sent(office, acme, "Consulting", "100") for _ in range(2))
    assert _found(office, second["number"]) == [(second["id"], "number")]
    assert _found(office, first["number"].lower()) == [(first["id"], "number")]
    near = [id for id, _ in _found(office, first["number"][:-1])]
    assert set(near) == {first["id"], second["id"]}


def test_lines_notes_references_and_clients_are_looked_through(office: Any, acme: str) -> None:
    """A4-13: trigrams forgive a typo."""
    other = _client(office, "Globex Industries")
    roof = _sent(office, acme, "Repair of the roof tiles", "100", reference="PROJ-77")
    oven = _sent(office, other, "Pizza oven", "100", notes="Delivered to the back yard")
    assert _found(office, "roof tiles") == [(roof["id"], "line_items")]
    assert _found(office, "repiar of the roof")[0] == (roof["id"], "line_items")
    assert _found(office, "proj-77") == [(roof["id"], "reference")]
    assert _found(office, "back yard") == [(oven["id"], "notes")]
    assert _found(office, "globex") == [(oven["id"], "client")]
    assert _found(office, "Globx Industries") == [(oven["id"], "client")]
    assert _found(office, "submarine") == []


def test_a_likeness_is_no_answer_where_the_words_themselves_stand(office: Any, acme: str) -> None:
    """What merely resembles the words would only be in the way of what holds them."""
    oven = _sent(office, acme, "Oven repair", "100")
    _sent(office, acme, "Oven repari", "100")
    assert _found(office, "repair") == [(oven["id"], "line_items")]


def test_words_narrow_and_the_answer_says_how(office: Any, acme: str) -> None:
    """A4-13, A18-7: the interpreted filter is shown."""
    other = _client(office, "Globex Industries", "EUR")
    late = {"issue_date": "2026-01-10", "due_date": "2026-02-10"}
    small = _sent(office, acme, "Consulting", "100", **late)
    large = _sent(office, acme, "Consulting", "900", **late)
    euro = _sent(office, other, "Consulting", "950", **late)
    _sent(office, acme, "Consulting", "2000")
    assert [id for id, _ in _found(office, "overdue over 500")] == [euro["id"], large["id"]]
    assert [id for id, _ in _found(office, "overdue over 500 EUR")] == [euro["id"]]
    assert [id for id, _ in _found(office, "acme overdue january 2026 under 500")] == [small["id"]]
    answer = office.get("/api/invoices/search", params={"q": "overdue for acme over 500"}).json()
    assert [it["invoice"]["id"] for it in answer["items"]] == [large["id"]]
    assert answer["interpreted"] == {"status": ["overdue"], "amount_gt": "500", "text": "acme"}


def test_a_draft_that_was_deleted_and_what_is_another_tenants_are_not_found(
    house: Any, office: Any, acme: str
) -> None:
    body = {"client_id": acme, "line_items": [{"description": "Xylophone", "unit_price": "1"}]}
    gone = office.made("/api/invoices", body)
    kept = office.made("/api/invoices", body)
    office.delete(f"/api/invoices/{gone['id']}")
    assert _found(office, "xylophone") == [(kept["id"], "line_items")]
    assert _found(house.office(), "xylophone") == []


def test_a_limit_is_kept_and_a_blank_question_refused(office: Any, acme: str) -> None:
    """T39."""
    for _ in range(3):
        _sent(office, acme, "Consulting", "1")
    assert len(_found(office, "consulting", 2)) == 2
    for query in ("", "?q=", "?q=%20", "?q=x&limit=0", "?q=x&limit=101", "?q=" + "x" * 201):
        assert office.get(f"/api/invoices/search{query}").status_code == 400, query
    for odd in ("%", "_", "\\", "'", '"; --', "<%"):
        _found(office, odd)
