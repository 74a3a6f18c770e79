"""Invoices issued: their numbers, their day, what is fixed then, and where they go from there."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

PATH = "/api/invoices"
LINE = {"description": "Work", "unit_price": "100"}


def drafted(shop: Any, client_id: str, **more: Any) -> str:
    body = {"client_id": client_id, "line_items": [LINE], **more}
    return str(shop.office.made(PATH, body)["id"])


def issued(shop: Any, client_id: str, **more: Any) -> dict[str, Any]:
    answer = shop.move(drafted(shop, client_id, **more), status="sent")
    assert answer.status_code == 200, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


def numbers(shop: Any, client_id: str, *many: dict[str, Any]) -> list[str]:
    return [issued(shop, client_id, **more)["number"] for more in many]


# Where an invoice may go


def test_a_sent_invoice_has_the_next_number_and_is_read_back_alike(shop: Any) -> None:
    """R-NUM-2: the number is given at issue."""
    client, found = shop.client(), []
    for _ in range(2):
        invoice = drafted(shop, client)
        sent = shop.move(invoice, status="sent")
        found.append(sent.json()["number"][-5:])
        read = shop.office.get(f"{PATH}/{invoice}")
        assert read.json() == sent.json()
        assert read.headers["etag"] == sent.headers["etag"] == '"2"'
    assert found == ["00001", "00002"]


def reached(shop: Any, client: str, status: str) -> str:
    invoice = str(shop.draft(client))
    if status != "draft":
        assert shop.move(invoice, status="sent").status_code == 200
    if status == "paid":
        shop.paid(invoice_id=invoice, amount="100")
    elif status not in ("draft", "sent"):
        assert shop.move(invoice, status=status).status_code == 200
    return invoice


ALL = ("draft", "sent", "paid", "cancelled", "written_off")
TAKEN = {  # by status and goal: the events that are recorded
    ("draft", "draft"): [],
    ("draft", "sent"): ["InvoiceSent"],
    ("draft", "cancelled"): ["InvoiceCancelled"],
    ("sent", "sent"): ["InvoiceSentAgain"],
    ("sent", "cancelled"): ["InvoiceCancelled"],
    ("sent", "written_off"): ["InvoiceWrittenOff"],
    ("paid", "paid"): [],
    ("cancelled", "cancelled"): [],
    ("written_off", "sent"): ["InvoiceReinstated"],
    ("written_off", "written_off"): [],
}


@pytest.mark.parametrize("start", ALL)
def test_every_step_is_taken_or_refused_as_the_table_says(shop: Any, start: str) -> None:
    """Rule 3: from one status to every other; a refusal writes nothing."""
    client = shop.client()
    for goal in ALL:
        invoice = reached(shop, client, start)
        before = shop.story(invoice)
        answer = shop.move(invoice, status=goal)
        if (start, goal) in TAKEN:
            assert (answer.status_code, answer.json()["status"]) == (200, goal), answer.text
            assert shop.story(invoice) == before + TAKEN[start, goal]
        else:
            code = "has_payments" if (start, goal) == ("paid", "cancelled") else "wrong_state"
            assert "allowed_transitions" in shop.problem(answer, 409, code)
            assert shop.story(invoice) == before


def test_overdue_is_said_by_the_calendar_alone(shop: Any) -> None:
    """Rule 3."""
    for invoice in (drafted(shop, client := shop.client()), issued(shop, client)["id"]):
        shop.problem(shop.move(invoice, status="overdue"), 422, "derived_status")
    assert shop.office.patch(f"{PATH}/{invoice}/status", json={"status": "x"}).status_code == 400


def test_what_is_owed_follows_every_step(shop: Any) -> None:
    """R-MON-11: on the client's account, too."""
    client = shop.client()
    first, second = shop.invoice(client), shop.invoice(client, "50")
    assert shop.owed(client) == {"USD": "150.00"}
    assert shop.move(second, status="cancelled").json()["balance_due"] == "50.00"
    assert shop.owed(client) == {"USD": "100.00"}
    shop.paid(invoice_id=first, amount="30")
    off = shop.move(first, status="written_off", reason="Insolvent").json()
    assert (off["amount_written_off"], off["balance_due"]) == ("70.00", "0.00")
    assert shop.owed(client) == {}
    again = shop.move(first, status="sent").json()
    assert (again["amount_written_off"], again["balance_due"]) == ("0.00", "70.00")
    assert shop.owed(client) == {"USD": "70.00"}


