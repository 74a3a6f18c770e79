"""Compliance checks: a workspace's journal read once from end to end, links, heads and numbers."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from zeroinvoice.domain.series import NumberChosen, NumberEvent, NumberSeries, NumberTaken
from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.heads import Growing, Head, SignedHead, Signer, heads_in
from zeroinvoice.journal.mapper import FactMapper, Unreadable
from zeroinvoice.journal.proof import verify
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

MOST_WRONG = 20  # positions that are named of one series
TOPICS = frozenset({NumberTaken.__name__, NumberChosen.__name__})


class ChainChecked(Value):
    """Every link of the workspace's chain made anew, and held against the heads signed earlier."""

    verified: bool
    facts: int
    first_seq: int | None
    last_seq: int | None
    head: SignedHead  # of all that was read; keep it where nobody else writes
    broken_at: int | None  # the first position that is wrong
    why: str | None
    anchors: int  # heads signed earlier that all of this was held against
    anchored_from: datetime | None
    anchored_to: datetime | None
    bad_anchors: list[str]  # why others could not be used


class Gap(Value):
    """Numbers that were never given, since one chosen by hand jumped over them."""

    first: int
    last: int


class BucketChecked(Value):
    bucket: str
    highest: int
    gaps: list[Gap]


class SeriesChecked(Value):
    """The numbers of one series, counted again from the journal."""

    series: UUID
    verified: bool  # none was skipped but by hand, and none given twice
    numbers: int
    forms: list[str]  # as they are written
    last_on: date | None  # the latest issue date
    buckets: list[BucketChecked]
    wrong: list[int]  # the first positions where a number does not follow


class Checked(Value):
    chain: ChainChecked
    sequences: list[SeriesChecked]


class Anchors(Value):
    """The workspace's heads that the witness left, and what is wrong with others."""

    good: list[Head] = []
    bad: list[str] = []

    @classmethod
    def of(cls, folder: Path, tenant: UUID, signer: Signer) -> "Anchors":
        try:
            signed = heads_in(folder, tenant)
        except (OSError, Broken) as wrong:
            return cls(bad=[f"the heads cannot be read: {type(wrong).__name__}"])
        good, bad = list[Head](), list[str]()
        for one in signed:
            try:
                good.append(one.check(signer.known))
            except Broken as wrong:
                bad.append(str(wrong))
        return cls(good, bad)


class _Watch:
    """Notes what the report needs of the rows as they pass by on their way to be verified."""

    def __init__(self, mapper: FactMapper) -> None:
        self._mapper = mapper
        self.growing = Growing()
        self.first: int | None = None
        self.count = 0
        self.series: dict[UUID, NumberSeries] = {}
        self.wrong: dict[UUID, list[int]] = {}

    def passing(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.growing.add(row[0], row[1], bytes(row[6]))
            self.first, self.count = self.first or row[0], self.count + 1
            if row[4] in TOPICS:
                self._note(row)
            yield row

    def _note(self, row: Row) -> None:
        position, _, stream = row[:3]
        series = self.series.setdefault(stream, NumberSeries(id=stream))
        try:
            fact = self._mapper.fact(*row[:6])
        except Unreadable:
            self.wrong.setdefault(stream, []).append(position)
            return
        assert isinstance(fact.event, NumberEvent)
        if not series.follows(fact.event):
            self.wrong.setdefault(stream, []).append(position)
        self.series[stream] = series.told(fact.event, fact.at)


def checked(reader: Reader, anchors: Anchors, signer: Signer) -> Checked:
    """Verify the whole chain and all numbers, in one pass and with bounded memory."""
    watch, broken = _Watch(reader.books.mapper), None
    rows = watch.passing(reader.chain())
    try:
        verify(rows, anchors.good, gapless=False)
    except Broken as wrong:
        broken = wrong
        for _ in rows:  # numbers are looked at to the end all the same
            pass
    times = [head.at for head in anchors.good]
    head = signer.sign(watch.growing.head(reader.tenant, reader.now))
    chain = ChainChecked(
        broken is None,
        watch.count,
        watch.first,
        watch.growing.position or None,
        head,
        broken.position if broken else None,
        str(broken) if broken else None,
        len(anchors.good),
        min(times, default=None),
        max(times, default=None),
        anchors.bad[:MOST_WRONG],
    )
    found = (_series(it, watch.wrong.get(it.id, [])) for it in watch.series.values())
    return Checked(chain, sorted(found, key=lambda it: it.series))


def _series(it: NumberSeries, wrong: Sequence[int]) -> SeriesChecked:
    buckets = [
        BucketChecked(name, kept.counter, [Gap(*gap) for gap in kept.gaps])
        for name, kept in sorted(it.buckets.items())
    ]
    forms = sorted(it.forms)
    return SeriesChecked(
        it.id, not wrong, it.version, forms, it.last_on, buckets, [*wrong[:MOST_WRONG]]
    )
