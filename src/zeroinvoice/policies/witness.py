"""The witness: signs where each workspace's journal is, every hour, into files that only grow."""

import os
from datetime import datetime
from pathlib import Path

import msgspec
import psycopg

from zeroinvoice.journal.heads import Growing, Signer
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.secrets import Keyring

EVERY = 3_600.0  # seconds
READ = 20_000  # facts at a time
SINCE = "SELECT position, tenant_id, hash FROM facts WHERE position > %s ORDER BY position LIMIT %s"


class Witness:
    """A chain cannot show that its tail was cut off; a head that somebody else keeps can.

    So carry the files away: to another machine, a mailbox, or whatever cannot be written twice.
    """

    def __init__(self, url: str, folder: Path, keyring: Keyring, clock: Clock) -> None:
        self._url = url
        self._folder = folder
        self._signer = Signer(keyring)
        self._clock = clock
        self._growing = Growing()

    def sign(self) -> int:
        """Sign a head of every workspace with new facts; answers how many. Raises psycopg's."""
        before = self._growing.position
        with psycopg.connect(self._url, autocommit=True) as connection:
            while rows := connection.execute(SINCE, [self._growing.position, READ]).fetchall():
                for position, tenant, kept in rows:
                    self._growing.add(position, tenant, bytes(kept))
        at = self._clock()
        heads = self._growing.heads(at, since=before)
        if heads:
            self._keep(at, [msgspec.json.encode(self._signer.sign(it)) for it in heads])
        return len(heads)

    def _keep(self, at: datetime, lines: list[bytes]) -> None:
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._folder / f"{at:%Y-%m}.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
