"""Long streams on their way into the committer's cache, read in pieces without the lock."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from zeroinvoice.journal.cache import evolved
from zeroinvoice.journal.mapper import FactMapper
from zeroinvoice.journal.store import Store
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.facts import State


class LongStreams:
    """What is known so far of streams that are too long to be read under the lock.

    It is a head start and no more: a batch asks, under the lock, for what came after its
    version. So it is right whatever happens to the cache, or on the stream, in between.
    """

    def __init__(self, mapper: FactMapper) -> None:
        self._mapper = mapper
        self.reading: OrderedDict[Place, State[Any]] = OrderedDict()  # next piece first
        self.starts: dict[Place, State[Any]] = {}  # the next batch takes them over
        self.bare: set[Place] = set()  # those of which there was no snapshot
        self.broken: dict[Place, Exception] = {}  # why a stream cannot be folded, once and for all

    def begin(self, place: Place, state: State[Any]) -> None:
        """Read a stream from what is known of it."""
        self.starts.pop(place, None)
        self.reading[place] = state
        if state.version == 0:
            self.bare.add(place)

    def taken(self, places: Iterable[Place]) -> None:
        """These are in the cache now, or are not wanted any more."""
        for place in places:
            self.starts.pop(place, None)

    def read_on(self, store: Store, most: int) -> None:
        """Read a piece: at most so many facts, of one stream after the other.

        Raises `Lost` when the database is away. After that, or any other fault of the store's,
        nothing is being read, and what was read is a start still.
        """
        left = most
        while self.reading and left > 0:
            place, state = self.reading.popitem(last=False)
            self.starts[place] = state
            try:
                rows = store.newer(place, state.version, left)
            except Exception:
                self.starts.update(self.reading)
                self.reading.clear()
                raise
            try:
                for row in rows:
                    state = evolved(self._mapper, state, row)
            except Exception as wrong:  # it concerns only who opens this stream
                del self.starts[place]
                self.broken[place] = wrong
                continue
            self.starts[place] = state
            if len(rows) == left:
                self.begin(place, state)  # after the others, so that short ones are soon done
            left -= len(rows)