def test_an_invoice_of_nothing_is_paid_when_it_is_sent(shop: Any) -> None:
    """Rule 4: and there is no payment."""
    client = shop.client()
    free = issued(shop, client, line_items=[{**LINE, "unit_price": 0}])
    assert (free["status"], free["payment_state"], free["balance_due"]) == ("paid", "paid", "0.00")
    assert free["paid_at"] == free["sent_at"]
    assert shop.office.get("/api/payments").json()["items"] == []
    assert shop.story(free["id"]) == ["InvoiceDrafted", "InvoiceSent"]
    assert shop.owed(client) == {}


def test_a_draft_that_could_not_be_a_document_is_not_sent(shop: Any) -> None:
    """Rule 3: and no number is burned by trying."""
    client = shop.client()
    no_lines = drafted(shop, client, line_items=[])
    shop.problem(shop.move(no_lines, status="sent"), 422, "no_lines")
    past = drafted(shop, client, due_date="2026-01-01")
    shop.problem(shop.move(past, status="sent"), 422, "due_before_issue")
    assert issued(shop, client)["number"].endswith("-00001")


def test_a_draft_may_be_issued_and_paid_at_once(shop: Any) -> None:
    """Rule 3; otherwise a draft is issued first."""
    client = shop.client()
    invoice = drafted(shop, client)
    cash = {"method": "cash"}
    no = shop.move(invoice, status="paid", record_payment=cash)
    shop.problem(no, 409, "invoice_not_issued")
    wrong = shop.move(invoice, status="sent", record_payment=cash)
    shop.problem(wrong, 422, "payment_without_paid")
    paid = shop.move(invoice, status="paid", issue_and_pay=True, record_payment=cash).json()
    assert (paid["status"], paid["amount_paid"], paid["number"][-5:]) == ("paid", "100.00", "00001")


# What is fixed at issue


def test_what_was_issued_stays_as_it_was(shop: Any) -> None:
    """Rule 6: seller, buyer and rounding, whatever becomes of workspace and client."""
    office = shop.office
    office.patch("/api/workspace", json={"seller": {"legal_name": "Nordlicht GmbH"}})
    client = office.made("/api/clients", {"name": "Acme", "address": "1 Elm St", "tax_id": "US1"})
    path = f"/api/clients/{client['id']}"
    invoice = drafted(shop, client["id"])
    assert shop.seen(invoice)["seller"] is shop.seen(invoice)["buyer"] is None
    office.put(path, json={"name": "Acme Corp"})
    shop.move(invoice, status="sent")
    sent = shop.seen(invoice)
    assert sent["seller"]["legal_name"] == "Nordlicht GmbH"
    assert (sent["buyer"]["name"], sent["buyer"]["tax_id"]) == ("Acme Corp", "US1")
    assert sent["buyer"]["address"]["text"] == "1 Elm St"
    changes = {
        "seller": {"legal_name": "Südlicht GmbH", "address": "Hafen 1"},
        "tax_rounding": "line",
        "default_terms": "net 3",
        "numbers": {"invoice": {"pattern": "X{YYYY}-{SEQ}"}},
    }
    assert office.patch("/api/workspace", json=changes).status_code == 200
    changed = {"name": "Acme Inc", "address": None, "tax_exempt": "exempt", "archived": True}
    assert office.put(path, json=changed).status_code == 200
    assert shop.seen(invoice) == sent
    handled = office.put(f"{PATH}/{invoice}", json={"private_notes": "x"}).json()
    fixed = sent.keys() - {"private_notes", "version", "updated_at"}
    assert {name: handled[name] for name in fixed} == {name: sent[name] for name in fixed}


def test_terms_that_change_after_the_issue_move_no_due_date(shop: Any) -> None:
    """Rule 10: a draft's due date counts from the day of its issue, by its own terms."""
    sent = issued(shop, shop.client(), payment_terms="net 10")
    due = datetime.fromisoformat(sent["due_date"]) - datetime.fromisoformat(sent["issue_date"])
    assert due == timedelta(days=10)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"])
