"""The store of fast tests and simulations: the same promises, kept in memory."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from zeroinvoice.journal.mapper import StoredFact
from zeroinvoice.journal.recorder import NEWEST, MemoryFactRecorder, Row
from zeroinvoice.journal.store import Answer, Loaded, Opening, Rejected
from zeroinvoice.journal.subjects import DESTROYED, Held, Subject, Wrapped
from zeroinvoice.kernel.desk import Place


class MemoryStore:
    """One lock, one list of rows; what is not committed never was."""

    def __init__(self, recorder: MemoryFactRecorder) -> None:
        self._recorder = recorder
        self._answers: dict[bytes, Answer] = {}
        self._lock = threading.Lock()

    def begin(
        self, after: int, streams: Mapping[Place, int], keys: Sequence[bytes], most: int
    ) -> Opening:
        self._lock.acquire()
        return Opening(
            len(self._recorder.rows),
            self._recorder.with_keys(self._recorder.rows[after:]),
            self.load(streams, most),
            [self._answers[key] for key in keys if key in self._answers],
        )

    def load(self, streams: Mapping[Place, int], most: int) -> Loaded:
        snapshots, known = latest(self._recorder.snapshots, streams, NEWEST)
        rows = self._rows_of(known, len(self._recorder.rows))
        loaded = shortest(rows, known, most)
        return Loaded([*snapshots, *loaded.rows], loaded.beyond)

    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]:
        known = self._recorder.hashes
        return {tenant: known[tenant] for tenant in tenants if tenant in known}

    def keys(self, subjects: Sequence[Subject]) -> dict[Subject, Wrapped]:
        known = self._recorder.keys
        return {subject: known[subject] for subject in subjects if subject in known}

    def commit(
        self,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        at: datetime,
        keys: Held,
        snapshots: Sequence[Row],
    ) -> None:
        try:
            self._recorder.insert_events(
                [StoredFact(r[2], r[3], r[4], r[5].encode(), r[1], r[0], r[6], r[7]) for r in rows]
            )
            self._recorder.snapshots += snapshots
            self._recorder.keys.update({**keys.made, **dict.fromkeys(keys.destroyed, DESTROYED)})
        except IntegrityError as clash:
            raise Rejected(str(clash)) from clash
        finally:
            self._lock.release()
        self._answers.update({answer.key: answer for answer in answers})

    def rollback(self) -> None:
        if self._lock.locked():
            self._lock.release()

    def newer(self, place: Place, version: int, most: int) -> list[Row]:
        rows = self._rows_of([place], len(self._recorder.rows))
        return [row for row in rows if row[3] > version][:most]

    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]:
        blank = dict.fromkeys(streams, 0)
        snapshots, known = latest(self._recorder.snapshots, blank, position)
        return [*snapshots, *after(self._rows_of(known, position), known)]

    def _rows_of(self, streams: Collection[Place], position: int) -> list[Row]:
        wanted = set(streams)
        rows = self._recorder.rows[:position]
        return self._recorder.with_keys(row for row in rows if (row[1], row[2]) in wanted)

    def hash_at(self, position: int) -> bytes | None:
        rows = self._recorder.rows
        return rows[position - 1][6] if 0 < position <= len(rows) else None

    def close(self) -> None:
        return


def latest(
    snapshots: Sequence[Row], streams: Mapping[Place, int], position: int
) -> tuple[list[Row], dict[Place, int]]:
    """The last snapshot up to a position of each stream, and the versions known with them.

    Only where it is beyond the version already known.
    """
    found: dict[Place, Row] = {}
    known = dict(streams)
    for row in snapshots:
        place = (row[1], row[2])
        if row[0] <= position and row[3] > known.get(place, row[3]):
            found[place], known[place] = row, row[3]
    return list(found.values()), known


def after(rows: Iterable[Row], known: Mapping[Place, int]) -> list[Row]:
    """Of some streams' rows those after the versions already known."""
    return [row for row in rows if row[3] > known[row[1], row[2]]]


def shortest(rows: Sequence[Row], streams: Mapping[Place, int], most: int) -> Loaded:
    """Of some streams' rows those after the versions already known: whole streams, at most so many.

    The shortest come first; those for which there is no room are named.
    """
    newer: dict[Place, list[Row]] = defaultdict(list)
    for row in after(rows, streams):
        newer[row[1], row[2]].append(row)
    within: list[Row] = []
    beyond: list[Place] = []
    for place in sorted(newer, key=lambda it: (len(newer[it]), it[1])):
        if len(within) + len(newer[place]) > most:
            beyond.append(place)
        else:
            within += newer[place]
    return Loaded(within, beyond)
