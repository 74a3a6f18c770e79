"""What of the journal is news: each fact that people want to hear of, told in a few values."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from zeroinvoice.domain.client import (
    ClientAdded,
    ClientArchived,
    ClientDeleted,
    ClientMergeUndone,
    ClientPaymentSettingsRevised,
    ClientRestored,
    ClientRevised,
    ClientsMerged,
)
from zeroinvoice.domain.contact_book import (
    ContactAdded,
    ContactRemoved,
    ContactRevised,
    ContactsAdopted,
    PrimaryContactChosen,
)
from zeroinvoice.domain.credit import (
    CreditApplied,
    CreditIssued,
    CreditReassigned,
    CreditRefunded,
    CreditUnapplied,
    CreditVoided,
)
from zeroinvoice.domain.invoice import (
    InvoiceAmended,
    InvoiceCancelled,
    InvoiceDiscarded,
    InvoiceDrafted,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceSentAgain,
    InvoiceWrittenOff,
)
from zeroinvoice.domain.membership import (
    InvitationRevoked,
    MemberInvited,
    MemberJoined,
    MemberRemoved,
    RoleAssigned,
)
from zeroinvoice.domain.payment import (
    PaymentCorrected,
    PaymentReceipted,
    PaymentRecorded,
    PaymentRefunded,
    PaymentVoided,
)
from zeroinvoice.domain.workspace import (
    TaxCodeDefined,
    TaxCodeRetired,
    WorkspaceOpened,
    WorkspaceRevised,
)
from zeroinvoice.kernel.facts import Event, Fact
from zeroinvoice.kernel.value import Value

Importance = Literal["low", "normal", "high"]


class Verb(Value):
    """What happened, as far as it is the same every time."""

    subject: str  # the kind of thing it happened to
    importance: Importance
    icon: str
    groups: bool = False  # repetitions within an hour are one item


VERBS: dict[str, Verb] = {
    "invoice_created": Verb("invoice", "low", "file-plus"),
    "invoice_revised": Verb("invoice", "low", "pencil", groups=True),
    "invoice_sent": Verb("invoice", "high", "send"),
    "invoice_sent_again": Verb("invoice", "normal", "send", groups=True),
    "invoice_amended": Verb("invoice", "low", "pencil", groups=True),
    "invoice_deleted": Verb("invoice", "low", "trash"),
    "invoice_cancelled": Verb("invoice", "high", "ban"),
    "invoice_written_off": Verb("invoice", "high", "ban"),
    "invoice_reinstated": Verb("invoice", "normal", "undo"),
    "payment_received": Verb("payment", "high", "coins"),
    "payment_reentered": Verb("payment", "normal", "pencil"),
    "payment_corrected": Verb("payment", "low", "pencil", groups=True),
    "payment_voided": Verb("payment", "high", "ban"),
    "payment_refunded": Verb("payment", "high", "undo"),
    "receipt_written": Verb("payment", "low", "receipt"),
    "credit_issued": Verb("credit", "high", "ticket"),
    "credit_applied": Verb("credit", "normal", "ticket"),
    "credit_unapplied": Verb("credit", "normal", "undo"),
    "credit_refunded": Verb("credit", "high", "undo"),
    "credit_voided": Verb("credit", "high", "ban"),
    "client_added": Verb("client", "normal", "user-plus"),
    "client_revised": Verb("client", "low", "pencil", groups=True),
    "client_terms_revised": Verb("client", "low", "pencil", groups=True),
    "client_archived": Verb("client", "normal", "archive"),
    "client_restored": Verb("client", "normal", "undo"),
    "client_deleted": Verb("client", "high", "trash"),
    "clients_merged": Verb("client", "high", "merge"),
    "client_merge_undone": Verb("client", "high", "undo"),
    "contact_added": Verb("contact", "low", "user-plus"),
    "contact_revised": Verb("contact", "low", "pencil", groups=True),
    "contact_removed": Verb("contact", "low", "trash"),
    "primary_contact_chosen": Verb("contact", "low", "star"),
    "member_invited": Verb("member", "normal", "mail"),
    "invitation_revoked": Verb("member", "normal", "ban"),
    "member_joined": Verb("member", "high", "user-plus"),
    "role_assigned": Verb("member", "high", "key"),
    "member_removed": Verb("member", "high", "user-minus"),
    "workspace_opened": Verb("workspace", "normal", "home"),
    "workspace_revised": Verb("workspace", "low", "settings", groups=True),
    "tax_code_defined": Verb("workspace", "low", "percent"),
    "tax_code_retired": Verb("workspace", "low", "percent"),
}


class Thing(Value, kw_only=True):
    """What is known of a record so far, since its later facts do not say it again."""

    client_id: UUID | None = None  # whom it was written for
    project_id: UUID | None = None
    number: str | None = None
    currency: str | None = None
    amount: Decimal | None = None
    invoice_ids: tuple[UUID, ...] = ()  # that it concerns
    invoice_number: str | None = None  # where it is one
    entries: int = 1  # how often it was entered
    position: int = 0  # of its first fact


Known = Callable[[UUID], Thing | None]


class News(Value, kw_only=True):
    """One fact as the feed keeps it: ids, numbers and amounts, and nobody's name."""

    verb: str
    subject_id: UUID
    client_id: UUID | None = None
    project_id: UUID | None = None
    number: str | None = None  # the subject's
    invoice_number: str | None = None  # of the invoice that it concerns besides
    currency: str | None = None
    amount: Decimal | None = None
    effective_on: date | None = None  # the day the business counts, which may be an earlier one
    detail: str | None = None  # a role, a code or a count, for the text
    invoice_ids: tuple[UUID, ...] = ()


