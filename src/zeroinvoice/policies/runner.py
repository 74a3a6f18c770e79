"""The policies worker: follows the journal for each policy and sees its actions through."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

import psycopg
import structlog

from zeroinvoice.gateways.attempts import FORGET
from zeroinvoice.gateways.mail import mailer_of
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import Shredder
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.cache import evolved
from zeroinvoice.journal.recorder import ELSEWHERE, FOLDED, NEWEST, PASSED, SINCE
from zeroinvoice.journal.schema import CHANNEL, WORK_ROLE, conninfo
from zeroinvoice.journal.snapshots import code
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.facts import Fact, State
from zeroinvoice.kernel.refusals import Refusal, Unavailable
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.policies.letters import Letters
from zeroinvoice.policies.policy import Action, Policy
from zeroinvoice.policies.shredding import Shredding
from zeroinvoice.policies.witness import EVERY, Witness
from zeroinvoice.settings import Settings

log = structlog.get_logger()

S = TypeVar("S", bound=State[Any])

REST = 0.05  # seconds between two looks, so that many facts share one
POLL = 1.0  # seconds without a hint after which the journal is looked at anyway
READ = 500  # facts at a time
MOST_PENDING = 1_000  # actions in hand; no more facts are read until some are done
LONGEST_WAIT = 1.0  # seconds between tries while the database is away
LONGEST_PAUSE = 60.0  # seconds between two tries of one action
KEPT_FOR = timedelta(hours=72)  # idempotency keys, after which they mean a new request
TIDY = 3_600.0  # seconds between two removals of older ones
LONGEST_REST = 10.0  # seconds a policy rests after tries that failed one after the other


NAMES = (Letters.name, Shredding.name)


class Policies:
    """Any number of processes may run it: for each policy, one of them acts at a time."""

    def __init__(self, settings: Settings, database_url: str, clock: Clock) -> None:
        self._url = conninfo(database_url, WORK_ROLE, application="zeroinvoice policies")
        keyring = Keyring(*settings.secret_keys)
        self._policies: tuple[Policy, ...] = (
            Letters(mailer_of(settings), keyring, settings.public_url),
            Shredding(Shredder(self._url, clock)),
        )
        self._witness = Witness(self._url, settings.heads_dir, keyring, clock)
        self._clock = clock
        self._masters = MasterKeys(settings.master_keys)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopped = False

    def run(self) -> None:
        """Work until stopped; while the database is away, wait for it."""
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            log.info("policies stop")

    def stop(self) -> None:
        """May be called from any thread, or by a signal."""
        self._stopped = True
        if self._loop is not None and self._running is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._running.cancel)

    async def _main(self) -> None:
        self._loop, self._running = asyncio.get_running_loop(), asyncio.current_task()
        if self._stopped:
            return
        followed = (self._url, self._clock, self._masters)
        followers = (Follower(policy, *followed) for policy in self._policies)
        await asyncio.gather(*(it.run() for it in followers), self._tidy(), self._testify())

    async def _testify(self) -> None:
        """Sign heads of the journal, from time to time."""
        while True:
            try:
                count = await asyncio.to_thread(self._witness.sign)
                log.info("heads signed", workspaces=count)
            except (psycopg.Error, OSError) as fault:
                log.error("no heads signed", reason=str(fault).strip())
            await asyncio.sleep(EVERY)

    async def _tidy(self) -> None:
        """Forget idempotency keys, counted attempts and snapshots whose time is over."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url) as connection:
                    over = self._clock() - KEPT_FOR
                    await connection.execute("DELETE FROM answers WHERE at < %s", [over])
                    await connection.execute(PASSED, [over])
                    await connection.execute(FORGET)
            except psycopg.Error as lost:
                log.warning("nothing tidied", reason=str(lost).strip())
            await asyncio.sleep(TIDY)


class Pending:
    """An action in hand, and when it is next tried."""

    __slots__ = ("action", "again", "position", "tries")

    def __init__(self, position: int, action: Action, now: datetime) -> None:
        self.position = position
        self.action = action
        self.tries = 0
        self.again = now


