"""Clients: add, revise, archive or delete, and settle how they pay."""

from datetime import datetime
from functools import partial
from typing import Any, Literal
from uuid import UUID

from anyio import to_thread
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from projections.client_view import ClientView, Duplicate, NewClient, PaymentSettingsView
from projections.clients import duplicates
from zeroinvoice.domain import clientele
from zeroinvoice.domain.addresses import Address, AddressWritten, rewritten, text_or_none
from zeroinvoice.domain.client import (
    Client,
    LateFee,
    PaymentMethod,
    PaymentSettings,
    Profile,
    Schedule,
    TaxStatus,
)
from zeroinvoice.domain.custom import kept
from zeroinvoice.domain.telephones import dialled
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import delete, patch, post, put
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.money import Exact
from zeroinvoice.kernel.value import Value

TEXTS = (
    "legal_name", "email", "phone", "language", "timezone", "tax_id", "tax_id_type",
    "payment_terms", "number", "external_id", "notes", "peppol_id",
)  # fmt: skip
PARTS = ("address_lines", "city", "region", "postal_code", "country")
PLAIN = Profile(name="", currency="")  # what a field is when null is sent for it


class ClientWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """What a user writes of a client.

    `address` is a string, which is printed as it is, or its parts, which may also stand beside it.
    """

    legal_name: str | None | UnsetType = UNSET
    type: Literal["company", "person"] | None | UnsetType = UNSET
    email: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET
    address: str | AddressWritten | None | UnsetType = UNSET
    address_lines: tuple[str, ...] | None | UnsetType = UNSET
    city: str | None | UnsetType = UNSET
    region: str | None | UnsetType = UNSET
    postal_code: str | None | UnsetType = UNSET
    country: str | None | UnsetType = UNSET
    shipping_address: str | AddressWritten | None | UnsetType = UNSET
    language: str | None | UnsetType = UNSET
    timezone: str | None | UnsetType = UNSET
    tax_id: str | None | UnsetType = UNSET
    tax_id_type: str | None | UnsetType = UNSET
    tax_exempt: TaxStatus | None | UnsetType = UNSET
    payment_terms: str | None | UnsetType = UNSET
    number: str | None | UnsetType = UNSET
    external_id: str | None | UnsetType = UNSET
    tags: tuple[str, ...] | None | UnsetType = UNSET
    notes: str | None | UnsetType = UNSET
    custom: dict[str, Any] | None | UnsetType = UNSET
    peppol_id: str | None | UnsetType = UNSET

    def on(self, profile: Profile) -> Profile:
        """The profile with what was sent."""
        names = (name for name in self.__struct_fields__ if name in profile.__struct_fields__)
        sent = {name: it for name in names if (it := getattr(self, name)) is not UNSET}
        for name, value in sent.items():
            if value is None:
                sent[name] = getattr(PLAIN, name)
            elif name in TEXTS:
                sent[name] = text_or_none(value)
        sent["address"] = self._address(profile.address)
        if self.shipping_address is not UNSET:
            sent["shipping_address"] = rewritten(profile.shipping_address, self.shipping_address)
        if "custom" in sent:
            sent["custom"] = kept(sent["custom"])
        if "tags" in sent:
            sent["tags"] = tuple(dict.fromkeys(sent["tags"]))
        after = profile.but(**sent)
        phone = (after.phone, after.address.country)
        if phone == (profile.phone, profile.address.country):
            return after
        return after.but(phone_e164=dialled(*phone))

    def _address(self, before: Address) -> Address:
        address = before if self.address is UNSET else rewritten(before, self.address)
        parts = {name: it for name in PARTS if (it := getattr(self, name)) is not UNSET}
        if parts.get("address_lines", ()) is None:
            parts["address_lines"] = ()
        return address.but(**parts).tidied() if parts else address


class AddClient(ClientWritten, kw_only=True):
    """A new client. Its currency is the workspace's and its number the next, unless given."""

    name: str
    currency: str | UnsetType = UNSET  # ISO 4217


class ReviseClient(ClientWritten, kw_only=True):
    """What shall change of a client. A field that is not sent stays; null clears it."""

    name: str | UnsetType = UNSET
    currency: str | UnsetType = UNSET  # ISO 4217; only while nothing was issued or paid
    archived: bool | UnsetType = UNSET


