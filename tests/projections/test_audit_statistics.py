"""Audit statistics: every entry counted once, by the workspace's own days and hours."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from zeroinvoice.domain.user import User, UserRegistered

WHERE = "/api/audit/statistics"
BERLIN = ZoneInfo("Europe/Berlin")


def statistics(office: Any, **query: Any) -> dict[str, Any]:
    answer = office.get(WHERE, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def counted(counts: list[dict[str, Any]]) -> dict[str, int]:
    return {it["key"]: it["count"] for it in counts}


def at(office: Any, moment: datetime) -> Any:
    """The same person at another moment, with a token that is good then."""
    office.house.clock.moved = moment - datetime.now(UTC)
    return type(office)(office.house, office.tenant, office.user, office.session)


def next_week(day: int, hour: int, zone: ZoneInfo = BERLIN, minute: int = 30) -> datetime:
    """Monday (0) to Sunday (6) of the week after this one, at an hour there."""
    today = datetime.now(zone).date()
    monday = today - timedelta(days=today.weekday()) + timedelta(days=7)
    chosen = monday + timedelta(days=day)
    return datetime(chosen.year, chosen.month, chosen.day, hour, minute, tzinfo=zone)


def added(office: Any, name: str = "Acme") -> str:
    return str(office.made("/api/clients", {"name": name})["id"])


def test_entries_are_counted_by_day_actor_action_and_resource(office: Any) -> None:
    """A25-6."""
    for _ in range(3):
        client = added(office)
    office.put(f"/api/clients/{client}", json={"notes": "Seen"})
    found = statistics(office)
    actions = counted(found["actions"])
    assert (actions["ClientAdded"], actions["ClientRevised"]) == (3, 1)
    assert [it["count"] for it in found["actions"]] == sorted(actions.values(), reverse=True)
    assert counted(found["resources"])["client"] == 4
    (actor,) = found["actors"]
    assert actor["actor"]["id"] == str(office.user)
    sums = [sum(it["count"] for it in found[name]) for name in ("days", "actors", "actions",
                                                                "resources")]  # fmt: skip
    assert sums == [found["total"]] * 4
    assert counted(found["addresses"])["127.0.0.1"] >= 4
    assert found["failures"] == {"total": 0, "actions": [], "addresses": []}


def test_filters_hold_for_every_figure(office: Any) -> None:
    """A25-6: of what is asked for alone."""
    client = added(office)
    office.put(f"/api/clients/{client}", json={"notes": "Seen"})
    found = statistics(office, action="ClientRevised")
    assert counted(found["actions"]) == {"ClientRevised": 1}
    assert counted(found["resources"]) == {"client": 1}
    assert sum(counted(found["days"]).values()) == found["total"] == 1
    assert found["off_hours"] in (0, 1)
    assert statistics(office, resource_id=client)["total"] == 2
    assert statistics(office, actor="system")["total"] == 0
    assert statistics(office, ip="10.0.0.1")["total"] == 0
    assert statistics(office, q="revised", resource_id=client)["total"] == 1
    assert statistics(office, q="acme", action="ClientAdded")["total"] == 0  # nothing of clients


def test_days_are_those_of_the_workspace(house: Any) -> None:
    """A25-6, R-DAT-2: half past midnight in Berlin is the evening before in UTC."""
    office = house.office(time_zone="Europe/Berlin")
    night, evening = next_week(2, 0), next_week(2, 23)
    added(at(office, night))
    late = at(office, evening)
    added(late)
    found = statistics(late, action="ClientAdded")
    assert found["time_zone"] == "Europe/Berlin"
    assert counted(found["days"]) == {night.date().isoformat(): 2}
    house.clock.moved = timedelta()


@pytest.mark.parametrize(
    ("day", "hour", "minute", "off"),
    [(0, 6, 59, 1), (0, 7, 0, 0), (4, 18, 59, 0), (4, 19, 0, 1), (5, 12, 0, 1), (6, 12, 0, 1)],
)
def test_off_hours_are_nights_and_weekends(
    house: Any, day: int, hour: int, minute: int, off: int
) -> None:
    """A25-6: all but 7 to 19 o'clock on Mondays to Fridays, in the workspace's zone."""
    office = house.office(time_zone="Europe/Berlin")
    there = at(office, next_week(day, hour, minute=minute))
    added(there)
    assert statistics(there, action="ClientAdded")["off_hours"] == off
    house.clock.moved = timedelta()


def test_failed_logins_are_counted_with_their_addresses(house: Any, office: Any) -> None:
    """A25-6: what is on record of those who were not let in."""
    user = uuid4()

    def failing(desk: Any) -> None:
        it = desk.new(User, user)
        email = f"{user.hex}@example.com"
        it = desk.record(it, [UserRegistered(email, "A Role", "$argon2id$x", "en", "d")])
        desk.record(it, [*it.fail_login(), *it.fail_login()])

    house.commit(office.tenant, failing)
    added(office)
    failures = statistics(office)["failures"]
    assert (failures["total"], counted(failures["actions"])) == (2, {"LoginFailed": 2})
    assert statistics(office, action="ClientAdded")["failures"]["total"] == 0
    assert statistics(office, action=["ClientAdded", "LoginFailed"])["failures"]["total"] == 2


def test_a_period_has_two_ends(office: Any) -> None:
    """A25-6: the last 30 days unless asked, and a year at most."""
    added(office)
    assert counted(statistics(office)["actions"])["ClientAdded"] == 1
    until = (datetime.now(UTC) + timedelta(days=31)).isoformat()
    assert statistics(office, to=until)["total"] == 0
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    found = statistics(office, **{"from": since, "to": until})
    assert counted(found["actions"])["ClientAdded"] == 1
    assert datetime.fromisoformat(found["from"]) == datetime.fromisoformat(since)
    for query, status in (
        ("from=2024-01-01T00:00:00Z&to=2025-01-02T00:00:00Z", 422),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400),
        ("to=0001-01-01T00:00:00Z", 400),
        ("from=2026-01-01", 400),
        ("path=content.notes", 422),
        ("resource_type=spaceship", 422),
    ):
        answer = office.get(f"{WHERE}?{query}")
        assert answer.status_code == status, (query, answer.text)


def test_another_workspace_counts_nothing_of_ours(house: Any, office: Any) -> None:
    """R-CMD-4."""
    client = added(office)
    stranger = house.office()
    assert statistics(stranger, resource_id=client)["total"] == 0
    assert statistics(stranger, actor=str(office.user))["total"] == 0
