"""The committer: decides whatever waits, a batch at a time, under the journal's one lock."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from zeroinvoice.journal.cache import NOTHING, Cache, evolved, versions
from zeroinvoice.journal.command import Command, Done, resolve
from zeroinvoice.journal.long_streams import LongStreams
from zeroinvoice.journal.mapper import GENESIS, FactMapper, Unreadable, link
from zeroinvoice.journal.outcome import KEPT, Outcome, away
from zeroinvoice.journal.recorder import Row
from zeroinvoice.journal.sealed import Sealer
from zeroinvoice.journal.snapshots import EVERY, due
from zeroinvoice.journal.store import Ambiguous, Answer, Loaded, Lost, Rejected, Store
from zeroinvoice.kernel.clock import Clock, Stopwatch
from zeroinvoice.kernel.desk import Desk, Place, Wanted
from zeroinvoice.kernel.facts import Fact, State, topic_of
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Invalid, Refusal, Unavailable

LONGEST_WAIT = 2.75  # seconds a command waits before its caller hears 503
MOST_WAITING = 2_000  # commands in the queue; more are turned away at once
BATCH = 256  # commands decided under one lock
PIECE = 2_000  # facts loaded under one lock; longer streams are read without it, in such pieces
SWITCH = 0.0005  # seconds after which a thread that waits for Python's lock is let in
RESOLVE_FOR = 10.0  # seconds to find out whether a lost commit happened


class Committer:
    """One thread and one connection a process. Decisions are serial: this thread makes them.

    Under the lock it first reads what other processes have appended since it last looked,
    so every state it keeps is exact without asking for it. It is a thread, not a task, since
    a task would hold the lock while the event loop is busy with other requests.
    """

    def __init__(
        self,
        store: Store,
        mapper: FactMapper,
        clock: Clock,
        *,
        ids: Callable[[], UUID] = new_id,
        stopwatch: Stopwatch = Stopwatch(),
        piece: int = PIECE,
        every: int = EVERY,
    ) -> None:
        self._store = store
        self._mapper = mapper
        self._clock = clock
        self._ids = ids
        self._stopwatch = stopwatch
        self._piece = piece
        self._every = every  # facts of a stream its state is written down
        self._queue: list[Command] = []
        self._running: list[Command] = []
        self._aside: list[tuple[Place, Command]] = []  # each with the long stream it waits for
        self._arrived = threading.Condition()
        self._stopping = False
        self._cache = Cache(mapper)
        self._long = LongStreams(mapper)
        self._thread = threading.Thread(target=self._work, name="committer", daemon=True)
        self._watcher: asyncio.Task[None] | None = None
        self.batches = 0
        self.commands = 0

    async def submit(self, command: Command) -> Done[Any]:
        """Wait for the decision to be committed; raises what the decision refused with."""
        with self._arrived:
            if self._full:
                raise Unavailable("Too many requests are waiting; try again.", code="busy")
            self._queue.append(command)
            self._arrived.notify()
        return await command.future

    @property
    def accepting(self) -> bool:
        """Whether it works and has room for another command."""
        return self._thread.is_alive() and not self._full

    @property
    def behind(self) -> bool:
        """Whether long streams are being read, or commands wait for one."""
        return bool(self._aside or self._long.reading)

    @property
    def _full(self) -> bool:
        return len(self._queue) + len(self._aside) >= MOST_WAITING

    def start(self) -> None:
        sys.setswitchinterval(SWITCH)
        self._thread.start()
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Finish what waits, then end."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify()
        await asyncio.to_thread(self._thread.join)
        if self._watcher is not None:
            self._watcher.cancel()

    def _work(self) -> None:
        while True:
            with self._arrived:
                while not (self._queue or self.behind or self._stopping):
                    self._arrived.wait()
                if self._stopping and not (self._queue or self._aside):
                    break
                self._running, self._queue = self._queue[:BATCH], self._queue[BATCH:]
            self.carry_out(self._running)
            self._running = []
        self._store.close()

    async def _watch(self) -> None:
        # A caller hears within 3 s, whatever the database does; the work may still be done.
        while True:
            await asyncio.sleep(0.25)
            late = time.monotonic() - LONGEST_WAIT
            aside = [command for _, command in self._aside]
            for command in [*self._running, *self._queue, *aside]:
                if command.since < late and not command.future.done():
                    command.future.set_exception(away())
            with self._arrived:
                self._queue = [it for it in self._queue if not it.future.done()]

    def carry_out(self, commands: list[Command]) -> None:
        """Decide some commands in one transaction, and answer each; only one thread may.

        Those that want a long stream are set aside; their turn comes, with the commands of a
        later call, when it has been read; each call ends with a piece of that.
        """
        waiting = [it for it in self._aside if not it[1].future.done()]
        ready = [it for it in waiting if it[0] not in self._long.reading]
        self._aside = [it for it in waiting if it[0] in self._long.reading] + ready[BATCH:]
        self._running = [*commands, *(command for _, command in ready[:BATCH])]
        if self._running:
            self._attempt(self._running)
        try:
            self._long.read_on(self._store, self._piece)
        except Exception as wrong:  # the committer outlives this, too
            self._store.rollback()
            idle, self._aside = [command for _, command in self._aside], []
            self._settle(idle, away(stored=False) if isinstance(wrong, Lost) else wrong)

    def _attempt(self, commands: list[Command]) -> None:
        try:
            self._batch(commands)
        except Rejected as refused:
            self._cache.forget()
            if len(commands) == 1:
                self._settle(commands, RuntimeError(f"the database refused: {refused}"))
                return
            for command in commands:
                self._attempt([command])
        except (Lost, Ambiguous) as gone:
            self._cache.forget()
            self._settle(commands, away(stored=None if isinstance(gone, Ambiguous) else False))
        except Exception as bug:  # the committer outlives a fault in what it is given
            self._cache.forget()
            self._store.rollback()
            self._settle(commands, bug)

    def _settle(self, commands: Sequence[Command], answer: Exception | None = None) -> None:
        """Answer commands, each in its own event loop, with one call a loop."""
        loops: dict[asyncio.AbstractEventLoop, list[Command]] = {}
        for command in commands:
            command.done = answer or command.done
            loops.setdefault(command.loop, []).append(command)
        for loop, answered in loops.items():
            loop.call_soon_threadsafe(resolve, answered)

    def _batch(self, commands: list[Command]) -> None:
        until, fresh = self._stopwatch.read() + RESOLVE_FOR, False
        while True:
            batch = _Batch(self, commands)
            try:
                batch.open()
                batch.decide()
                batch.commit()
            except Lost:  # nothing was stored; a connection that merely grew stale is replaced
                self._cache.forget()
                if fresh:
                    raise
                fresh = True
                continue
            except Ambiguous:
                self._cache.forget()
                if self._happened(batch, until):
                    break
                continue
            self._cache.keep(batch.position, batch.states, batch.hashes, batch.sealer.keys)
            self._cache.drop(batch.sealer.covered)
            self._long.taken((*batch.states, *batch.unreadable))
            self._long.bare -= batch.snapshots.keys()
            break
        self._aside = [*self._aside, *batch.aside]
        # Answers are looked up later, in the event loop: who is set aside must not be among these.
        later = {*batch.again, *(command for _, command in batch.aside)}
        self._settle([command for command in commands if command not in later])
        self.batches += 1
        self.commands += len(commands) - len(batch.aside)
        for command in batch.again:
            self._answer_again(command, batch.answers[command.key.scope])  # type: ignore[union-attr]

    def _happened(self, batch: "_Batch", until: float) -> bool:
        """Whether a commit whose answer was lost took place.

        The lock is taken first: whoever held it has then committed or is gone, so the fact
        at the batch's first position is ours, or never will be.
        """
        while True:
            try:
                self._store.begin(NOTHING, {}, (), 0)
                try:
                    first = batch.rows[0] if batch.rows else None
                    found = self._store.hash_at(first[0]) if first else None
                    return first is not None and found == first[6]
                finally:
                    self._store.rollback()
            except Lost as away:
                if self._stopwatch.read() > until:
                    raise Ambiguous(str(away)) from away
                self._stopwatch.wait(0.1)

    def _answer_again(self, command: Command, answer: Answer) -> None:
        """Give a keyed command the answer it was first given."""
        assert command.key is not None
        try:
            command.done = self._same(command, answer)
        except (Refusal, Lost) as no:  # lost: it is on record, but its answer cannot be made now
            command.done = no if isinstance(no, Refusal) else away()
        self._settle([command])

    def _same(self, command: Command, answer: Answer) -> Done[Any]:
        assert command.key is not None
        if answer.fingerprint not in (command.key.fingerprint, *command.key.formerly):
            raise Invalid(
                "This Idempotency-Key was used for another request.", code="idempotency_key_reused"
            )
        outcome = msgspec.json.decode(answer.outcome, type=Outcome)
        if outcome.refusal is not None:
            kind, message, code, details = outcome.refusal
            raise KEPT[kind](message, code=code, **details)
        assert outcome.at is not None
        states: dict[Place, State[Any]] = {}

        def look(kind: type[State[Any]], place: Place) -> State[Any]:
            if place not in states:
                raise Wanted(kind, place)
            return states[place]

        while True:
            # It is on record, so a reason was given if one was needed.
            ids, why = list(outcome.ids), command.origin.reason or "as given then"
            desk = Desk(command.tenant, outcome.at, look, None, ids, reason=why)
            try:
                return Done(command.decision(desk), outcome.position or None, outcome.at, True)
            except Wanted as want:
                states[want.place] = want.kind(id=want.place[1])
                for row in self._store.as_of([want.place], outcome.after):
                    states[want.place] = evolved(self._mapper, states[want.place], row)


class _Batch:
    """One transaction's worth of commands."""

    def __init__(self, committer: Committer, commands: Sequence[Command]) -> None:
        self._committer = committer
        self._commands = commands
        self._cache, self._long = committer._cache, committer._long
        self._left = committer._piece  # facts it may still load under its lock
        self.states: dict[Place, State[Any]] = {}  # loaded or changed in this batch
        self.unreadable: dict[Place, Unreadable] = {}  # streams that concern only who opens them
        self.hashes: dict[UUID, bytes] = {}
        self.sealer = Sealer(committer._mapper, committer._store, self._cache.keys)
        self.position = 0
        self.rows: list[Row] = []
        self.snapshots: dict[Place, Row] = {}
        self.answers: dict[bytes, Answer] = {}  # by scope, found or made
        self.again: list[Command] = []  # to be answered from an earlier outcome
        self.aside: list[tuple[Place, Command]] = []  # to be decided when a long stream is read
        self._new_answers: list[Answer] = []
        self._at = committer._clock()
        for command in commands:
            command.done, command.facts = None, []

    def open(self) -> None:
        """Take the lock; bring the cache to the journal's head; load what is asked for."""
        cache = self._cache
        wanted = dict(self._long.starts)
        for command in self._commands:
            for kind, place in command.wants:
                if place not in cache.states and place not in self._long.reading:
                    wanted.setdefault(place, kind(id=place[1]))
        keys = [command.key.scope for command in self._commands if command.key is not None]
        store = self._committer._store
        opening = store.begin(cache.position, versions(wanted), keys, self._left)
        if opening.tail is None:
            cache.forget()  # too far behind; the decisions will ask for what they need
        else:
            cache.catch_up(opening.tail)
        self.position = cache.position = opening.position
        self.answers = {answer.key: answer for answer in opening.answers}
        self._take(wanted, opening.loaded)

    def _take(self, wanted: dict[Place, State[Any]], loaded: Loaded) -> None:
        """Add to what is known of some streams the rest; those that are too long are set aside."""
        self._left -= len(loaded.rows)
        self.sealer.learn(loaded.rows)
        for row in loaded.rows:
            place = (row[1], row[2])
            if place in wanted:
                try:
                    wanted[place] = evolved(self._committer._mapper, wanted[place], row)
                except Unreadable as newer:
                    self.unreadable[place] = newer
                    del wanted[place]
        for place in loaded.beyond:
            if place in wanted:
                self._long.begin(place, wanted.pop(place))
        self.states.update(wanted)

    def _look(self, kind: type[State[Any]], place: Place) -> State[Any]:
        wrong = self.unreadable.get(place) or self._long.broken.get(place)
        if wrong is not None:
            raise wrong
        state = self.states.get(place) or self._cache.states.get(place)
        if state is None:
            raise Wanted(kind, place)
        return state

    def decide(self) -> None:
        """Run every decision; those that need more streams run again when they are loaded."""
        waiting = list(self._commands)
        while waiting:
            wanted: dict[Place, State[Any]] = {}
            short = []
            for command in waiting:
                try:
                    self._run(command)
                except Wanted as want:
                    if want.place in self._long.reading:
                        self.aside.append((want.place, command))
                        continue
                    wanted[want.place] = want.kind(id=want.place[1])
                    short.append(command)
            if wanted:
                store = self._committer._store
                self._take(wanted, store.load(versions(wanted), self._left))
            waiting = short
        self._link()

    def _run(self, command: Command) -> None:
        """Decide one command; whatever it raises concerns itself alone."""
        scope = command.key.scope if command.key else None
        try:
            if command.guard is not None:
                command.guard(Desk(command.tenant, self._at, self._look))
            if scope in self.answers:
                self.again.append(command)
                return
            draw, why = self._committer._ids, command.origin.reason
            asked = (command.expected, command.ids, draw, why)
            desk = Desk(command.tenant, self._at, self._look, *asked)
            answer = command.decision(desk)
        except Wanted:
            raise
        except Refusal as no:
            command.done = no
            if scope is not None and type(no).__name__ in KEPT:
                kept = (type(no).__name__, no.message, no.code, no.details)
                self._remember(command, Outcome(refusal=kept))
            return
        except Exception as bug:  # a fault in one decision must not fail its neighbours
            command.done = bug
            return
        after = self.position
        for n, ((tenant, stream), version, event, at) in enumerate(desk.recorded):
            self.position += 1
            about = (at, command.origin, desk.subjects.get(n))
            command.facts.append(Fact(event, tenant, stream, version, self.position, *about))
        for place, state in desk.opened.items():
            self.states[place] = state
        position = self.position if desk.recorded else None
        command.done = Done(answer, position, self._at)
        if scope is not None:
            outcome = Outcome(after, position or 0, self._at, desk.drawn)
            self._remember(command, outcome)

    def _remember(self, command: Command, outcome: Outcome) -> None:
        assert command.key is not None
        text = msgspec.json.encode(outcome).decode()
        answer = Answer(command.key.scope, command.key.fingerprint, text)
        self.answers[command.key.scope] = answer
        self._new_answers.append(answer)

    def _link(self) -> None:
        facts = sorted(
            (fact for command in self._commands for fact in command.facts),
            key=lambda fact: fact.position,
        )
        tenants = {fact.tenant for fact in facts}
        unknown = [tenant for tenant in tenants if tenant not in self._cache.hashes]
        if unknown:
            self.hashes.update(dict.fromkeys(unknown, GENESIS))
            self.hashes.update(self._committer._store.heads(unknown))
        for tenant in tenants:
            self.hashes.setdefault(tenant, self._cache.hashes.get(tenant, GENESIS))
        self.sealer.prepare(facts)
        for fact in facts:
            topic, (state, subject) = topic_of(type(fact.event)), self.sealer.written(fact)
            where = (fact.position, fact.tenant, fact.stream, fact.version, topic)
            digest = link(self.hashes[fact.tenant], *where, state)
            self.hashes[fact.tenant] = digest
            self.rows.append((*where, state.decode(), digest, subject, None, None))
        every, bare = self._committer._every, self._long.bare
        self.snapshots = due(facts, self.states, self.position, every, bare)

    def commit(self) -> None:
        """Store it all, or give the lock back when there is nothing to store."""
        store = self._committer._store
        if self.rows or self._new_answers:
            kept = list(self.snapshots.values())
            store.commit(self.rows, self._new_answers, self._at, self.sealer.keys, kept)
        else:
            store.rollback()
