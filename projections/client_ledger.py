"""The client ledger: what each client was charged, paid and was given, as known at any instant."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

from zeroinvoice.domain.credit import (
    CreditApplied,
    CreditIssued,
    CreditReassigned,
    CreditRefunded,
    CreditUnapplied,
    CreditVoided,
)
from zeroinvoice.domain.credited import InvoiceCredited, InvoiceCreditReversed
from zeroinvoice.domain.invoice import (
    InvoiceAmended,
    InvoiceCancelled,
    InvoiceDiscarded,
    InvoiceDrafted,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceWrittenOff,
)
from zeroinvoice.domain.payment import (
    PaymentCorrected,
    PaymentRecorded,
    PaymentRefunded,
    PaymentRetracted,
    PaymentVoided,
)
from zeroinvoice.domain.receivable import Bill, Closing, Dated, Good, Receivables, Settlement
from zeroinvoice.http.reading import RequestReader
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import ZERO, rounded
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.ledgers import stamps, standing
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.shelf import Shelf
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

# Tables

entries = read_table(
    "client_figures",
    "entries",
    Column("client_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("document", Uuid, nullable=False),  # the invoice, payment or credit it is about
    Column("part", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("day", Date),  # from which it counts; null: the day in the workspace's zone
    Column("position", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),  # the fact that says the amount
    Column("in_money", Boolean, nullable=False, default=False),
    Column("expires_on", Date),  # of a credit
    Column("number", Text),  # of an invoice, as is what follows
    Column("due_date", Date),
    Column("deposit", Numeric),
    Column("deposit_due", Date),
    Column("promised_on", Date),
    Column("drafted_at", DateTime(timezone=True)),
    Column("sent_at", DateTime(timezone=True)),
    *stamps(),
    key=Column("entry", Uuid, primary_key=True),
)
current = read_table(  # what holds of each invoice, payment and credit, and of each part of them
    "client_figures",
    "current",
    Column("entries", ARRAY(Uuid), nullable=False),
    Column("client_id", Uuid, nullable=False),  # of the first of them, as is what follows
    Column("currency", Text, nullable=False),
    Column("day", Date),
    Column("expires_on", Date),
)
it = entries.c
Index("entries_by_client", it.tenant_id, it.client_id)

IN_MONEY = ("overpayment", "prepayment")  # credits that the client paid for
CLOSINGS = ("cancelled", "written_off", "reinstated")

# Fold


def project(rows: Rows, standing: Rows, fact: Fact) -> None:
    book, id = _Book(rows, standing, fact), fact.stream
    match fact.event:
        case InvoiceDrafted() as event:
            book.enter("invoice", id, id, part=id, drafted_at=fact.at, **_written(event))
        case InvoiceRevised() as event:
            book.amend(id, seq=fact.position, **_written(event))
        case InvoiceSent(number=number, issue_date=issued, due_date=due):
            sent = {"sent_at": fact.at, "seq": fact.position}
            book.amend(id, number=number, day=issued, due_date=due, **sent)
        case InvoiceAmended(handling=handling, due_date=due):
            book.amend(id, due_date=due, promised_on=handling.expected_payment_date)
        case InvoiceDiscarded():
            book.take_back(id)
        case InvoiceCancelled():
            book.follow("cancelled", id, named(id, "closings"))
        case InvoiceWrittenOff(amount=amount):
            book.follow("written_off", id, named(id, "closings"), amount)
        case InvoiceReinstated():
            book.follow("reinstated", id, named(id, "closings"))
        case InvoicePaymentApplied(payment_id=payment_id) as event:
            part = named(id, str(payment_id))
            book.follow("settled", id, part, event.amount, event.received_on, in_money=True)
        case InvoicePaymentReversed(payment_id=payment_id):
            book.take_back(named(id, str(payment_id)))
        case InvoiceCredited(application_id=application_id) as event:
            part, paid_for = named(id, str(application_id)), event.type in IN_MONEY
            book.follow("settled", id, part, event.amount, event.applied_on, in_money=paid_for)
        case InvoiceCreditReversed(application_id=application_id):
            book.take_back(named(id, str(application_id)))
        case PaymentRecorded() as event:
            _receive(book, event)
        case PaymentCorrected(received_on=received_on):
            if book.day_of(id, received_on) != received_on:  # it settles nothing yet
                book.amend(id, day=received_on)
        case PaymentRetracted() | PaymentVoided():
            book.take_back(id)
        case PaymentRefunded() as event:
            _refund(book, event)
        case CreditIssued() as event:
            _issue(book, event)
        case CreditApplied(application_id=part, amount=amount) as event:
            day = max(event.applied_on, book.day_of(event.invoice_id, event.applied_on))
            book.follow("credit", id, part, -amount, day)
        case CreditUnapplied(application_id=application_id):
            book.take_back(application_id)
        case CreditRefunded(refund_id=part, amount=amount) as event:
            day = max(event.refunded_on, book.day_of(id, event.refunded_on))
            book.follow("credit", id, part, -amount, day)
            if book.standing.get(named(id, "note")) is not None:
                book.follow("paid_out", id, named(part, "paid out"), amount, day)
        case CreditVoided():
            book.take_back(id)
            book.take_back(named(id, "note"))
        case CreditReassigned(client_id=client_id):
            rows.where(document=id).set(client_id=client_id)
            standing.set(id, client_id=client_id)
        case _:
            pass


class _Book(Value):
    """The ledger, opened at one fact."""

    rows: Rows
    standing: Rows
    fact: Fact

    def enter(self, kind: str, document: UUID, holder: UUID, *, part: UUID, **values: Any) -> None:
        """Write an entry that stands until its holder is taken back."""
        key = named(self.fact.stream, str(self.fact.version), str(part))
        here = self.fact.position
        stamp = {"at": self.fact.at, "position": here, "seq": here}
        self.rows.add(key, kind=kind, document=document, part=part, **{**stamp, **values})
        known = self.standing.get(holder)
        if known is not None:
            self.standing.set(holder, entries=[*known["entries"], key])
            return
        of_first = {name: values.get(name) for name in ("client_id", "currency", "expires_on")}
        self.standing.add(holder, entries=[key], day=values.get("day"), **of_first)

    def follow(
        self,
        kind: str,
        document: UUID,
        part: UUID,
        amount: Decimal = ZERO,
        day: date | None = None,
        *,
        in_money: bool = False,
    ) -> None:
        """Write an entry about a document that is on record, of its client and currency."""
        known = self.standing.get(document)
        assert known is not None
        self.enter(
            kind,
            document,
            part,
            part=part,
            amount=amount,
            day=day,
            in_money=in_money,
            **{name: known[name] for name in ("client_id", "currency", "expires_on")},
        )

    def amend(self, document: UUID, **changes: Any) -> None:
        """Put another entry in the place of a document's first."""
        known = self.standing.get(document)
        assert known is not None
        before, others = self.rows.get(known["entries"][0]), known["entries"][1:]
        assert before is not None
        kept = {name: before[name] for name in before if name not in _OF_ENTRY}
        self.rows.set(before["entry"], gone_at=self.fact.at)
        self.standing.remove(document)
        self.enter(holder=document, **{**kept, **changes})
        if others:
            first = self.standing.get(document)
            assert first is not None
            self.standing.set(document, entries=[*first["entries"], *others])

    def take_back(self, holder: UUID) -> None:
        known = self.standing.get(holder)
        for key in known["entries"] if known else ():
            self.rows.set(key, gone_at=self.fact.at)
        self.standing.remove(holder)

    def day_of(self, holder: UUID, default: date) -> date:
        """From which day something counts."""
        known = self.standing.get(holder)
        day: date = known["day"] if known else default
        return day


