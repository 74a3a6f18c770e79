"""Facts that this version cannot read: they concern their own stream, and who follows them all."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest

from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command, Done
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.mapper import StoredFact, UnknownTopic, Unreadable
from zeroinvoice.journal.memory import MemoryStore
from zeroinvoice.journal.recorder import MemoryFactRecorder
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin
from zeroinvoice.kernel.ids import new_id

TENANT = new_id()
ORIGIN = Origin(Actor("system"), new_id())


class House:
    """A committer on a journal in memory, to which a newer version appends, too."""

    def __init__(self) -> None:
        self.recorder = MemoryFactRecorder()
        self.journal = Journal(self.recorder)
        mapper = self.journal.facts_mapper
        self.committer = Committer(MemoryStore(self.recorder), mapper, system_clock)

    def newer(self, stream: UUID, topic: str = "ClientTeleported") -> None:
        version = len(self.recorder.rows_of(stream)) + 1
        state = msgspec.json.encode({"at": system_clock(), "origin": ORIGIN, "event": {"to": 1}})
        self.recorder.insert_events([StoredFact(stream, version, topic, state, TENANT)])

    async def all(self, *decisions: Any) -> list[Any]:
        """Submit all at once; answers each answer or what it raised."""
        commands = [Command(TENANT, ORIGIN, decision) for decision in decisions]
        submitted = (self.committer.submit(it) for it in commands)
        return await asyncio.gather(*submitted, return_exceptions=True)


def add(desk: Desk) -> Client:
    client = desk.new(Client)
    return desk.record(client, client.add(Profile("Acme Corp", "USD")))


def touch(id: UUID) -> Any:
    def decision(desk: Desk) -> Client:
        client = desk.open(Client, id)
        settings = client.settings.but(autopay=not client.settings.autopay)
        return desk.record(client, client.set_payment(settings))

    return decision


@pytest.mark.parametrize("topic", ["ClientTeleported", "ClientAdded"])
def test_what_cannot_be_read_refuses_its_own_stream_and_none_of_its_neighbours(topic: str) -> None:
    """G18: also when the stream is in the cache, and when a field has another type."""
    house = House()

    async def play() -> None:
        house.committer.start()
        try:
            made = [done.answer.id for done in await house.all(add, add, add)]
            house.newer(made[1], topic)
            for _ in range(2):
                first, second, third = await house.all(*map(touch, made))
                assert isinstance(first, Done)
                assert isinstance(second, Unreadable)
                assert second.code == "newer_version"
                assert isinstance(third, Done)
            house.newer(made[2], topic)
            first, third = await house.all(touch(made[0]), touch(made[2]))
            assert isinstance(first, Done)
            assert isinstance(third, Unreadable)
        finally:
            await house.committer.stop()

    asyncio.run(play())


def test_who_follows_is_given_all_before_it_and_then_told() -> None:
    """G18: a read model halts exactly there; nothing is skipped."""
    house = House()

    async def play() -> None:
        house.committer.start()
        await house.all(add, add)
        await house.committer.stop()

    asyncio.run(play())
    house.newer(new_id())
    journal = house.journal
    assert [fact.position for fact in journal.facts_since(0, 10)] == [1, 2]
    with pytest.raises(UnknownTopic, match="fact 3, ClientTeleported"):
        journal.facts_since(2, 10)