def test_the_day_of_issue_is_the_workspaces(house: Any, shop_in: Any, zone: str) -> None:
    """R-DAT-2: at every hour, and it names the year of the number."""
    house.clock.moved = timedelta()
    shop = shop_in(house.office(time_zone=zone))
    client = shop.client()
    now = datetime.now(ZoneInfo(zone))
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    until = midnight.astimezone(UTC) - datetime.now(UTC)
    try:
        invoice = drafted(shop, client, payment_terms="due_on_receipt")
        for moved, day in (
            (until - timedelta(minutes=2), now.date()),
            (until + timedelta(minutes=2), midnight.date()),
        ):
            house.clock.moved = moved
            it = shop.office
            then = shop_in(type(it)(house, it.tenant, it.user, it.session))
            today = issued(then, client)
            assert today["issue_date"] == str(day)
            assert today["number"].startswith(f"INV-{day.year}-")
        late = then.move(invoice, status="sent").json()
        assert late["issue_date"] == late["due_date"] == str(midnight.date())
    finally:
        house.clock.moved = timedelta()


# Numbers


def test_a_workspace_numbers_by_its_own_pattern(house: Any, shop_in: Any) -> None:
    """R-NUM-1: tokens, and a reset by the month of the issue date."""
    shop = shop_in(house.office())
    monthly = {"pattern": "R{YY}{MM}-{CLIENT}-{SEQ:3}", "reset": "monthly"}
    shop.office.patch("/api/workspace", json={"numbers": {"invoice": monthly}})
    client = shop.office.made("/api/clients", {"name": "Acme"})["id"]
    days = [{"issue_date": it} for it in ("2026-01-31", "2026-02-01", "2026-02-02", "2026-01-30")]
    assert numbers(shop, client, *days) == [
        "R2601-C-00001-001",
        "R2602-C-00001-001",
        "R2602-C-00001-002",
        "R2601-C-00001-002",
    ]


def test_series_count_by_themselves_where_the_pattern_shows_them(shop: Any) -> None:
    """R-NUM-1."""
    pattern = {"pattern": "{SERIES}-{YYYY}-{SEQ:2}"}
    shop.office.patch("/api/workspace", json={"numbers": {"invoice": pattern}})
    client = shop.client()
    days = [{"series": it, "issue_date": "2026-05-01"} for it in ("A", "B", "A")]
    assert numbers(shop, client, *days) == ["A-2026-01", "B-2026-01", "A-2026-02"]
    nameless = drafted(shop, client)
    shop.problem(shop.move(nameless, status="sent"), 422, "series_code_needed")


def test_series_that_cannot_be_told_apart_count_together(shop: Any) -> None:
    """R-NUM-2: no number is given twice in a workspace."""
    client = shop.client()
    given = numbers(shop, client, {}, {"series": "A"}, {"series": "B"}, {})
    assert [it[-5:] for it in given] == ["00001", "00002", "00003", "00004"]


def test_a_pattern_must_part_series_from_sequence(shop: Any) -> None:
    """R-NUM-2: series A1 with 2 and series A with 12 would both be A12."""
    for pattern in ("{SERIES}{YYYY}{SEQ}", "R{SEQ}{YY}{SERIES}"):
        no = shop.office.patch(
            "/api/workspace", json={"numbers": {"invoice": {"pattern": pattern}}}
        )
        shop.problem(no, 422, "bad_number_pattern")


def test_a_chosen_number_moves_the_counter_forward(shop: Any) -> None:
    """R-NUM-4."""
    client, on = shop.client(), {"issue_date": "2026-05-01"}
    chosen = drafted(shop, client, number="INV-2026-00007", **on)
    assert shop.seen(chosen)["number"] == "INV-2026-00007"
    assert shop.move(chosen, status="sent").json()["number"] == "INV-2026-00007"
    assert numbers(shop, client, on, {**on, "number": "INV-2026-00003"}, on) == [
        "INV-2026-00008",
        "INV-2026-00003",
        "INV-2026-00009",
    ]