def learned(fact: Fact, known: Known) -> tuple[UUID, Thing] | None:
    """What a fact adds to what is known of a record; none where it adds nothing."""
    id, event = fact.stream, fact.event
    match event:
        case (
            InvoiceDrafted(content=content, totals=totals)
            | InvoiceRevised(content=content, totals=totals)
        ):
            return id, Thing(
                client_id=content.client_id,
                project_id=content.project_id,
                currency=totals.currency,
                amount=totals.total,
                invoice_ids=(id,),
                position=_begun(fact, known(id)),
            )
        case InvoiceSent(number=number):
            return id, _there(known(id)).but(number=number)
        case PaymentRecorded(client_id=client_id, amount=amount, allocations=parts):
            before = known(id)
            return id, Thing(
                client_id=client_id,
                currency=amount.currency,
                amount=amount.amount,
                invoice_ids=tuple(it.invoice_id for it in parts),
                invoice_number=parts[0].number if len(parts) == 1 else None,
                entries=before.entries + 1 if before else 1,
                position=_begun(fact, before),
            )
        case CreditIssued(client_id=client_id, amount=amount):
            return id, Thing(
                client_id=client_id,
                number=event.number,
                currency=amount.currency,
                amount=amount.amount,
                invoice_ids=(event.invoice_id,) if event.invoice_id else (),
                invoice_number=event.invoice_number,
                position=fact.position,
            )
        case PaymentRefunded(refund_id=refund_id) | CreditRefunded(refund_id=refund_id):
            # What is paid back has a fact on the payment and one on its credit; the first is news.
            first = known(refund_id) is None
            return (refund_id, Thing(position=fact.position)) if first else None
        case CreditReassigned(client_id=client_id):
            return id, _there(known(id)).but(client_id=client_id)
        case ContactAdded(client_id=client_id) | ContactsAdopted(client_id=client_id):
            return id, Thing(client_id=client_id, position=_begun(fact, known(id)))
        case _:
            return None


def _begun(fact: Fact, before: Thing | None) -> int:
    return before.position if before else fact.position


def _there(thing: Thing | None) -> Thing:
    assert thing is not None, "a record begins with a fact that says what it is"
    return thing


def news(fact: Fact, known: Known) -> News | None:
    """What a fact means to people, once what it adds is known; none for what is no news."""
    event = fact.event
    match event:
        case WorkspaceOpened():
            return News(verb="workspace_opened", subject_id=fact.stream)
        case WorkspaceRevised():
            return News(verb="workspace_revised", subject_id=fact.stream)
        case TaxCodeDefined(tax=tax):
            return News(verb="tax_code_defined", subject_id=fact.stream, detail=tax.code)
        case TaxCodeRetired(code=code):
            return News(verb="tax_code_retired", subject_id=fact.stream, detail=code)
        case MemberInvited(member_id=id, role=role):
            return News(verb="member_invited", subject_id=id, detail=role)
        case InvitationRevoked(member_id=id):
            return News(verb="invitation_revoked", subject_id=id)
        case MemberJoined(member_id=id, role=role):
            return News(verb="member_joined", subject_id=id, detail=role)
        case RoleAssigned(member_id=id, role=role):
            return News(verb="role_assigned", subject_id=id, detail=role)
        case MemberRemoved(member_id=id):
            return News(verb="member_removed", subject_id=id)
        case _:
            return _of_client(fact, known) or _of_record(fact, known)


