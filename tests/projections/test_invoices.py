"""Invoices as lists show them: filters, pages, what is overdue, and how fresh it all is."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from zeroinvoice.domain.client import Client, Profile


def client_of(office: Any, name: str = "Acme Corp", currency: str = "USD") -> str:
    def added(desk: Any) -> UUID:
        client = desk.new(Client)
        return desk.record(client, client.add(Profile(name, currency))).id

    return str(office.house.commit(office.tenant, added))


@pytest.fixture
def client_id(office: Any) -> str:
    return client_of(office)


def drafted(office: Any, client_id: str, price: str = "100", **more: Any) -> dict[str, Any]:
    line = {"description": more.pop("line", "Consulting"), "unit_price": price}
    body = {"client_id": client_id, "line_items": [line], **more}
    made: dict[str, Any] = office.made("/api/invoices", body)
    return made


def moved(office: Any, invoice: dict[str, Any], status: str) -> dict[str, Any]:
    answer = office.patch(f"/api/invoices/{invoice['id']}/status", json={"status": status})
    assert answer.status_code == 200, answer.text
    after: dict[str, Any] = answer.json()
    return after


def sent(office: Any, client_id: str, price: str = "100", **more: Any) -> dict[str, Any]:
    return moved(office, drafted(office, client_id, price, **more), "sent")


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_a_list_shows_what_was_just_written_newest_first(office: Any, client_id: str) -> None:
    """R-CMD-5: nobody reads stale data by accident."""
    made = [drafted(office, client_id, str(price))["id"] for price in (1, 2, 3)]
    answer = office.get("/api/invoices")
    assert ids(answer) == made[::-1]
    assert "x-projection-lag" not in answer.headers
    assert answer.json()["items"][0] | {"id": "", "client_id": ""} == {
        **answer.json()["items"][0],
        "id": "",
        "client_id": "",
        "client_name": "Acme Corp",
        "status": "draft",
        "number": None,
        "total": "3.00",
        "balance_due": "3.00",
        "days_overdue": 0,
        "line_count": 1,
        "version": 1,
        "deleted": False,
    }
    assert ids(office.get("/api/invoices/")) == made[::-1]


def test_a_list_takes_several_statuses_overdue_among_them(office: Any, client_id: str) -> None:
    """R-CMD-7, R-DAT-4: overdue is a status of its own in lists."""
    draft = drafted(office, client_id)["id"]
    open_ = sent(office, client_id)["id"]
    late = sent(office, client_id, issue_date="2026-01-01", due_date="2026-01-31")["id"]
    cancelled = moved(office, drafted(office, client_id), "cancelled")["id"]
    assert ids(office.get("/api/invoices?status=draft")) == [draft]
    assert ids(office.get("/api/invoices?status=sent")) == [open_]
    assert ids(office.get("/api/invoices?status=overdue")) == [late]
    both = ids(office.get("/api/invoices?status=overdue&status=cancelled"))
    assert both == [cancelled, late]
    refused = office.get("/api/invoices?status=lost")
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_input")


def test_a_list_is_narrowed_by_client_text_and_time(office: Any, client_id: str) -> None:
    """R-CMD-7: client_id, q, created_from, created_to, updated_since."""
    other = client_of(office, "Globex 100% Ltd")
    first = drafted(office, client_id, line="Roof repair", reference="PO-7")["id"]
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    second = drafted(office, other, line="Window_cleaning")["id"]
    assert ids(office.get(f"/api/invoices?client_id={other}")) == [second]
    assert ids(office.get(f"/api/invoices/client/{other}")) == [second]
    for q, found in (
        ("ROOF", [first]),
        ("po-7", [first]),
        ("globex", [second]),
        ("100%", [second]),
        ("w_c", [second]),
        ("%", [second]),
        ("nowhere", []),
    ):
        assert ids(office.get("/api/invoices", params={"q": q})) == found, q
    assert ids(office.get(f"/api/invoices?created_from={between}")) == [second]
    assert ids(office.get(f"/api/invoices?created_to={between}")) == [first]
    office.put(f"/api/invoices/{first}", json={"notes": "changed"})
    assert set(ids(office.get(f"/api/invoices?updated_since={between}"))) == {first, second}
    for number in ("0.5", "1767225600", "-1"):
        refused = office.get(f"/api/invoices?updated_since={number}")
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_input")
    naive = office.get("/api/invoices?created_from=2026-01-01T00:00:00")
    assert naive.status_code == 400
    assert naive.json()["errors"][0]["pointer"] == "?created_from"
    assert office.get(f"/api/invoices/client/{uuid4()}").status_code == 404


def test_deleted_drafts_are_hidden_unless_asked_for(office: Any, client_id: str) -> None:
    """R-CMD-7."""
    kept, gone = drafted(office, client_id)["id"], drafted(office, client_id)["id"]
    assert office.delete(f"/api/invoices/{gone}").status_code == 204
    assert ids(office.get("/api/invoices")) == [kept]
    assert ids(office.get("/api/invoices?include_deleted=true")) == [gone, kept]
    assert office.get(f"/api/invoices/{gone}").status_code == 404


def test_a_walk_through_the_pages_during_inserts_shows_everything_once(
    office: Any, client_id: str
) -> None:
    """T39: no duplicates, none lost; what comes in meanwhile is before the first page."""
    before = [drafted(office, client_id)["id"] for _ in range(12)]
    stop = threading.Event()

    def insert() -> None:
        while not stop.is_set():
            drafted(office, client_id)

    inserting = threading.Thread(target=insert)
    inserting.start()
    try:
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            asked = {"limit": 5, "cursor": cursor} if cursor else {"limit": 5}
            answer = office.get("/api/invoices", params=asked)
            seen += ids(answer)
            cursor = answer.json()["next_cursor"]
    finally:
        stop.set()
        inserting.join()
    assert len(seen) == len(set(seen))
    assert [id for id in seen if id in set(before)] == before[::-1]


@pytest.mark.parametrize("sort", ["total", "-total", "due_date", "-created_at", "balance_due"])
def test_every_order_can_be_walked_with_equal_values_in_it(
    office: Any, client_id: str, sort: str
) -> None:
    """R-CMD-7: a stable order with the id as tie-break."""
    made = {drafted(office, client_id, price)["id"] for price in ("5", "7", "7", "7", "9")}
    seen: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        answer = office.get("/api/invoices", params={"limit": 2, "sort": sort, **more})
        seen += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
    assert {item["id"] for item in seen} == made
    assert len(seen) == len(made)
    name = sort.removeprefix("-")
    values = [float(it[name]) if name in ("total", "balance_due") else it[name] for it in seen]
    assert values == sorted(values, reverse=sort.startswith("-"))


def test_a_total_is_counted_only_on_request(office: Any, client_id: str) -> None:
    for _ in range(3):
        drafted(office, client_id)
    assert office.get("/api/invoices?limit=1").json()["total"] is None
    assert office.get("/api/invoices?limit=1&include_total=true").json()["total"] == 3


def test_a_cursor_is_good_for_one_tenant_and_one_question_only(
    house: Any, office: Any, client_id: str
) -> None:
    """T39: cursor of another tenant or filter is a 400."""
    for _ in range(3):
        drafted(office, client_id)
    cursor = office.get("/api/invoices?limit=1").json()["next_cursor"]
    stranger = house.office()
    asked = {"limit": 1, "cursor": cursor}
    for answer in (
        stranger.get("/api/invoices", params=asked),
        office.get("/api/invoices", params={**asked, "status": "draft"}),
        office.get("/api/invoices", params={**asked, "sort": "total"}),
        office.get("/api/invoices", params={**asked, "cursor": cursor[:-1]}),
        office.get("/api/invoices", params={**asked, "cursor": "x"}),
        office.get("/api/invoices/overdue", params=asked),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), answer.text
    assert office.get("/api/invoices", params=asked).status_code == 200


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=201", "limit=NaN", "limit=1000000000",
              "sort=password_hash", "sort=--total", "client_id=1", "created_from=infinity"]
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_a_400(office: Any, query: str) -> None:
    """T39, 2.0."""
    answer = office.get(f"/api/invoices?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_tenant_sees_nothing(house: Any, office: Any, client_id: str) -> None:
    """R-CMD-4: 404 for ids of another tenant, and no rows in any list."""
    invoice = sent(office, client_id, issue_date="2026-01-01", due_date="2026-01-02")
    stranger = house.office()
    assert ids(stranger.get("/api/invoices?include_deleted=true")) == []
    assert stranger.get("/api/invoices/overdue").json()["totals"] == {}
    assert stranger.get(f"/api/invoices/{invoice['id']}").status_code == 404
    assert stranger.get(f"/api/invoices/client/{client_id}").status_code == 404


def test_an_id_of_something_else_is_no_invoice(office: Any, client_id: str) -> None:
    """R-CMD-4: never a 500."""
    assert office.get(f"/api/invoices/{client_id}").status_code == 404
    assert office.put(f"/api/invoices/{client_id}", json={"notes": "x"}).status_code == 404


def test_an_invoice_is_overdue_from_the_midnight_of_the_tenant_on(house: Any) -> None:
    """R-DAT-2, R-DAT-4: due today is not overdue; today is the workspace's."""
    office = house.office(time_zone="Pacific/Auckland")
    try:
        client_id = client_of(office)
        due = datetime.now(UTC).date() + timedelta(days=40)
        invoice = sent(office, client_id, due_date=due.isoformat())
        midnight = datetime.combine(due + timedelta(days=1), datetime.min.time())
        from zoneinfo import ZoneInfo

        for before, status, days in ((3, "sent", 0), (-3, "overdue", 1)):
            at = midnight.replace(tzinfo=ZoneInfo("Pacific/Auckland")) - timedelta(seconds=before)
            house.clock.moved = at.astimezone(UTC) - datetime.now(UTC)
            again = _fresh(house, office)
            read = again.get(f"/api/invoices/{invoice['id']}").json()
            assert (read["status"], read["days_overdue"]) == (status, days)
            listed = again.get("/api/invoices").json()["items"][0]
            assert (listed["status"], listed["days_overdue"]) == (status, days)
            late = ids(again.get("/api/invoices/overdue"))
            assert late == ([invoice["id"]] if days else [])
    finally:
        house.clock.moved = timedelta()


