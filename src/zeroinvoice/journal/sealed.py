"""Sealed: how a batch writes facts that speak of somebody, and with which keys."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from zeroinvoice.journal.cache import key_of
from zeroinvoice.journal.mapper import FactMapper, remaining
from zeroinvoice.journal.recorder import Row
from zeroinvoice.journal.store import Store
from zeroinvoice.journal.subjects import Held, Subject, Wrapped
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.facts import Erasure, Event, Fact


class Sealer:
    """Seals the facts of one batch, in their order: an erasure among them holds for all after it.

    A key comes along with the facts that a decision has read, so it is nearly always known; a new
    client's is made. Only otherwise is it asked for, once for the whole batch.
    """

    def __init__(self, mapper: FactMapper, store: Store, known: Mapping[Subject, Wrapped]) -> None:
        self._mapper = mapper
        self._store = store
        self.keys = Held(known)
        self._remains: dict[int, Event] = {}  # by position: what may be read without a key
        self.covered: list[Place] = []  # where somebody is spoken of who is erased

    def learn(self, rows: Iterable[Row]) -> None:
        """Take in the keys that came along with rows."""
        found = (key_of(row) for row in rows)
        self.keys.found.update(it for it in found if it is not None)

    def prepare(self, facts: Iterable[Fact]) -> None:
        """Find or make every key that will be needed."""
        if not self._mapper.keys.sealing:
            return
        unknown: dict[Subject, None] = {}
        for fact in facts:
            remains = remaining(fact.event) if fact.subject is not None else None
            if remains is None or fact.subject is None:
                continue
            self._remains[fact.position] = remains
            subject = (fact.tenant, fact.subject)
            if self.keys.get(subject) is not None:
                continue
            if fact.version == 1 and fact.stream == fact.subject:
                self.keys.made[subject] = self._mapper.keys.make(subject)
            else:
                unknown[subject] = None
        missing = [it for it in unknown if self.keys.get(it) is None]
        if missing:
            found = self._store.keys(missing)
            self.keys.found.update(found)
            for subject in missing:
                if subject not in found:
                    self.keys.made[subject] = self._mapper.keys.make(subject)

    def written(self, fact: Fact) -> tuple[bytes, UUID | None]:
        """A fact as it is stored, and under whose key."""
        if isinstance(fact.event, Erasure):
            gone = ((fact.tenant, subject) for subject in fact.event.subjects)
            self.keys.destroyed.update(dict.fromkeys(gone))
        remains = self._remains.get(fact.position)
        if remains is None or fact.subject is None:
            return self._mapper.state_of(fact), None
        subject = (fact.tenant, fact.subject)
        kept = self.keys.get(subject)
        assert kept is not None, "prepared"
        key = self._mapper.keys.key(subject, kept)
        if key is None:
            self.covered.append((fact.tenant, fact.stream))
        return self._mapper.sealed_state_of(fact, remains, key), fact.subject
