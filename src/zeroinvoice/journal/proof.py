"""Proof: the chain checked link by link, and exports that verify without any database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import IO
from uuid import UUID

import msgspec

from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.heads import Head, against
from zeroinvoice.journal.mapper import GENESIS, link, subject_of
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.value import Value

FORMAT = "zeroinvoice-journal-1"


class Line(Value):
    """One fact of an export, with everything its hash covers."""

    position: int
    tenant: UUID
    stream: UUID
    version: int
    topic: str
    state: str
    hash: str  # hexadecimal


class Verified(Value):
    """What held: how many facts, and the last hash of each tenant's chain."""

    facts: int
    heads: dict[UUID, bytes]


def verify(
    rows: Iterable[Row],
    heads: Sequence[Head] = (),
    *,
    gapless: bool = True,
    elsewhere: Sequence[tuple[int, int]] = (),
) -> Verified:
    """Check positions, versions and every link, and that it is what heads were signed over.

    `gapless` is for the whole journal, but for what is `elsewhere`; one tenant's export has
    other tenants' positions between its own. Raises `Broken` at the first position that is wrong.
    """
    last: dict[UUID, bytes] = {}
    count = 0
    for row in against(_linked(rows, dict(elsewhere) if gapless else None), heads):
        last[row[1]] = bytes(row[6])
        count += 1
    return Verified(count, last)


def _linked(rows: Iterable[Row], elsewhere: dict[int, int] | None) -> Iterator[Row]:
    heads: dict[UUID, bytes] = defaultdict(lambda: GENESIS)
    versions: dict[UUID, int] = defaultdict(int)
    last = 0
    for row in rows:
        position, tenant, stream, version, topic, state, kept, subject, *_ = row
        before = last if elsewhere is None else elsewhere.get(last + 1, last)
        if position <= before or (elsewhere is not None and position != before + 1):
            raise Broken(before + 1, f"expected here, but {position} follows {last}")
        if version != versions[stream] + 1:
            raise Broken(position, f"version {version} follows {versions[stream]} of {stream}")
        made = link(heads[tenant], position, tenant, stream, version, topic, state.encode())
        if made != bytes(kept):
            raise Broken(position, "its hash is not that of what is stored")
        if subject != subject_of(state):
            raise Broken(position, "its column names another subject than the fact does")
        heads[tenant], versions[stream], last = made, version, position
        yield row


class Heading(Value, omit_defaults=True):
    """The first line of an export."""

    format: str
    tenant: UUID | None = None  # whose facts these are; None is the whole journal
    elsewhere: list[tuple[int, int]] = []  # positions whose facts stayed where a tenant came from


def export(
    rows: Iterable[Row],
    file: IO[bytes],
    tenant: UUID | None = None,
    elsewhere: list[tuple[int, int]] | None = None,
) -> int:
    """Write facts as JSON lines, a heading first; answers how many. `tenant`: only theirs."""
    encode = msgspec.json.encode
    file.write(encode(Heading(FORMAT, tenant, elsewhere or [])) + b"\n")
    count = 0
    for position, owner, stream, version, topic, state, kept, *_ in rows:
        if tenant not in (None, owner):
            continue
        line = Line(position, owner, stream, version, topic, state, bytes(kept).hex())
        file.write(encode(line) + b"\n")
        count += 1
    return count


class Exported:
    """An export, read line by line."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises `Broken` for a file that is none."""
        self._file = file
        try:
            self.heading = msgspec.json.decode(file.readline(), type=Heading)
        except msgspec.DecodeError:
            raise Broken(0, f"this is not a {FORMAT} file") from None
        if self.heading.format != FORMAT:
            raise Broken(0, f"this is not a {FORMAT} file")

    def verify(self, heads: Sequence[Head] = ()) -> Verified:
        """Check everything, and that it holds what heads were signed over. Raises `Broken`."""
        return verify(
            self.rows(),
            heads,
            gapless=self.heading.tenant is None,
            elsewhere=self.heading.elsewhere,
        )

    def rows(self) -> Iterator[Row]:
        """Raises `Broken` for a line that is not a fact, or somebody else's."""
        for row in _read(self._file):
            if self.heading.tenant not in (None, row[1]):
                raise Broken(row[0], "this fact is another workspace's")
            yield row


def _read(file: IO[bytes]) -> Iterator[Row]:
    decode = msgspec.json.Decoder(Line).decode
    last = 0
    for text in file:
        try:
            it = decode(text)
            kept = bytes.fromhex(it.hash)
        except (msgspec.DecodeError, ValueError) as wrong:
            raise Broken(last + 1, f"its line cannot be read: {wrong}") from None
        last = it.position
        place = (it.position, it.tenant, it.stream, it.version)
        yield *place, it.topic, it.state, kept, _subject(it.state), None, None


def _subject(state: str) -> UUID | None:
    try:
        return subject_of(state)
    except msgspec.DecodeError:
        return None  # its hash will show it
