"""Billing: decisions about an invoice that also concern its client, the workspace and a series."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec

from zeroinvoice.domain import crediting
from zeroinvoice.domain.account import Account, account_of, settle
from zeroinvoice.domain.addresses import check_language, check_length
from zeroinvoice.domain.belonging import standing
from zeroinvoice.domain.client import LONGEST_TAG, MOST_TAGS, Client, Profile
from zeroinvoice.domain.custom import kept
from zeroinvoice.domain.invoice import (
    Buyer,
    Content,
    Deposit,
    Handling,
    Invoice,
    Period,
    Status,
)
from zeroinvoice.domain.lines import Discount, Line, Tax, Totals, price
from zeroinvoice.domain.series import NumberSeries, series_id
from zeroinvoice.domain.taxes import bare_tax
from zeroinvoice.domain.terms import due_date, parse
from zeroinvoice.domain.workspace import Workspace, assert_reason
from zeroinvoice.domain.workspace import today as today
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Events
from zeroinvoice.kernel.money import ZERO, Exact, Money, in_units
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

TaxMode = Literal["exclusive", "inclusive", "none"]
ONE = Decimal(1)
LONGEST = {"series": 32, "reference": 255, "po_number": 255, "fx_source": 255}  # characters
_terms = lru_cache(maxsize=1024)(parse)  # the same few words on every document


class DiscountGiven(Value, forbid_unknown_fields=True):
    type: Literal["percent", "amount"]
    value: Exact

    def kept(self) -> Discount:
        return Discount(self.type, self.value)


class DepositAsked(Value, forbid_unknown_fields=True):
    type: Literal["percent", "amount"]
    value: Exact
    due_date: date


class PeriodAsked(Value, forbid_unknown_fields=True):
    start: date = msgspec.field(name="from")
    end: date = msgspec.field(name="to")  # included

    def kept(self) -> Period:
        if self.end < self.start:
            raise Invalid(
                f"The period ends on {self.end}, before it begins.", code="period_reversed"
            )
        return Period(self.start, self.end)


class LineWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """A line as a user writes it: taxes by the workspace's codes, or one bare rate in percent."""

    description: str
    unit_price: Exact
    quantity: Exact = ONE
    unit: str | None = None
    sku: str | None = None
    discount: DiscountGiven | None = None
    tax_codes: tuple[str, ...] = ()
    tax_rate: Exact | None = None  # percent
    service_date: date | None = None
    time_entry_ids: tuple[UUID, ...] = ()
    expense_id: UUID | None = None


class DraftInvoice(Value, kw_only=True, forbid_unknown_fields=True):
    """An invoice as a user writes it; the server computes everything.

    Totals may be sent along: a total that is not what the server computes is refused.
    """

    client_id: UUID
    line_items: tuple[LineWritten, ...] = ()
    issue_date: date | None = None  # default: the day of issue
    due_date: date | None = None  # default: by the terms
    payment_terms: str | None = None
    currency: str | None = None  # default: the client's
    number: str | None = None
    series: str = ""
    notes: str | None = None
    private_notes: str | None = None
    terms: str | None = None
    footer: str | None = None
    reference: str | None = None
    po_number: str | None = None
    template_id: UUID | None = None
    tax_mode: TaxMode = "exclusive"
    discount: DiscountGiven | None = None
    deposit: DepositAsked | None = None
    attachments: tuple[str, ...] = ()
    project_id: UUID | None = None
    language: str | None = None
    service_period: PeriodAsked | None = None
    tags: tuple[str, ...] = ()
    custom: dict[str, Any] = {}
    expected_payment_date: date | None = None
    reminders_enabled: bool = True
    rounding_adjustment: Exact = ZERO
    fx_rate: Exact | None = None
    fx_source: str | None = None
    corrects: UUID | None = None
    subtotal: Exact | None = None
    tax_total: Exact | None = None
    total: Exact | None = None


def draft(desk: Desk, asked: DraftInvoice) -> Invoice:
    """Write a draft for a client who may be billed. Raises what `written` and `price` raise."""
    invoice = desk.new(Invoice)
    client = desk.open(Client, asked.client_id)
    client.assert_billable()
    return desk.record(invoice, invoice.draft(*written(desk, asked, client)))


