"""The business: one file a kind of stream, its events, its state, its decisions."""

from typing import Any

from zeroinvoice.domain.access_day import AccessDay
from zeroinvoice.domain.account import Account
from zeroinvoice.domain.activity import ActivityMarker, Tracking
from zeroinvoice.domain.api_key import ApiKey
from zeroinvoice.domain.bank_accounts import BankAccounts
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.contact_book import ContactBook
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.credit_ledger import CreditLedger
from zeroinvoice.domain.external_id import ExternalId
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.mailbox import Mailbox
from zeroinvoice.domain.merge import Merge
from zeroinvoice.domain.payment import LikePayments, Payment
from zeroinvoice.domain.series import NumberSeries
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.throttle import Throttle
from zeroinvoice.domain.two_factor import TwoFactor
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.facts import Event, Former, State, events_of

KINDS: dict[str, type[State[Any]]] = {
    "access_day": AccessDay,
    "account": Account,
    "activity_marker": ActivityMarker,
    "api_key": ApiKey,
    "bank_accounts": BankAccounts,
    "client": Client,
    "contact_book": ContactBook,
    "credit": Credit,
    "credit_ledger": CreditLedger,
    "external_id": ExternalId,
    "invoice": Invoice,
    "like_payments": LikePayments,
    "mailbox": Mailbox,
    "merge": Merge,
    "number_series": NumberSeries,
    "payment": Payment,
    "session": Session,
    "throttle": Throttle,
    "tracking": Tracking,
    "two_factor": TwoFactor,
    "user": User,
    "workspace": Workspace,
}
"""Every kind of stream, by the name that the audit log and the catalogue of events use."""

KIND_OF: dict[type[Event], str] = {
    event: name for name, kind in KINDS.items() for event in events_of(kind)
}
EVENTS: tuple[type[Event], ...] = tuple(KIND_OF)
"""Every class a stored fact may name: the allow-list through which facts are read."""
FORMER: tuple[type[Former], ...] = ()
"""How classes looked that have changed since: facts of those days are upcast when they are read.

Nothing that was ever stored has changed yet. Who changes a class raises its `VERSION`, keeps its
former fields as a `Former` here, and has `make events` write down the shape of the new one.
"""
