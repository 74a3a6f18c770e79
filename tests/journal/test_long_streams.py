"""Long streams: read in pieces without the lock, decided on as they are under it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.journal.shelves import (
    MAPPER,
    NUMBERS,
    ORIGIN,
    SERIES,
    TENANT,
    Shelf,
    add,
    command,
    decided,
    in_postgres,
    take,
    taken,
)
from zeroinvoice.domain.series import NumberSeries
from zeroinvoice.journal import cache
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.mapper import StoredFact, Unreadable
from zeroinvoice.journal.store import Loaded, Lost
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Unavailable

LONG = 60_000  # facts; folding them takes more than half a second


def test_nobody_waits_for_a_process_that_reads_a_long_stream(
    new_database: Callable[[], str],
) -> None:
    """The first decision of a new process sees the whole stream; others commit meanwhile."""
    shelf = in_postgres(new_database())
    shelf.fill(list(taken(LONG)))
    waits: list[float] = []

    async def play() -> Any:
        cold = Committer(shelf.store(), MAPPER, system_clock)
        other = Committer(shelf.store(), MAPPER, system_clock)
        cold.start()
        other.start()
        try:
            await other.submit(command(add))
            first = asyncio.create_task(
                cold.submit(command(take, wants=[(NumberSeries, SERIES)])),
            )
            while not first.done():
                begun = time.monotonic()
                await asyncio.gather(*(it.submit(command(add)) for it in (other, cold)))
                waits.append(time.monotonic() - begun)
            return await first
        finally:
            await cold.stop()
            await other.stop()

    assert asyncio.run(play()).answer == f"INV-2026-{LONG + 1}"
    assert len(waits) > 5
    assert max(waits) < 0.5


@pytest.mark.parametrize("wants", [[], [(NumberSeries, SERIES)]])
def test_what_is_appended_while_it_is_read_is_seen(shelf: Shelf, wants: Any) -> None:
    """Between two pieces as between the last one and the lock, with or without a cache."""

    async def play() -> list[str]:
        shelf.fill(list(taken(20)))
        (cold, store), (other, _) = shelf.committer(7), shelf.committer(1_000)
        others: list[Command] = []

        def between() -> None:
            others.append(command(take))
            decided(other, others[-1])

        store.between = between
        ours = [command(take, wants=wants), command(add), command(take, wants=wants)]
        decided(cold, *ours)
        assert store.pieces >= 3
        done = [await it.future for it in (*others, ours[0], ours[2])]
        return [it.answer for it in done]

    numbers = asyncio.run(play())
    assert numbers == [f"INV-2026-{21 + n:05}" for n in range(len(numbers))]


def test_its_neighbours_are_decided_first(shelf: Shelf) -> None:
    async def play() -> None:
        shelf.fill(list(taken(20)))
        cold, _ = shelf.committer(7)
        long, short = command(take), command(add)
        cold.carry_out([long, short])
        await asyncio.sleep(0)
        assert short.future.done()
        assert not long.future.done()
        decided(cold, command(add))
        assert (await long.future).answer == "INV-2026-00021"

    asyncio.run(play())


class Died(BaseException):
    """The process is gone."""


def test_nobody_who_was_set_aside_hears_of_it_before_it_is_recorded(shelf: Shelf) -> None:
    """G1: the answers of the batch that set it aside may still be on their way."""

    def die(*_: Any) -> None:
        raise Died

    async def play() -> None:
        shelf.fill(list(taken(20)))
        cold, store = shelf.committer(7)
        long, short = command(take), command(add)
        cold.carry_out([long, short])
        store.commit = die
        with pytest.raises(Died):
            decided(cold)
        await asyncio.sleep(0)
        assert short.future.done()
        assert not long.future.done()

    asyncio.run(play())


def test_a_cache_that_is_forgotten_or_too_small_does_no_harm(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "CACHED", 1)

    async def play() -> list[str]:
        shelf.fill(list(taken(20)))
        cold, store = shelf.committer(7)
        store.between = cold._cache.forget
        ours = []
        for _ in range(3):
            ours += [command(take), command(add)]
            decided(cold, *ours[-2:])
            decided(cold, command(add), command(add))
        return [(await it.future).answer for it in ours[::2]]

    assert asyncio.run(play()) == ["INV-2026-00021", "INV-2026-00022", "INV-2026-00023"]


def test_what_was_read_for_a_caller_who_has_left_is_there_for_the_next(shelf: Shelf) -> None:
    """Who heard 503 meanwhile is not decided for; the next try finds the stream read."""

    async def play() -> None:
        shelf.fill(list(taken(20)))
        cold, store = shelf.committer(7)
        impatient, next_one = command(take), command(take)
        cold.carry_out([impatient])
        impatient.future.cancel()
        decided(cold)
        pieces = store.pieces
        decided(cold, next_one)
        assert (await next_one.future).answer == "INV-2026-00021"
        assert store.pieces == pieces

    asyncio.run(play())


@pytest.mark.parametrize(
    ("fault", "heard"), [(Lost("away"), Unavailable), (ZeroDivisionError(), ZeroDivisionError)]
)
def test_a_failed_look_ends_the_waiting_and_nothing_is_read_twice(
    shelf: Shelf, fault: Exception, heard: type[Exception]
) -> None:
    async def play() -> None:
        shelf.fill(list(taken(20)))
        cold, store = shelf.committer(7)

        def lose() -> None:
            if store.pieces == 2:
                raise fault

        store.between = lose
        first, second = command(take), command(take)
        decided(cold, first)
        with pytest.raises(heard):
            await first.future
        decided(cold, second)
        assert (await second.future).answer == "INV-2026-00021"
        assert store.pieces == 4  # 1 to 7, 8 to 14 in vain, 8 to 14, 15 to 20

    asyncio.run(play())


def test_a_fact_that_cannot_be_read_refuses_a_long_stream_alone(shelf: Shelf) -> None:
    """G18: and what it says of the stream is said at once the next time."""

    async def play() -> None:
        facts = list(taken(20))
        state = msgspec.json.encode({"at": system_clock(), "origin": ORIGIN, "event": {"to": 1}})
        facts[9] = StoredFact(NUMBERS, 10, "NumberDreamt", state, TENANT)
        shelf.fill(facts)
        cold, store = shelf.committer(7)
        for _ in range(2):
            ours = [command(take), command(add)]
            decided(cold, *ours)
            with pytest.raises(Unreadable):
                await ours[0].future
            assert (await ours[1].future).answer.version == 1
        assert store.pieces == 2

    asyncio.run(play())


def test_the_shortest_are_loaded_whole_and_the_rest_is_named(shelf: Shelf) -> None:
    long, short, brief = new_id(), new_id(), new_id()
    facts = [*taken(9, long), *taken(4, short), *taken(3, brief)]
    shelf.fill(facts)
    _, store = shelf.committer(7)

    def load(most: int, *, tenant: UUID = TENANT, **known: int) -> tuple[list[int], list[UUID]]:
        versions = {"long": 0, "short": 0, "brief": 0, **known}
        ids = {"long": long, "short": short, "brief": brief}
        streams = {(tenant, ids[name]): version for name, version in versions.items()}
        streams[TENANT, new_id()] = 0  # nothing is recorded on it
        loaded: Loaded = store.load(streams, most)
        return [row[0] for row in loaded.rows], sorted(place[1] for place in loaded.beyond)

    assert sorted(load(16)[0]) == list(range(1, 17))
    assert load(16)[1] == []
    assert (sorted(load(7)[0]), load(7)[1]) == (list(range(10, 17)), [long])
    assert (load(6)[0], load(6)[1]) == ([14, 15, 16], sorted([long, short]))
    assert load(0) == ([], sorted([long, short, brief]))
    assert (sorted(load(8, long=8)[0]), load(8, long=8)[1]) == ([9, *range(10, 17)], [])
    assert load(16, tenant=new_id()) == ([], [])
    assert [row[3] for row in store.newer((TENANT, long), 2, 3)] == [3, 4, 5]
    assert store.newer((new_id(), long), 0, 3) == []
