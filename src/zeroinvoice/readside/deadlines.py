"""Deadlines: a connection whose answer does not come in time is cut off, so that nobody hangs."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

TICK = 0.25  # seconds between two looks at what is due


class Deadlines:
    """Who waits for a database that takes everything and says nothing would wait for ever.

    The network notices a peer that is gone, and the database ends a statement that takes too
    long; a peer that is there and silent is noticed here alone. Its socket is shut, the wait
    ends with an error, and the pool puts another connection in its place.
    """

    def __init__(self) -> None:
        self._due: dict[int, tuple[float, psycopg.Connection[Any]]] = {}
        self._lock = threading.Lock()
        self._watching: threading.Thread | None = None

    @contextmanager
    def cut(self, connection: psycopg.Connection[Any], at: float) -> Iterator[None]:
        """Cut this connection at a moment of the monotonic clock, unless the block is over."""
        with self._lock:
            self._due[id(connection)] = (at, connection)
            if self._watching is None:
                self._watching = threading.Thread(target=self._watch, daemon=True)
                self._watching.start()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(id(connection), None)

    def _watch(self) -> None:
        while True:
            time.sleep(TICK)
            now = time.monotonic()
            with self._lock:  # so that none of them goes back to the pool meanwhile
                for at, connection in self._due.values():
                    if at < now:
                        shut(connection)


def shut(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Shut a connection's socket: whoever waits for it hears at once that it is broken."""
    if connection.closed:
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin:
        twin.shutdown(socket.SHUT_RDWR)


def assert_open(connection: psycopg.Connection[Any]) -> None:
    """See that an idle session was not ended meanwhile, without asking the database.

    Whatever ended it has said so or has closed the socket; what still stands says nothing.
    Raises `psycopg.OperationalError`, and the connection is closed then.
    """
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    if waiting.poll(0):
        connection.close()
        raise psycopg.OperationalError("the session was ended")
