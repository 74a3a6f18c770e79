"""How balances come about: of an invoice from its own facts, of a client's credits from theirs."""

from datetime import date
from decimal import Decimal

from projections.explaining import moves
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.credit_ledger import Held
from zeroinvoice.domain.derivation import Derivation, Term, added_up
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.kernel.money import Money
from zeroinvoice.readside.reader import LAST, Reader


def due_on(reader: Reader, invoice: Invoice) -> dict[str, Derivation]:
    """Of what is due on an invoice, as it is at its version."""
    none = Money.zero(invoice.currency).amount
    facts = reader.histories([(invoice.id, 1, invoice.version)])[invoice.id]
    due = added_up(
        "payable − amount_paid − amount_credited − amount_written_off",
        moves(reader, Invoice, facts, lambda it: it.balance_due),
        none,
        (
            Term("payable", none + invoice.totals.payable),
            Term("amount_paid", none + invoice.paid),
            Term("amount_credited", none + invoice.credited.amount),
            Term("amount_written_off", none + invoice.written_off),
        ),
    )
    return {"balance_due": due}


def left_of(reader: Reader, held: list[Held], today: date, soon: date) -> dict[str, Derivation]:
    """Of what is left of credits by currency, such as available.EUR; `soon` is a last day."""
    usable = [it for it in held if it.usable(today)]
    expiring = [it for it in usable if it.expires_on is not None and it.expires_on <= soon]
    histories = reader.histories([(it.credit_id, 1, LAST) for it in usable])
    found: dict[str, Derivation] = {}
    for code in sorted({it.left.currency for it in held}):
        for name, which in (("available", usable), ("expiring_30d", expiring)):
            parts = [
                part
                for it in which
                if it.left.currency == code
                for part in moves(
                    reader,
                    Credit,
                    (f for f in histories[it.credit_id] if reader.knows(f)),
                    _left,
                )
            ]
            formula = "of each credit, what was issued less what was applied and refunded"
            found[f"{name}.{code}"] = added_up(formula, parts, Money.zero(code).amount)
    return found


def _left(it: Credit) -> Decimal:
    return it.remaining.amount
