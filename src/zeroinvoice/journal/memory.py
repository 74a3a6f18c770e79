"""The store of fast tests and simulations: the same promises, kept in memory."""

import threading
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from zeroinvoice.journal.mapper import StoredFact
from zeroinvoice.journal.recorder import MemoryFactRecorder, Row
from zeroinvoice.journal.store import Answer, Opening, Rejected
from zeroinvoice.kernel.desk import Place


class MemoryStore:
    """One lock, one list of rows; what is not committed never was."""

    def __init__(self, recorder: MemoryFactRecorder) -> None:
        self._recorder = recorder
        self._answers: dict[bytes, Answer] = {}
        self._lock = threading.Lock()

    def begin(self, after: int, streams: Sequence[Place], keys: Sequence[bytes]) -> Opening:
        self._lock.acquire()
        return Opening(
            len(self._recorder.rows),
            self._recorder.rows[after:],
            self.load(streams),
            [self._answers[key] for key in keys if key in self._answers],
        )

    def load(self, streams: Sequence[Place]) -> list[Row]:
        return self.as_of(streams, len(self._recorder.rows))

    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]:
        known = self._recorder.hashes
        return {tenant: known[tenant] for tenant in tenants if tenant in known}

    def commit(self, rows: Sequence[Row], answers: Sequence[Answer], at: datetime) -> None:
        try:
            self._recorder.insert_events(
                [StoredFact(r[2], r[3], r[4], r[5].encode(), r[1], r[0], r[6]) for r in rows]
            )
        except IntegrityError as clash:
            raise Rejected(str(clash)) from clash
        finally:
            self._lock.release()
        self._answers.update({answer.key: answer for answer in answers})

    def rollback(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]:
        wanted = set(streams)
        return [row for row in self._recorder.rows[:position] if (row[1], row[2]) in wanted]

    def hash_at(self, position: int) -> bytes | None:
        rows = self._recorder.rows
        return rows[position - 1][6] if 0 < position <= len(rows) else None

    def close(self) -> None:
        return