class Follower:
    """One policy as one process follows it.

    Facts are read in order, and their actions tried in order. An action that cannot be done
    now is set aside and tried again, ever more rarely, while later ones go on, so it blocks
    nobody; the checkpoint stays before it, so whatever happens to this process it is not
    lost. Once its time is over it is given up, so the checkpoint cannot stand still for ever;
    what must never be given up has a policy of its own.
    The price: after a crash, actions behind the one set aside are done a second time.
    """

    def __init__(
        self, policy: Policy, url: str, clock: Clock, masters: MasterKeys | None = None
    ) -> None:
        self._policy = policy
        self._url = url
        self._clock = clock
        self._mapper = Journal(masters=masters).facts_mapper
        self._pending: list[Pending] = []
        self._read = 0  # the position up to which facts have become actions
        self._kept = 0  # the checkpoint
        self._failures = 0  # one after the other
        self._rest_until: datetime | None = None

    async def run(self) -> None:
        """Follow the journal for ever, with a new connection whenever one is lost."""
        pause = 0.1
        while True:
            try:
                async with (
                    await psycopg.AsyncConnection.connect(self._url, autocommit=True) as home,
                    await psycopg.AsyncConnection.connect(self._url, autocommit=True) as ear,
                ):
                    await ear.execute(f"LISTEN {CHANNEL}")
                    pause = 0.1
                    await self.claim(home)
                    while True:
                        if await self.step(home):
                            await asyncio.sleep(REST)
                        else:
                            async for _ in ear.notifies(timeout=POLL, stop_after=1):
                                pass
            except psycopg.Error as lost:
                log.warning("database away", reason=str(lost).strip(), retry_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_WAIT)

    async def claim(self, home: psycopg.AsyncConnection[Any]) -> None:
        """Wait until no other process follows this policy, then begin where it left off.

        The claim is a lock of the session, not of a row: talking to a mail server must not
        hold a transaction open. It ends with the connection, and so does our work.
        """
        name = self._policy.name
        claim = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
        while not (await self._one(home, claim, name))[0]:  # noqa: ASYNC110  # not our event
            await asyncio.sleep(POLL)
        await home.execute(
            "INSERT INTO checkpoints (name, shape, generation) VALUES (%s, 1, 1)"
            " ON CONFLICT DO NOTHING",
            [name],
        )
        found = await self._one(home, "SELECT position FROM checkpoints WHERE name = %s", name)
        self._read = self._kept = found[0]
        self._pending.clear()
        self._failures, self._rest_until = 0, None

    async def step(self, home: psycopg.AsyncConnection[Any]) -> bool:
        """Read on, act, move the checkpoint; whether there may be more to read at once."""
        more = len(self._pending) < MOST_PENDING and await self._take(home)
        await self._act()
        done = min((it.position - 1 for it in self._pending), default=self._read)
        if done > self._kept:
            moved = await home.execute(
                "UPDATE checkpoints SET position = %s, applied = %s, error = NULL, error_at = NULL"
                " WHERE name = %s AND position = %s",
                [done, done, self._policy.name, self._kept],
            )
            assert moved.rowcount == 1, "somebody else moved the checkpoint of this policy"
            self._kept = done
        return more

    async def _take(self, home: psycopg.AsyncConnection[Any]) -> bool:
        """Turn the next facts into actions. A fact that cannot be understood is tried again."""

        async def look(kind: type[S], tenant: UUID, id: UUID) -> S:
            asked = [[tenant], [id], [0], code(), NEWEST, NEWEST]
            state: State[Any] = kind(id=id)
            for row in await (await home.execute(FOLDED, asked, binary=True)).fetchall():
                state = evolved(self._mapper, state, row)
            return cast(S, state)

        cursor = await home.execute(SINCE, [self._read, READ], binary=True)
        for row in await cursor.fetchall():
            missing = row[0] - self._read - 1
            if missing:
                gone = await (await home.execute(ELSEWHERE, [self._read, row[0]])).fetchone()
                assert gone == (missing,), f"the journal has a gap after {self._read}"
            if row[4] not in self._policy.topics:
                self._read = row[0]
                continue
            try:
                fact = self._mapper.read(row)
                actions = await self._policy.react(fact, look)
            except psycopg.Error:
                raise
            except Exception as fault:  # said aloud; what is in hand goes on meanwhile
                await self._halt(home, row[0], fault)
                return False
            self._hold(fact, actions)
        return cursor.rowcount > 0

    def _hold(self, fact: Fact, actions: list[Action]) -> None:
        now = self._clock()
        self._pending.extend(Pending(fact.position, action, now) for action in actions)
        self._read = fact.position

    async def _halt(
        self, home: psycopg.AsyncConnection[Any], position: int, fault: Exception
    ) -> None:
        name = self._policy.name
        log.error("policy halts", policy=name, position=position, exc_info=fault)
        await home.execute(
            "UPDATE checkpoints SET error = %s, error_at = %s WHERE name = %s",
            [f"{type(fault).__name__}: {fault}"[:500], position, name],
        )

    async def _act(self) -> None:
        """Try what is due, in order; stop at the first that fails for now."""
        if self._rest_until is not None and self._clock() < self._rest_until:
            return
        due = [it for it in self._pending if it.again <= self._clock()]
        for it in sorted(due, key=lambda it: (it.tries, it.position)):
            if not await self._try(it):
                self._failures += 1
                rest = min(0.1 * 2 ** min(self._failures, 20), LONGEST_REST)
                self._rest_until = self._clock() + timedelta(seconds=rest)
                return
            self._failures, self._rest_until = 0, None
            self._pending.remove(it)

    async def _try(self, it: Pending) -> bool:
        """Whether an action is over: done, refused for good, or too late."""
        action, policy = it.action, self._policy.name
        if action.until is not None and self._clock() > action.until:
            log.warning("too late", policy=policy, action=action.key, tries=it.tries)
            return True
        try:
            await action.do()
            return True
        except Unavailable as away:
            log.warning("away", policy=policy, action=action.key, reason=away.message)
        except Refusal as no:
            log.error("refused for good", policy=policy, action=action.key, reason=no.message)
            return True
        except Exception as fault:  # a fault of ours; a later version may do better
            log.error("action fails", policy=policy, action=action.key, exc_info=fault)
        it.tries += 1
        pause = min(0.25 * 2 ** min(it.tries, 20), LONGEST_PAUSE)
        it.again = self._clock() + timedelta(seconds=pause)
        return False

    @staticmethod
    async def _one(home: psycopg.AsyncConnection[Any], query: str, name: str) -> Any:
        return await (await home.execute(query.encode(), [name])).fetchone()
