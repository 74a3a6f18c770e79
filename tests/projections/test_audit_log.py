"""The audit log as it is asked: by text, field and person; and whoever asks is on record."""

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

import projections.audit_question
import zeroinvoice.domain.access_day
from zeroinvoice.journal.schema import ORDER_LOCK

LOGS = "/api/audit/logs"
SECRET = "DE89370400440532013000"  # a bank number, as somebody might search for one


@pytest.fixture
def client_id(office: Any) -> str:
    made: dict[str, Any] = office.made("/api/clients", {"name": "Acme Corp"})
    return str(made["id"])


def got(office: Any, where: str, **query: Any) -> dict[str, Any]:
    answer = office.get(where, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def later(office: Any, passed: timedelta) -> Any:
    """The same person when some time has passed, with a token that is good then."""
    office.house.clock.moved = passed
    return type(office)(office.house, office.tenant, office.user, office.session)


def accesses(office: Any) -> list[dict[str, Any]]:
    """What is on record of the log being asked, oldest first, without this question."""
    items = got(office, LOGS, resource_type="access_day", limit=200)["items"]
    return [it for it in items[::-1] if said(it).get("question.resource_types.0") != "access_day"]


def said(entry: dict[str, Any]) -> dict[str, Any]:
    return {it["path"]: it["new"] for it in entry["changes"]}


def drafted(office: Any, client_id: str, **fields: Any) -> str:
    line = {"description": "Consulting", "unit_price": "100"}
    body = {"client_id": client_id, "line_items": [line], **fields}
    return str(office.made("/api/invoices", body)["id"])


def admitted(office: Any, role: str) -> Any:
    """Somebody else in the office's workspace, in a role, logged in."""
    from zeroinvoice.domain.membership import MemberInvited, MemberJoined
    from zeroinvoice.domain.session import Session
    from zeroinvoice.domain.workspace import Workspace

    user, session = uuid4(), uuid4()

    def joining(desk: Any) -> None:
        workspace = desk.open(Workspace, office.tenant)
        events = [MemberInvited(user, "gus@example.com", role), MemberJoined(user, role)]
        desk.record(workspace, events)
        begun = desk.new(Session, session)
        desk.record(begun, begun.start(user))

    office.house.commit(office.tenant, joining, user)
    return type(office)(office.house, office.tenant, user, session)


# Asking


def test_a_text_is_searched_for_with_every_filter(office: Any, client_id: str) -> None:
    """A25-3: the search is the log with a text that must be there, and says nothing of clients."""
    lines = [{"description": "A moonlight tour", "unit_price": "10.00"}]
    invoice = drafted(office, client_id, notes="For Zephyrine", line_items=lines)
    drafted(office, client_id)
    found = got(office, "/api/audit/search", q="moonlight")["items"]
    assert [it["resource"]["id"] for it in found] == [invoice]
    none = got(office, "/api/audit/search", q="moonlight", action="InvoiceSent")["items"]
    assert none == []
    assert got(office, "/api/audit/search", q="Zephyrine")["items"] == []
    assert office.get("/api/audit/search").status_code == 400
    assert office.get("/api/audit/search", params={"q": ""}).status_code == 400


def test_entries_are_found_by_the_field_they_changed(office: Any, client_id: str) -> None:
    """A25-3: field path; what is below it counts, and `*` is any step."""
    invoice = drafted(office, client_id)
    where = f"/api/invoices/{invoice}"
    office.put(where, json={"notes": "Thanks"})
    line = {"description": "Consulting", "unit_price": "120"}
    office.put(where, json={"line_items": [line]})

    def versions(path: str) -> list[int]:
        items = got(office, LOGS, path=path, resource_id=invoice)["items"]
        return [it["version"] for it in items]

    assert versions("content.notes") == [2]
    assert versions("content.lines.*.unit_price") == [3, 1]
    assert versions("content.lines") == [3, 1]
    assert versions("content") == [3, 2, 1]
    assert versions("content.note") == []
    assert versions("due_date") == []


def test_pages_of_a_field_hold_all_of_it_once(
    monkeypatch: pytest.MonkeyPatch, office: Any, client_id: str
) -> None:
    """A25-3: however few of the entries that are looked at are shown."""
    invoice = drafted(office, client_id)
    for n in range(9):
        office.put(f"/api/invoices/{invoice}", json={"notes": f"Note {n}" if n % 3 else None})
        office.put(f"/api/invoices/{invoice}", json={"po_number": f"PO {n}"})
    whole = got(office, LOGS, path="content.notes")["items"]
    assert len(whole) == 8 or len(whole) == 9
    monkeypatch.setattr(projections.audit_question, "MOST", 4)
    monkeypatch.setattr(projections.audit_question, "MOST_SIFTED", 6)
    for limit in (1, 2, 3, 50):
        seen: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            asked = {"path": "content.notes", "limit": limit}
            body = got(office, LOGS, **asked, **({"cursor": cursor} if cursor else {}))
            assert len(body["items"]) <= limit
            seen += body["items"]
            cursor = body["next_cursor"]
        assert [it["seq"] for it in seen] == [it["seq"] for it in whole]


# Of people


def test_everybody_sees_what_they_did_themselves(office: Any, client_id: str) -> None:
    """A25-8: my-activity is for everybody, the rest by permission."""
    member = admitted(office, "member")
    made = member.made("/api/clients", {"name": "Bolt"})
    mine = got(member, "/api/audit/my-activity")["items"]
    assert {it["actor"]["id"] for it in mine} == {str(member.user)}
    assert made["id"] in {it["resource"]["id"] for it in mine}
    assert client_id not in {it["resource"]["id"] for it in mine}
    for path in ("logs", "search?q=x", f"user/{member.user}/activity", "statistics",
                 "compliance-report", f"resource/client/{client_id}/history"):  # fmt: skip
        assert member.get(f"/api/audit/{path}").status_code == 403, path
    filtered = got(member, "/api/audit/my-activity", action="ClientAdded")["items"]
    assert [it["resource"]["id"] for it in filtered] == [made["id"]]
    assert member.get("/api/audit/my-activity?actor=system").status_code == 400


def test_an_api_key_is_nobody_with_activity_of_their_own(office: Any) -> None:
    """A25-8."""
    key = office.made("/api/workspace/api-keys", {"name": "Key", "permissions": ["audit:read"]})
    headers = {"X-API-Key": key["token"]}
    with httpx.Client(base_url=office.house.url, headers=headers) as program:
        assert program.get("/api/audit/my-activity").status_code == 403
        assert program.get(LOGS).status_code == 200
    (entry,) = [it for it in accesses(office) if it["actor"]["type"] == "api_key"]
    assert entry["actor"] == {"type": "api_key", "id": key["id"], "name": "Key"}


def test_the_activity_of_one_user_is_theirs_alone(office: Any, client_id: str) -> None:
    """A25-8, R-CMD-4: whoever was never of this workspace is not there."""
    member = admitted(office, "member")
    idle = admitted(office, "member")
    made = member.made("/api/clients", {"name": "Bolt"})
    where = "/api/audit/user/{}/activity"
    theirs = got(office, where.format(member.user))["items"]
    assert {it["actor"]["id"] for it in theirs} == {str(member.user)}
    assert made["id"] in {it["resource"]["id"] for it in theirs}
    assert {it["actor"]["id"] for it in got(office, where.format(idle.user))["items"]} <= {
        str(idle.user)
    }
    office.delete(f"/api/workspace/members/{member.user}")
    assert made["id"] in str(got(office, where.format(member.user)))  # they left, it stays
    stranger = office.house.office()
    assert office.get(where.format(stranger.user)).status_code == 404
    assert office.get(where.format(uuid4())).status_code == 404
    assert office.get(where.format(client_id)).status_code == 404


# On record


def test_whoever_reads_the_log_is_on_record(office: Any, client_id: str) -> None:
    """A25-8: who, what, when, from where, and in which request."""
    headers = {"User-Agent": "curl/8", "X-Reason": "year-end audit"}
    answer = office.get(f"{LOGS}?action=ClientAdded&from=2026-01-01T00:00:00Z", headers=headers)
    (entry,) = accesses(office)
    assert entry["action"] == "AuditLogRead"
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert entry["actor"]["id"] == str(office.user)
    assert (entry["ip"], entry["user_agent"]) == ("127.0.0.1", "curl/8")
    assert entry["reason"] == "year-end audit"
    assert said(entry)["view"] == "logs"
    assert said(entry)["question.actions.0"] == "ClientAdded"
    assert said(entry)["question.since"] == "2026-01-01T00:00:00Z"


def test_every_way_of_reading_it_is_on_record(office: Any, client_id: str) -> None:
    """A25-8."""
    for path in ("logs", "search?q=acme", "my-activity", f"user/{office.user}/activity",
                 f"resource/client/{client_id}/history", "statistics", "compliance-report",
                 "logs?format=csv", "search?q=acme&format=jsonl"):  # fmt: skip
        assert office.get(f"/api/audit/{path}").status_code == 200, path
    found = accesses(office)
    assert [it["action"] for it in found] == [
        *["AuditLogRead"] * 6, "ComplianceReportSigned", *["AuditLogExported"] * 2,
    ]  # fmt: skip
    views = [said(it).get("view") for it in found]
    assert views[:6] == [
        "logs", "search", "my_activity", "user_activity", "resource_history", "statistics",
    ]  # fmt: skip


def test_the_pages_of_one_list_are_one_reading(office: Any, client_id: str) -> None:
    """A25-8: the log grows by what is asked, not by how it is paged."""
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": 1, "cursor": cursor} if cursor else {"limit": 1}
        cursor = got(office, LOGS, **asked)["next_cursor"]
    got(office, LOGS, limit=50)
    assert len(accesses(office)) == 1
    got(office, LOGS, action="ClientAdded")
    office.get(LOGS, headers={"User-Agent": "another program"})
    assert len(accesses(office)) == 3
    again = later(office, timedelta(minutes=61))
    got(again, LOGS, limit=1)
    assert len(accesses(again)) == 4


def test_a_key_for_repeating_does_not_hide_a_reading(office: Any) -> None:
    """R-CMD-1 is for writes: what is read again an hour later is on record again."""
    headers = {"Idempotency-Key": "once", "If-Match": '"7"'}
    assert office.get(LOGS, headers=headers).status_code == 200
    again = later(office, timedelta(minutes=61))
    assert again.get(LOGS, headers=headers).status_code == 200
    assert len(accesses(again)) == 2


def test_what_was_searched_for_is_not_on_record(house: Any, office: Any) -> None:
    """Never the value: somebody may look for a bank number."""
    got(office, "/api/audit/search", q=SECRET)
    got(office, LOGS, q=SECRET.lower(), path="content.notes")
    first, second = accesses(office)
    assert said(first)["question.by_text"] is True
    assert said(second)["question.by_field"] is True
    with psycopg.connect(house.database_url) as connection:
        kept = connection.execute(
            "SELECT count(*) FROM facts WHERE lower(state) LIKE %s", [f"%{SECRET.lower()}%"]
        ).fetchone()
    assert kept == (0,)


def test_what_is_refused_shows_nothing_and_records_nothing(office: Any) -> None:
    assert office.get(f"{LOGS}?resource_type=spaceship").status_code == 422
    assert office.get(f"/api/audit/user/{uuid4()}/activity").status_code == 404
    assert accesses(office) == []


def test_nobody_is_answered_who_cannot_be_put_on_record(house: Any, office: Any) -> None:
    """A25-8: the answer waits for the commit; while nothing can be committed there is none."""
    with psycopg.connect(house.database_url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [ORDER_LOCK])
        answers: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answers.append(office.get(LOGS)))
        asking.start()
        asking.join(1.0)
        assert asking.is_alive(), "it was answered before it was on record"
        holder.rollback()
        asking.join(10)
    assert [it.status_code for it in answers] == [200]
    assert len(accesses(office)) == 1


