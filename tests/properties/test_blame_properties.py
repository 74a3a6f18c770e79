"""Blame of any history: a field is of the fact since which it has stood, wherever it moved."""

from datetime import UTC, datetime
from typing import Self

from hypothesis import given
from hypothesis import strategies as st

from projections.audit_blame import blamed
from projections.audit_changes import EMPTY, leaves, opened
from zeroinvoice.kernel.facts import Actor, Event, Fact, Origin, State, folded
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.value import Value


class Card(Value):
    code: str
    note: str | None = None


class BoardSet(Event):
    title: str | None
    words: tuple[str, ...]
    cards: tuple[Card, ...]


class Board(State[BoardSet]):
    title: str | None = None
    words: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()

    def evolve(self, event: BoardSet) -> Self:
        return self.but(title=event.title, words=event.words, cards=event.cards)


few = st.sampled_from(["a", "b", "c", "d"])
cards = st.builds(Card, few, st.none() | few)
boards = st.builds(
    BoardSet,
    st.none() | few,
    st.lists(few, unique=True, max_size=4).map(tuple),
    st.lists(cards, unique_by=lambda it: it.code, max_size=4).map(tuple),
)


def recorded(events: list[BoardSet]) -> list[Fact]:
    stream, at = new_id(), datetime(2026, 1, 1, tzinfo=UTC)
    origin = Origin(Actor("system"), new_id())
    return [
        Fact(event, stream, stream, number, number, at, origin)
        for number, event in enumerate(events, 1)
    ]


def since(told: list[bool]) -> int:
    """The version since which something has held to the end."""
    return len(told) - next((n for n, it in enumerate(reversed(told)) if not it), len(told)) + 1


@given(st.lists(boards, min_size=1, max_size=8))
def test_a_field_is_of_the_fact_since_which_it_has_stood(events: list[BoardSet]) -> None:
    """A25-4: of distinct words, and of cards that are known by their code."""
    facts = recorded(events)
    found = {it.path: it for it in blamed(Board, facts[0].stream, facts)}
    last = events[-1]
    for place, word in enumerate(last.words):
        it = found[f"words.{place}"]
        assert (it.value, it.by.version) == (word, since([word in e.words for e in events]))
    for place, card in enumerate(last.cards):
        same = [next((c for c in e.cards if c.code == card.code), None) for e in events]
        it = found[f"cards.{place}.code"]
        assert (it.value, it.by.version) == (card.code, since([c is not None for c in same]))
        if card.note is not None:
            held = since([c is not None and c.note == card.note for c in same])
            assert found[f"cards.{place}.note"].by.version == held
    if last.title is not None:
        assert found["title"].by.version == since([e.title == last.title for e in events])


@given(st.lists(boards, min_size=1, max_size=8))
def test_every_field_that_holds_something_is_blamed_and_no_other_path(
    events: list[BoardSet],
) -> None:
    """A25-4: the same paths as the changes have."""
    facts = recorded(events)
    there = dict(leaves(opened(folded(Board, facts[0].stream, facts))))
    found = {it.path: it.value for it in blamed(Board, facts[0].stream, facts)}
    assert found.items() <= there.items()
    assert {path for path, value in there.items() if value not in EMPTY} <= found.keys()
