"""A client as one sees it alone, and how it pays: for a write's answer, a read and the past."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from zeroinvoice.domain.addresses import Address
from zeroinvoice.domain.client import Client, LateFee, PaymentMethod, Schedule, inherited
from zeroinvoice.domain.workspace import Settings
from zeroinvoice.kernel.money import in_units
from zeroinvoice.kernel.value import Value

V = TypeVar("V")


class AddressView(Value):
    """An address: as it is printed, and by its parts where they are known."""

    text: str | None
    address_lines: tuple[str, ...]
    city: str | None
    region: str | None
    postal_code: str | None
    country: str | None  # ISO 3166-1 alpha-2

    @classmethod
    def of(cls, it: Address) -> "AddressView":
        return cls(it.block, it.address_lines, it.city, it.region, it.postal_code, it.country)


class ClientView(Value, kw_only=True):
    """A client with everything that is known of it."""

    id: UUID
    number: str | None
    status: str  # active, archived, merged
    archived: bool
    merged_into: UUID | None
    erased: bool  # who it was is forgotten, and its texts are "[erased]"
    name: str
    legal_name: str | None
    type: str
    email: str | None
    phone: str | None  # as it was typed
    phone_e164: str | None  # where it could be told
    address: str | None  # as it was typed, else made of its parts
    address_lines: tuple[str, ...]
    city: str | None
    region: str | None
    postal_code: str | None
    country: str | None  # ISO 3166-1 alpha-2
    shipping_address: AddressView
    currency: str
    language: str | None
    timezone: str | None
    tax_id: str | None
    tax_id_type: str | None
    tax_exempt: str
    payment_terms: str | None
    external_id: str | None
    external_id_aliases: tuple[str, ...]  # of clients that were merged into this one
    tags: tuple[str, ...]
    notes: str | None
    custom: dict[str, Any]
    peppol_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    version: int

    @classmethod
    def of(cls, it: Client) -> "ClientView":
        return cls(**_shown(it))


class Duplicate(Value):
    """Another client that may be the same one."""

    id: UUID
    score: float  # 1 for the same e-mail or tax id, else the likeness of the names
    reasons: list[str]  # same_email, same_tax_id, similar_name


class NewClient(ClientView, kw_only=True):
    """A client that was just added, with those it may be a second record of."""

    possible_duplicates: list[Duplicate] | None  # null when they could not be looked for

    @classmethod
    def with_duplicates(cls, it: Client, found: list[Duplicate] | None) -> "NewClient":
        return cls(**_shown(it), possible_duplicates=found)


def _shown(it: Client) -> dict[str, Any]:
    profile, address = it.profile, it.profile.address
    same = {
        name: getattr(profile, name)
        for name in ClientView.__struct_fields__
        if name in profile.__struct_fields__
    }
    return {
        **same,
        "id": it.id,
        "status": "merged" if it.merged_into else "archived" if it.archived else "active",
        "archived": it.archived,
        "merged_into": it.merged_into,
        "erased": it.erased,
        "external_id_aliases": it.aliases,
        "address": address.block,
        "address_lines": address.address_lines,
        "city": address.city,
        "region": address.region,
        "postal_code": address.postal_code,
        "country": address.country,
        "shipping_address": AddressView.of(profile.shipping_address),
        "created_at": it.created_at,
        "updated_at": it.changed_at,
        "version": it.version,
    }


class Setting(Value, Generic[V]):
    """A setting that holds for a client, and whose choice it is."""

    effective: V
    source: Literal["client", "workspace"]


class PaymentSettingsView(Value, kw_only=True):
    """How a client pays. Amounts are in `currency`; null is no limit, no fee, no minimum."""

    client_id: UUID
    currency: str
    default_terms: Setting[str]
    late_fee: Setting[LateFee | None]
    reminders_enabled: Setting[bool]
    allowed_methods: Setting[tuple[PaymentMethod, ...]]
    autopay: Setting[bool]
    auto_apply_credits: Setting[bool]
    allow_partial: Setting[bool]
    allow_overpayment: Setting[bool]
    min_partial_amount: Setting[Decimal | None]
    statement_schedule: Setting[Schedule]
    credit_limit: Setting[Decimal | None]
    version: int

    @classmethod
    def of(cls, it: Client, workspace: Settings) -> "PaymentSettingsView":
        own, below, currency = it.own_settings, inherited(workspace), it.profile.currency

        def setting(name: str) -> Setting[Any]:
            mine = getattr(own, name)
            if mine is None:
                return Setting(getattr(below, name), "workspace")
            return Setting(_written(mine, currency), "client")

        shown = {name: setting(name) for name in own.__struct_fields__}
        return cls(client_id=it.id, currency=currency, version=it.version, **shown)


def _written(value: Any, currency: str) -> Any:
    """Amounts with exactly the currency's digits."""
    if isinstance(value, Decimal):
        return in_units(value, currency)
    if isinstance(value, LateFee) and value.type == "amount":
        return value.but(value=in_units(value.value, currency))
    return value
