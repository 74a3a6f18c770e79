"""Snapshots: what long streams add up to now and then, so that nobody reads them from the start.

They are no part of the truth. A snapshot is used only by the very code that wrote it, it says
nothing that the facts before it do not say, and all of them may be thrown away at any time.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from zeroinvoice import domain, kernel
from zeroinvoice.domain import KINDS
from zeroinvoice.journal.mapper import Unreadable
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.facts import Fact, Personal, State, events_of

EVERY = 1_000  # facts of a stream between two snapshots

# A state that speaks of a person is not written down: with their key it could not be forgotten.
_DECODERS: dict[str, Callable[[str], State[Any]]] = {
    name: msgspec.json.Decoder(kind).decode
    for name, kind in KINDS.items()
    if not any(issubclass(event, Personal) for event in events_of(kind))
}
_NAMES: dict[type[State[Any]], str] = {KINDS[name]: name for name in _DECODERS}


@lru_cache(maxsize=1)
def code() -> bytes:
    """SHA-256 over everything that states are folded by: the files of the domain and the kernel."""
    digest = hashlib.sha256()
    for package in (domain, kernel):
        (home,) = map(Path, package.__path__)
        for file in sorted(it for it in home.iterdir() if it.is_file()):
            digest.update(hashlib.sha256(file.name.encode()).digest())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def due(
    facts: Iterable[Fact],
    states: Mapping[Place, State[Any]],
    position: int,
    every: int,
    bare: Collection[Place],
) -> dict[Place, Row]:
    """The snapshots to store with a batch's facts, of which the last is at `position`.

    Those of streams that come by a multiple of `every`, so that of several processes one writes
    it, and of the `bare`, which have grown long without any that we could use.
    """
    places = {
        place: states[place]
        for fact in facts
        if fact.version % every == 0 or (fact.tenant, fact.stream) in bare
        for place in [(fact.tenant, fact.stream)]
    }
    return {
        place: _row(place, state, position) for place, state in places.items() if keeps(type(state))
    }


def _row(place: Place, state: State[Any], position: int) -> Row:
    text = msgspec.json.encode(state).decode()
    name = _NAMES[type(state)]
    return position, *place, state.version, name, text, b"", None, None, None


def keeps(kind: type[State[Any]]) -> bool:
    """Whether there may be snapshots of such streams."""
    return kind in _NAMES


def is_snapshot(row: Row) -> bool:
    """Whether a row is a stream's state, by the name of its kind, instead of a fact."""
    return not row[6]


def resumed(row: Row) -> State[Any]:
    """The state that a snapshot has kept. Raises `Unreadable` when it was damaged."""
    try:
        return _DECODERS[row[4]](row[5])
    except (KeyError, msgspec.DecodeError) as wrong:
        raise Unreadable(row[4], row[0], f"this snapshot cannot be used: {wrong}") from wrong


def differing(snapshots: Sequence[Row], facts: Iterable[Fact]) -> bool:
    """Whether one of a stream's snapshots is not what its facts, oldest first, add up to."""
    ahead = {row[3]: row for row in snapshots}
    state: State[Any] = next(iter(KINDS.values()))(id=snapshots[0][2])  # or what it begins as
    for fact in facts:
        state = state.told(fact.event, fact.at)
        row = ahead.pop(state.version, None)
        if row is not None and not (
            keeps(type(state)) and row[4:6] == _row((row[1], row[2]), state, 0)[4:6]
        ):
            return True
        if not ahead:
            break
    return bool(ahead)
