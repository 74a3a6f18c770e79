"""A simulation as tables: what is and what would be, side by side, for people."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from projections.simulation_view import SimulatedFigures, Simulation

ROWS = {
    "invoiced": "Invoiced",
    "credit_notes": "Credit notes",
    "tax": "Tax",
    "paid": "Paid",
    "credited": "Credited",
    "written_off": "Written off",
    "balance": "Balance",
    "overdue": "Overdue",
    "unapplied": "Unapplied payments",
    "open_credit": "Open credit",
}


def tables_of(found: "Simulation") -> Iterator[Table]:
    """The workspace, each client, the documents that would be others, and the conflicts."""
    told = f"The workspace on {found.day}, after fact {found.position}"
    yield _figures(told, found.by_currency)
    for client in found.clients:
        yield _figures(client.name, client.by_currency)
    if found.clients_left_off:
        yield Table(title=f"{found.clients_left_off} clients are left off.")
    yield _documents(found)
    yield _conflicts(found)


def _figures(title: str, by_currency: "dict[str, SimulatedFigures]") -> Table:
    table = Table("", "actual", "simulated", "difference", title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for code, it in by_currency.items():
        for name, label in ROWS.items():
            figure = getattr(it, name)
            table.add_row(f"{label} {code}", *_texts(figure))
        for tax in it.taxes:
            table.add_row(f"  {tax.name} at {tax.rate} % {code}", *_texts(tax.tax))
        table.add_row(f"DSO {code}, simple", *_texts(it.dso.simple))
        table.add_row(f"DSO {code}, countback", *_texts(it.dso.countback))
    return table


def _texts(figure: object) -> list[str]:
    parts = [getattr(figure, name) for name in ("actual", "simulated", "difference")]
    return ["–" if it is None else f"{it:f}" for it in parts]


def _documents(found: "Simulation") -> Table:
    more = f", and {found.documents_left_off} more" if found.documents_left_off else ""
    title = f"{len(found.documents)} documents would be others{more}"
    table = Table("document", "as it is", "as it would be", title=title, title_justify="left")
    for it in found.documents:
        sides = []
        for then in (it.actual, it.simulated):
            due = f", due {then.due_date}" if then is not None and then.due_date else ""
            text = "not at all"
            if then is not None:
                text = f"{then.status}, {then.total:f} {it.currency}, open {then.balance:f}{due}"
            sides.append(text)
        table.add_row(f"{it.type} {it.number or it.id}", *sides)
    return table


def _conflicts(found: "Simulation") -> Table:
    more = f", and {found.conflicts_left_off} more" if found.conflicts_left_off else ""
    title = f"{len(found.conflicts)} facts could not have been as they are{more}"
    table = Table("fact", "of", "why", title=title, title_justify="left")
    for it in found.conflicts:
        table.add_row(str(it.seq), f"{it.resource_type} {it.resource_id}", it.detail)
    return table
