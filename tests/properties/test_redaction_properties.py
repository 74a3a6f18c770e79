"""Properties of redaction: what remains of a personal event has no word about the person in it."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroinvoice.domain import EVENTS, KIND_OF, KINDS
from zeroinvoice.domain.client import ClientErased, ClientErasureStarted
from zeroinvoice.kernel.facts import Event, Personal
from zeroinvoice.kernel.money import Money

PERSONAL = [event for event in EVENTS if issubclass(event, Personal)]
MARK = "§"  # begins every text that is made up here, and stands nowhere else
AT = datetime(2026, 3, 1, tzinfo=UTC)
SEEDS = st.integers(0, 2**32)
encode = msgspec.json.encode

# Texts that say nothing of the person: codes, numbers of documents, and what was sold.
IMPERSONAL = {
    "address": {"country"},
    "shipping_address": {"country"},
    "profile": {"currency", "language", "timezone", "payment_terms", "number"},
    "before": {"currency", "language", "timezone", "payment_terms", "number"},
    "after": {"currency", "language", "timezone", "payment_terms", "number"},
    "details": {"currency", "country"},
    "number": {"country", "fingerprint", "sealed"},  # of a bank account
    "buyer": {"number", "language"},
    "content": {"currency", "payment_terms", "number", "series", "language", "fx_source"},
    "lines": {"description", "unit", "sku"},
    "taxes": {"code", "name", "category"},
    "tax_breakdown": {"code", "name", "category"},
    "totals": {"currency"},
    "seller": None,  # all of it: the workspace's own
    "filled": {"field"},
    "allocations": {"number"},
    "amount": {"currency"},
    "worth": {"currency"},
    "": {
        "number", "invoice_number", "source", "external_id", "fx_currency", "fingerprint",
    },
}  # fmt: skip


def words(value: Any, under: str = "") -> set[str]:
    """Every text in a value that could speak of the person."""
    if isinstance(value, str):
        return {value} if value.startswith(MARK) else set()
    if isinstance(value, list):
        return set().union(*(words(it, under) for it in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for name, it in value.items():
        left_out = IMPERSONAL.get(under, set())
        if left_out is None or name in left_out:
            continue
        found |= words(it, name if isinstance(it, dict | list) else under)
    return found


class Maker:
    """Makes values of any type by chance; every text in them can be told apart."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def made(self, kind: Any) -> Any:
        rng, inner, origin = self._rng, get_args(kind), get_origin(kind)
        if origin in (Union, UnionType):
            return self.made(rng.choice(inner))
        if origin is Literal:
            return rng.choice(inner)
        if origin is tuple:
            return tuple(self.made(inner[0]) for _ in range(rng.randrange(3)))
        if origin is dict:
            return {self.made(str): self.made(inner[1]) for _ in range(rng.randrange(3))}
        if kind is Money:
            return Money(self._plain(Decimal), "EUR")
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            hints = get_type_hints(kind)
            names = [it.name for it in msgspec.structs.fields(kind)]
            return kind(**{name: self.made(hints[name]) for name in names})
        return self._plain(kind)

    def _plain(self, kind: Any) -> Any:
        number = self._rng.getrandbits(40)
        plain: dict[Any, Any] = {
            Any: {"deep": [f"{MARK}{number}"]},
            str: f"{MARK}{number}",
            bool: bool(number % 2),
            int: number % 10,
            Decimal: Decimal(number % 10_000) / 100,
            UUID: UUID(int=number),
            date: date(2026, 1, 1 + number % 28),
            datetime: AT + timedelta(seconds=number % 1_000),
            type(None): None,
        }
        return plain[kind]


@pytest.mark.parametrize("event", PERSONAL, ids=lambda it: it.__name__)
@given(seed=SEEDS)
@settings(max_examples=25)
def test_no_word_about_the_person_remains(event: type[Personal], seed: int) -> None:
    """G30: what is stored in clear, and is left after an erasure."""
    it = Maker(seed).made(event)
    left = encode(it.redacted()).decode()
    for word in words(msgspec.to_builtins(it)):
        assert f'"{word}"' not in left


@pytest.mark.parametrize("event", PERSONAL, ids=lambda it: it.__name__)
@given(seed=SEEDS)
@settings(max_examples=25)
def test_redacting_again_changes_nothing(event: type[Personal], seed: int) -> None:
    """So what is recorded of somebody who is erased needs no second look."""
    once = Maker(seed).made(event).redacted()
    assert once.redacted() == once
    assert msgspec.json.decode(encode(once), type=event) == once


COVERS = {  # what covers a state as a fold of what remains would leave it
    "bank_accounts": "BankAccountsErased",
    "client": "ClientErased",
    "contact_book": "ContactsErased",
    "credit": "CreditHolderErased",
    "invoice": "BuyerErased",
    "merge": "MergedClientsErased",
    "payment": "PayerErased",
    "tracking": "TrackedErased",
}


def test_every_kind_of_stream_that_speaks_of_persons_can_be_covered() -> None:
    assert {KIND_OF[event] for event in PERSONAL} == set(COVERS)


@pytest.mark.parametrize("kind", COVERS)
@given(seed=SEEDS)
@settings(max_examples=25)
def test_a_covered_state_is_the_fold_of_what_remains(kind: str, seed: int) -> None:
    """A cached state and one that is folded after the key is gone are the same."""
    state_of = KINDS[kind]
    mine = [it for it in PERSONAL if KIND_OF[it] == kind]
    first = {"invoice": "InvoiceDrafted", "payment": "PaymentRecorded", "credit": "CreditIssued"}
    begin = next((it for it in mine if it.__name__ == first.get(kind)), mine[0])
    later = [it for it in mine if it is not begin and it.__name__ != "InvoiceSent"]
    maker, events = Maker(seed), []
    events.append(maker.made(begin))
    if later and kind != "payment":
        events += [maker.made(it) for it in random.Random(seed).choices(later, k=3)]
    cover: type[Event] = next(it for it in EVENTS if it.__name__ == COVERS[kind])
    subjects = [getattr(getattr(it, "content", None), "client_id", None) for it in events]
    fields: dict[str, Any] = {}
    if "subjects" in cover.__struct_fields__:
        fields["subjects"] = tuple(it for it in subjects if it is not None)
    if "object_id" in cover.__struct_fields__:
        fields["object_id"] = UUID(int=6)
    last = [ClientErasureStarted()] if cover is ClientErased else []

    def folded(events: list[Any]) -> Any:
        state = state_of(id=UUID(int=5))
        for event in (*events, *last, cover(**fields)):
            state = state.told(event, AT)
        return state

    assert folded(events) == folded([it.redacted() for it in events])
