"""What an invoice says for ever, whom it says it to, and what is kept beside it."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from zeroinvoice.domain.lines import Discount, Line
from zeroinvoice.domain.workspace import Address
from zeroinvoice.kernel.facts import ERASED, erased
from zeroinvoice.kernel.money import ZERO
from zeroinvoice.kernel.value import Value


class Period(Value):
    """First and last day, both included."""

    start: date = msgspec.field(name="from")
    end: date = msgspec.field(name="to")


class Deposit(Value):
    """What is due before the rest: a part of the total, or an amount."""

    type: Literal["percent", "amount"]
    value: Decimal
    due_date: date


class Content(Value, kw_only=True, omit_defaults=True):
    """What is agreed with the client: fixed for ever once the invoice is issued."""

    client_id: UUID
    currency: str  # ISO 4217
    lines: tuple[Line, ...]
    issue_date: date
    issue_date_chosen: bool = False  # else it is the day of issue
    due_date: date
    due_date_chosen: bool = False  # else it follows from the terms
    payment_terms: str
    number: str | None = None  # chosen by hand; else the series gives one at issue
    series: str = ""
    notes: str | None = None  # printed
    terms: str | None = None
    footer: str | None = None
    reference: str | None = None
    po_number: str | None = None
    template_id: UUID | None = None
    tax_mode: Literal["exclusive", "inclusive", "none"] = "exclusive"
    discount: Discount | None = None
    deposit: Deposit | None = None
    project_id: UUID | None = None
    language: str | None = None
    service_period: Period | None = None
    rounding_adjustment: Decimal = ZERO
    fx_rate: Decimal | None = None  # base currency for one of the invoice's
    fx_source: str | None = None
    corrects: UUID | None = None

    def redacted(self) -> "Content":
        """What remains without the client: what was sold, for how much, and when."""
        texts = {name: erased(getattr(self, name)) for name in FREE}
        return self.but(**texts)


FREE = ("notes", "terms", "footer", "reference", "po_number")  # words about or for the client


class Handling(Value, kw_only=True, omit_defaults=True):
    """What we keep beside the document: free to change at any time."""

    private_notes: str | None = None
    tags: tuple[str, ...] = ()
    custom: dict[str, Any] = {}
    attachments: tuple[str, ...] = ()
    expected_payment_date: date | None = None
    reminders_enabled: bool = True

    def redacted(self) -> "Handling":
        return Handling(
            private_notes=erased(self.private_notes),
            expected_payment_date=self.expected_payment_date,
            reminders_enabled=self.reminders_enabled,
        )


class Buyer(Value, omit_defaults=True):
    """The client as they were when the invoice was issued (EN 16931 BG-7)."""

    name: str
    legal_name: str | None = None
    address: Address = Address()
    email: str | None = None
    phone: str | None = None
    tax_id: str | None = None
    tax_id_type: str | None = None
    number: str | None = None
    peppol_id: str | None = None
    language: str | None = None
    client_id: UUID | None = None  # the client it was then, after merges

    def redacted(self) -> "Buyer":
        """What remains without the person: the country, on which the taxes depend."""
        return Buyer(
            name=ERASED,
            address=self.address.redacted(),
            number=self.number,
            language=self.language,
            client_id=self.client_id,
        )