_OF_ENTRY = frozenset({"entry", "tenant_id", "at", "gone_at", "position"})


def _written(event: InvoiceDrafted | InvoiceRevised) -> dict[str, Any]:
    content, payable, deposit = event.content, event.totals.payable, event.content.deposit
    share = ZERO
    if deposit is not None:
        part = payable * deposit.value / 100
        share = deposit.value if deposit.type == "amount" else rounded(part, content.currency)
    return {
        "client_id": content.client_id,
        "currency": content.currency,
        "amount": payable,
        "day": content.issue_date,
        "due_date": content.due_date,
        "deposit": share,
        "deposit_due": deposit.due_date if deposit else None,
        "promised_on": event.handling.expected_payment_date,
    }


def _receive(book: _Book, event: PaymentRecorded) -> None:
    """What a payment brings, less what settles invoices at once or became a credit."""
    id, received_on = book.fact.stream, event.received_on

    def enter(part: UUID, amount: Decimal, day: date) -> None:
        book.enter(
            "payment",
            id,
            id,
            part=part,
            client_id=event.client_id,
            currency=event.worth.currency,
            amount=amount,
            day=day,
            in_money=part == id,
        )

    enter(id, event.worth.amount, received_on)
    for part in event.allocations:
        day = max(received_on, book.day_of(part.invoice_id, received_on))
        enter(part.invoice_id, -part.amount, day)
    if event.overpaid is not None:
        day = book.day_of(event.overpaid.credit_id, received_on)
        enter(event.overpaid.credit_id, -event.overpaid.amount, day)


def _refund(book: _Book, event: PaymentRefunded) -> None:
    """What was paid back of what was unapplied, and of each invoice, which is owed again.

    What is paid back of a credit, the credit says.
    """
    id = book.fact.stream
    day = max(event.refunded_on, book.day_of(id, event.refunded_on))
    if event.unapplied:
        book.follow("payment", id, event.refund_id, -event.unapplied, day)
    for given in event.allocations:
        part = named(given.invoice_id, str(id))
        book.follow("settled", given.invoice_id, part, -given.amount, day, in_money=True)


