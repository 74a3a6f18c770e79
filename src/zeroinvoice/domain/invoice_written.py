"""What is written on an invoice: the facts that name whom it is for, and how that is forgotten."""

from datetime import date
from typing import Self
from uuid import UUID

from zeroinvoice.domain.invoice_content import Buyer, Content, Handling
from zeroinvoice.domain.lines import Totals
from zeroinvoice.domain.workspace import Seller
from zeroinvoice.kernel.facts import Event, Personal


class InvoiceDrafted(Personal):
    content: Content
    handling: Handling
    totals: Totals

    def redacted(self) -> Self:
        return self.but(content=self.content.redacted(), handling=self.handling.redacted())


class InvoiceRevised(Personal):
    content: Content  # whole, as it is from now on
    handling: Handling
    totals: Totals

    def redacted(self) -> Self:
        return self.but(content=self.content.redacted(), handling=self.handling.redacted())


class InvoiceSent(Personal):
    number: str
    issue_date: date
    due_date: date
    seller: Seller
    buyer: Buyer

    def redacted(self) -> Self:
        return self.but(buyer=self.buyer.redacted())


class InvoiceAmended(Personal):
    """An issued invoice's handling was changed, or its due date put off."""

    handling: Handling
    due_date: date

    def redacted(self) -> Self:
        return self.but(handling=self.handling.redacted())


class BuyerErased(Event):
    """Who these clients were is forgotten; what was sold, and for how much, stays."""

    subjects: tuple[UUID, ...]


WrittenEvent = InvoiceDrafted | InvoiceRevised | InvoiceSent | InvoiceAmended | BuyerErased
