"""The journal as witness: exported, and verified without a database."""

import gc
import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ledger
import msgspec
from contests import Bench, Contestants, Row, Sample, registry
from processes import apart
from reading import by_copy

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.proof import Exported, Line, export


@registry.contest(
    Row("export a journal, against reading its facts by COPY", "export", "copy"),
    Row("verify an export, against decoding and hashing its lines", "verify", "lines"),
    Row("verify 100,000 facts of an export", "verify", figure="for_100k_s", bar=10, at_most=True),
)
def witness(bench: Bench) -> Iterator[Contestants]:
    """Facts/s, of one process and from a journal that is already there."""
    url = ledger.journal(bench.url, bench.facts, "witness")
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        file = Path(folder, "journal.jsonl")
        apart(exported, url, file)

        def turn(read: float) -> Sample:
            return Sample({"per_s": read, "for_100k_s": 100_000 / read})

        yield {
            "export": lambda: Sample.rate(apart(exported, url, file)),
            "copy": lambda: Sample.rate(apart(by_copy, url)),
            "verify": lambda: turn(apart(verified, file)),
            "lines": lambda: Sample.rate(apart(hashed, file)),
        }


def exported(url: str, path: Path) -> float:
    """Write all facts of a journal to a file; facts/s."""
    journal, begun = Journal.at(url, size=1), time.perf_counter()
    with path.open("wb") as file:
        count = export(journal.every_row(), file)
    took = time.perf_counter() - begun
    journal.close()
    return count / took


def verified(path: Path) -> float:
    """Check every position, version and link of an export; facts/s."""
    gc.disable()
    begun = time.perf_counter()
    with path.open("rb") as file:
        count = Exported(file).verify().facts
    return count / (time.perf_counter() - begun)


def hashed(path: Path) -> float:
    """Decode every line of an export and hash its state, and nothing else; lines/s."""
    gc.disable()
    decode, count = msgspec.json.Decoder(Line).decode, 0
    begun = time.perf_counter()
    with path.open("rb") as file:
        file.readline()
        for line in file:
            hashlib.sha256(decode(line).state.encode()).digest()
            count += 1
    return count / (time.perf_counter() - begun)
