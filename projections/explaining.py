"""Explaining: the derivation of a number as an answer shows it, each fact by its name."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from zeroinvoice.domain import KIND_OF
from zeroinvoice.domain.derivation import Derivation, Part, Term
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

Explain = Annotated[bool, QueryParameter(description="say beside each number how it comes about")]
BUSINESS_DAYS = ("received_on", "applied_on", "refunded_on", "issued_on", "issue_date")

# Views


class StreamView(Value):
    type: str
    id: UUID


class PartView(Value):
    """By how much one fact moved the number."""

    seq: int  # by which the audit log and the journal know the fact
    action: str  # the event's name
    stream: StreamView
    amount: Decimal  # signed
    day: date  # from which it counts


class DerivationView(Value, kw_only=True):
    """How a number comes about: as the sum of what facts did, or from its terms by the formula.

    The parts and `sum_omitted` add up to the value exactly. A term is explained under its own
    name, unless it is simply given.
    """

    formula: str
    value: Decimal | None
    parts: list[PartView]  # the earliest day first
    parts_omitted: int
    sum_omitted: Decimal
    terms: list[Term]


Explained = dict[str, DerivationView]  # by the name of the number

# Queries


def shown(reader: Reader, found: Mapping[str, Derivation]) -> Explained:
    """Derivations with their facts by name, which are looked up in the journal together."""
    wanted = {part.seq for it in found.values() for part in it.parts}
    facts = reader.recorded(sorted(wanted)) if wanted else {}
    return {name: _shown(it, facts) for name, it in found.items()}


def _shown(it: Derivation, facts: Mapping[int, Fact]) -> DerivationView:
    return DerivationView(
        formula=it.formula,
        value=it.value,
        parts=[_part(part, facts[part.seq]) for part in it.parts],
        parts_omitted=it.parts_omitted,
        sum_omitted=it.sum_omitted,
        terms=list(it.terms),
    )


def _part(it: Part, fact: Fact) -> PartView:
    kind = type(fact.event)
    stream = StreamView(KIND_OF[kind], fact.stream)
    return PartView(it.seq, kind.__name__, stream, it.amount, it.day)
