"""Blame: of every field as it stands, the fact that set it.

A field is blamed on the last fact that gave it another value, also on one that cleared it; what
nobody ever set is not listed. In a list, an element is followed to wherever it moves: by its id
or, where it has none, by being the same in all its fields. Elements without an id that are left
on both sides are the same ones, changed, in their order. So a fact that only moves an element is
not to blame for it, and one that brings a new element is to blame for all of it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from projections.audit_changes import EMPTY, Seen, leaves, opened, shown_value
from zeroinvoice.kernel.facts import Fact, State
from zeroinvoice.kernel.value import Value

# By the first of these that it has, an element is known again.
IDS = ("id", "application_id", "refund_id", "credit_id", "payment_id", "contact_id", "code")


class Blamed(Value):
    """A field of a resource, and the fact that set it."""

    path: str  # as in `Change`
    value: Any
    by: Fact


def blamed(kind: type[State[Any]], id: UUID, facts: Iterable[Fact]) -> list[Blamed]:
    """Whom to blame for each field of a stream, from its facts from the first on."""
    state: State[Any] = kind(id=id)
    seen: Seen = {}  # most of a state is the same from one fact to the next
    value: Any = {}
    blame: Any = {}
    for fact in facts:
        state = state.told(fact.event, fact.at)
        before, value = value, opened(state, seen)
        blame = _told(before, blame, value, fact) if before else _all(value, fact)
    return [
        Blamed(path, shown_value(leaf), by)
        for (path, leaf), by in zip(leaves(value), _facts(value, blame), strict=True)
        if by is not None
    ]


def _told(old: Any, blame: Any, new: Any, fact: Fact) -> Any:
    """The blame of a value one fact later; it is nested as the value is."""
    if old == new:
        return blame
    if not (_nested(old) and type(old) is type(new) and new):
        return _all(new, fact) if _nested(new) else fact
    if isinstance(new, list):
        return _of_list(old, blame, new, fact)
    return {
        name: _told(old[name], blame[name], item, fact) if name in old else _all(item, fact)
        for name, item in new.items()
    }


def _of_list(old: list[Any], blame: list[Any], new: list[Any], fact: Fact) -> list[Any]:
    places = _places(old, new)
    return [
        _all(item, fact) if place is None else _told(old[place], blame[place], item, fact)
        for item, place in zip(new, places, strict=True)
    ]


def _places(old: list[Any], new: list[Any]) -> list[int | None]:
    """Where each element stood before; None for one that was not there."""
    standing: dict[bytes, deque[int]] = {}
    for place, item in enumerate(old):
        standing.setdefault(_mark(item), deque()).append(place)
    found: list[int | None] = []
    for item in new:
        same = standing.get(_mark(item))
        found.append(same.popleft() if same else None)
    left = deque(
        place
        for place in sorted(place for places in standing.values() for place in places)
        if _id(old[place]) is None
    )
    for place, item in enumerate(new):
        if found[place] is None and _id(item) is None and left:
            found[place] = left.popleft()
    return found


def _mark(item: Any) -> bytes:
    """What an element is known by."""
    return msgspec.json.encode(_id(item) or [item])


def _id(item: Any) -> tuple[str, str] | None:
    if isinstance(item, dict):
        return next(((name, str(item[name])) for name in IDS if item.get(name)), None)
    return None


def _all(value: Any, fact: Fact) -> Any:
    """All of a value is of one fact, but for what it leaves open; `changes` has it so, too."""
    if isinstance(value, dict) and value:
        return {name: _all(item, fact) for name, item in value.items()}
    if isinstance(value, list) and value:
        return [_all(item, fact) for item in value]
    return None if value in (EMPTY if fact.version == 1 else (None,)) else fact


def _facts(value: Any, blame: Any) -> Iterator[Fact | None]:
    """The blame of every leaf, in the order of `leaves`."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _facts(item, blame[name])
    elif isinstance(value, list) and value:
        for item, by in zip(value, blame, strict=True):
            yield from _facts(item, by)
    else:
        yield blame


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)
