"""The committer's cache: states that are exact under the lock, and the last hash of each tenant."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from zeroinvoice.journal.mapper import FactMapper, Unreadable
from zeroinvoice.journal.recorder import NEWEST, Row
from zeroinvoice.journal.snapshots import is_snapshot, resumed
from zeroinvoice.journal.subjects import CACHED as CACHED_KEYS
from zeroinvoice.journal.subjects import Held, Subject, Wrapped
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.facts import State

CACHED = 50_000  # states kept in memory
NOTHING = NEWEST  # a position after which there is no tail to catch up on


def evolved(mapper: FactMapper, state: State[Any], row: Row) -> State[Any]:
    """The state one row later, which must be its stream's next, or what stands for all before."""
    if is_snapshot(row):
        return resumed(row)
    fact = mapper.read(row)
    assert fact.version == state.version + 1, f"{fact.stream} skips to {fact.version}"
    return state.told(fact.event, fact.at)


def key_of(row: Row) -> tuple[Subject, Wrapped] | None:
    """The key that came along with a row, and whose it is."""
    return None if row[7] is None else ((row[1], row[7]), Wrapped(row[8], row[9]))


def versions(states: Mapping[Place, State[Any]]) -> dict[Place, int]:
    return {place: state.version for place, state in states.items()}


class Cache:
    """What one committer knows of the journal as it was at `position`."""

    def __init__(self, mapper: FactMapper) -> None:
        self._mapper = mapper
        self.states: OrderedDict[Place, State[Any]] = OrderedDict()
        self.hashes: dict[UUID, bytes] = {}
        self.keys: OrderedDict[Subject, Wrapped] = OrderedDict()
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
            if row[4] in self._mapper.erasing:
                self.keys.clear()  # some are no more
            elif (known := key_of(row)) is not None:
                self.keys[known[0]] = known[1]

    def keep(
        self,
        position: int,
        states: Mapping[Place, State[Any]],
        hashes: Mapping[UUID, bytes],
        held: Held,
    ) -> None:
        """Take over what a batch has loaded and changed; what was used longest ago goes."""
        self.position = position
        self.hashes.update(hashes)
        for place, state in states.items():
            self.states[place] = state
            self.states.move_to_end(place)
        while len(self.states) > CACHED:
            self.states.popitem(last=False)
        for subject, kept in held.now.items():
            self.keys[subject] = kept
            self.keys.move_to_end(subject)
        while len(self.keys) > CACHED_KEYS:
            self.keys.popitem(last=False)

    def drop(self, places: Iterable[Place]) -> None:
        """Read some streams anew when they are wanted next."""
        for place in places:
            self.states.pop(place, None)

    def forget(self) -> None:
        self.states.clear()
        self.hashes.clear()
        self.keys.clear()
        self.position = NOTHING
