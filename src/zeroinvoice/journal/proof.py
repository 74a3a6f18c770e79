"""Proof: the chain checked link by link, and exports that verify without any database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import IO
from uuid import UUID

import msgspec

from zeroinvoice.journal.mapper import GENESIS, link
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.value import Value

FORMAT = "zeroinvoice-journal-1"


class Broken(Exception):
    """The journal is not what was written: names the first position at which it shows."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(f"position {position}: {why}")
        self.position = position


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


def verify(rows: Iterable[Row], *, gapless: bool = True) -> Verified:
    """Check positions, versions and every link. Raises `Broken` at the first that is wrong.

    `gapless` is for the whole journal; one tenant's export has other tenants' positions
    between its own.
    """
    heads: dict[UUID, bytes] = defaultdict(lambda: GENESIS)
    versions: dict[UUID, int] = defaultdict(int)
    last = count = 0
    for position, tenant, stream, version, topic, state, kept in rows:
        if position <= last or (gapless and position != last + 1):
            raise Broken(last + 1, f"expected here, but {position} follows {last}")
        if version != versions[stream] + 1:
            raise Broken(position, f"version {version} follows {versions[stream]} of {stream}")
        made = link(heads[tenant], position, tenant, stream, version, topic, state.encode())
        if made != bytes(kept):
            raise Broken(position, "its hash is not that of what is stored")
        heads[tenant], versions[stream], last = made, version, position
        count += 1
    return Verified(count, dict(heads))


def export(rows: Iterable[Row], file: IO[bytes]) -> int:
    """Write facts as JSON lines, the format's name first; answers how many."""
    encode = msgspec.json.encode
    file.write(encode({"format": FORMAT}) + b"\n")
    count = 0
    for position, tenant, stream, version, topic, state, kept in rows:
        line = Line(position, tenant, stream, version, topic, state, bytes(kept).hex())
        file.write(encode(line) + b"\n")
        count += 1
    return count


def exported(file: IO[bytes]) -> Iterator[Row]:
    """The rows of an export. Raises `Broken` for a line that is not one."""
    decode = msgspec.json.Decoder(Line).decode
    first = file.readline()
    if FORMAT.encode() not in first:
        raise Broken(0, f"this is not a {FORMAT} file")
    last = 0
    for text in file:
        try:
            it = decode(text)
            kept = bytes.fromhex(it.hash)
        except (msgspec.DecodeError, ValueError) as wrong:
            raise Broken(last + 1, f"its line cannot be read: {wrong}") from None
        last = it.position
        yield it.position, it.tenant, it.stream, it.version, it.topic, it.state, kept