def test_one_who_asks_too_much_waits_for_tomorrow(
    monkeypatch: pytest.MonkeyPatch, office: Any
) -> None:
    """A25-8: each access is kept for ever, so there is an end to them."""
    monkeypatch.setattr(zeroinvoice.domain.access_day, "MOST_A_DAY", 2)
    assert office.get(LOGS).status_code == 200
    assert office.get(f"{LOGS}?action=ClientAdded").status_code == 200
    refused = office.get(f"{LOGS}?action=InvoiceSent")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert 0 < int(refused.headers["retry-after"]) <= 25 * 3600
    assert office.get(LOGS).status_code == 200  # goes on with what is on record
    assert len(accesses_of(office)) == 2


def accesses_of(office: Any) -> list[Any]:
    """The facts of the office's one access day, without asking the log."""
    journal = office.house.parts.journal
    facts = [it for it in journal.facts_since(0, 100_000) if it.tenant == office.tenant]
    return [it for it in facts if type(it.event).__name__ == "AuditLogRead"]


def test_a_stream_of_accesses_is_an_actors_and_a_days(office: Any) -> None:
    """A25-8: so nobody's reading waits for anybody else's, and none grows for ever."""
    got(office, LOGS)
    got(later(office, timedelta(days=1)), LOGS)
    member = admitted(office, "auditor")
    got(member, LOGS)
    streams = {UUID(str(it.stream)) for it in accesses_of(office)}
    assert len(streams) == 3
