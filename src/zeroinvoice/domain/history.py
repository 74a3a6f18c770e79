"""Histories: what a workspace's streams add up to after some of its facts."""

from collections.abc import Iterable
from typing import Any, Self, TypeVar
from uuid import UUID

from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.facts import Fact, State, events_of, topics_of
from zeroinvoice.kernel.refusals import Missing

S = TypeVar("S", bound=State[Any])

KINDS: tuple[type[State[Any]], ...] = (Workspace, Client, Invoice, Payment, Credit)
TOPICS = topics_of(*(event for kind in KINDS for event in events_of(kind)))
"""What is stored as the class of each fact that a history is made of; others are no part of it."""


class History:
    """The states of a workspace's streams of some kinds, told fact by fact."""

    def __init__(self) -> None:
        self._states: dict[UUID, State[Any]] = {}

    @classmethod
    def after(cls, facts: Iterable[Fact]) -> Self:
        history = cls()
        for fact in facts:
            history.tell(fact)
        return history

    def tell(self, fact: Fact) -> None:
        before = self._states.get(fact.stream) or Client(id=fact.stream)
        self._states[fact.stream] = before.told(fact.event, fact.at)

    def find(self, kind: type[S], id: UUID) -> S:
        """A stream's state, blank when nothing was told of it."""
        state = self._states.get(id)
        return state if isinstance(state, kind) else kind(id=id)

    def open(self, kind: type[S], id: UUID) -> S:
        """A stream that was told of. Raises `Missing`."""
        state = self.find(kind, id)
        if not state.version:
            raise Missing(f"There is no such {kind.__name__.lower()}.")
        return state

    def all(self, kind: type[S]) -> list[S]:
        return [it for it in self._states.values() if isinstance(it, kind)]

    def owner(self, client_id: UUID) -> Client:
        """The client that stands for this one: itself, unless it was merged."""
        client = self.find(Client, client_id)
        while client.merged_into is not None:
            client = self.find(Client, client.merged_into)
        return client