def _fresh(house: Any, office: Any) -> Any:
    """The same office with a session begun at the house's present time."""
    from zeroinvoice.domain.session import Session

    session = uuid4()

    def begun(desk: Any) -> None:
        state = desk.new(Session, session)
        desk.record(state, state.start(office.user))

    house.commit(office.tenant, begun, office.user)
    return type(office)(house, office.tenant, office.user, session)


def test_overdue_lists_the_longest_first_with_totals_by_currency(
    office: Any, client_id: str
) -> None:
    """A4-13; never add two currencies."""
    day = datetime.now(UTC).date()
    yen = client_of(office, "Nippon", "JPY")

    def due(days: int) -> dict[str, str]:
        issued = (day - timedelta(days=60)).isoformat()
        return {"issue_date": issued, "due_date": (day - timedelta(days=days)).isoformat()}

    short = sent(office, client_id, "10.50", **due(1))["id"]
    long = sent(office, client_id, "20", **due(30))["id"]
    other = sent(office, yen, "700", **due(10))["id"]
    sent(office, client_id, **due(0))
    drafted(office, client_id, **due(5))
    answer = office.get("/api/invoices/overdue")
    assert ids(answer) == [long, other, short]
    assert [item["days_overdue"] for item in answer.json()["items"]] == [30, 10, 1]
    assert answer.json()["totals"] == {"JPY": "700", "USD": "30.50"}
    first = office.get("/api/invoices/overdue?limit=2").json()
    rest = office.get("/api/invoices/overdue", params={"limit": 2, "cursor": first["next_cursor"]})
    assert ids(rest) == [short]
    assert rest.json()["totals"] == first["totals"]


