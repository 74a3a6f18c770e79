"""Ids of another workspace: in the path or in a body, they are as unknown as made-up ones."""

import re
import statistics
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from body_fields import id_fields

UNBUILT = {"template_id", "project_id", "line_items.time_entry_ids", "line_items.expense_id"}
UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OF_THE_REQUEST = {"x-request-id", "date"}
Body = Callable[[Any, Any], dict[str, Any]]  # of what is one's own and what is another's


def _paid(own: Any, **more: Any) -> dict[str, Any]:
    return {"amount": "1.00", "method": "cash", "confirm_duplicate": True, **more}


def _part(invoice_id: str) -> list[dict[str, str]]:
    return [{"invoice_id": invoice_id, "amount": "1.00"}]


FOREIGN: dict[tuple[str, str], Body] = {
    ("invoices.draft", "client_id"): lambda own, it: {
        "client_id": it.client_id, "line_items": [own.line()],
    },
    ("invoices.draft", "corrects"): lambda own, it: {
        "client_id": own.client_id, "line_items": [own.line()], "corrects": it.invoice_id,
    },
    ("invoices.revise", "client_id"): lambda own, it: {"client_id": it.client_id},
    ("invoices.revise", "corrects"): lambda own, it: {"corrects": it.invoice_id},
    ("payments.record", "client_id"): lambda own, it: _paid(own, client_id=it.client_id),
    ("payments.record", "invoice_id"): lambda own, it: _paid(own, invoice_id=it.invoice_id),
    ("payments.record", "allocations.invoice_id"): lambda own, it: _paid(
        own, allocations=_part(it.invoice_id)
    ),
    ("payments.revise", "client_id"): lambda own, it: {"client_id": it.client_id},
    ("payments.revise", "invoice_id"): lambda own, it: {"invoice_id": it.invoice_id},
    ("payments.revise", "allocations.invoice_id"): lambda own, it: {
        "allocations": _part(it.invoice_id), "invoice_id": None,
    },
    ("credits.issue", "invoice_id"): lambda own, it: {
        "type": "credit_note", "invoice_id": it.invoice_id, "amount": "1.00",
    },
    ("credits.apply", "invoice_id"): lambda own, it: {"invoice_id": it.invoice_id},
    ("credits.unapply", "application_id"): lambda own, it: {"application_id": it.application_id},
    ("credits.refund", "payment_id"): lambda own, it: {
        "method": "cash", "amount": "0.01", "payment_id": it.payment_id,
    },
    ("credits.refund", "bank_account_id"): lambda own, it: {
        "method": "bank", "amount": "0.01", "bank_account_id": it.account_id,
    },
    ("merges.merge", "primary_id"): lambda own, it: {
        "primary_id": it.client_id, "duplicate_ids": [own.client_id],
    },
    ("merges.merge", "duplicate_ids"): lambda own, it: {
        "primary_id": own.client_id, "duplicate_ids": [it.client_id],
    },
    ("merges.merge", "field_choices"): lambda own, it: {
        "primary_id": own.client_id,
        "duplicate_ids": [own.new_client()],
        "field_choices": {"name": it.client_id},
    },
    ("credits.issue", "lines.invoice_line_id"): lambda own, it: {
        "type": "credit_note",
        "invoice_id": own.invoice_id,
        "lines": [{"invoice_line_id": it.line_id}],
    },
    ("activity.track_invoice", "id"): lambda own, it: {"id": it.invoice_id},
    ("activity.track_payment", "id"): lambda own, it: {"id": it.payment_id},
    ("simulations.simulate", "changes.payment_id"): lambda own, it: {
        "changes": [{"type": "without_payment", "payment_id": it.payment_id}],
    },
    ("simulations.simulate", "changes.client_id"): lambda own, it: {
        "changes": [{"type": "terms", "net_days": 14, "client_id": it.client_id}],
    },
    ("merges.undo", "merge_id"): lambda own, it: {"merge_id": it.merge_id},
}  # fmt: skip

