"""Subjects: whom sealed facts speak of, and the keys without which nobody is named any more."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from zeroinvoice.kernel.value import Value

CACHED = 10_000  # keys kept in memory, each for as long as the database shows it

Subject = tuple[UUID, UUID]  # tenant, and whom or what it is about


class Wrapped(Value):
    """A subject's key as the database has it: for whoever has the master key of that name.

    `wrapped` is None once it is destroyed.
    """

    master: str | None
    wrapped: bytes | None


DESTROYED = Wrapped(None, None)


class Key(Protocol):
    """Seals texts so that they open only with it, and only as what they were sealed as."""

    def seal(self, text: str, *about: str) -> str: ...
    def open(self, sealed: str, *about: str) -> str: ...


class Masters(Protocol):
    """What makes keys, and wraps them so that they can be kept in the database."""

    @property
    def current(self) -> str: ...
    def make(self, tenant: UUID, id: UUID) -> tuple[Any, bytes]: ...
    def unwrap(self, tenant: UUID, id: UUID, name: str, wrapped: bytes) -> Any: ...


class Keys:
    """Subjects' keys, unwrapped. One that is destroyed is not asked for any more: the database
    says so with every fact, so nothing here has to be forgotten in time.
    """

    def __init__(self, masters: Masters | None) -> None:
        self._masters = masters
        self._known: OrderedDict[bytes, Key] = OrderedDict()  # by what they are wrapped as

    @property
    def sealing(self) -> bool:
        """Whether there is a master key; without one nothing is sealed, and nothing opened."""
        return self._masters is not None

    def make(self, subject: Subject) -> Wrapped:
        """A new key, as it is to be kept."""
        assert self._masters is not None
        key, wrapped = self._masters.make(*subject)
        self._keep(wrapped, key)
        return Wrapped(self._masters.current, wrapped)

    def key(self, subject: Subject, kept: Wrapped) -> Key | None:
        """A key in clear; None for one that is destroyed, or where there is no master key.

        Raises `Unavailable` when its master key is another one.
        """
        if kept.wrapped is None or kept.master is None or self._masters is None:
            return None
        key = self._known.get(kept.wrapped)
        if key is None:
            key = self._masters.unwrap(*subject, kept.master, kept.wrapped)
            self._keep(kept.wrapped, key)
        return key

    def _keep(self, wrapped: bytes, key: Key) -> None:
        self._known[wrapped] = key
        while len(self._known) > CACHED:
            self._known.popitem(last=False)


class Held:
    """The keys that one batch writes with: exact under the lock, as the committer's states are."""

    def __init__(self, known: Mapping[Subject, Wrapped]) -> None:
        self._known = known  # before the batch
        self.found: dict[Subject, Wrapped] = {}
        self.made: dict[Subject, Wrapped] = {}  # to be stored with its facts
        self.destroyed: dict[Subject, None] = {}  # with its facts

    def get(self, subject: Subject) -> Wrapped | None:
        if subject in self.destroyed:
            return DESTROYED
        return self.made.get(subject) or self.found.get(subject) or self._known.get(subject)

    @property
    def now(self) -> dict[Subject, Wrapped]:
        """What is known of keys when the batch is stored."""
        return {**self.found, **self.made, **dict.fromkeys(self.destroyed, DESTROYED)}