def test_a_deposit_that_is_not_paid_makes_it_overdue_before_the_rest_is(
    office: Any, client_id: str
) -> None:
    """With a deposit, the first instalment that is not covered decides."""
    day = datetime.now(UTC).date()
    invoice = sent(
        office,
        client_id,
        "200",
        issue_date=(day - timedelta(days=20)).isoformat(),
        due_date=(day + timedelta(days=20)).isoformat(),
        deposit={
            "type": "percent",
            "value": "50",
            "due_date": (day - timedelta(days=5)).isoformat(),
        },
    )
    assert (invoice["status"], invoice["days_overdue"]) == ("overdue", 5)
    listed = office.get("/api/invoices/overdue").json()["items"][0]
    assert (listed["id"], listed["days_overdue"]) == (invoice["id"], 5)
    _pay(office, invoice, "100")
    assert ids(office.get("/api/invoices/overdue")) == []
    assert office.get(f"/api/invoices/{invoice['id']}").json()["status"] == "sent"
    assert office.get("/api/invoices").json()["items"][0]["balance_due"] == "100.00"


def _pay(office: Any, invoice: dict[str, Any], amount: str) -> None:
    from decimal import Decimal

    from zeroinvoice.domain.invoice import Invoice
    from zeroinvoice.kernel.money import Money

    def paid(desk: Any) -> None:
        state = desk.open(Invoice, UUID(invoice["id"]))
        money = Money(Decimal(amount).quantize(Decimal("0.01")), invoice["currency"])
        desk.record(state, state.receive(uuid4(), money, datetime.now(UTC).date()))

    office.house.commit(office.tenant, paid)


