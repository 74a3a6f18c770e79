"""The payment ledger: what was received and what was paid back, as known at any instant."""

from typing import Any
from uuid import UUID

from sqlalchemy import Date, Integer, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

from zeroinvoice.domain.invoice import InvoiceSent
from zeroinvoice.domain.payment import (
    PaymentCorrected,
    PaymentRecorded,
    PaymentRefunded,
    PaymentRetracted,
    PaymentVoided,
)
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import ZERO
from zeroinvoice.readside.ledgers import stamps
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, read_table

# Tables

entries = read_table(
    "payment_ledger",
    "entries",
    Column("kind", Text, nullable=False),  # receipt, refund
    Column("client_id", Uuid, nullable=False),  # for whom it was entered
    Column("currency", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("fee_amount", Numeric, nullable=False),
    Column("method", Text, nullable=False),  # of the payment, also where it is paid back
    Column("day", Date, nullable=False),  # received, or paid back
    Column("days", Integer, nullable=False, default=0),  # from issue to receipt, added up
    Column("invoices", Integer, nullable=False, default=0),  # for so many invoices
    *stamps(),
    key=Column("entry", Uuid, primary_key=True),
)
Index("payment_entries_by_day", entries.c.tenant_id, entries.c.day)
standing = read_table(  # of each payment
    "payment_ledger",
    "standing",
    Column("receipt", Uuid, nullable=False),  # the entry
    Column("refunds", ARRAY(Uuid), nullable=False, default=[]),
)
issued = read_table("payment_ledger", "issued", Column("issue_date", Date, nullable=False))

# Fold


def project(rows: Rows, payments: Rows, invoices: Rows, fact: Fact) -> None:
    match fact.event:
        case InvoiceSent(issue_date=issue_date):
            invoices.add(fact.stream, issue_date=issue_date)
        case PaymentRecorded() as event:
            _receive(rows, payments, invoices, fact, event)
        case PaymentCorrected(method=method, received_on=day, fee_amount=fee):
            known = _known(payments, fact.stream)
            receipt = _replace(rows, fact, known["receipt"], method=method, day=day, fee_amount=fee)
            back = [_replace(rows, fact, it, method=method) for it in known["refunds"]]
            payments.set(fact.stream, receipt=receipt, refunds=back)
        case PaymentRetracted() | PaymentVoided():
            rows.set(_known(payments, fact.stream)["receipt"], gone_at=fact.at)
        case PaymentRefunded() as event:
            known = _known(payments, fact.stream)
            row = rows.get(known["receipt"])
            assert row is not None
            entry = _enter(
                rows,
                fact,
                event.refund_id,
                kind="refund",
                client_id=row["client_id"],
                currency=event.amount.currency,
                amount=event.amount.amount,
                fee_amount=ZERO,
                method=row["method"],
                day=event.refunded_on,
            )
            payments.set(fact.stream, refunds=[*known["refunds"], entry])
        case _:
            pass


def _receive(
    rows: Rows, payments: Rows, invoices: Rows, fact: Fact, event: PaymentRecorded
) -> None:
    settled = [invoices.get(it.invoice_id) for it in event.allocations]
    took = [(event.received_on - it["issue_date"]).days for it in settled if it is not None]
    entry = _enter(
        rows,
        fact,
        fact.stream,
        kind="receipt",
        client_id=event.client_id,
        currency=event.amount.currency,
        amount=event.amount.amount,
        fee_amount=event.amount.amount * 0 + event.fee_amount,
        method=event.method,
        day=event.received_on,
        days=sum(took),
        invoices=len(took),
    )
    known = payments.get(fact.stream)  # when it is entered again, put right
    payments.add(fact.stream, receipt=entry, refunds=known["refunds"] if known else [])


def _enter(rows: Rows, fact: Fact, part: UUID, **values: Any) -> UUID:
    entry = named(fact.stream, str(fact.version), str(part))
    rows.add(entry, at=fact.at, **values)
    return entry


def _replace(rows: Rows, fact: Fact, entry: UUID, **changes: Any) -> UUID:
    """Put another entry in the place of one."""
    before = rows.get(entry)
    assert before is not None
    kept = {name: before[name] for name in before if name not in _OF_ENTRY}
    rows.set(entry, gone_at=fact.at)
    return _enter(rows, fact, entry, **{**kept, **changes})


_OF_ENTRY = frozenset({"entry", "tenant_id", "at", "gone_at"})


def _known(payments: Rows, id: UUID) -> Any:
    known = payments.get(id)
    assert known is not None
    return known


projector = Projector("payment_ledger", 1, (entries, standing, issued), project)