AMONG_THE_NAMED = {  # ids that only choose from what the body names besides
    ("merges.merge", "field_choices"): "not_among_clients",
    ("credits.issue", "lines.invoice_line_id"): "unknown_line",
}


def everything(house: Any) -> int:
    """How many facts there are, of everybody."""
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM facts").fetchone()
    assert row is not None
    many: int = row[0]
    return many


def test_every_id_in_a_body_is_tried(operations: list[Any]) -> None:
    """T4: a field that names something fails here until it is tried below.

    What `UNBUILT` names belongs to areas that are not built: such ids are kept as they are
    sent, and nothing is looked up by them.
    """
    found = {
        (operation.name, field)
        for operation in operations
        if (data := operation.handler.parsed_data_field) and " " not in operation.name
        for field in id_fields(data.annotation)
        if field not in UNBUILT
    }
    assert found == set(FOREIGN)


@pytest.mark.parametrize(("name", "field"), FOREIGN, ids=str)
def test_a_foreign_id_in_a_body_is_404_and_nothing_is_written(
    operations: list[Any], examples: Any, asked: Any, foreign: Any, name: str, field: str
) -> None:
    """T4: or 422 where an id only chooses from what the body names besides."""
    (operation,) = (it for it in operations if it.name == name)
    example = examples[name](asked)
    body = FOREIGN[name, field](asked.own, foreign)
    before = everything(asked.principals.house)
    path = operation.path.format(**example.path)
    answer = asked.principals.owner.http.request(operation.method, path, json=body)
    among = AMONG_THE_NAMED.get((name, field))
    expected = (422, among) if among else (404, "not_found")
    assert (answer.status_code, answer.json()["code"]) == expected, answer.text
    assert everything(asked.principals.house) == before


def made_up(value: Any) -> Any:
    """The same with ids that nobody has."""
    match value:
        case dict():
            return {name: made_up(it) for name, it in value.items()}
        case list():
            return [made_up(it) for it in value]
        case str() if UUIDS.fullmatch(value):
            return str(uuid4())
        case _:
            return value


def seen(answer: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    """What a caller could tell two answers apart by."""
    headers = {name: it for name, it in answer.headers.items() if name not in OF_THE_REQUEST}
    body = {n: it for n, it in answer.json().items() if n not in ("trace_id", "instance")}
    return answer.status_code, headers, body


def test_what_is_anothers_looks_like_what_is_nobodys(
    operations: list[Any], examples: Any, asked: Any
) -> None:
    """T6: status, headers and body, on every operation that names something by its id."""
    stranger, tried = asked.principals.stranger.http, 0
    for operation in operations:
        example = examples[operation.name](asked)
        unknown = type(example)(made_up(example.path), made_up(example.json))
        if (unknown.path, unknown.json) == (example.path, example.json):
            continue
        theirs, nobodys = (operation.send(stranger, it) for it in (example, unknown))
        assert theirs.status_code == 404, (operation.row, theirs.text)
        assert seen(theirs) == seen(nobodys), operation.row
        tried += 1
    assert tried > 40


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/invoices/{}", None),
        ("PUT", "/api/invoices/{}", {"notes": "x"}),
    ],
)
def test_what_is_anothers_is_refused_as_fast_as_what_is_nobodys(
    asked: Any, method: str, path: str, body: Any
) -> None:
    """T6: the bound is generous, since the machine has other things to do."""
    stranger, real = asked.principals.stranger.http, asked.own.draft_id
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(300):
        foreign = turn % 2 == 0
        address = path.format(real if foreign else uuid4())
        begun = time.perf_counter()
        answer = stranger.request(method, address, json=body)
        times[foreign].append(time.perf_counter() - begun)
        assert answer.status_code == 404
    theirs, nobodys = (statistics.median(it) for it in times.values())
    assert 0.5 < theirs / nobodys < 2, (theirs, nobodys)