def test_a_position_that_was_written_can_be_waited_for(office: Any, client_id: str) -> None:
    """R-CMD-5: X-Min-Position waits up to two seconds, then 503."""
    body = {"client_id": client_id, "line_items": []}
    written = office.post("/api/invoices", json=body)
    position = written.headers["x-position"]
    read = office.get("/api/invoices", headers={"X-Min-Position": position})
    assert ids(read) == [written.json()["id"]]
    ahead = office.get("/api/invoices", headers={"X-Min-Position": str(int(position) + 10**6)})
    assert (ahead.status_code, ahead.json()["code"]) == (503, "projection_lagging")
    assert "retry-after" in ahead.headers
    assert office.get("/api/invoices", headers={"X-Min-Position": "soon"}).status_code == 400


def test_a_read_model_that_stands_still_is_shown_with_its_lag(
    house: Any, office: Any, client_id: str
) -> None:
    """Design 5: after a second a read answers all the same, and says how far behind it is."""
    import psycopg

    drafted(office, client_id)
    assert len(ids(office.get("/api/invoices"))) == 1
    with psycopg.connect(house.database_url) as holding:  # no worker can claim the checkpoint
        holding.execute("SELECT 1 FROM checkpoints WHERE name = 'invoices' FOR UPDATE")
        drafted(office, client_id)
        behind = office.get("/api/invoices")
        assert len(ids(behind)) == 1
        assert behind.headers["x-projection-lag"] == "1"
    assert len(ids(office.get("/api/invoices"))) == 2


def test_a_version_that_is_known_is_not_sent_again(office: Any, client_id: str) -> None:
    """R-CMD-2: If-None-Match answers 304 without a body."""
    invoice = drafted(office, client_id)
    where = f"/api/invoices/{invoice['id']}"
    etag = office.get(where).headers["etag"]
    assert etag == '"1"'
    same = office.get(where, headers={"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    moved(office, invoice, "sent")
    assert office.get(where, headers={"If-None-Match": etag}).status_code == 200
    assert "etag" not in office.get(f"/api/invoices/client/{client_id}").headers


def test_an_invoice_is_shown_as_it_was(office: Any, client_id: str) -> None:
    """R-CMD-8: ?as_of on a single resource."""
    invoice = drafted(office, client_id)
    where = f"/api/invoices/{invoice['id']}"
    between = datetime.now(UTC).isoformat()
    moved(office, invoice, "sent")
    then = office.get(where, params={"as_of": between})
    assert (then.json()["status"], then.json()["version"]) == ("draft", 1)
    assert then.headers["etag"] == '"1"'
    assert office.get(where).json()["status"] == "sent"
    assert office.get(where, params={"as_of": "2020-01-01T00:00:00Z"}).status_code == 404
    assert office.get(where, params={"as_of": "yesterday"}).status_code == 400