@pytest.mark.parametrize(
    "number", ["INV-2026-00001", "INV-2026-1", "INV-2025-00009", "inv-2026-00009", "7", "x" * 900]
)
def test_a_number_that_is_taken_or_looks_otherwise_is_refused(shop: Any, number: str) -> None:
    """R-NUM-4: 409; the draft may choose again."""
    client, on = shop.client(), {"issue_date": "2026-05-01"}
    issued(shop, client, **on)
    invoice = drafted(shop, client, number=number, **on)
    shop.problem(shop.move(invoice, status="sent"), 409, "number_taken")
    assert shop.seen(invoice)["status"] == "draft"
    for blank in ("", None):
        answer = shop.office.put(f"{PATH}/{invoice}", json={"number": blank})
        assert answer.json()["number"] is None
    assert shop.move(invoice, status="sent").json()["number"] == "INV-2026-00002"


def test_of_two_who_choose_one_number_one_gets_it(shop: Any) -> None:
    """R-NUM-4."""
    client, on = shop.client(), {"issue_date": "2026-05-01", "number": "INV-2026-00005"}
    drafts = [drafted(shop, client, **on) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda it: shop.move(it, status="sent"), drafts))
    assert sorted(it.status_code for it in answers) == [200, *[409] * 7]


def test_the_order_of_time_is_kept_where_the_workspace_wants_it(house: Any, shop_in: Any) -> None:
    """R-NUM-5: refuse, or go on by default."""
    strict, lax = shop_in(house.office(chronology="refuse")), shop_in(house.office())
    for shop in (strict, lax):
        client = shop.client()
        issued(shop, client, issue_date="2026-05-02")
        issued(shop, client, issue_date="2026-05-02")
        earlier = drafted(shop, client, issue_date="2026-05-01")
        answer = shop.move(earlier, status="sent")
        if shop is strict:
            no = shop.problem(answer, 422, "issue_date_out_of_order")
            assert no["last_issue_date"] == "2026-05-02"
        else:
            assert answer.json()["number"] == "INV-2026-00003"


def test_t15_parallel_sends_get_consecutive_numbers(shop: Any) -> None:
    """T15, R-NUM-6: unique, without a gap, and no error."""
    many = 40
    client = shop.client()
    drafts = [drafted(shop, client, issue_date="2026-05-01") for _ in range(many)]
    with ThreadPoolExecutor(many) as pool:
        answers = list(pool.map(lambda it: shop.move(it, status="sent"), drafts))
    assert {it.status_code for it in answers} == {200}
    given = sorted(it.json()["number"] for it in answers)
    assert given == [f"INV-2026-{n:05}" for n in range(1, many + 1)]


def test_two_clicks_on_send_are_one_number(shop: Any) -> None:
    """Rule 15: the second is a sending again."""
    invoice = drafted(shop, shop.client())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: shop.move(invoice, status="sent"), range(8)))
    assert {it.status_code for it in answers} == {200}
    assert len({it.json()["number"] for it in answers}) == 1
    assert shop.story(invoice).count("InvoiceSent") == 1


# Credit limit


def test_a_credit_limit_holds_unless_somebody_overrides_it(shop: Any) -> None:
    """What is owed with this invoice may reach the limit, not pass it."""
    client = shop.client(credit_limit=Decimal("150.00"))
    shop.invoice(client)
    invoice = shop.draft(client, "50.01")
    no = shop.problem(shop.move(invoice, status="sent"), 409, "credit_limit_exceeded")
    assert (no["exposure"], no["credit_limit"], no["currency"]) == ("150.01", "150.00", "USD")
    assert shop.owed(client) == {"USD": "100.00"}
    exact = shop.draft(client, "50")
    number = shop.move(exact, status="sent").json()["number"]
    assert number.endswith("-00002")  # the refusal burned none
    sent = shop.move(invoice, status="sent", override_credit_limit=True)
    assert sent.status_code == 200
    assert shop.owed(client) == {"USD": "200.01"}
    euros = shop.invoice(client, "1000", "EUR")  # a limit is in the client's currency
    assert shop.seen(euros)["status"] == "sent"


def test_parallel_sends_do_not_pass_the_limit_together(shop: Any) -> None:
    client = shop.client(credit_limit=Decimal(300))
    drafts = [shop.draft(client) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda it: shop.move(it, status="sent"), drafts))
    assert sorted(it.status_code for it in answers) == [200] * 3 + [409] * 5
    assert shop.owed(client) == {"USD": "300.00"}
