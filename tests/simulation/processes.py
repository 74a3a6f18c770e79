"""The processes of the simulated house: the real committer, projectors and policy runner."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg

from tests.simulation.chance import Chance, Crashed, ProcessClock, Time, Waiting
from tests.simulation.clients import Request
from tests.simulation.database import Database, Session
from tests.simulation.tables import Connection, Line, ReadDatabase
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.committer import PIECE, Committer
from zeroinvoice.journal.mapper import FactMapper
from zeroinvoice.journal.snapshots import EVERY
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.refusals import Unavailable
from zeroinvoice.policies.policy import Action, Look
from zeroinvoice.policies.runner import Follower as PolicyFollower
from zeroinvoice.readside.projector import Follower, Projector, Window, halt
from zeroinvoice.readside.rows import Halted

Interlude = Callable[[], None]


class Api:
    """An API process: a queue of commands, and a committer with a cache of its own."""

    def __init__(
        self,
        name: str,
        database: Database,
        mapper: FactMapper,
        chance: Chance,
        time: Time,
        interlude: Interlude,
        piece: int = PIECE,
        every: int = EVERY,
    ) -> None:
        self.name = name
        self.clock = ProcessClock(time)
        self.queue: list[Request] = []
        self.busy = False
        self._database = database
        self._mapper = mapper
        self._chance = chance
        self._interlude = interlude
        self._piece = piece
        self._every = every
        self._start()

    def _start(self) -> None:
        chance, interlude = self._chance, self._interlude
        self._committer = Committer(
            Session(self._database, chance, interlude),
            self._mapper,
            self.clock,
            ids=chance.id,
            stopwatch=Waiting(interlude),
            piece=self._piece,
            every=self._every,
        )

    def work(self) -> list[Request]:
        """Decide some of what waits; answers the requests that a crash has ended."""
        if self._chance.strikes("reorder"):
            self._chance.rng.shuffle(self.queue)
        many = self._chance.rng.choice((1, 2, 4, 256))
        batch, self.queue = self.queue[:many], self.queue[many:]
        self._chance.say(f"{self.name} decides {[it.intent.name for it in batch]}")
        self.busy = True
        try:
            self._committer.carry_out([it.command for it in batch])
            while self._committer.behind:
                self._committer.carry_out([])
            return []
        except Crashed:
            ended, self.queue = batch + self.queue, []
            self._start()
            return ended
        finally:
            self.busy = False


class Projectionist:
    """A projector worker: its followers read through one window, on one connection."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Any],  # a `Connection`, which stands for one of psycopg's
        journal: Journal,
        projectors: tuple[Projector, ...],
        chance: Chance,
    ) -> None:
        self.name = name
        self.busy = False
        self._connect = connect
        self._journal = journal
        self._projectors = projectors
        self._chance = chance
        self.start()

    def start(self) -> None:
        """Begin anew, as after a crash or a lost connection."""
        self._connection = self._connect()
        window = Window(self._journal)
        self._followers = [Follower(it, window) for it in self._projectors]

    def work(self) -> int:
        """One batch of one projection; answers how many facts."""
        follower = self._chance.rng.choice(self._followers)
        name = follower.projector.name
        self.busy = True
        try:
            try:
                applied = follower.step(self._connection)
            except Halted as fault:
                halt(self._connection, name, fault)
                self._chance.say(f"{self.name}: {fault}")
                return 0
            self._chance.say(f"{self.name} folds {applied} facts into {name}")
            return applied
        except (psycopg.OperationalError, Crashed):
            self.start()
            return 0
        finally:
            self.busy = False


class Postman:
    """A policy that sends a letter for each invoice that is issued."""

    name = "policy:postman"
    topics = frozenset({"InvoiceSent"})

    def __init__(self, outbox: dict[str, int], chance: Chance) -> None:
        self._outbox = outbox
        self._chance = chance

    async def react(self, fact: Fact, look: Look) -> list[Action]:
        key = f"{fact.stream.hex}.{fact.version}"
        return [Action(key, fact.at + timedelta(days=365), partial(self._send, key))]

    async def _send(self, key: str) -> None:
        if self._chance.strikes("mail"):
            raise Unavailable("The mail server asks to come later.")
        if self._chance.strikes("crash before"):
            raise Crashed
        self._outbox[key] = self._outbox.get(key, 0) + 1
        if self._chance.strikes("crash after"):
            raise Crashed


class PolicyProcess:
    """One of the processes that may follow the policy; only who has the claim does."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        home: ReadDatabase,
        postman: Postman,
        time: Time,
    ) -> None:
        self.name = name
        self._connect = connect
        self._home = home
        self._postman = postman
        self._clock = ProcessClock(time)
        self._line: Line | None = None
        self._follower = PolicyFollower(postman, "", self._clock)

    def stop(self) -> None:
        if self._line is not None:
            self._line.connection.close()
        self._line = None

    async def work(self) -> None:
        """Claim the policy if it is free, then read on, act and move the checkpoint."""
        try:
            if self._line is None:
                if self._postman.name in self._home.claims:
                    return
                self._line = Line(self._connect())
                await self._follower.claim(self._line)  # type: ignore[arg-type]
            await self._follower.step(self._line)  # type: ignore[arg-type]
        except psycopg.OperationalError:
            self.stop()
        except Crashed:
            self.stop()
            self._follower = PolicyFollower(self._postman, "", self._clock)