def revise(desk: Desk, invoice_id: UUID, changes: dict[str, Any]) -> Invoice:
    """Change some fields of an invoice: of a draft any, of an issued one what is still free."""
    invoice = desk.open(Invoice, invoice_id)
    invoice.assert_there()
    home = invoice.content.client_id
    asked, client = _as_asked(invoice).but(**changes), standing(desk, home)
    if asked.client_id == client.id:
        asked = asked.but(client_id=home)
    elif asked.client_id != home:
        client = desk.open(Client, asked.client_id)
        client.assert_billable()
    content, handling, totals = written(
        desk, asked, client, invoice, same_lines="line_items" not in changes
    )
    return desk.record(invoice, invoice.revise(content, handling, totals))


def _as_asked(invoice: Invoice) -> DraftInvoice:
    """An invoice as its user would write it now, but for the lines."""
    content, handling = invoice.content, invoice.handling
    discount, deposit, period = content.discount, content.deposit, content.service_period
    fixed = invoice.status is not Status.DRAFT
    same = {
        name: getattr(source, name)
        for source in (content, handling)
        for name in DraftInvoice.__struct_fields__
        if name in source.__struct_fields__
    }
    same.update(
        issue_date=content.issue_date if fixed or content.issue_date_chosen else None,
        due_date=content.due_date if fixed or content.due_date_chosen else None,
        discount=DiscountGiven(discount.type, discount.value) if discount else None,
        deposit=DepositAsked(deposit.type, deposit.value, deposit.due_date) if deposit else None,
        service_period=PeriodAsked(period.start, period.end) if period else None,
    )
    return DraftInvoice(**same)


def issue(desk: Desk, invoice_id: UUID, *, over_limit: bool = False) -> Invoice:
    """Send a draft: it takes the next number of its series and the client owes it.

    Raises `Refused` `credit_limit_exceeded` unless `over_limit`.
    """
    invoice = desk.open(Invoice, invoice_id)
    invoice.assert_sendable()
    content = invoice.content
    workspace = desk.open(Workspace, desk.tenant)
    client = standing(desk, content.client_id)
    if client.deleted:
        raise Refused("This client was deleted; bill another.", code="client_deleted")
    client.assert_billable()
    day = content.issue_date if content.issue_date_chosen else today(desk)
    due = (
        content.due_date
        if content.due_date_chosen
        else due_date(_terms(content.payment_terms), day)
    )
    settings = workspace.settings
    numbering = settings.numbering("invoice")
    # Two series whose numbers look alike are one, or a number would be given twice.
    code = content.series if "{SERIES}" in numbering.pattern else ""
    series = desk.find(NumberSeries, series_id(desk.tenant, "invoice", code))
    (taken,) = series.take(
        invoice.id,
        day,
        numbering,
        chosen=content.number,
        client=client.profile.number or "",
        series=content.series,
    )
    desk.record(series, [taken])
    buyer = _buyer(client.id, client.profile)
    sent = desk.record(invoice, invoice.send(taken.number, day, due, settings.seller, buyer))
    charge(desk, client, sent, sent.balance_due, over_limit=over_limit)
    if client.pays(settings).auto_apply_credits:
        return crediting.apply_open(desk, client, sent)
    return sent


def cancel(desk: Desk, invoice_id: UUID, reason: str | None) -> Invoice:
    """Take an unpaid invoice back; what it charged is lifted from the client's account."""
    return _given_up(desk, invoice_id, reason, lambda it: it.cancel(reason))


def write_off(desk: Desk, invoice_id: UUID, reason: str | None) -> Invoice:
    """Give up an invoice's balance as a bad debt."""
    return _given_up(desk, invoice_id, reason, lambda it: it.write_off(reason))


def _given_up(
    desk: Desk, invoice_id: UUID, reason: str | None, verb: Callable[[Invoice], Events]
) -> Invoice:
    invoice = desk.open(Invoice, invoice_id)
    assert_reason(desk, "cancel", reason)
    owed = invoice.balance_due if invoice.status is Status.SENT else None
    given_up = desk.record(invoice, verb(invoice))
    if owed:
        settle(desk, invoice.content.client_id, invoice.id, Money(owed, invoice.currency))
    return given_up


def reinstate(desk: Desk, invoice_id: UUID) -> Invoice:
    """Take a write-off back; the client owes the balance again."""
    invoice = desk.open(Invoice, invoice_id)
    again = desk.record(invoice, invoice.reinstate())
    client = standing(desk, invoice.content.client_id)
    charge(desk, client, again, again.balance_due, over_limit=True)
    return again