class LateFeeAsked(Value, forbid_unknown_fields=True):
    type: Literal["percent", "amount"]
    value: Exact  # percent of the balance, or an amount in the client's currency
    grace_days: int = 0


class RevisePaymentSettings(Value, kw_only=True, forbid_unknown_fields=True):
    """What shall change of how a client pays. Null inherits from the workspace again."""

    default_terms: str | None | UnsetType = UNSET
    late_fee: LateFeeAsked | None | UnsetType = UNSET
    reminders_enabled: bool | None | UnsetType = UNSET
    allowed_methods: tuple[PaymentMethod, ...] | None | UnsetType = UNSET
    autopay: bool | None | UnsetType = UNSET
    auto_apply_credits: bool | None | UnsetType = UNSET
    allow_partial: bool | None | UnsetType = UNSET
    allow_overpayment: bool | None | UnsetType = UNSET
    min_partial_amount: Exact | None | UnsetType = UNSET
    statement_schedule: Schedule | None | UnsetType = UNSET
    credit_limit: Exact | None | UnsetType = UNSET

    def on(self, settings: PaymentSettings) -> PaymentSettings:
        names = self.__struct_fields__
        sent = {name: it for name in names if (it := getattr(self, name)) is not UNSET}
        if fee := sent.get("late_fee"):
            sent["late_fee"] = LateFee(fee.type, fee.value, fee.grace_days)
        if methods := sent.get("allowed_methods"):
            sent["allowed_methods"] = tuple(dict.fromkeys(methods))
        return settings.but(**sent)


class Archived(Value):
    """A client with financial history is kept, out of sight."""

    id: UUID
    archived: bool
    status: str


@post("/clients", may="clients:write")
async def add(data: JSONBody[AddClient], writer: Writing, reader: Reading) -> NewClient:
    """Add a client; the answer names those it may be a second record of."""
    tax_id, email = data.tax_id or None, data.email or None
    alike = await to_thread.run_sync(partial(duplicates, reader, data.name, email, tax_id))
    client = await writer.commit(partial(clientele.add, change=data.on))
    return NewClient.with_duplicates(client, earlier(alike, client))


@put("/clients/{client_id:uuid}", may="clients:write")
async def revise(
    client_id: FromPath[UUID], data: JSONBody[ReviseClient], writer: Writing
) -> ClientView:
    """Change some of a client; archive it or bring it back."""
    archived = None if data.archived is UNSET else data.archived

    def decision(desk: Desk) -> Client:
        return clientele.revise(desk, client_id, data.on, archived)

    return ClientView.of(await writer.commit(decision, wants=[(Client, client_id)]))


@delete(
    "/clients/{client_id:uuid}",
    may="clients:delete",
    status_code=200,
    responses={204: ResponseSpec(None, description="It had no history, and is gone")},
)
async def remove(client_id: FromPath[UUID], writer: Writing) -> Response[Archived | None]:
    """Delete a client (204), or archive it when it has financial history (200)."""

    def decision(desk: Desk) -> Client:
        return clientele.remove(desk, client_id)

    client = await writer.commit(decision, wants=[(Client, client_id)])
    if client.deleted:
        return Response(None, status_code=204)
    return Response(Archived(client.id, client.archived, "archived"), status_code=200)


@patch("/clients/{client_id:uuid}/payment-settings", may="clients:write")
async def settle_payment(
    client_id: FromPath[UUID], data: JSONBody[RevisePaymentSettings], writer: Writing
) -> PaymentSettingsView:
    """Change how a client pays; null inherits from the workspace again."""

    def decision(desk: Desk) -> tuple[Client, Workspace]:
        client = desk.open(Client, client_id)
        revised = desk.record(client, client.set_payment(data.on(client.settings)))
        return revised, desk.open(Workspace, desk.tenant)

    client, workspace = await writer.commit(decision, wants=[(Client, client_id)])
    return PaymentSettingsView.of(client, workspace.settings)


def earlier(
    found: list[tuple[Duplicate, datetime]] | None, client: Client
) -> list[Duplicate] | None:
    """Those that were there before the client, so that an answer given again is the same."""
    if found is None:
        return None
    assert client.created_at is not None
    return [it for it, since in found if it.id != client.id and since <= client.created_at]


routes = [add, revise, remove, settle_payment]
