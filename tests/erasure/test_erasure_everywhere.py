"""G30: an erased client is named nowhere any more, and all that was counted still adds up."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from known_person import CANARIES, Known, built_anew, dump, exported, read_models, seen

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.proof import Exported, verify
from zeroinvoice.logs import configure


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log as a process of its own writes it, down to the last level."""
    written = io.StringIO()
    configure("debug", to=written)
    yield written
    structlog.reset_defaults()


def chain_of(house: Any) -> int:
    journal = Journal.at(house.database_url)
    try:
        return verify(journal.every_row()).facts
    finally:
        journal.close()


OF_NOW = ("position", "known_at", "calculated_at", "generated_at")  # what a report says of itself


def figures(known: Known) -> list[Any]:
    """What is counted of the client: their documents' numbers and sums, and what they owe."""
    get = known.office.get
    shown = get(f"/api/invoices/{known.invoice}").json()
    paid = get(f"/api/payments/{known.payment}").json()
    names = ("number", "status", "total", "tax_total", "balance_due", "issue_date", "due_date")
    parts = ("amount", "status", "received_on")
    aging = get(f"{known.home}/receivables").json()
    counted = get(f"/api/clients/{known.id}/analytics").json()
    reports = (aging, counted, get("/api/payments/summary").json())
    return [
        [shown[name] for name in names],
        [shown["line_items"], shown["buyer"]["address"]["country"]],
        [paid[name] for name in parts],
        *({name: it for name, it in each.items() if name not in OF_NOW} for each in reports),
    ]


def test_an_erased_client_is_named_nowhere(
    log: io.StringIO, alone: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """G30: tables, answers, read models, logs and an export hold no canary."""
    known = Known(alone.office())
    known.void_credit()
    known.later()
    before = figures(known)
    assert known.office.get("/api/audit/logs").status_code == 200
    planted = {it for hits in seen(dump(alone.database_url)).values() for it in hits}
    shown = {it for hits in seen({"answers": "".join(known.answers)}).values() for it in hits}
    assert planted, "read models show them"
    assert planted | shown == set(CANARIES), "each was on record somewhere"
    assert seen({"facts": dump(alone.database_url)["public.facts"]}) == {}, "sealed from the first"

    erased = known.erase(confirm_name=CANARIES["name"])

    assert erased.status_code == 200, erased.text
    assert erased.json()["name"] == "[erased]"
    assert erased.json()["erased"] is True
    for path in ("clients?include_archived=true", "invoices", "payments", "audit/logs"):
        assert "x-projection-lag" not in known.office.get(f"/api/{path}").headers
    file = exported(alone.database_url)
    printed = capfd.readouterr()
    places = {
        **dump(alone.database_url),
        "the export": file.decode(),
        "the log": log.getvalue() + printed.out + printed.err,
        "the answer": erased.text,
    }
    assert seen(places) == {}
    assert chain_of(alone) == Exported(io.BytesIO(file)).verify().facts
    assert figures(known) == before


def test_a_rebuild_after_an_erasure_gives_the_rows_that_are_served(alone: Any) -> None:
    """G30, design 5: byte for byte, also of what was removed before and of another client."""
    known = Known(alone.office())
    known.void_credit()
    beside = Known(alone.office(), "Somebody Else")
    known.later()
    assert known.erase().status_code == 200
    for path in ("invoices", "audit/logs"):
        assert "x-projection-lag" not in known.office.get(f"/api/{path}").headers
    live = read_models(alone)
    alone.worker.stop()
    assert built_anew(alone) == live
    assert "Somebody Else" in str(live["clients.clients"])
    assert beside.office.tenant != known.office.tenant


def test_what_is_read_as_of_before_shows_nobody(known: Known) -> None:
    """As-of reads fold what remains of the facts."""
    known.void_credit()
    then = known.office.get(f"/api/clients/{known.id}").json()["updated_at"]
    at = {"as_of": known.office.house.clock().isoformat()}
    known.later()
    assert known.erase().status_code == 200
    for path in (
        f"/api/clients/{known.id}",
        f"/api/invoices/{known.invoice}",
        f"/api/payments/{known.payment}",
        f"{known.home}/contacts/{known.contact}",
        f"{known.home}/credits/{known.credit}",
    ):
        answer = known.office.get(path, params=at)
        assert answer.status_code == 200, answer.text
        assert "[erased]" in answer.text
        assert seen({path: answer.text}) == {}
    assert then < at["as_of"]
    for kind, id in (("client", known.id), ("invoice", known.invoice), ("payment", known.payment)):
        history = known.office.get(f"/api/audit/resource/{kind}/{id}/history")
        assert "[erased]" in history.text
        assert seen({kind: history.text}) == {}


def test_an_erased_client_is_not_found_by_name(known: Known) -> None:
    known.void_credit()
    known.later()
    assert known.erase().status_code == 200
    for path in ("/api/clients/search", "/api/invoices/search", "/api/payments/search"):
        for canary in ("Zephyrine", "Ottoline", "Hepzibah", "magpie"):
            found = known.office.get(path, params={"q": canary})
            assert found.status_code == 200
            assert known.id not in found.text