def charge(
    desk: Desk, client: Client, invoice: Invoice, owed: Decimal, *, over_limit: bool
) -> None:
    """Put what an invoice asks for on the client's account, within their credit limit."""
    ceiling, home = client.settings.credit_limit, invoice.content.client_id
    amount, limit, beside = Money(owed, invoice.currency), None, None
    account = desk.find(Account, account_of(desk.tenant, home))
    if ceiling is not None:
        limit = Money(ceiling, client.profile.currency)
        others = (account_of(desk.tenant, it) for it in client.homes if it != home)
        sums = (desk.find(Account, it).balances.get(invoice.currency) for it in others)
        beside = sum(sums, Money.zero(invoice.currency))
    debit = account.debit(invoice.id, amount, limit, over_limit=over_limit, beside=beside)
    desk.record(account, debit)


def written(
    desk: Desk,
    asked: DraftInvoice,
    client: Client,
    before: Invoice | None = None,
    *,
    same_lines: bool = False,
) -> tuple[Content, Handling, Totals]:
    """What a user wrote, made whole: taxes looked up, dates and currency filled in, priced.

    `before` is the invoice it changes, of which the lines may stay the same. Raises `Invalid`:
    an unknown tax code, a date that is out of order, a total that differs.
    """
    _check(desk, asked)
    workspace = desk.open(Workspace, desk.tenant)
    settings = workspace.settings
    fixed = before is not None and before.status is not Status.DRAFT
    currency = asked.currency or client.profile.currency
    terms = (
        asked.payment_terms
        or client.profile.payment_terms
        or client.settings.default_terms
        or settings.default_terms
    )
    day = asked.issue_date or today(desk)
    due = asked.due_date or due_date(_terms(terms), day)
    if asked.issue_date is not None and due < day:
        raise Invalid(
            f"It would be due on {due}, before its issue date {day}.", code="due_before_issue"
        )
    if before is not None and same_lines and (fixed or _same_taxes(before.content, asked)):
        lines = before.content.lines
    else:
        rows = [_as_written(it) for it in before.content.lines] if before and same_lines else None
        lines = tuple([_line(it, asked, client, workspace) for it in rows or asked.line_items])
    discount = asked.discount.kept() if asked.discount else None
    totals = price(
        lines,
        currency,
        discount=discount,
        tax_rounding=before.totals.tax_rounding if before and fixed else settings.tax_rounding,
        rounding_adjustment=asked.rounding_adjustment,
    )
    _compare(asked, totals)
    content = Content(
        client_id=asked.client_id,
        currency=currency,
        lines=lines,
        issue_date=day,
        issue_date_chosen=asked.issue_date is not None,
        due_date=due,
        due_date_chosen=asked.due_date is not None,
        payment_terms=terms,
        number=asked.number or None,
        series=asked.series,
        notes=asked.notes,
        terms=asked.terms,
        footer=asked.footer,
        reference=asked.reference,
        po_number=asked.po_number,
        template_id=asked.template_id,
        tax_mode=asked.tax_mode,
        discount=discount,
        deposit=_deposit(asked, totals),
        project_id=asked.project_id,
        language=asked.language or client.profile.language,
        service_period=asked.service_period.kept() if asked.service_period else None,
        rounding_adjustment=asked.rounding_adjustment,
        fx_rate=asked.fx_rate,
        fx_source=asked.fx_source,
        corrects=asked.corrects,
    )
    handling = Handling(
        private_notes=asked.private_notes,
        tags=tuple(dict.fromkeys(asked.tags)),
        custom=kept(asked.custom),
        attachments=asked.attachments,
        expected_payment_date=asked.expected_payment_date,
        reminders_enabled=asked.reminders_enabled,
    )
    return content, handling, totals


def _check(desk: Desk, asked: DraftInvoice) -> None:
    """Raises `Invalid` for a field that no document can have, whatever the others are, and
    `Missing` or `Refused` for a correction of what is not there or not issued.
    """
    for name, longest in LONGEST.items():
        check_length(name, getattr(asked, name), longest)
    if asked.language:
        check_language(asked.language)
    if len(asked.tags) > MOST_TAGS or any(not 1 <= len(it) <= LONGEST_TAG for it in asked.tags):
        raise Invalid(
            f"There are at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} characters.", code="bad_tags"
        )
    if asked.fx_rate is not None and asked.fx_rate <= 0:
        raise Invalid("An exchange rate is more than nothing.", code="bad_fx_rate")
    for number, line in enumerate(asked.line_items, 1):
        if not line.description.strip():
            raise Invalid(
                f"Line {number} says nothing.",
                code="description_needed",
                line=number,
                field="description",
            )
    if asked.corrects is not None:
        wrong = desk.open(Invoice, asked.corrects)
        wrong.assert_there()
        if not wrong.issued:
            raise Refused("What was not issued needs no correction.", code="invoice_not_issued")


