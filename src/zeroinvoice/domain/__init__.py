"""The business: one file a kind of stream, its events, its state, its decisions."""

from typing import Any

from zeroinvoice.domain.account import Account
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.series import NumberSeries
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.facts import Event, State, events_of

KINDS: dict[str, type[State[Any]]] = {
    "account": Account,
    "client": Client,
    "invoice": Invoice,
    "number_series": NumberSeries,
    "session": Session,
    "workspace": Workspace,
}
"""Every kind of stream, by the name that the audit log and the catalogue of events use."""

KIND_OF: dict[type[Event], str] = {
    event: name for name, kind in KINDS.items() for event in events_of(kind)
}
EVENTS: tuple[type[Event], ...] = tuple(KIND_OF)
"""Every class a stored fact may name: the allow-list through which facts are read."""
