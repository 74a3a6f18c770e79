"""Blame: of every field as it stands, who set it, when, by which fact and why (A25-4)."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

import projections.audit
from projections.audit_blame import blamed
from projections.audit_changes import COVERED
from zeroinvoice.domain.user import PasswordReset, User, UserRegistered
from zeroinvoice.kernel.facts import Actor, Event, Fact, Origin
from zeroinvoice.kernel.ids import new_id


class Desk:
    """An office and an invoice of it that is changed again and again."""

    def __init__(self, office: Any) -> None:
        self.office = office
        client = office.made("/api/clients", {"name": "Acme"})["id"]
        lines = [self.line("One", 10), self.line("Two", 20), self.line("Three", 30)]
        body = {"client_id": client, "line_items": lines}
        self.invoice = office.made("/api/invoices", body)["id"]

    @staticmethod
    def line(text: str, price: Any) -> dict[str, Any]:
        return {"description": text, "unit_price": price}

    def revise(self, reason: str | None = None, **fields: Any) -> int:
        """The fact by which it was changed."""
        path = f"/api/invoices/{self.invoice}"
        headers = {"X-Reason": reason} if reason else {}
        answer = self.office.put(path, json=fields, headers=headers)
        assert answer.status_code == 200, answer.text
        return int(answer.headers["x-position"])

    def history(self, **query: Any) -> Any:
        path = f"/api/audit/resource/invoice/{self.invoice}/history"
        return self.office.get(path, params={"blame": 1, **query})

    def blame(self, **query: Any) -> dict[str, dict[str, Any]]:
        answer = self.history(**query)
        assert answer.status_code == 200, answer.text
        return {it["path"]: it for it in answer.json()["blame"]}


@pytest.fixture
def desk(office: Any) -> Desk:
    return Desk(office)


def test_every_field_names_who_set_it_when_by_which_fact_and_why(desk: Desk) -> None:
    """Row 4."""
    seq = desk.revise("asked by phone", due_date="2027-01-31")
    blame = desk.blame()
    due = blame["content.due_date"]
    assert due == {
        "path": "content.due_date",
        "value": "2027-01-31",
        "seq": seq,
        "version": 2,
        "at": due["at"],
        "actor": {"type": "user", "id": str(desk.office.user), "name": None},
        "action": "InvoiceRevised",
        "reason": "asked by phone",
    }
    first = blame["content.client_id"]
    assert (first["version"], first["action"], first["reason"]) == (1, "InvoiceDrafted", None)
    entry = desk.history().json()["items"][1]
    assert (due["seq"], due["at"], due["actor"]) == (entry["seq"], entry["at"], entry["actor"])


def test_a_field_that_was_set_cleared_and_set_again_names_the_last(desk: Desk) -> None:
    """Row 4; one that is cleared names who cleared it, and one that never was, nobody."""
    assert "content.notes" not in desk.blame()
    first = desk.revise(notes="Thanks")
    assert desk.blame()["content.notes"]["seq"] == first
    cleared = desk.revise("too friendly", notes=None)
    found = desk.blame()["content.notes"]
    assert (found["seq"], found["value"], found["reason"]) == (cleared, None, "too friendly")
    again = desk.revise(notes="Thanks")
    found = desk.blame()["content.notes"]
    assert (found["seq"], found["value"]) == (again, "Thanks")
    desk.revise(reference="PO 7")
    assert desk.blame()["content.notes"]["seq"] == again


def test_a_line_that_moves_keeps_who_wrote_it(desk: Desk) -> None:
    """Row 4: who takes the first of three lines away has not written the other two."""
    one, two, three = desk.line("One", 10), desk.line("Two", 20), desk.line("Three", 30)
    desk.revise(line_items=[three, two])
    blame = desk.blame()
    assert [blame[f"content.lines.{n}.description"]["value"] for n in (0, 1)] == ["Three", "Two"]
    for number in (0, 1):
        assert blame[f"content.lines.{number}.description"]["version"] == 1
    assert "content.lines.2.description" not in blame
    desk.revise(line_items=[one, three, desk.line("Two", 25)])
    blame = desk.blame()
    versions = {path: it["version"] for path, it in blame.items()}
    assert versions["content.lines.0.description"] == 3  # what was left of the lines before: Two
    assert versions["content.lines.1.unit_price"] == 1
    assert versions["content.lines.2.description"] == 3


def test_one_changed_field_of_a_line_is_all_that_is_blamed(desk: Desk) -> None:
    lines = [desk.line("One", 10), desk.line("Two", 21), desk.line("Three", 30)]
    seq = desk.revise(line_items=lines)
    blame = desk.blame()
    assert blame["content.lines.1.unit_price"]["seq"] == seq
    assert blame["content.lines.1.description"]["version"] == 1
    assert blame["content.lines.2.unit_price"]["version"] == 1
    assert blame["totals.total"]["seq"] == seq


def test_the_fields_may_be_those_of_an_instant(desk: Desk) -> None:
    """Rows 1 and 4."""
    desk.revise(notes="one")
    then = datetime.now(UTC).isoformat()
    before = desk.blame()
    desk.revise(notes="two", due_date="2027-01-31")
    assert desk.blame()["content.notes"]["version"] == 3
    assert desk.blame(as_of=then) == before


def test_the_paths_are_those_of_the_changes(desk: Desk) -> None:
    """A25-4: what a history says was set last is what is blamed, field by field."""
    desk.revise(notes="one")
    sent = desk.office.patch(f"/api/invoices/{desk.invoice}/status", json={"status": "sent"})
    assert sent.status_code == 200
    body = desk.history().json()
    last: dict[str, tuple[int, Any]] = {}
    for entry in body["items"]:
        for change in entry["changes"]:
            last[change["path"]] = entry["seq"], change["new"]
    assert {it["path"]: (it["seq"], it["value"]) for it in body["blame"]} == last


def test_blame_is_given_only_when_asked_for(desk: Desk) -> None:
    path = f"/api/audit/resource/invoice/{desk.invoice}/history"
    assert "blame" not in desk.office.get(path).json()
    assert desk.office.get(path, params={"blame": "maybe"}).status_code == 400


def test_blame_is_of_the_whole_resource_on_any_page(desk: Desk) -> None:
    desk.revise(notes="one")
    assert desk.history(limit=1).json()["blame"] == desk.history().json()["blame"]


def test_what_is_not_there_or_not_yours_is_nobodys_fault(desk: Desk, house: Any) -> None:
    """R-CMD-4."""
    stranger = house.office()
    for http, id in ((stranger, desk.invoice), (desk.office, uuid4())):
        path = f"/api/audit/resource/invoice/{id}/history"
        assert http.get(path, params={"blame": 1}).status_code == 404


def test_a_stream_that_is_too_long_is_refused_until_an_instant_makes_it_short(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections.audit, "LONGEST_FOLD", 2)
    desk.revise(notes="one")
    then = datetime.now(UTC).isoformat()
    assert desk.blame()["content.notes"]["version"] == 2
    desk.revise(notes="two")
    answer = desk.history()
    assert (answer.status_code, answer.json()["code"]) == (422, "history_too_long")
    assert answer.json()["longest"] == 2
    assert desk.blame(as_of=then)["content.notes"]["version"] == 2


def test_a_secret_is_blamed_and_covered() -> None:
    """A25-2."""
    registered = UserRegistered("user@example.com", "A Role", "$argon2id$one", "en", "d")
    facts = recorded(registered, PasswordReset("$argon2id$two"))
    found = {it.path: it for it in blamed(User, facts[0].stream, facts)}
    assert found["password_hash"].value == COVERED
    assert (found["password_hash"].by, found["email"].by) == (facts[1], facts[0])
    assert "argon2id" not in str([it.value for it in found.values()])


def recorded(*events: Event) -> list[Fact]:
    """Events as facts of one stream."""
    stream, origin = new_id(), Origin(Actor("system"), new_id())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Fact(event, new_id(), stream, number, number, at, origin)
        for number, event in enumerate(events, 1)
    ]
