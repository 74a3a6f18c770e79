"""What operations need to be there: drafts, invoices that are sent, paid or given up, credits."""

from decimal import Decimal
from uuid import UUID

from offices import Office

from zeroinvoice.domain import billing, collecting, crediting, merging
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.collecting import RecordPayment
from zeroinvoice.domain.crediting import ApplyCredit, IssueCredit
from zeroinvoice.domain.merging import MergeClients
from zeroinvoice.domain.session import Session
from zeroinvoice.kernel.desk import Desk

PRICE = Decimal("33.33")  # three of them with 20 % tax are 119.99
TOTAL = Decimal("119.99")


def draft(desk: Desk, office: Office, client: UUID | None = None) -> UUID:
    line = LineWritten(
        description="Work", quantity=Decimal(3), unit_price=PRICE, tax_rate=Decimal(20)
    )
    asked = DraftInvoice(client_id=client or office.a_client(), line_items=(line,))
    return billing.draft(desk, asked).id


def sent(desk: Desk, office: Office, client: UUID | None = None) -> UUID:
    return billing.issue(desk, draft(desk, office, client)).id


def two_sent(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    client = office.a_client()
    return sent(desk, office, client), sent(desk, office, client)


def written_off(desk: Desk, office: Office) -> UUID:
    return billing.write_off(desk, sent(desk, office), "bad debt").id


def paid(desk: Desk, office: Office) -> UUID:
    asked = RecordPayment(amount=TOTAL, method="cash", invoice_id=sent(desk, office))
    payment, _ = collecting.record(desk, asked, has_key=True)
    return payment.id


def new_client(desk: Desk, office: Office) -> UUID:
    """A client of its own, who may pay more than is due."""
    client = desk.new(Client)
    client = desk.record(client, client.add(Profile("Generous Ltd", "USD")))
    desk.record(client, client.set_payment(PaymentSettings(allow_overpayment=True)))
    return client.id


def new_client_of_a_confirmed_user(desk: Desk, office: Office) -> UUID:
    """Bank accounts are for those who have said who they are within ten minutes."""
    session = desk.open(Session, office.session)
    desk.record(session, session.confirm())
    return new_client(desk, office)


def sent_to_generous(desk: Desk, office: Office) -> UUID:
    return sent(desk, office, new_client(desk, office))


def credit(desk: Desk, office: Office, client: UUID | None = None) -> tuple[UUID, UUID]:
    """A client, and a goodwill of 10.00 that is theirs."""
    of = client or office.a_client()
    issued = crediting.issue(desk, of, IssueCredit(type="goodwill", amount=Decimal("10.00")))
    return of, issued.id


def credit_and_sent(desk: Desk, office: Office) -> tuple[UUID, UUID, UUID]:
    client, credit_id = credit(desk, office)
    return client, credit_id, sent(desk, office, client)


def applied(desk: Desk, office: Office) -> tuple[UUID, UUID, UUID]:
    """A client, a credit of theirs, and its application to an invoice."""
    client, credit_id, invoice = credit_and_sent(desk, office)
    spent = crediting.apply(desk, client, credit_id, ApplyCredit(invoice_id=invoice))
    return client, credit_id, spent.applications[-1].application_id


def client_and_sent(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    client = office.a_client()
    return client, sent(desk, office, client)


def two_clients(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    """Two of their own: whoever is merged takes nothing new, and others are billed meanwhile."""
    made = [desk.new(Client), desk.new(Client)]
    first, second = [desk.record(it, it.add(Profile("Twin", "USD"))).id for it in made]
    sent(desk, office, second)
    return first, second


def merged(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    primary, duplicate = two_clients(desk, office)
    asked = MergeClients(primary_id=primary, duplicate_ids=(duplicate,))
    return merging.merge(desk, asked)[1].id, duplicate
