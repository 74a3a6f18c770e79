"""Activity: the wording of its sentences, and rows that are the same from any replay."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from projections.activity import projector
from projections.activity_facts import OF_CLIENT, OF_CONTACT, OF_RECORD, VERBS
from projections.activity_wording import (
    MONTHS,
    SENTENCES,
    WORDS,
    accepted,
    day,
    money,
    sentence,
    spoken,
)
from zeroinvoice.domain import KIND_OF
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.money import Money
from zeroinvoice.readside.projector import rebuild
from zeroinvoice.readside.tables import schema_name

NAMES = {"actor", "client", "contact", "member", "number", "invoice_number", "amount", "detail"}


@pytest.mark.parametrize("language", SENTENCES)
def test_every_verb_has_a_sentence_in_every_language(language: str) -> None:
    """A26-6: and names the same things in each."""
    assert SENTENCES[language].keys() == VERBS.keys()
    assert WORDS[language].keys() == WORDS["en"].keys()
    assert len(MONTHS[language].split()) == 12
    for verb, text in SENTENCES[language].items():
        fields = set(re.findall(r"\{(\w+)\}", text))
        assert fields <= NAMES
        assert fields == set(re.findall(r"\{(\w+)\}", SENTENCES["en"][verb])), verb


def test_every_event_that_is_news_has_a_verb() -> None:
    for table in (OF_CLIENT, OF_CONTACT, OF_RECORD):
        assert set(table) <= set(KIND_OF)
        assert set(table.values()) <= set(VERBS)


@given(st.text(max_size=40), st.sampled_from(sorted(VERBS)), st.sampled_from(sorted(SENTENCES)))
def test_a_name_is_shown_as_it_is_whatever_it_looks_like(
    name: str, verb: str, language: str
) -> None:
    """A26-6: braces and brackets in a name are no part of the sentence's form."""
    names = dict.fromkeys(NAMES, f"a{name}z")
    told = sentence(verb, names, language)
    for field in re.findall(r"\{(\w+)\}", SENTENCES[language][verb]):
        assert f"a{name}z"[1:] in told, field


def test_what_is_not_known_is_left_out() -> None:
    names = {"actor": "Ann", "amount": "USD 5.00", "client": "Acme"}
    told = sentence("payment_received", names, "en")
    assert told == "Ann recorded a payment of USD 5.00 from Acme"
    with_invoice = sentence("payment_received", {**names, "invoice_number": "INV-1"}, "en")
    assert with_invoice == f"{told} for invoice INV-1"


@given(st.text(max_size=60))
def test_any_accept_language_leads_to_a_language(header: str) -> None:
    """RFC 9110 12.5.4: what is malformed asks for nothing."""
    assert spoken(*accepted(header)) in SENTENCES


@pytest.mark.parametrize(
    ("amount", "currency", "english", "german"),
    [
        ("1234567.50", "EUR", "EUR 1,234,567.50", "1.234.567,50 EUR"),
        ("1500", "JPY", "JPY 1,500", "1.500 JPY"),
        ("1.5", "KWD", "KWD 1.500", "1,500 KWD"),
    ],
)
def test_amounts_are_written_as_people_write_them(
    amount: str, currency: str, english: str, german: str
) -> None:
    """R-MON-1: with exactly the currency's digits."""
    it = Money(Decimal(amount), currency)
    assert (money(it, "en"), money(it, "de")) == (english, german)


def test_days_are_written_as_people_write_them() -> None:
    assert day(date(2026, 5, 3), "en") == "3 May 2026"
    assert day(date(2026, 3, 10), "de") == "10. März 2026"


def stored(url: str, generation: int) -> dict[str, list[Any]]:
    """Every row of the feed, as the database holds it."""
    found = {}
    with psycopg.connect(url) as connection:
        for table in projector.tables:
            key = next(iter(table.columns)).name
            name = sql.Identifier(schema_name(projector.name, generation), table.name)
            every = sql.SQL("SELECT * FROM {} ORDER BY {}").format(name, sql.Identifier(key))
            found[table.name] = connection.execute(every).fetchall()
    return found


def test_a_rebuild_gives_the_very_same_feed(
    new_database: Callable[[], str], open_house: Callable[..., Any]
) -> None:
    """A26-6: repetitions, what was told and whose it is by now among it."""
    house = open_house(new_database())
    office = house.office(overpayment="credit")
    keep, gone = (office.made("/api/clients", {"name": it})["id"] for it in ("Acme", "Globex"))
    line = {"description": "Work", "unit_price": "10.00"}
    body = {"client_id": gone, "line_items": [line]}
    invoice_id = office.made("/api/invoices", body)["id"]
    for n in range(3):
        office.put(f"/api/invoices/{invoice_id}", json={"notes": f"Note {n}"})
    office.patch(f"/api/invoices/{invoice_id}/status", json={"status": "sent"})
    paid = {"amount": "12.00", "method": "cash", "invoice_id": invoice_id}
    payment_id = office.made("/api/payments", paid)["id"]
    refunded = office.post(f"/api/payments/{payment_id}/refund", json={"method": "cash"})
    assert refunded.status_code == 200, refunded.text
    office.post("/api/activity/track/invoice-created", json={"id": invoice_id, "source": "shop"})
    office.post("/api/clients/merge", json={"primary_id": keep, "duplicate_ids": [gone]})
    shown = office.get("/api/activity").json()
    assert {it["count"] for it in shown["items"]} == {1, 3}
    live = stored(house.database_url, 1)
    assert all(live.values())
    house.worker.stop()
    work = conninfo(house.database_url, WORK_ROLE, application="test")
    journal = Journal.at(work, MasterKeys(house.settings.master_keys))
    try:
        with psycopg.connect(work, autocommit=True) as connection:
            rebuild(connection, (projector,), journal)
    finally:
        journal.close()
    assert stored(house.database_url, 2) == live
    assert office.get("/api/activity").json() == shown
