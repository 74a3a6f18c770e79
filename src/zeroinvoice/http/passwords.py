"""Password hashes (argon2id, RFC 9106), computed a few at a time beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from zeroinvoice.domain.passwords import canonical
from zeroinvoice.kernel.refusals import Unavailable

T = TypeVar("T")

AT_ONCE = 2  # hashes a process computes at the same time
MOST_WAITING = 200  # requests that wait for their turn; more are sent away
MEMORY = 46 * 1024  # KiB a hash
PASSES = 2


class Passwords:
    """What turns passwords into hashes and checks them, without starving other requests."""

    def __init__(self) -> None:
        self._hasher = Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY, parallelism=1)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobodys = ""  # the hash that the passwords of strangers are checked against

    async def hash(self, password: str) -> str:
        """A PHC string with a fresh salt. Raises `Unavailable` when too many wait."""
        return await self._turn(lambda: self._hasher.hash(canonical(password)))

    async def matched(self, password: str, hash: str) -> str | None:
        """The hash if the password matches it; for an empty one the same work, and None."""
        return await self._turn(lambda: self._matched(canonical(password), hash))

    def _matched(self, password: str, hash: str) -> str | None:
        if not hash:
            self._nobodys = self._nobodys or self._hasher.hash("nobody")
        try:
            sound = self._hasher.verify(password, hash or self._nobodys)
        except PwdlibError:
            sound = False
        return hash if sound and hash else None

    async def _turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("Too many are logging in at the moment; try again.", code="busy")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
