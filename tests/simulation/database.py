"""The journal's database in memory: one order lock, transactions, and answers that get lost."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from tests.simulation.chance import Chance, Crashed
from zeroinvoice.journal.memory import after, latest, shortest
from zeroinvoice.journal.recorder import MemoryFactRecorder, Row
from zeroinvoice.journal.store import Ambiguous, Answer, Loaded, Lost, Opening, Rejected
from zeroinvoice.journal.subjects import Held, Subject, Wrapped
from zeroinvoice.kernel.desk import Place

Batch = tuple[Sequence[Row], Sequence[Answer], Sequence[Row]]  # facts, answers, snapshots


class Database:
    """What is committed, who has the order lock, and a commit whose client is already gone."""

    def __init__(self, chance: Chance) -> None:
        self.recorder = MemoryFactRecorder()
        self.rows = self.recorder.rows
        self.answers: dict[bytes, Answer] = {}
        self.broken: list[str] = []  # rules that a batch would have broken: always a bug
        self.pieces = 0  # of long streams, read without the lock
        self._chance = chance
        self._of_stream: dict[UUID, list[Row]] = defaultdict(list)
        self._last: dict[UUID, bytes] = {}
        self._holder: Session | None = None
        self._under_way: Batch | None = None
        self._refusing = 0  # statements that do not reach it any more

    def reached(self) -> None:
        """Raises `Lost` when a statement does not reach it."""
        if not self._chance.on:
            self._refusing = 0
        elif self._refusing == 0 and self._chance.strikes("outage"):
            self._refusing = self._chance.rng.choice((1, 2, 5, 300))
        if self._refusing:
            self._refusing -= 1
            raise Lost("the database is away")

    def restart(self) -> None:
        """Everything under way is settled, one way or the other; nobody has the lock."""
        self._settle()
        self._holder = None

    def lock(self, session: "Session") -> None:
        if self._under_way is not None:
            if self._chance.strikes("away"):
                raise Lost("the lock is not to be had in time")
            self._settle()
        assert self._holder is None, "nobody waits inside a transaction in one thread"
        self._holder = session

    def unlock(self, session: "Session") -> None:
        if self._holder is session:
            self._holder = None

    def leave(self, session: "Session", batch: Batch) -> None:
        """The client is gone, but the server has not noticed: it may commit, or not."""
        self.unlock(session)
        self._under_way = batch

    def store(self, session: "Session", batch: Batch) -> None:
        if self._holder is not session:
            self._refuse("a batch was written without the order lock")
        self._check(*batch[:2])
        self._append(*batch)
        self._holder = None

    def of_streams(self, streams: Sequence[Place], position: int) -> list[Row]:
        rows = [
            row
            for tenant, stream in dict.fromkeys(streams)
            for row in self._of_stream.get(stream, ())
            if row[1] == tenant and row[0] <= position
        ]
        return sorted(rows, key=lambda row: row[0])

    def loaded(self, streams: Mapping[Place, int], most: int) -> Loaded:
        """What is to be read of some streams: snapshots, and the facts after each."""
        snapshots, known = latest(self.recorder.snapshots, streams, len(self.rows))
        found = shortest(self.of_streams(list(streams), len(self.rows)), known, most)
        return Loaded([*snapshots, *found.rows], found.beyond)

    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]:
        snapshots, known = latest(self.recorder.snapshots, dict.fromkeys(streams, 0), position)
        return [*snapshots, *after(self.of_streams(streams, position), known)]

    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]:
        return {tenant: self._last[tenant] for tenant in tenants if tenant in self._last}

    def _settle(self) -> None:
        if self._under_way is not None:
            batch, self._under_way = self._under_way, None
            if self._chance.rng.random() < 0.5:
                self._append(*batch)

    def _check(self, rows: Sequence[Row], answers: Sequence[Answer]) -> None:
        """What triggers and unique indexes check."""
        if [row[0] for row in rows] != [len(self.rows) + n + 1 for n in range(len(rows))]:
            self._refuse("positions do not follow")
        seen = {(row[2], row[3]) for row in rows}
        taken = any(row[3] <= len(self._of_stream.get(row[2], ())) for row in rows)
        if taken or len(seen) < len(rows):
            self._refuse("a version of a stream was given twice")
        if any(answer.key in self.answers for answer in answers):
            self._refuse("a key was answered twice")

    def _refuse(self, why: str) -> None:
        self.broken.append(why)
        self._holder = None
        raise Rejected(why)

    def _append(
        self, rows: Sequence[Row], answers: Sequence[Answer], snapshots: Sequence[Row]
    ) -> None:
        for row in rows:
            self.rows.append(row)
            self._of_stream[row[2]].append(row)
            self._last[row[1]] = row[6]
        self.answers.update({answer.key: answer for answer in answers})
        self.recorder.snapshots += snapshots


class Session:
    """One process's connection: the `Store` its committer is given."""

    def __init__(self, database: Database, chance: Chance, interlude: Callable[[], None]) -> None:
        self._database = database
        self._chance = chance
        self._interlude = interlude
        self.tail = chance.rng.choice((0, 5, 40, 4_000))  # rows it catches up on at most

    def begin(
        self, after: int, streams: Mapping[Place, int], keys: Sequence[bytes], most: int
    ) -> Opening:
        home = self._database
        self._interlude()
        self._die("crash before")
        home.reached()
        home.lock(self)
        position = len(home.rows)
        return Opening(
            position,
            None if position - after > self.tail else home.rows[after:],
            home.loaded(streams, most),
            [home.answers[key] for key in keys if key in home.answers],
        )

    def load(self, streams: Mapping[Place, int], most: int) -> Loaded:
        self._read()
        return self._database.loaded(streams, most)

    def newer(self, place: Place, version: int, most: int) -> list[Row]:
        self._interlude()
        self._die("crash before")
        self._read()
        self._database.pieces += 1
        rows = self._database.of_streams([place], len(self._database.rows))
        return [row for row in rows if row[3] > version][:most]

    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]:
        self._read()
        return self._database.heads(tenants)

    def keys(self, subjects: Sequence[Subject]) -> dict[Subject, Wrapped]:
        return {}  # nothing is sealed here: there are no master keys

    def commit(
        self,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        at: datetime,
        keys: Held,
        snapshots: Sequence[Row],
    ) -> None:
        batch = (rows, answers, snapshots)
        home = self._database
        self._die("crash before")
        if self._chance.strikes("lost before"):
            home.unlock(self)
            raise Ambiguous("lost before it was stored")
        if self._chance.strikes("under way"):
            home.leave(self, batch)
            self._die("crash after")
            raise Ambiguous("lost while it was being stored")
        if self._chance.strikes("stopped"):
            home.unlock(self)
            self._interlude()
            raise Ambiguous("the server has ended the transaction")
        if self._chance.strikes("refused"):
            home.unlock(self)
            raise Rejected("the database refuses the batch")
        home.store(self, batch)
        self._die("crash after")
        if self._chance.strikes("lost after"):
            raise Ambiguous("lost after it was stored")

    def rollback(self) -> None:
        self._database.unlock(self)

    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]:
        self._interlude()
        self._read()
        return self._database.as_of(streams, position)

    def hash_at(self, position: int) -> bytes | None:
        self._read()
        rows = self._database.rows
        return rows[position - 1][6] if 0 < position <= len(rows) else None

    def close(self) -> None:
        self._database.unlock(self)

    def _read(self) -> None:
        if self._chance.strikes("away"):
            self._database.unlock(self)
            raise Lost("a look did not reach the database")

    def _die(self, fault: str) -> None:
        if self._chance.strikes(fault):
            self._database.unlock(self)
            raise Crashed
