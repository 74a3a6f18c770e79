"""Snapshots: a shorter way to the same state, and never another state."""

import asyncio
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal.shelves import (
    MAPPER,
    NUMBERS,
    ORIGIN,
    SERIES,
    Shelf,
    add,
    command,
    decided,
    in_postgres,
    take,
    taken,
)
from zeroinvoice.domain import KINDS
from zeroinvoice.domain.account import Account, AccountDebited
from zeroinvoice.domain.credit_ledger import CreditEntered, CreditLedger
from zeroinvoice.domain.series import NumberSeries
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.cache import evolved
from zeroinvoice.journal.command import Key
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.mapper import Unreadable
from zeroinvoice.journal.recorder import NEWEST, PASSED, Row
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.journal.snapshots import due, is_snapshot, resumed
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.facts import Fact, Personal, State, events_of
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.money import Money

KEY = Key(bytes(32), bytes(32))
TOLD = Fact(AccountDebited(NUMBERS, Money.zero("USD")), *SERIES, 1, 1, system_clock(), ORIGIN)


def read(store: Any, position: int = NEWEST) -> list[Row]:
    rows: list[Row] = store.as_of([SERIES], position)
    return rows


def state_of(rows: list[Row]) -> State[Any]:
    state: State[Any] = NumberSeries(id=NUMBERS)
    for row in rows:
        state = evolved(MAPPER, state, row)
    return state


def whole(store: Any) -> State[Any]:
    """The series from all its facts."""
    return state_of(store.newer(SERIES, 0, 1_000_000))


def test_a_state_is_written_down_with_every_so_many_facts(shelf: Shelf) -> None:
    """Its position is where it was so; what came later is told from the facts."""

    async def play() -> None:
        one, store = shelf.committer(1_000, every=10)
        for _ in range(3):
            decided(one, *(command(take) for _ in range(7)))
        rows = read(store)
        assert is_snapshot(rows[0])
        assert rows[0][:4] == (21, *SERIES, 21)  # of the batch that came by 20
        assert len(rows) == 1
        decided(one, command(take), command(add))
        assert [row[3] for row in read(store)] == [21, 22]
        assert state_of(read(store)) == whole(store)

    asyncio.run(play())


def test_a_process_that_starts_reads_no_more_than_came_since(shelf: Shelf) -> None:
    """However many there are: neither under the lock nor without it."""

    async def play() -> None:
        warm, _ = shelf.committer(1_000, every=10)
        decided(warm, *(command(take) for _ in range(48)))
        decided(warm, *(command(take) for _ in range(6)))
        cold, store = shelf.committer(5, every=10)  # 54 facts, and it may load 5 at once
        ours = command(take)
        decided(cold, ours)
        assert (await ours.future).answer == "INV-2026-00055"
        assert store.pieces == 0

    asyncio.run(play())


def test_from_a_snapshot_on_a_long_way_is_read_in_pieces(shelf: Shelf) -> None:
    async def play() -> None:
        warm, _ = shelf.committer(1_000, every=50)
        decided(warm, *(command(take) for _ in range(50)))
        decided(warm, *(command(take) for _ in range(30)))
        cold, store = shelf.committer(8, every=50)
        ours = command(take)
        decided(cold, ours)
        assert (await ours.future).answer == "INV-2026-00081"
        assert store.pieces == 4  # 8, 8, 8 and the last 6

    asyncio.run(play())


def test_an_answer_is_given_again_from_a_snapshot_of_before(shelf: Shelf) -> None:
    """As things were then: a later snapshot is not looked at."""

    async def play() -> None:
        warm, store = shelf.committer(1_000, every=10)
        decided(warm, *(command(take) for _ in range(25)))
        first = command(take, key=KEY)
        decided(warm, first)
        decided(warm, *(command(take) for _ in range(25)))
        cold = Committer(store, MAPPER, system_clock)
        seen: list[list[int]] = []
        as_of = store.as_of

        def watched(places: Any, position: int) -> list[Row]:
            rows: list[Row] = as_of(places, position)
            seen.append([row[3] for row in rows])
            return rows

        store.as_of = watched
        again = command(take, key=KEY)
        decided(cold, again)
        assert (await again.future).replayed
        assert (await again.future).answer == (await first.future).answer == "INV-2026-00026"
        assert seen == [[25]]

    asyncio.run(play())


def test_a_stream_that_has_grown_long_without_one_gets_one(shelf: Shelf) -> None:
    """As after every change of the code, which makes the old ones useless."""

    async def play() -> None:
        shelf.fill(list(taken(25)))
        first, store = shelf.committer(7)
        decided(first, command(take))
        assert [row[3] for row in read(store)] == [26]
        assert state_of(read(store)) == whole(store)
        decided(first, command(take))
        assert [row[3] for row in read(store)] == [26, 27]

    asyncio.run(play())


