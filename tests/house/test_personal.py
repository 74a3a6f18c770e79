"""Persons: every field that looks as if it named one is sealed, or stands here with the reason."""

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from zeroinvoice.domain import EVENTS
from zeroinvoice.domain.addresses import Address
from zeroinvoice.domain.client import Profile
from zeroinvoice.domain.contact_book import Person
from zeroinvoice.domain.invoice_content import Buyer
from zeroinvoice.kernel.facts import Event, Personal

WORDS = frozenset(
    {"name", "email", "mail", "phone", "mobile", "telephone", "address", "city", "postal",
     "contact", "contacts", "person", "holder", "recipient", "buyer", "payer", "birthday", "note",
     "notes", "comment", "reason", "reference", "profile", "mandate", "legal", "memo", "message",
     "text", "description", "custom", "tags"}
)  # fmt: skip
KINDS = (Address, Buyer, Person, Profile)

OF_THE_WORKSPACE = "of the workspace itself or its own people, who are no clients"
SOLD = "what was sold, and for how much; a document says it whoever it was for"
EXCEPTIONS: dict[tuple[str, str], str] = {
    ("ApiKeyIssued", "name"): OF_THE_WORKSPACE,
    ("UserRegistered", "email"): OF_THE_WORKSPACE,
    ("UserRegistered", "full_name"): OF_THE_WORKSPACE,
    ("MemberInvited", "email"): OF_THE_WORKSPACE,
    ("WorkspaceOpened", "settings"): OF_THE_WORKSPACE,
    ("WorkspaceRevised", "settings"): OF_THE_WORKSPACE,
    ("TaxCodeDefined", "tax"): OF_THE_WORKSPACE,
    ("InvoiceCreditNoteIssued", "note"): SOLD,
}


def fields(kind: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every field below a type: the first one on the way, its own name, its type."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, inner in get_type_hints(kind).items():
            yield path or name, name, inner
            yield from fields(inner, path or name)
    for inner in get_args(kind):
        yield from fields(inner, path)


def personal(name: str, kind: Any) -> bool:
    """Whether a field looks as if it named somebody; only texts and values of ours can."""
    parts = {kind, *get_args(kind)}
    texts = {str, Any, *KINDS} & parts or any(str in get_args(it) for it in parts)
    return bool(texts and (not WORDS.isdisjoint(name.split("_")) or parts & {*KINDS}))


def looking_personal(event: type[Event]) -> set[str]:
    return {first for first, name, kind in fields(event) if personal(name, kind)}


OPEN = {
    (event.__name__, field)
    for event in EVENTS
    if not issubclass(event, Personal)
    for field in looking_personal(event)
}


def test_no_event_that_looks_personal_is_stored_in_clear() -> None:
    """G30: a new field about somebody belongs to a `Personal` event, or below with the reason."""
    assert OPEN - set(EXCEPTIONS) == set()


def test_every_exception_is_one() -> None:
    assert set(EXCEPTIONS) - OPEN == set()


@pytest.mark.parametrize("event", [it for it in EVENTS if issubclass(it, Personal)])
def test_a_personal_event_says_what_remains(event: type[Personal]) -> None:
    """Else it would raise when the first of its kind is recorded."""
    assert event.redacted is not Personal.redacted