def _same_taxes(before: Content, asked: DraftInvoice) -> bool:
    """Whether the lines, which stay, also bear the same taxes."""
    return (before.tax_mode, before.client_id) == (asked.tax_mode, asked.client_id)


def _as_written(line: Line) -> LineWritten:
    """A line as its user would write it. Raises `Invalid` for taxes that an exemption replaced."""
    codes = tuple(tax.code for tax in line.taxes if tax.code)
    if any(tax.code is None and tax.category in ("E", "AE") for tax in line.taxes):
        raise Invalid(
            "The lines were written for a client who is exempt from tax; send them again.",
            code="line_items_needed",
        )
    discount = line.discount
    return LineWritten(
        description=line.description,
        unit_price=line.unit_price,
        quantity=line.quantity,
        unit=line.unit,
        sku=line.sku,
        discount=DiscountGiven(discount.type, discount.value) if discount else None,
        tax_codes=codes,
        tax_rate=line.taxes[0].rate if line.taxes and not codes else None,
        service_date=line.service_date,
        time_entry_ids=line.time_entry_ids,
        expense_id=line.expense_id,
    )


def _line(it: LineWritten, asked: DraftInvoice, client: Client, workspace: Workspace) -> Line:
    return Line(
        description=it.description,
        quantity=it.quantity,
        unit_price=it.unit_price,
        unit=it.unit,
        sku=it.sku,
        discount=it.discount.kept() if it.discount else None,
        taxes=_taxes(it, asked.tax_mode, client, workspace),
        service_date=it.service_date,
        time_entry_ids=it.time_entry_ids,
        expense_id=it.expense_id,
    )


def _taxes(it: LineWritten, mode: TaxMode, client: Client, workspace: Workspace) -> tuple[Tax, ...]:
    if it.tax_codes and it.tax_rate is not None:
        raise Invalid("A line has tax codes or a tax rate, not both.", code="two_taxes")
    if mode == "none":
        return ()
    if client.profile.tax_exempt != "none" and (it.tax_codes or it.tax_rate):
        category = "AE" if client.profile.tax_exempt == "reverse_charge" else "E"
        return (Tax(None, client.profile.tax_exempt, Decimal(0), category),)
    if it.tax_codes:
        taxes = (workspace.tax(code) for code in it.tax_codes)
        return tuple(
            tax.but(inclusive=True) if mode == "inclusive" and not tax.withholding else tax
            for tax in taxes
        )
    if it.tax_rate is None:
        return ()
    return (bare_tax(it.tax_rate, inclusive=mode == "inclusive"),)


def _deposit(asked: DraftInvoice, totals: Totals) -> Deposit | None:
    deposit = asked.deposit
    if deposit is None:
        return None
    value = deposit.value
    if deposit.type == "amount":
        in_units(value, totals.currency, "The deposit")
    most = totals.payable if deposit.type == "amount" else Decimal(100)
    if not 0 < value <= most:
        raise Invalid("A deposit is a part of the total.", code="deposit_out_of_range")
    return Deposit(deposit.type, value, deposit.due_date)


def _compare(asked: DraftInvoice, totals: Totals) -> None:
    for name in ("subtotal", "tax_total", "total"):
        sent, computed = getattr(asked, name), getattr(totals, name)
        if sent is not None and sent != computed:
            raise Invalid(
                f"The {name} is {computed}, not {sent}.",
                code="total_mismatch",
                field=name,
                computed=str(computed),
            )


def _buyer(id: UUID, client: Profile) -> Buyer:
    return Buyer(
        client_id=id,
        name=client.name,
        legal_name=client.legal_name,
        address=client.address,
        email=client.email,
        phone=client.phone,
        tax_id=client.tax_id,
        tax_id_type=client.tax_id_type,
        number=client.number,
        peppol_id=client.peppol_id,
        language=client.language,
    )