def test_other_code_does_not_use_them(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold that was mended must not go on from what the faulty one has written down."""
    shelf = in_postgres(new_database())

    async def play() -> None:
        warm, store = shelf.committer(1_000, every=10)
        decided(warm, *(command(take) for _ in range(25)))
        assert [row[3] for row in read(store)] == [25]
        monkeypatch.setattr("zeroinvoice.journal.store.code", lambda: bytes(32))
        assert [row[3] for row in read(store)] == list(range(1, 26))
        cold, _ = shelf.committer(1_000, every=10)
        ours = command(take)
        decided(cold, ours)
        assert (await ours.future).answer == "INV-2026-00026"

    asyncio.run(play())
    shelf.close()


def test_of_several_processes_one_writes_it(shelf: Shelf) -> None:
    async def play() -> None:
        (one, store), (other, _) = (shelf.committer(1_000, every=10) for _ in range(2))
        for number in range(22):
            decided((one, other)[number % 2], command(take))
        ours = [row for at in range(23) for row in store.as_of([SERIES], at) if is_snapshot(row)]
        assert sorted({row[3] for row in ours}) == [10, 20]

    asyncio.run(play())


def test_what_is_damaged_refuses_its_own_stream(shelf: Shelf) -> None:
    """And once it is thrown away the facts are there as before."""

    async def play() -> None:
        warm, _ = shelf.committer(1_000, every=10)
        decided(warm, *(command(take) for _ in range(12)))
        cold, damaged = shelf.committer(1_000, every=10)
        load = damaged.load
        whole = True

        def torn(streams: Any, most: int) -> Any:
            found = load(streams, most)
            rows = [(*it[:5], it[5][:9], *it[6:]) if is_snapshot(it) else it for it in found.rows]
            return found if whole else found.but(rows=rows)

        damaged.load, whole = torn, False
        ours, theirs = command(take), command(add)
        decided(cold, ours, theirs)
        with pytest.raises(Unreadable):
            await ours.future
        assert (await theirs.future).answer.version == 1
        whole = True
        again = command(take)
        decided(cold, again)
        assert (await again.future).answer == "INV-2026-00013"

    asyncio.run(play())


def test_what_was_written_into_one_is_found(new_database: Callable[[], str]) -> None:
    """By `zeroinvoice journal verify`, and by whoever asks the journal."""
    url = new_database()
    shelf = in_postgres(url)
    journal = Journal.at(url)

    async def play() -> None:
        warm, _ = shelf.committer(1_000, every=10)
        for _ in range(3):
            decided(warm, *(command(take) for _ in range(8)))

    asyncio.run(play())
    assert journal.check_snapshots() == (2, [])
    at_24 = "UPDATE snapshots SET state = %s, version = %s, kind = %s WHERE position = 24"
    with psycopg.connect(url, autocommit=True) as connection:
        (right,) = connection.execute(
            "SELECT state, version, kind FROM snapshots WHERE position = 24"
        ).fetchall()
        state, version, kind = right
        for wrong in (
            (state.replace('"highest":24', '"highest":23'), version, kind),
            (state, version + 1, kind),
            (state, version, "account"),
        ):
            assert wrong != right
            connection.execute(at_24, wrong)
            assert journal.check_snapshots() == (2, [NUMBERS])
            connection.execute(at_24, right)
            assert journal.check_snapshots() == (2, [])
    journal.close()
    shelf.close()


def test_one_of_what_speaks_of_somebody_is_wrong_whatever_it_says(
    new_database: Callable[[], str],
) -> None:
    """And who tidies up takes all but the last of each stream."""
    url = new_database()
    shelf = in_postgres(url)

    async def play() -> UUID:
        warm, _ = shelf.committer(1_000, every=10)
        ours = command(add)
        for _ in range(3):
            decided(warm, *(command(take) for _ in range(8)))
        decided(warm, ours)
        return UUID(str((await ours.future).answer.id))

    client, journal = asyncio.run(play()), Journal.at(url)
    with psycopg.connect(conninfo(url, WORK_ROLE, application="tidying")) as worker:
        assert worker.execute(PASSED, [system_clock()]).rowcount == 1
    assert journal.check_snapshots() == (1, [])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE snapshots SET stream = %s, version = 1", [client])
    assert journal.check_snapshots() == (1, [client])
    journal.close()
    shelf.close()


@pytest.mark.parametrize("name", KINDS)
def test_who_is_spoken_of_is_never_written_down(name: str) -> None:
    """With their key such a state could not be forgotten: decision 17."""
    kind = KINDS[name]
    personal = any(issubclass(event, Personal) for event in events_of(kind))
    kept = due([TOLD], {SERIES: kind(id=NUMBERS, version=1)}, 1, 1, ())
    assert bool(kept) is not personal


@given(
    st.lists(
        st.tuples(
            st.sampled_from([new_id() for _ in range(6)]),
            st.decimals("0", "1e15", places=3, allow_nan=False),
            st.sampled_from(("USD", "BHD", "JPY")),
            st.none() | st.dates(),
        ),
        max_size=20,
    )
)
def test_it_is_the_very_state(entries: list[tuple[UUID, Decimal, str, date | None]]) -> None:
    """To the last digit of a decimal, and so that what comes after folds alike."""
    at, client = system_clock(), new_id()
    ledger: State[Any] = CreditLedger(id=client)
    account: State[Any] = Account(id=client)
    for credit, amount, currency, day in entries:
        money = Money(amount, currency)
        ledger = again(ledger.told(CreditEntered(client, credit, money, day), at))
        account = again(account.told(AccountDebited(credit, money), at))


def again(state: State[Any]) -> State[Any]:
    (row,) = due([TOLD], {SERIES: state}, 1, 1, ()).values()
    kept = resumed(row)
    assert kept == state
    assert repr(kept) == repr(state)
    return kept
