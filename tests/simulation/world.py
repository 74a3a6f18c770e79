"""The simulated house: each step is one actor and perhaps a fault, and then everything holds."""

import asyncio
import gc
from datetime import timedelta
from logging import CRITICAL
from typing import Any
from uuid import UUID

import psycopg
import structlog

import projections
from tests.simulation.chance import Chance, Crashed, Time
from tests.simulation.clients import Business, Intent, Request
from tests.simulation.database import Database
from tests.simulation.processes import Api, PolicyProcess, Postman, Projectionist
from tests.simulation.tables import Connection, ReadDatabase, Table, checkpoint
from tests.simulation.truth import Truth
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.committer import PIECE
from zeroinvoice.journal.snapshots import EVERY, resumed
from zeroinvoice.kernel.facts import Fact, folded
from zeroinvoice.readside.projector import Projector, rebuild
from zeroinvoice.readside.rows import Halted
from zeroinvoice.readside.tables import schema_name

STEPS = 300
MOST = 1_000  # steps in which everything must come to rest once no fault strikes
SNAPSHOTS = (2, 5, EVERY)  # facts of a stream between two of them, a history one of these
MAPPER = Journal().facts_mapper


class World:
    """Three API processes, two projector workers and two policy processes on one journal."""

    def __init__(self, seed: int, piece: int = PIECE) -> None:
        self.chance = Chance(seed)
        self.time = Time(self.chance)
        self.database = Database(self.chance)
        self.reads = ReadDatabase()
        self.truth = Truth(MAPPER)
        self.outbox: dict[str, int] = {}
        self.intents: list[Intent] = []
        self.poisoned: dict[str, int] = {}  # the fact a projection cannot bear
        self._requests: list[Request] = []  # on their way
        self._intent_of: dict[UUID, Intent] = {}  # by request
        self._ended: set[Request] = set()  # by a crash
        self._nested = False
        self._compared = 0  # snapshots with the facts they stand for
        self._checked = 0  # letters known to be due and sent
        chance, interlude = self.chance, self.interlude
        self.journal = Journal(self.database.recorder)
        self.projectors = tuple(self._poisonable(it) for it in projections.projectors)
        for it in self.projectors:
            self.reads.checkpoints[it.name] = checkpoint(it.version)
        every = SNAPSHOTS[seed % len(SNAPSHOTS)]
        self.apis = [
            Api(f"api {n}", self.database, MAPPER, chance, self.time, interlude, piece, every)
            for n in (1, 2, 3)
        ]
        self.workers = [
            Projectionist(f"worker {n}", self._connect, self.journal, self.projectors, chance)
            for n in (1, 2)
        ]
        postman = Postman(self.outbox, chance)
        self.policies = [
            PolicyProcess(f"policies {n}", self._connect_durably, self.reads, postman, self.time)
            for n in (1, 2)
        ]
        self.businesses = [Business(chance, chance.id()) for _ in range(2)]
        for one, other in zip(self.businesses, reversed(self.businesses), strict=True):
            one.other = other

    async def run(self) -> None:
        """All the steps, then rest. Raises `AssertionError` at the first thing that is wrong."""
        await self._open()
        for number in range(STEPS):
            self.chance.say(f"step {number}")
            await self._step()
            await self._check()
        await self._come_to_rest()

    async def _step(self) -> None:
        rng = self.chance.rng
        self.time.pass_by(rng.choice((0, 0.001, 0.5, 20, 900)))
        actor = rng.choices(
            (self._client, self._api, self._worker, self._policy, self._operator),
            (30, 40, 18, 7, 5),
        )[0]
        await actor()

    async def _open(self) -> None:
        """Both workspaces have some clients and drafts before anything goes wrong."""
        self.chance.on = False
        for business in self.businesses:
            for begin in business.beginnings:
                self._ask(begin())
                while self._requests:
                    await self._api()
                    await self._check()
        self.chance.on = True

    # Actors

    async def _client(self) -> None:
        rng = self.chance.rng
        if rng.random() < 0.3:
            known = [it for it in self.intents if it.key is not None]
            unknown = [it for it in known if it.open]
            if again := unknown or known:
                self._ask(rng.choice(again))
                return
        business = rng.choice(self.businesses)
        for _ in range(rng.choice((1, 1, 2, 6))):
            self._ask(business.next())

    def _ask(self, intent: Intent) -> None:
        if not intent.requests:
            self.intents.append(intent)
        for _ in range(2 if intent.key and self.chance.strikes("duplicate") else 1):
            request = Request(intent, self.chance.id())
            api = self.chance.rng.choice(self.apis)
            api.queue.append(request)
            self._requests.append(request)
            self._intent_of[request.id] = intent
            self.chance.say(f"{api.name} is asked to {intent.name}")
            if self.chance.strikes("impatient"):
                request.give_up()

    async def _api(self) -> None:
        self._decide(self.chance.rng.choice(self.apis))

    def _decide(self, api: Api) -> None:
        if api.queue and not api.busy:
            self._ended.update(api.work())

    async def _worker(self) -> None:
        self.chance.rng.choice(self.workers).work()

    async def _policy(self) -> None:
        process = self.chance.rng.choice(self.policies)
        await process.work()

    async def _operator(self) -> None:
        if self.chance.rng.random() < 0.06:
            self._rebuild()
        if self.chance.strikes("clock"):
            self._move_a_clock()
        if self.chance.strikes("power"):
            self._restart()
        if self.chance.strikes("poison") and self.database.rows:
            self._poison()
        elif self.poisoned and self.chance.rng.random() < 0.3:
            self.poisoned.clear()

    def _rebuild(self) -> None:
        projector = self.chance.rng.choice(self.projectors)
        self.chance.say(f"an operator rebuilds {projector.name}")
        connection = self._connect()
        gc.freeze()  # or else the rebuild's own collection takes longer than the run
        try:
            rebuild(connection, (projector,), self.journal, lambda _: self.interlude())  # type: ignore[arg-type]
        except (psycopg.OperationalError, Crashed) as fault:
            self.chance.say(f"the rebuild ends: {fault!r}")
        except Halted:
            assert projector.name in self.poisoned
        finally:
            gc.unfreeze()
            connection.close()

    def _move_a_clock(self) -> None:
        api, rng = self.chance.rng.choice(self.apis), self.chance.rng
        api.clock.skew = timedelta(seconds=rng.choice((-7_200, -600, -1, 0, 1, 600)))
        self.chance.say(f"{api.name} has its clock off by {api.clock.skew}")

    def _restart(self) -> None:
        self.database.restart()
        self.reads.restart(self.chance.rng.choice((0, 1, 3, 20)))
        for worker in self.workers:
            worker.start()
        for process in self.policies:
            process.stop()

    def _poison(self) -> None:
        projector = self.chance.rng.choice(self.projectors)
        standing = self.reads.checkpoints[projector.name]["position"]
        self.poisoned.setdefault(projector.name, standing + self.chance.rng.randint(1, 5))
        self.chance.say(f"{projector.name} cannot bear fact {self.poisoned[projector.name]}")

    def interlude(self) -> None:
        """Others may act while one waits for the database, or stands still."""
        if self._nested or not self.chance.strikes("interlude"):
            return
        self._nested = True
        try:
            for _ in range(self.chance.rng.randint(1, 3)):
                idle = [it for it in self.workers if not it.busy]
                if idle and self.chance.rng.random() < 0.4:
                    self.chance.rng.choice(idle).work()
                else:
                    self._decide(self.chance.rng.choice(self.apis))
        finally:
            self._nested = False

    def close(self) -> None:
        """Nobody listens any more."""
        for request in self._requests:
            request.give_up()

    # Safety

    async def _check(self) -> None:
        for _ in range(2):
            await asyncio.sleep(0)  # the answers that are on their way arrive
        before = self.truth.position
        self.truth.follow(self.database.rows)
        for fact in self.truth.facts[before:]:
            self._intent_of[fact.origin.request].effects(self.truth.effects)
        self._hear()
        assert not self.database.broken, self.database.broken
        head = len(self.database.rows)
        for name, row in self.reads.checkpoints.items():
            assert row["position"] <= head, f"{name} is ahead of the journal"
            assert row["applied"] == row["position"], f"{name} skipped or repeated a fact"
            if name in self.poisoned:
                assert row["position"] < self.poisoned[name], f"{name} skipped what it cannot bear"
        self._check_letters()
        self._check_snapshots()

    def _check_snapshots(self) -> None:
        """What was written down of a stream is what its facts add up to."""
        snapshots = self.database.recorder.snapshots
        for row in snapshots[self._compared :]:
            kept = resumed(row)
            told = (it for it in self.truth.facts if it.stream == row[2] and it.version <= row[3])
            assert folded(type(kept), row[2], told) == kept, f"a wrong snapshot of {kept}"
        self._compared = len(snapshots)

    def _hear(self) -> None:
        waiting = []
        for request in self._requests:
            if not request.command.future.done() and request not in self._ended:
                waiting.append(request)
                continue
            if not request.command.future.done():
                request.give_up()
            done = request.hear(self.truth.effects)
            if done is not None:
                tenant = request.intent.tenant
                business = next(it for it in self.businesses if it.tenant == tenant)
                business.heard(done.answer)
        self._requests = waiting
        self._ended.clear()

    def _check_letters(self) -> None:
        due = self.truth.letters
        assert self.outbox.keys() <= {key for _, key in due}, "a letter about nothing was sent"
        kept = self.reads.checkpoints.get(Postman.name, checkpoint(1))["position"]
        while self._checked < len(due) and due[self._checked][0] <= kept:
            assert due[self._checked][1] in self.outbox, "the policy passed a letter it never sent"
            self._checked += 1

    # Liveness

    async def _come_to_rest(self) -> None:
        """No fault strikes any more: within a bounded time all is known, folded and sent."""
        self.chance.say("no fault strikes any more")
        self.chance.on = False
        self.poisoned.clear()
        for step in range(MOST):
            self.time.pass_by(30)
            for intent in self.intents:
                if intent.open and not any(it.intent is intent for it in self._requests):
                    self._ask(intent)
            actors = (self._api, self._worker, self._worker, self._policy)
            await actors[step % len(actors)]()
            await self._check()
            if self._at_rest():
                break
        else:
            raise AssertionError(f"it does not come to rest: {self._unrest()}")
        self._compare()

    def _at_rest(self) -> bool:
        return not any(self._unrest().values())

    def _unrest(self) -> dict[str, Any]:
        head = len(self.database.rows)
        behind = {
            name: row["position"]
            for name, row in self.reads.checkpoints.items()
            if row["position"] < head or row["error"]
        }
        return {
            "waiting": [it.intent.name for it in self._requests],
            "unknown": [it.name for it in self.intents if it.open],
            "behind": behind,
            "letters": len(self.truth.letters) - self._checked,
        }

    def _compare(self) -> None:
        """Every read model is what a fresh fold of the whole journal makes."""
        quiet = Chance(0)
        quiet.on = False
        for projector in projections.projectors:
            fresh = ReadDatabase()
            connection = Connection(fresh, self.database, quiet)
            books = projector.books(1, fresh=True)
            with connection.transaction():
                books.apply(connection, self.truth.facts)  # type: ignore[arg-type]
            row = self.reads.checkpoints[projector.name]
            live = self.reads.tables[schema_name(projector.name, row["generation"])]
            made = fresh.tables[schema_name(projector.name, 1)]
            for table in projector.tables:
                _same(f"{projector.name}.{table.name}", live[table.name], made[table.name])

    # Connections and folds

    def _connect(self) -> Connection:
        return Connection(self.reads, self.database, self.chance, self.interlude)

    def _connect_durably(self) -> Connection:
        return Connection(self.reads, self.database, self.chance, self.interlude, durable=True)

    def _poisonable(self, projector: Projector) -> Projector:
        def project(*rows_and_fact: Any) -> None:
            fact: Fact = rows_and_fact[-1]
            if self.poisoned.get(projector.name) == fact.position:
                raise ValueError("this fold cannot bear it")
            projector.project(*rows_and_fact)

        return projector.but(project=project)


def simulate(seed: int, piece: int = PIECE) -> World:
    """Run one seed to its end; no process loads more than a piece of facts under the lock.

    An `AssertionError` says what broke, and after which steps."""
    world = World(seed, piece)
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    try:
        asyncio.run(world.run())
    except Exception as wrong:
        steps = "\n".join(world.chance.trace)
        raise AssertionError(f"SIM_SEED={seed}: {wrong!r}\nthe last steps:\n{steps}") from wrong
    finally:
        world.close()
        structlog.configure(**before)
    return world


def _same(name: str, live: Table, fresh: Table) -> None:
    assert live.keys() == fresh.keys(), f"{name} has other rows than a fresh fold"
    for id, row in fresh.items():
        assert live[id] == row, f"{name} {id}: {live[id]} is not {row}"
