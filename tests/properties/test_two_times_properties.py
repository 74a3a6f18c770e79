"""The two times of a report: it is of the facts recorded by an instant and dated by a day."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TODAY = datetime.now(UTC).date() - timedelta(1)  # ours and the workspace's may differ
cents = st.integers(1, 9_000).map(lambda it: Decimal(it) / 100)
back = st.integers(0, 30)
deeds = st.tuples(st.sampled_from(["bill", "pay", "pay", "void"]), cents, back)


class Ledger:
    """What was done, kept by the test itself: when it was recorded, for which day, how much."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.client = office.made("/api/clients", {"name": "Acme"})["id"]
        self.written: list[dict[str, Any]] = []  # kind, day, amount, at, gone
        self.instants: list[datetime] = []

    def live(self, deed: str, amount: Decimal, days: int) -> None:
        day, office = TODAY - timedelta(days), self.office
        if deed == "bill":
            line = {"description": "Work", "unit_price": str(amount)}
            body = {"client_id": self.client, "line_items": [line], "issue_date": str(day)}
            id = office.made("/api/invoices", {**body, "due_date": str(TODAY)})["id"]
            office.patch(f"/api/invoices/{id}/status", json={"status": "sent"})
            self._write("bill", id, day, amount)
        elif deed == "pay":
            body = {"client_id": self.client, "amount": str(amount), "method": "cash"}
            more = {"received_on": str(day), "confirm_duplicate": True}
            id = office.made("/api/payments", {**body, **more})["id"]
            self._write("pay", id, day, -amount)
        else:
            standing = [it for it in self.written if it["kind"] == "pay" and not it["gone"]]
            if standing:
                assert office.delete(f"/api/payments/{standing[0]['id']}").status_code == 200
                standing[0]["gone"] = datetime.now(UTC)
        self.instants.append(datetime.now(UTC))

    def _write(self, kind: str, id: str, day: Any, amount: Decimal) -> None:
        at = {"at": datetime.now(UTC), "gone": None}
        self.written.append({"kind": kind, "id": id, "day": day, "amount": amount, **at})

    def known(self, kind: str, day: Any, instant: datetime) -> Decimal:
        """The facts recorded by an instant and dated by a day, added up."""
        found = (
            it["amount"]
            for it in self.written
            if it["kind"] == kind
            and it["day"] <= day
            and it["at"] <= instant
            and not (it["gone"] and it["gone"] <= instant)
        )
        return sum(found, Decimal(0))


@pytest.mark.timeout(7_200)  # for the long profile
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(deeds, min_size=1, max_size=5), st.lists(back, min_size=1, max_size=3))
def test_a_report_is_of_what_was_recorded_by_an_instant_and_dated_by_a_day(
    house: Any, story: Any, days: list[int]
) -> None:
    """Row 2: for any day and any instant; the payment summary as well."""
    house.clock.moved = timedelta()
    it = Ledger(house.office())
    for deed in story:
        it.live(*deed)
    positions = []
    for instant in it.instants:
        for ago in days:
            day = TODAY - timedelta(ago)
            asked = {"as_of": instant.isoformat(), "date": str(day)}
            path = f"/api/customers/{it.client}/receivables"
            owed = it.office.get(path, params=asked).json()
            here = owed["by_currency"].get("USD", {"outstanding": 0, "unapplied_payments": 0})
            assert Decimal(here["outstanding"]) == it.known("bill", day, instant)
            assert Decimal(here["unapplied_payments"]) == it.known("pay", day, instant)
            assert (owed["as_of"], owed["position"] > 0) == (str(day), True)
            figures = it.office.get(f"/api/clients/{it.client}/analytics", params=asked).json()
            assert Decimal(figures["invoiced"].get("USD", 0)) == it.known("bill", day, instant)
            period = {"as_of": instant.isoformat(), "to": str(day)}
            summary = it.office.get("/api/payments/summary", params=period).json()
            taken = summary["currencies"].get("USD", {"received": 0})["received"]
            assert Decimal(taken) == -it.known("pay", day, instant)
            assert owed["position"] == figures["position"] == summary["position"]
        positions.append(owed["position"])
    assert positions == sorted(positions)
    it.office.http.close()
