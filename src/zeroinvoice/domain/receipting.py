"""Receipting: a payment's receipt, under a number of its own series."""

from zeroinvoice.domain.belonging import standing
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import Payment, Receipt, Receipted
from zeroinvoice.domain.series import NumberSeries, series_id
from zeroinvoice.domain.workspace import Workspace, today
from zeroinvoice.kernel.desk import Desk


def receipted(desk: Desk, payment: Payment) -> Payment:
    """Write a receipt for the entry as it stands, unless it has one."""
    if payment.receipt is not None:
        return payment
    payment.assert_standing()
    settings = desk.open(Workspace, desk.tenant).settings
    client = standing(desk, payment.entry.client_id)
    series = desk.find(NumberSeries, series_id(desk.tenant, "receipt"))
    day = today(desk)
    numbering = settings.numbering("receipt")
    (taken,) = series.take(payment.id, day, numbering, client=client.profile.number or "")
    desk.record(series, [taken])
    invoices = (desk.open(Invoice, it.invoice_id) for it in payment.entry.allocations)
    said = tuple(
        Receipted(
            invoice_id=it.id,
            number=it.number or "",
            total=it.totals.total,
            paid=it.paid_by(payment.id),
            balance_due=it.balance_due,
            currency=it.currency,
        )
        for it in invoices
    )
    return desk.record(payment, payment.write_receipt(Receipt(taken.number, day, said)))
