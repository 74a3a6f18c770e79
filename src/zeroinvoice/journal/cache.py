"""The committer's cache: states that are exact under the lock, and the last hash of each tenant."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from zeroinvoice.journal.mapper import FactMapper, Unreadable
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.facts import State

CACHED = 50_000  # states kept in memory
NOTHING = 2**62  # a position no journal reaches: there is no tail to catch up on


def evolved(mapper: FactMapper, state: State[Any], row: Row) -> State[Any]:
    """The state one row later, which must be its stream's next."""
    fact = mapper.fact(*row[:6])
    assert fact.version == state.version + 1, f"{fact.stream} skips to {fact.version}"
    return state.told(fact.event, fact.at)


def versions(states: Mapping[Place, State[Any]]) -> dict[Place, int]:
    return {place: state.version for place, state in states.items()}


class Cache:
    """What one committer knows of the journal as it was at `position`."""

    def __init__(self, mapper: FactMapper) -> None:
        self._mapper = mapper
        self.states: OrderedDict[Place, State[Any]] = OrderedDict()
        self.hashes: dict[UUID, bytes] = {}
        self.position = NOTHING

    def catch_up(self, tail: Sequence[Row]) -> None:
        """Add what others have appended since."""
        for row in tail:
            place = (row[1], row[2])
            if place in self.states:
                try:
                    self.states[place] = evolved(self._mapper, self.states[place], row)
                except Unreadable:
                    del self.states[place]  # whoever opens it is told so
            if row[1] in self.hashes:
                self.hashes[row[1]] = bytes(row[6])

    def keep(
        self, position: int, states: Mapping[Place, State[Any]], hashes: Mapping[UUID, bytes]
    ) -> None:
        """Take over what a batch has loaded and changed; what was used longest ago goes."""
        self.position = position
        self.hashes.update(hashes)
        for place, state in states.items():
            self.states[place] = state
            self.states.move_to_end(place)
        while len(self.states) > CACHED:
            self.states.popitem(last=False)

    def forget(self) -> None:
        self.states.clear()
        self.hashes.clear()
        self.position = NOTHING
