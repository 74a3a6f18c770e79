"""As-of reads: whatever happened since, an instant is answered as it was answered then."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from zeroinvoice.domain.session import Session

cents = st.integers(1, 9_000).map(lambda it: str(Decimal(it) / 100))
few = st.integers(0, 3)
back = st.integers(0, 60)
HOUSE = ["/api/workspace", "/api/workspace/tax-codes", "/api/workspace/tax-codes/VAT"]


def later(office: Any, days: int) -> None:
    """Move the clock, and log in again: tokens last minutes, sessions some days."""
    house = office.house
    house.clock.moved += timedelta(days)

    def begun(desk: Any) -> UUID:
        session = desk.new(Session)
        return UUID(str(desk.record(session, session.start(office.user)).id))

    session = house.commit(office.tenant, begun, office.user)
    token = house.parts.tokens.access(office.user, office.tenant, session, 1, house.clock())
    office.http.headers["Authorization"] = f"Bearer {token}"


class Diary(RuleBasedStateMachine):
    """One client's business, and everything that was answered about it along the way."""

    def __init__(self, house: Any) -> None:
        super().__init__()
        house.clock.moved = timedelta()
        self.office = house.office()
        self.invoices: list[str] = []
        self.payments: list[str] = []
        self.credits: list[str] = []
        self.written: list[tuple[str, str, dict[str, Any]]] = []  # instant, path, answer
        self.changed, self.changes = False, 0
        self.settled: list[str] = []  # where settings have changed and were not written down yet

    @initialize()
    def begin(self) -> None:
        self.client = self.office.made("/api/clients", {"name": "Acme"})["id"]
        self.base = f"/api/customers/{self.client}"
        self.terms = [f"/api/clients/{self.client}{it}" for it in ("", "/payment-settings")]
        self._settled(*self.terms, *HOUSE)
        self._patch(f"/api/clients/{self.client}/payment-settings", allow_overpayment=True)
        self.office.made("/api/workspace/tax-codes", {"code": "VAT", "name": "VAT", "rate": 19})

    def teardown(self) -> None:
        for then, path, answer in self.written:
            found = self.office.fresh(path, as_of=then, explain=1)
            assert found.status_code == 200, (path, then, found.text)
            assert _timeless(found.json()) == answer, (path, then)
        self.office.house.clock.moved = timedelta()
        self.office.http.close()

    # What happens

    @precondition(lambda self: len(self.invoices) < 4)
    @rule(total=cents, days=back, deposit=st.booleans(), euro=st.booleans())
    def draft(self, total: str, days: int, deposit: bool, euro: bool) -> None:
        line = {"description": "Work", "unit_price": total}
        first = {"type": "percent", "value": 40, "due_date": self._day(days)}
        body = {
            "client_id": self.client,
            "line_items": [line],
            "issue_date": self._day(days),
            "due_date": self._day(days // 2),
            "currency": "EUR" if euro else "USD",
            "deposit": first if deposit else None,
        }
        self.invoices.append(self.office.made("/api/invoices", body)["id"])
        self.changed = True

    @precondition(lambda self: self.invoices)
    @rule(which=few, goal=st.sampled_from(["sent", "sent", "sent", "cancelled", "written_off"]))
    def move(self, which: int, goal: str) -> None:
        self._patch(f"/api/invoices/{self._one(self.invoices, which)}/status", status=goal)

    @precondition(lambda self: self.invoices)
    @rule(which=few, days=back)
    def put_off(self, which: int, days: int) -> None:
        path = f"/api/invoices/{self._one(self.invoices, which)}"
        body = {"due_date": self._day(-days), "expected_payment_date": self._day(-days)}
        self._may(self.office.put(path, json=body))

    @precondition(lambda self: self.invoices)
    @rule(which=few, amount=cents, days=back)
    def pay(self, which: int, amount: str, days: int) -> None:
        invoice = self._one(self.invoices, which)
        self._paid(invoice_id=invoice, amount=amount, received_on=self._day(days))

    @rule(amount=cents, days=back)
    def prepay(self, amount: str, days: int) -> None:
        self._paid(client_id=self.client, amount=amount, received_on=self._day(days))

    @precondition(lambda self: self.payments)
    @rule(which=few, amount=cents, days=back)
    def correct(self, which: int, amount: str, days: int) -> None:
        body = {"amount": amount, "received_on": self._day(days)}
        path = f"/api/payments/{self._one(self.payments, which)}"
        self._may(self.office.put(path, json=body))

    @precondition(lambda self: self.payments)
    @rule(which=few)
    def void_payment(self, which: int) -> None:
        self._may(self.office.delete(f"/api/payments/{self._one(self.payments, which)}"))

    @precondition(lambda self: self.payments)
    @rule(which=few, amount=cents, days=back)
    def pay_back(self, which: int, amount: str, days: int) -> None:
        path = f"/api/payments/{self._one(self.payments, which)}/refund"
        body = {"method": "cash", "amount": amount, "refunded_on": self._day(days)}
        self._may(self.office.post(path, json=body))

    @rule(amount=cents, kind=st.sampled_from(["goodwill", "prepayment"]), days=back)
    def give(self, amount: str, kind: str, days: int) -> None:
        until = self._day(-days) if kind == "goodwill" else None
        self._credited(type=kind, amount=amount, expires_on=until)

    @precondition(lambda self: self.invoices)
    @rule(which=few, amount=cents)
    def note(self, which: int, amount: str) -> None:
        invoice = self._one(self.invoices, which)
        self._credited(type="credit_note", invoice_id=invoice, amount=amount)

    @precondition(lambda self: self.credits and self.invoices)
    @rule(which=few, onto=few, amount=cents)
    def apply(self, which: int, onto: int, amount: str) -> None:
        body = {"invoice_id": self._one(self.invoices, onto), "amount": amount}
        self._do(which, "apply", **body)

    @precondition(lambda self: self.credits)
    @rule(which=few)
    def unapply(self, which: int) -> None:
        credit = self.office.get(f"{self.base}/credits/{self._one(self.credits, which)}").json()
        for part in credit["applications"][:1]:
            self._do(which, "unapply", application_id=part["application_id"])

    @precondition(lambda self: self.credits)
    @rule(which=few, amount=cents)
    def pay_out(self, which: int, amount: str) -> None:
        self._do(which, "refund", method="cash", amount=amount)

    @precondition(lambda self: self.credits)
    @rule(which=few)
    def void_credit(self, which: int) -> None:
        self._do(which, "void")

    @rule(limit=cents)
    def settle_terms(self, limit: str) -> None:
        self._patch(f"/api/clients/{self.client}/payment-settings", credit_limit=limit)
        self._may(self.office.put(f"/api/clients/{self.client}", json={"notes": limit}))
        self._settled(*self.terms)

    @rule(name=st.sampled_from(["One", "Two"]), rate=few)
    def settle_house(self, name: str, rate: int) -> None:
        # East, so that no day comes a second time.
        self._patch("/api/workspace", name=name, time_zone="Pacific/Kiritimati")
        body = {"name": name, "rate": rate}
        self._may(self.office.put("/api/workspace/tax-codes/VAT", json=body))
        self._settled(*HOUSE)

    @rule(days=st.integers(1, 40))
    def wait(self, days: int) -> None:
        later(self.office, days)
        self.changed = True

    # What holds

    @invariant()
    def write_down(self) -> None:
        """After every other change, for reading all of it now and then takes its time."""
        self.changes += self.changed
        due, self.changed = self.changed and self.changes % 2 == 0, False
        if not due:
            return
        then = self.office.house.clock().isoformat()
        seen = {}
        paths, self.settled = [*self._paths(), *self.settled], []
        for path in paths:
            answer = self.office.fresh(path, explain=1)
            assert answer.status_code == 200, (path, answer.text)
            seen[path] = answer.json()
            self.written.append((then, path, _timeless(seen[path])))
        self._add_up(seen)
        self._explained(seen)

    def _add_up(self, seen: dict[str, dict[str, Any]]) -> None:
        """R-MON-11: the ledger and each document's own stream tell the same."""
        owed, beside = {"USD": Decimal(0)}, {"USD": Decimal(0)}
        for id in self.invoices:
            it = seen[f"/api/invoices/{id}"]
            if it["status"] in ("sent", "overdue"):
                code = it["currency"]
                owed[code] = owed.get(code, Decimal(0)) + Decimal(it["balance_due"])
        for id in self.payments:
            it = seen[f"/api/payments/{id}"]
            code = it["worth_currency"]
            beside[code] = beside.get(code, Decimal(0)) + Decimal(it["unapplied"])
        balances = seen[f"{self.base}/credits/balance/total"]["by_currency"]
        for code, balance in balances.items():
            beside[code] = beside.get(code, Decimal(0)) + Decimal(balance["available"])
        for code, amounts in seen[f"{self.base}/receivables"]["by_currency"].items():
            assert Decimal(amounts["outstanding"]) == owed.pop(code, 0)
            assert Decimal(amounts["unapplied"]) == -beside.pop(code, Decimal(0))
            assert sum(Decimal(it["amount"]) for it in amounts["buckets"]) == Decimal(
                amounts["outstanding"]
            )
        assert not any(owed.values())
        assert not any(beside.values())

    def _explained(self, seen: dict[str, dict[str, Any]]) -> None:
        """Row 10: the parts of a number add up to it, and each is a fact of the journal."""
        numbers: list[tuple[dict[str, Any], str, str]] = []  # explained, name, number
        for id in self.invoices:
            for path in (f"/api/invoices/{id}", f"/api/payments/invoice/{id}/total"):
                numbers.append((seen[path]["explained"], "balance_due", seen[path]["balance_due"]))
        balances = seen[f"{self.base}/credits/balance/total"]
        for code, it in balances["by_currency"].items():
            for name in ("available", "expiring_30d"):
                numbers.append((balances["explained"], f"{name}.{code}", it[name]))
        for it in seen[f"{self.base}/receivables"]["by_currency"].values():
            for name in ("outstanding", "overdue", "unapplied_payments", "unapplied_credit"):
                numbers.append((it["explained"], name, it[name]))
            for bucket in it["buckets"]:
                name = f"buckets.{bucket['bucket']}"
                numbers.append((it["explained"], name, bucket["amount"]))
        figures = seen[f"/api/clients/{self.client}/analytics"]
        for name in ("invoiced", "collected", "outstanding", "lifetime_value"):
            for code, amount in figures[name].items():
                numbers.append((figures["explained"], f"{name}.{code}", amount))
        for explained, name, number in numbers:
            parts, rest = explained[name]["parts"], Decimal(explained[name]["sum_omitted"])
            told = sum((Decimal(part["amount"]) for part in parts), rest)
            assert told == Decimal(number) == Decimal(explained[name]["value"]), name
            assert all(part["seq"] and part["action"] for part in parts)

    def _settled(self, *paths: str) -> None:
        self.settled += [it for it in paths if it not in self.settled]

    def _paths(self) -> list[str]:
        return [
            f"/api/clients/{self.client}/analytics",
            f"{self.base}/receivables",
            f"{self.base}/credits/balance/total",
            *(f"/api/invoices/{id}" for id in self.invoices),
            *(f"/api/payments/invoice/{id}/total" for id in self.invoices),
            *(f"/api/payments/{id}" for id in self.payments),
            *(f"{self.base}/credits/{id}" for id in self.credits),
        ]

    # How it is asked

    def _day(self, before: int) -> str:
        return str(self.office.house.clock().date() - timedelta(before))

    def _patch(self, path: str, **body: Any) -> None:
        self._may(self.office.patch(path, json=body))

    def _paid(self, **body: Any) -> None:
        made = self._may(
            self.office.post(
                "/api/payments", json={"method": "cash", "confirm_duplicate": True, **body}
            )
        )
        if made is not None:
            self.payments.append(made["id"])

    def _credited(self, **body: Any) -> None:
        made = self._may(self.office.post(f"{self.base}/credits", json=body))
        if made is not None:
            self.credits.append(made["id"])

    def _do(self, which: int, verb: str, **body: Any) -> None:
        path = f"{self.base}/credits/{self._one(self.credits, which)}/{verb}"
        self._may(self.office.post(path, json=body))

    def _may(self, answer: Any) -> Any:
        """What was answered; None where the rules refuse it."""
        assert answer.status_code in (200, 201, 204, 409, 422), answer.text
        done = answer.status_code in (200, 201)
        self.changed = self.changed or done
        return answer.json() if done else None

    @staticmethod
    def _one(found: list[str], which: int) -> str:
        return found[which % len(found)]


def _timeless(body: dict[str, Any]) -> dict[str, Any]:
    """Without the instant that an answer says it is given for."""
    return {name: it for name, it in body.items() if name not in ("as_of", "known_at")} | {
        "day": str(body.get("as_of", ""))[:10]
    }


@pytest.mark.timeout(7_200)  # for the long profile
def test_an_instant_is_answered_as_it_was_then(house: Any) -> None:
    """R-CMD-8: of every single resource, of receivables and of analytics, by HTTP."""
    profile = settings(stateful_step_count=10, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: Diary(house), settings=profile)


DEEDS = [
    "issue", "issue", "pay", "prepay", "refund", "give", "note", "apply", "pay out",
    "cancelled", "written_off", "sent", "nothing",
]  # fmt: skip


ASKED = ("position", "date")  # what an answer says of the question


class Calendar:
    """A client's business, each day's on its day; nothing is corrected afterwards."""

    def __init__(self, house: Any) -> None:
        house.clock.moved = timedelta()
        self.office = house.office()
        self.client = self.office.made("/api/clients", {"name": "Acme"})["id"]
        path = f"/api/clients/{self.client}/payment-settings"
        self.office.patch(path, json={"allow_overpayment": True})
        self.base = f"/api/customers/{self.client}"
        self.invoices: list[str] = []
        self.payments: list[str] = []
        self.credits: list[str] = []

    def live(self, deed: str, which: int, amount: str) -> None:
        """One deed, as far as the rules let it be done."""
        invoice, payment, credit = (
            it[which % len(it)] if it else None
            for it in (self.invoices, self.payments, self.credits)
        )
        cash = {"method": "cash", "amount": amount}
        paid = {**cash, "confirm_duplicate": True}
        if deed == "issue":
            line = {"description": "Work", "unit_price": amount}
            body = {"client_id": self.client, "line_items": [line], "payment_terms": "net 7"}
            self.invoices.append(self.office.made("/api/invoices", body)["id"])
            self._move(self.invoices[-1], "sent")
        elif deed == "prepay":
            body = {**paid, "client_id": self.client}
            self.payments.append(self.office.made("/api/payments", body)["id"])
        elif deed == "give":
            body = {"type": "goodwill", "amount": amount}
            self.credits.append(self.office.made(f"{self.base}/credits", body)["id"])
        elif deed == "refund" and payment:
            self.office.post(f"/api/payments/{payment}/refund", json=cash)
        elif deed == "pay out" and credit:
            self.office.post(f"{self.base}/credits/{credit}/refund", json=cash)
        elif invoice and deed == "pay":
            answer = self.office.post("/api/payments", json={**paid, "invoice_id": invoice})
            self.payments += [answer.json()["id"]] if answer.status_code == 201 else []
        elif invoice and deed == "note":
            body = {"type": "credit_note", "invoice_id": invoice, "amount": amount}
            answer = self.office.post(f"{self.base}/credits", json=body)
            self.credits += [answer.json()["id"]] if answer.status_code == 201 else []
        elif invoice and credit and deed == "apply":
            body = {"invoice_id": invoice, "amount": amount}
            self.office.post(f"{self.base}/credits/{credit}/apply", json=body)
        elif invoice and deed in ("cancelled", "written_off", "sent"):
            self._move(invoice, deed)

    def asked(self, **query: str) -> dict[str, Any]:
        found = {}
        for path in (f"{self.base}/receivables", f"/api/clients/{self.client}/analytics"):
            answer = self.office.fresh(path, **query)
            assert answer.status_code == 200, answer.text
            told = answer.json()
            found[path] = {name: it for name, it in told.items() if name not in ASKED}
        return found

    def _move(self, invoice: str, status: str) -> None:
        self.office.patch(f"/api/invoices/{invoice}/status", json={"status": status})


deeds = st.tuples(st.sampled_from(DEEDS), few, cents)


@pytest.mark.timeout(7_200)  # for the long profile
@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.lists(deeds, min_size=1, max_size=3), st.integers(1, 20)), max_size=7))
def test_a_day_is_answered_as_it_ended(house: Any, story: Any) -> None:
    """A8-8: where nothing was back-dated or corrected, a day is a replay up to its end."""
    it = Calendar(house)
    ended = {}
    try:
        for todays, days in story:
            for deed in todays:
                it.live(*deed)
            ended[str(house.clock().date())] = it.asked()
            later(it.office, days)
        for day, answers in ended.items():
            assert it.asked(as_of=day) == answers, day
            assert it.asked(date=day) == answers, day
    finally:
        house.clock.moved = timedelta()
        it.office.http.close()
