"""Ids: UUIDv7 for new things (RFC 9562), name-made UUIDv5 for things that must be unique."""

from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from zeroinvoice.kernel.facts import HOUSE


def new_id() -> UUID:
    """A fresh, time-ordered id."""
    return uuid7()


def named(tenant: UUID, *parts: str) -> UUID:
    """The stream that is the only one of its name in a tenant; who comes second finds it taken."""
    return uuid5(tenant, "\x1f".join(parts))


def house_named(*parts: str) -> UUID:
    """The stream that is the only one of its name in the whole installation."""
    return uuid5(HOUSE, "\x1f".join(parts))
