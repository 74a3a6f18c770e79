"""Credits over HTTP against the real house: what it answers is what a small model expects."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

cents = st.integers(1, 9_000).map(lambda it: Decimal(it) / 100)
few = st.integers(0, 3)


class Model:
    """A credit as it should be."""

    def __init__(self, amount: Decimal, *, note: bool = False) -> None:
        self.amount, self.refunded, self.void, self.note = amount, Decimal(0), False, note
        self.parts: dict[str, tuple[str, Decimal]] = {}  # application: invoice, amount

    @property
    def applied(self) -> Decimal:
        return sum((it[1] for it in self.parts.values()), Decimal(0))

    @property
    def left(self) -> Decimal:
        return Decimal(0) if self.void else self.amount - self.applied - self.refunded


class Visits(RuleBasedStateMachine):
    """One client's credits, invoices and payments, moved by requests."""

    def __init__(self, house: Any) -> None:
        super().__init__()
        self.office = house.office()
        self.client = self.office.made("/api/clients", {"name": "Acme"})["id"]
        self.base = f"/api/customers/{self.client}/credits"
        self.credits: dict[str, Model] = {}
        self.due: dict[str, Decimal] = {}
        self.totals: dict[str, Decimal] = {}
        self.noted: dict[str, Decimal] = {}
        self.payments: dict[str, tuple[str, Decimal]] = {}  # what of each still settles what
        self.seen: dict[str, Any] = {}  # what was found to be so
        self.changes = 0

    def teardown(self) -> None:
        try:
            self.seen = {}  # what was refused has changed nothing either
            self.what_has_changed_is_as_the_model_has_it()
            self._see_lists()
        finally:
            self.office.http.close()

    @precondition(lambda self: len(self.due) < 4)
    @rule(total=cents)
    def invoice(self, total: Decimal) -> None:
        line = {"description": "Work", "unit_price": str(total)}
        body = {"client_id": self.client, "line_items": [line]}
        id = self.office.made("/api/invoices", body)["id"]
        path = f"/api/invoices/{id}/status"
        assert self.office.patch(path, json={"status": "sent"}).status_code == 200
        self.due[id] = self.totals[id] = total
        self.noted[id] = Decimal(0)

    @precondition(lambda self: len(self.credits) < 4)
    @rule(amount=cents)
    def give(self, amount: Decimal) -> None:
        made = self.office.made(self.base, {"type": "goodwill", "amount": str(amount)})
        self.credits[made["id"]] = Model(amount)

    @precondition(lambda self: self.due and len(self.credits) < 4)
    @rule(which=few, amount=cents)
    def note(self, which: int, amount: Decimal) -> None:
        invoice = self._one(self.due, which)
        body = {"type": "credit_note", "invoice_id": invoice, "amount": str(amount)}
        answer = self.office.post(self.base, json=body)
        rest = self.totals[invoice] - self.noted[invoice]
        if amount > rest:
            assert answer.json()["code"] == ("exceeds_invoice" if rest else "nothing_to_credit")
            return
        made = answer.json()
        assert answer.status_code == 201, made
        credit = self.credits[made["id"]] = Model(amount, note=True)
        self.noted[invoice] += amount
        first = min(amount, self.due[invoice])
        if first:
            self._applied(credit, made, invoice, first)
        else:
            assert made["applications"] == []

    @precondition(lambda self: self.due and self.credits)
    @rule(credit=few, which=few, amount=cents)
    def apply(self, credit: int, which: int, amount: Decimal) -> None:
        id, invoice = self._one(self.credits, credit), self._one(self.due, which)
        model = self.credits[id]
        fits = 0 < amount <= min(model.left, self.due[invoice])
        answer = self._do(id, "apply", fits, invoice_id=invoice, amount=str(amount))
        if fits:
            self._applied(model, answer, invoice, amount)

    @precondition(lambda self: any(it.parts for it in self.credits.values()))
    @rule(which=few)
    def unapply(self, which: int) -> None:
        parts = {part: id for id, it in self.credits.items() for part in it.parts}
        part = self._one(parts, which)
        self._do(parts[part], "unapply", True, application_id=part)
        invoice, amount = self.credits[parts[part]].parts.pop(part)
        self.due[invoice] += amount

    @precondition(lambda self: self.credits)
    @rule(credit=few, amount=cents)
    def refund(self, credit: int, amount: Decimal) -> None:
        id = self._one(self.credits, credit)
        model = self.credits[id]
        if model.note:
            return  # how much of one can be paid out depends on what was paid
        fits = amount <= model.left
        self._do(id, "refund", fits, method="cash", amount=str(amount))
        model.refunded += amount if fits else 0

    @precondition(lambda self: self.credits)
    @rule(credit=few)
    def void(self, credit: int) -> None:
        id = self._one(self.credits, credit)
        model = self.credits[id]
        if model.note:
            return
        fits = model.void or not (model.applied or model.refunded)
        self._do(id, "void", fits)
        model.void = model.void or fits

    @precondition(lambda self: self.due)
    @rule(which=few, amount=cents)
    def pay(self, which: int, amount: Decimal) -> None:
        invoice = self._one(self.due, which)
        body = {
            "invoice_id": invoice,
            "amount": str(amount),
            "method": "cash",
            "confirm_duplicate": True,
        }
        answer = self.office.post("/api/payments", json=body)
        fits = amount <= self.due[invoice]
        assert answer.status_code == (201 if fits else 422), answer.text
        if fits:
            self.due[invoice] -= amount
            self.payments[answer.json()["id"]] = (invoice, amount)

    @precondition(lambda self: self.payments)
    @rule(which=few, amount=cents)
    def pay_back(self, which: int, amount: Decimal) -> None:
        id = self._one(self.payments, which)
        invoice, left = self.payments[id]
        body = {"method": "cash", "amount": str(amount)}
        answer = self.office.post(f"/api/payments/{id}/refund", json=body)
        assert answer.status_code == (200 if amount <= left else 422 if left else 409), answer.text
        if amount <= left:
            self.payments[id] = (invoice, left - amount)
            self.due[invoice] += amount

    def _see_lists(self) -> None:
        left = {id: it.left for id, it in self.credits.items()}
        listed = self.office.fresh(self.base, include_deleted=True).json()["items"]
        assert {it["id"]: Decimal(it["remaining"]) for it in listed} == left
        invoices = self.office.fresh("/api/invoices").json()["items"]
        assert {it["id"]: Decimal(it["balance_due"]) for it in invoices} == self.due
        balance = self.office.fresh(f"{self.base}/balance/total").json()["by_currency"]
        told = Decimal(balance["USD"]["available"]) if balance else 0
        assert told == sum(left.values())

    @invariant()
    def what_has_changed_is_as_the_model_has_it(self) -> None:
        expected: dict[str, Any] = {
            **{id: (it.applied, it.refunded, it.left, it.void) for id, it in self.credits.items()},
            **self.due,
        }
        changed = [id for id, it in expected.items() if self.seen.get(id) != it]
        for id in changed:
            self._see_credit(id) if id in self.credits else self._see_invoice(id)
        self.changes += bool(changed)
        if changed and self.changes % 4 == 0:  # each list waits for its read model
            self._see_lists()
        self.seen = expected

    def _see_credit(self, id: str) -> None:
        model, it = self.credits[id], self.office.get(f"{self.base}/{id}").json()
        seen = [Decimal(it[name]) for name in ("applied", "refunded", "remaining")]
        assert seen == [model.applied, model.refunded, model.left]
        assert min(seen) >= 0
        assert sum(seen) == (0 if model.void else Decimal(it["amount"]))

    def _see_invoice(self, id: str) -> None:
        due, it = self.due[id], self.office.get(f"/api/invoices/{id}").json()
        assert Decimal(it["balance_due"]) == due >= 0
        assert it["status"] == ("sent" if due else "paid")

    def _applied(self, credit: Model, seen: Any, invoice: str, amount: Decimal) -> None:
        credit.parts[seen["applications"][-1]["application_id"]] = (invoice, amount)
        self.due[invoice] -= amount

    def _do(self, credit: str, verb: str, fits: bool, **body: Any) -> Any:
        answer = self.office.post(f"{self.base}/{credit}/{verb}", json=body)
        assert answer.status_code in ((200,) if fits else (409, 422)), answer.text
        return answer.json()

    @staticmethod
    def _one(found: dict[str, Any], which: int) -> str:
        return list(found)[which % len(found)]


@pytest.mark.timeout(7_200)  # for the long profile
def test_credits_over_http_are_as_a_small_model_has_them(house: Any) -> None:
    """G12."""
    profile = settings(stateful_step_count=12, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: Visits(house), settings=profile)
