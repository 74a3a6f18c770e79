"""Collecting: decisions about a payment that also concern invoices and the client's account."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from zeroinvoice.domain.addresses import check_length
from zeroinvoice.domain.belonging import standing, way_to
from zeroinvoice.domain.client import Client, PaymentMethod
from zeroinvoice.domain.external_id import ExternalId, external_id_of
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.payment import (
    MANUAL,
    Allocation,
    LikePayments,
    Overpaid,
    Payment,
    PaymentRecorded,
    likeness,
)
from zeroinvoice.domain.payment import Status as PaymentStatus
from zeroinvoice.domain.receipting import receipted
from zeroinvoice.domain.settling import assert_covered, enter, take_back
from zeroinvoice.domain.way import Station, Way
from zeroinvoice.domain.workspace import Workspace, assert_reason, today
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.money import EXACT, ZERO, Exact, Money, minor_units, positive
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

MOST_ALLOCATIONS = 100
LONGEST = 255  # characters of a reference or an external id
LIKE_FOR = timedelta(minutes=10)  # in which a like payment is taken for a slip


class AllocationAsked(Value, forbid_unknown_fields=True):
    invoice_id: UUID
    amount: Exact  # in the invoice's currency


class PayInvoice(Value, kw_only=True, forbid_unknown_fields=True):
    """A payment for one invoice as a user writes it: of what is due, unless an amount is given."""

    method: PaymentMethod
    amount: Exact | None = None
    currency: str | None = None
    received_on: date | None = None
    reference: str | None = None
    external_id: str | None = None
    fee_amount: Exact = ZERO
    fx_rate: Exact | None = None
    note: str | None = None
    send_receipt: bool = False
    confirm_duplicate: bool = False


class RecordPayment(Value, kw_only=True, forbid_unknown_fields=True):
    """A payment as a user writes it: for one invoice, split over several, or for none yet."""

    amount: Exact
    method: PaymentMethod
    client_id: UUID | None = None  # default: the invoice's
    invoice_id: UUID | None = None
    allocations: tuple[AllocationAsked, ...] = ()
    currency: str | None = None  # default: the invoice's, else the client's
    received_on: date | None = None  # default: today
    reference: str | None = None
    external_id: str | None = None
    fee_amount: Exact = ZERO
    fx_rate: Exact | None = None  # what one of the payment's currency is in the invoice's, or base
    note: str | None = None
    send_receipt: bool = False
    confirm_duplicate: bool = False


WORTH = ("amount", "currency", "fx_rate")
MONEY = (*WORTH, "client_id", "invoice_id", "allocations")
LEGS = ("client_id", "amount", "worth", "fx_rate", "allocations", "overpaid", "entered_for")


def record(
    desk: Desk, asked: RecordPayment, *, source: str = MANUAL, has_key: bool = False
) -> tuple[Payment, bool]:
    """Enter a payment, and whether it is new: what the source has told before is found again.

    Raises `Refused` `possible_duplicate` for what looks entered twice, unless the request
    has a key of its own (`has_key`), and what `_entry` raises. What is found again names only
    what is there: `Missing` otherwise.
    """
    payment = desk.new(Payment)
    known = None
    if asked.external_id:
        known = desk.find(ExternalId, external_payment(desk.tenant, source, asked.external_id))
        if known.holder is not None:
            _assert_there(desk, asked)
            return desk.open(Payment, known.holder), False
        desk.record(known, known.claim(payment.id))
    like = _like(desk, asked)
    if source == MANUAL and known is None and not (has_key or asked.confirm_duplicate):
        _assert_no_slip(desk, like)
    desk.record(like, like.remember(payment.id))
    payment = enter(desk, payment, _entry(desk, asked, payment, source))
    return (receipted(desk, payment) if asked.send_receipt else payment), True


def external_payment(tenant: UUID, source: str, external_id: str) -> UUID:
    """What a source calls a payment: given once, for ever, even if the payment is voided."""
    return external_id_of(tenant, f"payment {source}", external_id)


def pay(desk: Desk, invoice_id: UUID, asked: PayInvoice | None, *, has_key: bool) -> Invoice:
    """Bring an issued invoice to paid, by recording the payment if something is still due.

    Raises `Invalid` `balance_left` when the payment would not settle it.
    """
    invoice = desk.open(Invoice, invoice_id)
    amount = asked.amount if asked else None
    if asked is None or (amount is None and not invoice.balance_due):
        return desk.record(invoice, invoice.stay("paid"))
    if amount is None and asked.currency not in (None, invoice.currency):
        raise Invalid(
            "Say how much was received when it is not in the invoice's currency.",
            code="amount_needed",
        )
    same = {name: getattr(asked, name) for name in PayInvoice.__struct_fields__ if name != "amount"}
    whole = invoice.balance_due if amount is None else amount
    record(desk, RecordPayment(amount=whole, invoice_id=invoice_id, **same), has_key=has_key)
    paid = desk.open(Invoice, invoice_id)
    if paid.status is not Status.PAID:
        left = Money(paid.balance_due, paid.currency)
        raise Invalid(
            f"With this {left} would still be due, so the invoice is not paid; "
            "record a part at /api/payments.",
            code="balance_left",
            balance_due=left.text,
            currency=left.currency,
        )
    return paid


def revise(desk: Desk, payment_id: UUID, changes: dict[str, Any]) -> Payment:
    """Correct a payment. Where money moves, it is taken back and entered anew, in one commit.

    Raises `Refused` `payment_voided` and `gateway_payment`, and what `_entry` raises.
    """
    payment = desk.open(Payment, payment_id)
    payment.assert_standing()
    check_length("reference", changes.get("reference"), LONGEST)
    client = standing(desk, payment.entry.client_id)
    before, asked = _as_asked(payment, client), _as_asked(payment, client, changes)
    if _differ(before, asked, "amount", "currency", "fee_amount"):
        payment.assert_amount_free()
    if _differ(before, asked, *MONEY):
        entry = _entry(desk, asked, payment, payment.entry.source)
    else:
        entry = payment.entry.but(
            reference=asked.reference,
            note=asked.note,
            method=asked.method,
            received_on=_received(desk, asked),
            fee_amount=_fee(asked, payment.entry.amount),
        )
    redated = entry.received_on != payment.entry.received_on
    if (redated and entry.allocations) or _differ(entry, payment.entry, *LEGS):
        retracted = desk.record(payment, payment.retract())
        take_back(desk, payment, entry)
        payment = enter(desk, retracted, entry)
        assert_covered(desk, [it.invoice_id for it in before.allocations])
    else:
        payment = desk.record(payment, payment.correct(entry))
    return receipted(desk, payment) if asked.send_receipt else payment


def void(desk: Desk, payment_id: UUID, reason: str | None) -> Payment:
    """Take a payment that should not have been recorded back, from all it settled."""
    payment = desk.open(Payment, payment_id)
    assert_reason(desk, "cancel", reason)
    voided = desk.record(payment, payment.void(reason))
    if voided.version != payment.version:
        take_back(desk, payment)
        assert_covered(desk, [it.invoice_id for it in payment.entry.allocations])
    return voided


def _entry(desk: Desk, asked: RecordPayment, payment: Payment, source: str) -> PaymentRecorded:
    """What was asked, made whole and checked; `payment` may stand already, to be entered anew.

    Raises `Missing` and `Refused` for invoices that are not there or take no payment, `Invalid`
    for amounts, dates and clients that do not go together.
    """
    check_length("reference", asked.reference, LONGEST)
    check_length("external_id", asked.external_id, LONGEST)
    invoices = _invoices(desk, asked)
    client = _client(desk, asked, invoices)
    amount, worth = _amounts(desk, asked, client, invoices)
    if asked.invoice_id is not None:
        (invoice,) = invoices
        part = min(worth.amount, _open(invoice, payment))
        parts = [part] if part else []
    else:
        parts = [
            positive(it.amount, worth.currency, "An allocation").amount for it in asked.allocations
        ]
    entered = _entered(desk, client, payment)
    way = way_to(desk, entered, [it.content.client_id for it in invoices])
    home, last = way[0].client_id, way[-1]
    settled = sum(parts, ZERO)
    if settled > worth.amount:
        raise Invalid(
            f"The allocations add up to {settled}, more than the payment of {worth}.",
            code="exceeds_amount",
            amount=worth.text,
            currency=worth.currency,
        )
    for invoice, part in zip(invoices, parts, strict=False):
        if part < _open(invoice, payment):
            _assert_partial(client, invoice, part)
    if invoices and settled < worth.amount:
        _assert_overpayment(desk, client, invoices, payment, worth)
    return PaymentRecorded(
        client_id=home,
        amount=amount,
        worth=worth,
        method=asked.method,
        received_on=_received(desk, asked),
        source=source,
        external_id=asked.external_id or None,
        reference=asked.reference,
        note=asked.note,
        fee_amount=_fee(asked, amount),
        fx_rate=asked.fx_rate,
        fx_currency=_fx_currency(desk, amount, worth) if asked.fx_rate is not None else None,
        allocations=tuple(
            Allocation(invoice.id, invoice.number or "", part)
            for invoice, part in zip(invoices, parts, strict=False)
        ),
        overpaid=_overpaid(home, invoices, parts, payment, worth),
        entered_for=last.client_id if last.client_id != home else None,
        since=last.since,
        since_there=way[0].since,
        via=way[1:-1],
    )


def _entered(desk: Desk, client: Client, payment: Payment) -> Way:
    """The way of a payment that stands, unless it is for another client from now on."""
    if payment.version and standing(desk, payment.entry.client_id).id == client.id:
        return payment.way
    return (Station(client.id, client.since),)


def _overpaid(
    home: UUID, invoices: list[Invoice], parts: list[Decimal], payment: Payment, worth: Money
) -> Overpaid | None:
    """What the invoices have no use for; its credit is the one it has, or is still to be made."""
    rest = worth.amount - sum(parts, ZERO)
    if not invoices or not rest:
        return None
    given = dict(zip((it.id for it in invoices), parts, strict=False))
    paid = all(_open(it, payment) == given.get(it.id, ZERO) for it in invoices)
    over = Overpaid(rest, NIL, invoices[-1].id if paid else None)
    before = payment.entry
    same = (before.client_id, before.worth.currency) == (home, worth.currency)
    had = before.overpaid
    return had if same and had is not None and had.but(credit_id=NIL) == over else over


def _assert_there(desk: Desk, asked: RecordPayment) -> None:
    """Raises `Missing` for a client or invoice that is not there, whatever state they are in."""
    if asked.client_id is not None:
        desk.open(Client, asked.client_id)
    for id in _targets(asked):
        desk.open(Invoice, id)


def _invoices(desk: Desk, asked: RecordPayment) -> list[Invoice]:
    invoices = [desk.open(Invoice, id) for id in _targets(asked)]
    for invoice in invoices:
        invoice.assert_payable()
    return invoices


def _targets(asked: RecordPayment) -> list[UUID]:
    """The invoices that are named. Raises `Invalid` for what no payment is for."""
    ids = [it.invoice_id for it in asked.allocations]
    if asked.invoice_id is not None:
        if ids:
            raise Invalid("Give an invoice or allocations, not both.", code="two_targets")
        ids = [asked.invoice_id]
    if len(set(ids)) < len(ids):
        raise Invalid("An invoice stands twice among the allocations.", code="invoice_twice")
    if len(ids) > MOST_ALLOCATIONS:
        raise Invalid(
            f"A payment settles at most {MOST_ALLOCATIONS} invoices.", code="too_many_allocations"
        )
    return ids


def _client(desk: Desk, asked: RecordPayment, invoices: list[Invoice]) -> Client:
    billed = [standing(desk, invoice.content.client_id).id for invoice in invoices]
    client_id = asked.client_id or (billed[0] if billed else None)
    if client_id is None:
        raise Invalid("Say which client or invoice the payment is for.", code="client_needed")
    client = desk.open(Client, client_id)
    client.assert_there()
    for invoice, billed_id in zip(invoices, billed, strict=True):
        if billed_id != client_id:
            raise Invalid(
                f"Invoice {invoice.number} is another client's.",
                code="different_client",
                invoice_id=str(invoice.id),
            )
    return client


def _amounts(
    desk: Desk, asked: RecordPayment, client: Client, invoices: list[Invoice]
) -> tuple[Money, Money]:
    """What was received, and what that is in the currency of the invoices."""
    theirs = sorted({invoice.currency for invoice in invoices})
    if len(theirs) > 1:
        raise Invalid(
            f"One payment cannot settle invoices in {' and '.join(theirs)}.",
            code="currency_mismatch",
        )
    currency = asked.currency or (theirs[0] if theirs else client.profile.currency)
    minor_units(currency)
    amount = positive(asked.amount, currency)
    rate = asked.fx_rate
    if rate is not None and rate <= 0:
        raise Invalid("An exchange rate is more than nothing.", code="bad_fx_rate")
    if not theirs or theirs[0] == currency:
        if rate not in (None, 1) and _fx_currency(desk, amount, amount) == currency:
            raise Invalid(f"From {currency} to {currency} the rate is 1.", code="bad_fx_rate")
        return amount, amount
    if rate is None:
        raise Invalid(
            f"The payment is in {currency}, the invoice in {theirs[0]}: give the fx_rate, "
            f"what one {currency} is in {theirs[0]}.",
            code="currency_mismatch",
        )
    worth = Money(EXACT.multiply(amount.amount, rate), theirs[0]).rounded()
    return amount, positive(worth.amount, theirs[0], "What it is worth")


def _fx_currency(desk: Desk, amount: Money, worth: Money) -> str:
    """What the rate is in: the invoices' currency where it differs, else the workspace's own."""
    if amount.currency != worth.currency:
        return worth.currency
    return desk.open(Workspace, desk.tenant).settings.base_currency


def _fee(asked: RecordPayment, amount: Money) -> Decimal:
    fee = Money(asked.fee_amount, amount.currency).in_units("The fee")
    if not 0 <= fee.amount <= amount.amount:
        raise Invalid("A fee is a part of the amount.", code="fee_out_of_range")
    return fee.amount


def _received(desk: Desk, asked: RecordPayment) -> date:
    day = today(desk)
    if asked.received_on is not None and asked.received_on > day:
        raise Invalid(
            f"It cannot have been received on {asked.received_on}; today is {day}.",
            code="received_in_future",
            today=str(day),
        )
    return asked.received_on or day


def _open(invoice: Invoice, payment: Payment) -> Decimal:
    """What this payment may settle of an invoice: what is due, and what it settles already."""
    return invoice.balance_due + invoice.paid_by(payment.id)


def _assert_partial(client: Client, invoice: Invoice, part: Decimal) -> None:
    settings, balance = client.settings, Money(invoice.balance_due, invoice.currency)
    if settings.allow_partial is False:
        raise Invalid(
            f"This client pays invoices whole; {balance} is due on {invoice.number}.",
            code="partial_not_allowed",
            balance_due=balance.text,
            currency=balance.currency,
        )
    least = settings.min_partial_amount
    if least is not None and invoice.currency == client.profile.currency and part < least:
        raise Invalid(
            f"A part payment is at least {least} {invoice.currency}.",
            code="below_min_partial_amount",
            min_partial_amount=str(least),
            currency=invoice.currency,
        )


def _assert_overpayment(
    desk: Desk, client: Client, invoices: list[Invoice], payment: Payment, worth: Money
) -> None:
    """Raises `Invalid` `exceeds_balance` where the client may not pay more than is due."""
    allowed = client.settings.allow_overpayment
    if allowed is None:
        allowed = desk.open(Workspace, desk.tenant).settings.overpayment == "credit"
    if allowed:
        return
    due = Money(sum((_open(it, payment) for it in invoices), ZERO), worth.currency)
    problem = (
        f"Only {due} is due" if due < worth else "It is more than the invoices are given of it"
    )
    raise Invalid(
        f"{problem}, and this client may not overpay.",
        code="exceeds_balance",
        balance_due=due.text,
        currency=due.currency,
    )


def _like(desk: Desk, asked: RecordPayment) -> LikePayments:
    invoices = _invoices(desk, asked)
    client = _client(desk, asked, invoices)
    amount, _ = _amounts(desk, asked, client, invoices)
    alike = likeness(desk.tenant, client.id, amount, _received(desk, asked), asked.reference)
    return desk.find(LikePayments, alike)


def _assert_no_slip(desk: Desk, like: LikePayments) -> None:
    if like.changed_at is None or desk.now - like.changed_at >= LIKE_FOR:
        return
    known = desk.open(Payment, like.latest)
    if known.status is not PaymentStatus.VOIDED:
        raise Refused(
            "The same payment was recorded a moment ago; send confirm_duplicate "
            "if this is a second one.",
            code="possible_duplicate",
            payment_id=str(known.id),
        )


_NO_CHANGES: dict[str, Any] = {}


def _as_asked(
    payment: Payment, client: Client, changes: dict[str, Any] = _NO_CHANGES
) -> RecordPayment:
    """A payment of a client as its user would write it, with some fields changed.

    A new target takes the place of the old; a new amount of what is for one invoice alone goes
    to that invoice, up to what is due.
    """
    entry, over = payment.entry, payment.entry.overpaid
    allocations = tuple(AllocationAsked(it.invoice_id, it.amount) for it in entry.allocations)
    asked = RecordPayment(
        amount=entry.amount.amount,
        method=entry.method,
        client_id=client.id,
        invoice_id=over.invoice_id if over and not allocations else None,
        allocations=allocations,
        currency=entry.amount.currency,
        received_on=entry.received_on,
        reference=entry.reference,
        external_id=entry.external_id,
        fee_amount=entry.fee_amount,
        fx_rate=entry.fx_rate,
        note=entry.note,
    )
    if "invoice_id" in changes:
        return asked.but(**{"allocations": (), **changes})
    if "allocations" in changes:
        return asked.but(**{"invoice_id": None, **changes})
    then = asked.but(**changes)
    if len(allocations) == 1 and _differ(asked, then, *WORTH):
        return then.but(invoice_id=allocations[0].invoice_id, allocations=())
    return then


def _differ(one: Value, other: Value, *names: str) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)
