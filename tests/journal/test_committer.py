"""The committer: serial decisions, whole or nothing, and answers that survive a lost commit."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.client import Client, ClientRevised, Profile
from zeroinvoice.domain.series import Numbering, NumberSeries, series_id
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command, Done, Key
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.memory import MemoryStore
from zeroinvoice.journal.proof import verify
from zeroinvoice.journal.recorder import MemoryFactRecorder, Row
from zeroinvoice.journal.store import Ambiguous, Answer, Lost
from zeroinvoice.journal.subjects import Held
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused, Stale, Unavailable

TENANT = new_id()
ACME = Profile("Acme Corp", "USD")


class House:
    """A committer on a journal in memory."""

    def __init__(self, store: Callable[[MemoryFactRecorder], MemoryStore] = MemoryStore) -> None:
        self.recorder = MemoryFactRecorder()
        self.journal = Journal(self.recorder)
        self.store = store(self.recorder)
        self.committer = Committer(self.store, self.journal.facts_mapper, system_clock)

    def run(self, decisions: Iterable[Callable[[Desk], Any]], **options: Any) -> list[Any]:
        """Submit all at once; answers each answer or what it raised."""

        async def all_at_once() -> list[Any]:
            self.committer.start()
            commands = [command(decision, **options) for decision in decisions]
            try:
                return await asyncio.gather(
                    *(self.committer.submit(it) for it in commands), return_exceptions=True
                )
            finally:
                await self.committer.stop()

        return asyncio.run(all_at_once())


def command(decision: Callable[[Desk], Any], **options: Any) -> Command:
    return Command(TENANT, Origin(Actor("system"), new_id()), decision, **options)


def add(desk: Desk) -> Client:
    client = desk.new(Client)
    return desk.record(client, client.add(ACME))


renamed = [ClientRevised(ACME.but(name="Renamed"))]


def test_what_a_decision_records_is_on_record_with_the_state_it_led_to() -> None:
    house = House()
    (done,) = house.run([add])
    assert isinstance(done, Done)
    assert (done.answer.version, done.position) == (1, 1)
    assert [type(f.event).__name__ for f in house.journal.history(TENANT, done.answer.id)] == [
        "ClientAdded"
    ]


def test_decisions_on_one_stream_follow_each_other_without_conflict() -> None:
    """200 takers of one number series: 200 consecutive numbers (R-NUM-6)."""
    house, numbers = House(), series_id(TENANT, "invoice")

    def take(desk: Desk) -> str:
        series = desk.find(NumberSeries, numbers)
        events = list(series.take(new_id(), datetime(2026, 3, 1, tzinfo=UTC).date(), Numbering()))
        desk.record(series, events)
        return events[0].number

    taken = [done.answer for done in house.run([take] * 200)]
    assert sorted(taken) == [f"INV-2026-{n:05}" for n in range(1, 201)]


def test_a_decision_that_runs_again_draws_the_ids_it_drew_before() -> None:
    """Else a stream that is named after a new id would be asked for without end."""
    ran = 0

    def decision(desk: Desk) -> Client:
        nonlocal ran
        ran += 1
        assert ran < 5, "it never gets what it asks for"
        client = desk.new(Client)
        assert not desk.find(Account, account_of(TENANT, client.id)).version
        return desk.record(client, client.add(ACME))

    (added,) = House().run([decision])
    assert added.answer.profile == ACME
    assert ran == 2


def test_a_refusal_concerns_its_own_command_alone() -> None:
    def refuse(desk: Desk) -> None:
        add(desk)
        raise Refused("Not today.")

    def stumble(desk: Desk) -> None:
        add(desk)
        raise ZeroDivisionError

    house = House()
    first, refused, broken, last = house.run([add, refuse, stumble, add])
    assert isinstance(first, Done)
    assert isinstance(last, Done)
    assert isinstance(refused, Refused)
    assert isinstance(broken, ZeroDivisionError)
    assert len(house.recorder.rows) == 2


def test_another_tenants_stream_does_not_exist() -> None:
    house = House()
    (done,) = house.run([add])
    foreign = new_id()

    def open_it(desk: Desk) -> None:
        desk.open(Client, done.answer.id)

    house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)

    async def ask() -> Any:
        house.committer.start()
        it = Command(foreign, Origin(Actor("system"), new_id()), open_it)
        try:
            return await asyncio.gather(house.committer.submit(it), return_exceptions=True)
        finally:
            await house.committer.stop()

    (answer,) = asyncio.run(ask())
    assert isinstance(answer, Missing)


def test_a_stale_expectation_is_refused_with_the_version_there_is() -> None:
    house = House()
    (done,) = house.run([add])
    house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)

    def archive(desk: Desk) -> Client:
        client = desk.open(Client, done.answer.id)
        return desk.record(client, client.set_payment(client.settings.but(autopay=True)))

    (stale,) = house.run([archive], expected=(7,))
    assert isinstance(stale, Stale)
    assert stale.version == 1


def keyed(scope: bytes, print_: bytes = b"same") -> dict[str, Any]:
    return {"key": Key(scope.ljust(32, b"."), print_.ljust(32, b"."))}


def test_a_key_has_one_effect_and_the_same_answer_each_time() -> None:
    """G3: the first answer is given again, from the facts as they were."""
    house = House()
    answers = house.run([add] * 64, **keyed(b"a"))
    assert len(house.recorder.rows) == 1
    assert all(done.answer == answers[0].answer for done in answers)
    assert [done.replayed for done in answers] == [False, *[True] * 63]


def test_a_key_used_for_another_request_is_refused() -> None:
    house = House()
    house.run([add], **keyed(b"a"))
    house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)
    (other,) = house.run([add], **keyed(b"a", b"other"))
    assert isinstance(other, Invalid)
    assert other.code == "idempotency_key_reused"


def test_a_kept_refusal_is_given_again() -> None:
    def refuse(desk: Desk) -> None:
        raise Refused("Not today.", code="not_today", until="tomorrow")

    house = House()
    first, second = house.run([refuse, refuse], **keyed(b"a"))
    assert (first.code, first.details) == (second.code, second.details)


def test_a_replay_answers_as_things_were_although_they_have_moved_on() -> None:
    house = House()
    (done,) = house.run([add], **keyed(b"a"))
    for settings in ({"autopay": True}, {"autopay": False}):
        house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)

        def change(desk: Desk, settings: dict[str, bool] = settings) -> None:
            client = desk.open(Client, done.answer.id)
            desk.record(client, client.set_payment(client.settings.but(**settings)))

        house.run([change])
    house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)
    (again,) = house.run([add], **keyed(b"a"))
    assert again.replayed
    assert again.answer == done.answer


class LosesAnswers(MemoryStore):
    """A database whose connection breaks during COMMIT: before it, or after it."""

    losses: list[str]

    def commit(
        self,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        at: datetime,
        keys: Held,
        snapshots: Sequence[Row],
    ) -> None:
        loss = self.losses.pop(0) if self.losses else ""
        if loss == "before":
            self._lock.release()
            raise Ambiguous("lost before it was stored")
        super().commit(rows, answers, at, keys, snapshots)
        if loss == "after":
            raise Ambiguous("lost after it was stored")


@pytest.mark.parametrize("losses", [["before"], ["after"], ["before", "before", "after"]])
def test_a_lost_answer_to_commit_is_resolved_to_exactly_one_effect(losses: list[str]) -> None:
    """Reliability 0.4: never an error for a payment that happened, never a second one."""
    house = House(LosesAnswers)
    assert isinstance(house.store, LosesAnswers)
    house.store.losses = losses
    answers = house.run([add, add, add])
    assert all(isinstance(done, Done) for done in answers)
    assert len(house.recorder.rows) == 3
    assert verify(house.recorder.rows).facts == 3


class Forgetful(MemoryStore):
    """A database that goes away when an answer is to be given again."""

    def as_of(self, streams: Any, position: int) -> Any:
        if position < len(self._recorder.rows):
            raise Lost("away")
        return super().as_of(streams, position)


def test_an_answer_that_cannot_be_given_again_is_not_called_a_failure() -> None:
    """G2: what this key stands for is on record, so nobody is told that it is not."""

    def open_it(desk: Desk) -> Client:
        return desk.open(Client, client.answer.id)

    house = House(Forgetful)
    (client,) = house.run([add])
    house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)
    house.run([lambda desk: desk.record(open_it(desk), renamed)], **keyed(b"a"))
    house.committer = Committer(house.store, house.journal.facts_mapper, system_clock)
    (again,) = house.run([lambda desk: desk.record(open_it(desk), renamed)], **keyed(b"a"))
    assert isinstance(again, Unavailable)
    assert again.code == "outcome_unknown"


class Stumbles(MemoryStore):
    """A database that is away at the first try."""

    away = 1

    def begin(self, after: int, streams: Any, keys: Any, most: int) -> Any:
        if self.away:
            self.away -= 1
            raise Lost("away")
        return super().begin(after, streams, keys, most)


def test_a_connection_that_grew_stale_is_replaced_without_a_word() -> None:
    (done,) = House(Stumbles).run([add])
    assert isinstance(done, Done)


def test_the_clock_stepping_back_never_puts_a_fact_before_its_predecessor() -> None:
    """G25: order never depends on wall clocks."""
    house = House()
    (done,) = house.run([add])
    past = done.at - timedelta(hours=1)
    house.committer = Committer(house.store, house.journal.facts_mapper, lambda: past)

    def change(desk: Desk) -> Client:
        client = desk.open(Client, done.answer.id)
        return desk.record(client, client.set_payment(client.settings.but(autopay=True)))

    house.run([change])
    first, second = house.journal.history(TENANT, done.answer.id)
    assert second.at >= first.at


def test_two_committers_on_one_journal_see_each_others_facts() -> None:
    """What another process appended is caught up with under the lock."""
    one = House()
    other = Committer(one.store, one.journal.facts_mapper, system_clock)
    client_id: list[UUID] = []

    def rename(name: str) -> Callable[[Desk], Client]:
        def decision(desk: Desk) -> Client:
            client = desk.open(Client, client_id[0])
            return desk.record(client, [ClientRevised(client.profile.but(name=name))])

        return decision

    async def play() -> list[str]:
        one.committer.start()
        other.start()
        try:
            made = await one.committer.submit(command(add))
            client_id.append(made.answer.id)
            names = []
            for n, committer in enumerate([one.committer, other] * 3):
                done = await committer.submit(command(rename(f"Acme {n}")))
                names.append((done.answer.profile.name, done.answer.version))
            return names
        finally:
            await one.committer.stop()
            await other.stop()

    assert asyncio.run(play()) == [(f"Acme {n}", n + 2) for n in range(6)]
