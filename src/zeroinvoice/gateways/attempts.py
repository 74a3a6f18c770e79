"""Attempts: counted exactly, by all processes together, where guessing would pay."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import psycopg

from zeroinvoice.kernel.refusals import Throttled

MINUTE = timedelta(minutes=1)
# The generic cell rate algorithm in one statement, so that nobody comes between looking and
# counting. The database's clock is the only one. No row comes back when it is too many.
TAKE = (
    "INSERT INTO attempts AS it (key, due) VALUES (%(key)s, now() + %(interval)s)"
    " ON CONFLICT (key) DO UPDATE SET due = greatest(it.due, now()) + %(interval)s"
    " WHERE greatest(it.due, now()) + %(interval)s <= now() + %(room)s RETURNING due"
)
WAIT = (
    "SELECT ceil(extract(epoch FROM due + %(interval)s - %(room)s - now()))::int FROM attempts"
    " WHERE key = %(key)s"
)
FORGET = "DELETE FROM attempts WHERE due < now()"

Connect = Callable[[], AbstractContextManager[psycopg.Connection[Any]]]


class Attempts:
    """So many a minute of one purpose and one network, whichever process they come to."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def take(self, purpose: str, network: str, a_minute: int) -> None:
        """Count an attempt. Raises `Throttled`, and counts nothing then; `Unavailable`."""
        asked = {
            # No list of who came from where.
            "key": hashlib.sha256(f"{purpose}\n{network}".encode()).digest(),
            "interval": MINUTE / a_minute,
            "room": MINUTE,
        }
        with self._connect() as connection:
            if connection.execute(TAKE, asked).fetchone() is not None:
                return
            row = connection.execute(WAIT, asked).fetchone()
        raise Throttled(
            "Too many attempts from where you are; wait a little before the next.",
            retry_after=max(1, row[0] if row else 1),
        )