OF_CLIENT: dict[type[Event], str] = {
    ClientAdded: "client_added",
    ClientRevised: "client_revised",
    ClientPaymentSettingsRevised: "client_terms_revised",
    ClientArchived: "client_archived",
    ClientRestored: "client_restored",
    ClientDeleted: "client_deleted",
    ClientsMerged: "clients_merged",
    ClientMergeUndone: "client_merge_undone",
}
OF_CONTACT: dict[type[Event], str] = {
    ContactAdded: "contact_added",
    ContactRevised: "contact_revised",
    ContactRemoved: "contact_removed",
    PrimaryContactChosen: "primary_contact_chosen",
}


def _of_client(fact: Fact, known: Known) -> News | None:
    id, event = fact.stream, fact.event
    match event:
        case ClientsMerged(duplicates=duplicates):
            count = str(len(duplicates))
            return News(verb="clients_merged", subject_id=id, client_id=id, detail=count)
        case (
            ContactAdded(contact_id=contact_id)
            | ContactRevised(contact_id=contact_id)
            | ContactRemoved(contact_id=contact_id)
            | PrimaryContactChosen(contact_id=contact_id)
        ):
            client_id = _there(known(id)).client_id
            return News(verb=OF_CONTACT[type(event)], subject_id=contact_id, client_id=client_id)
        case _:
            verb = OF_CLIENT.get(type(event))
            return News(verb=verb, subject_id=id, client_id=id) if verb else None


OF_RECORD: dict[type[Event], str] = {
    InvoiceDrafted: "invoice_created",
    InvoiceRevised: "invoice_revised",
    InvoiceSent: "invoice_sent",
    InvoiceSentAgain: "invoice_sent_again",
    InvoiceAmended: "invoice_amended",
    InvoiceDiscarded: "invoice_deleted",
    InvoiceCancelled: "invoice_cancelled",
    InvoiceWrittenOff: "invoice_written_off",
    InvoiceReinstated: "invoice_reinstated",
    PaymentRecorded: "payment_received",
    PaymentCorrected: "payment_corrected",
    PaymentVoided: "payment_voided",
    PaymentRefunded: "payment_refunded",
    PaymentReceipted: "receipt_written",
    CreditIssued: "credit_issued",
    CreditApplied: "credit_applied",
    CreditUnapplied: "credit_unapplied",
    CreditRefunded: "credit_refunded",
    CreditVoided: "credit_voided",
}


def _of_record(fact: Fact, known: Known) -> News | None:
    """News of an invoice, a payment or a credit: what is known of it, and what the fact says."""
    event, verb = fact.event, OF_RECORD.get(type(fact.event))
    if verb is None:
        return None
    thing = _there(known(fact.stream))
    told = News(
        verb=verb,
        subject_id=fact.stream,
        client_id=thing.client_id,
        project_id=thing.project_id,
        number=thing.number,
        invoice_number=thing.invoice_number,
        currency=thing.currency,
        amount=thing.amount,
        invoice_ids=thing.invoice_ids,
    )
    match event:
        case InvoiceSent(issue_date=day):
            return told.but(effective_on=day)
        case InvoiceWrittenOff(amount=amount):
            return told.but(amount=amount)
        case PaymentRecorded(received_on=day):
            again = thing.entries > 1
            return told.but(
                verb="payment_reentered" if again else verb,
                effective_on=day,
                detail=str(len(thing.invoice_ids)) if len(thing.invoice_ids) > 1 else None,
            )
        case PaymentReceipted(receipt=receipt):
            return told.but(number=receipt.number)
        case CreditIssued(issued_on=day, type=kind):
            return told.but(effective_on=day, detail=kind)
        case CreditApplied(amount=amount, applied_on=day):
            return told.but(
                amount=amount,
                effective_on=day,
                invoice_ids=(event.invoice_id,),
                invoice_number=event.invoice_number,
            )
        case PaymentRefunded() | CreditRefunded():
            if _there(known(event.refund_id)).position != fact.position:
                return None
            paid = event.amount if isinstance(event, CreditRefunded) else event.amount.amount
            return told.but(amount=paid, effective_on=event.refunded_on)
        case _:
            return told