def _issue(book: _Book, event: CreditIssued) -> None:
    id = book.fact.stream
    same = {
        "client_id": event.client_id,
        "currency": event.amount.currency,
        "amount": event.amount.amount,
        "day": event.issued_on,
    }
    book.enter("credit", id, id, part=id, expires_on=event.expires_on, **same)
    if event.type == "credit_note":
        note = named(id, "note")
        book.enter("note", id, note, part=note, **same)


projector = Projector("client_figures", 5, (entries, current), project)

# Queries


class _Entry(Value):
    kind: str
    document: UUID
    part: UUID
    currency: str
    amount: Decimal
    day: date  # none of a closing, which is of the day of `at`
    at: datetime
    position: int
    seq: int
    in_money: bool
    expires_on: date | None
    number: str | None
    due_date: date  # of an invoice, as is what follows
    deposit: Decimal
    deposit_due: date | None
    promised_on: date | None
    drafted_at: datetime
    sent_at: datetime | None


READ = [it[name] for name in _Entry.__struct_fields__]


def receivables_of(
    reader: RequestReader, homes: Iterable[UUID], currency: str | None
) -> dict[str, Receivables]:
    """Receivables by currency, as they were known at `as_of`, else as they are.

    `homes` are the client and all that it stood for then.
    """
    wanted = reader.mine(entries, *READ).where(any_of(it.client_id, homes), *standing(reader, it))
    if currency is not None:
        wanted = wanted.where(it.currency == currency)
    found: dict[str, list[_Entry]] = {}
    for entry in reader.views(wanted, _Entry):
        found.setdefault(entry.currency, []).append(entry)
    zone_name = reader.workspace.settings.time_zone
    return {code: _receivables(code, found[code], zone_name) for code in sorted(found)}


def replayed(facts: Iterable[Fact], zone_name: str) -> dict[tuple[UUID, str], Receivables]:
    """Receivables by home and currency, from facts that are folded in memory: a what-if."""
    rows, standing = Shelf(entries), Shelf(current)
    for fact in facts:
        rows.tenant = standing.tenant = fact.tenant
        project(rows, standing, fact)
    found: dict[tuple[UUID, str], list[_Entry]] = {}
    for row in rows.rows.values():
        if row["gone_at"] is None:
            entry = _Entry(*(row[name] for name in _Entry.__struct_fields__))
            found.setdefault((row["client_id"], entry.currency), []).append(entry)
    return {key: _receivables(key[1], it, zone_name) for key, it in found.items()}


def _receivables(currency: str, found: list[_Entry], zone_name: str) -> Receivables:
    settled: dict[UUID, list[Settlement]] = {}
    closed: dict[UUID, list[_Entry]] = {}
    for entry in found:
        if entry.kind == "settled":
            part = _settlement(entry)
            settled.setdefault(entry.document, []).append(part)
        elif entry.kind in CLOSINGS:
            closed.setdefault(entry.document, []).append(entry)
    bills = (
        Bill(
            invoice_id=entry.document,
            number=entry.number,
            payable=entry.amount,
            issue_date=entry.day,
            due_date=entry.due_date,
            drafted_on=local_day(entry.drafted_at, zone_name),
            sent_at=entry.sent_at,
            deposit=entry.deposit,
            deposit_due=entry.deposit_due,
            promised_on=entry.promised_on,
            settlements=tuple(settled.get(entry.document, ())),
            closings=_closings(closed.get(entry.document, ()), zone_name),
            seq=entry.seq,
        )
        for entry in found
        if entry.kind == "invoice"
    )
    return Receivables(
        currency=currency,
        bills=tuple(bills),
        goods=tuple(_good(entry) for entry in found if entry.kind in ("payment", "credit")),
        notes=_dated(found, "note"),
        payouts=_dated(found, "paid_out"),
    )


def _settlement(it: _Entry) -> Settlement:
    return Settlement(it.amount, it.day, it.in_money, it.part, it.at, it.seq)


def _dated(found: list[_Entry], kind: str) -> tuple[Dated, ...]:
    return tuple(Dated(it.amount, it.day, it.seq) for it in found if it.kind == kind)


def _closings(found: Iterable[_Entry], zone_name: str) -> tuple[Closing, ...]:
    ordered = sorted(found, key=lambda entry: entry.position)
    return tuple(
        Closing(local_day(entry.at, zone_name), entry.kind)  # type: ignore[arg-type]  # of CLOSINGS
        for entry in ordered
    )


def _good(entry: _Entry) -> Good:
    return Good(
        kind="payment" if entry.kind == "payment" else "credit",
        document=entry.document,
        amount=entry.amount,
        day=entry.day,
        receipt=entry.in_money,
        expires_on=entry.expires_on,
        seq=entry.seq,
    )
