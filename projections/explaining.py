"""Explaining: the derivation of a number as an answer shows it, each fact by its name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar.params import QueryParameter

from zeroinvoice.domain import KIND_OF
from zeroinvoice.domain.derivation import Derivation, Part, Term, steps
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.facts import Fact, State
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

S = TypeVar("S", bound=State[Any])
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


def moves(
    reader: Reader, kind: type[S], facts: Iterable[Fact], number: Callable[[S], Decimal]
) -> Iterator[Part]:
    """By how much each fact of one stream moved a number of its state."""
    zone_name = reader.then(Workspace, reader.tenant).settings.time_zone
    after = []
    state: State[Any] = kind()
    for fact in facts:
        state = state.told(fact.event, fact.at)
        assert isinstance(state, kind)
        after.append((fact.position, _day(fact, zone_name), number(state)))
    return steps(after)


def _day(fact: Fact, zone_name: str) -> date:
    """The business day of a fact, or else the one on which it was recorded."""
    named = (getattr(fact.event, name, None) for name in BUSINESS_DAYS)
    day: date | None = next((it for it in named if it is not None), None)
    return day or local_day(fact.at, zone_name)


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
