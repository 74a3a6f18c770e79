"""The turnstile: a few requests begin in each round of the event loop, however many have come."""

import asyncio
from collections import deque

A_ROUND = 4  # requests that may begin in one round of the loop


class Turnstile:
    """Without it a round takes as long as all that have come together, and who needs an answer
    at once, such as health, waits for all of them. Nobody is sent away, and nobody overtakes.
    """

    def __init__(self) -> None:
        self._begun = 0  # in this round
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Wait until it is this request's turn to begin; at once where few have come."""
        loop = asyncio.get_running_loop()
        if self._begun == 0:
            loop.call_soon(self._next_round)
        if self._begun < A_ROUND and not self._waiting:
            self._begun += 1
            return
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _next_round(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < A_ROUND:
            mine = self._waiting.popleft()
            if not mine.done():  # its client may have gone away
                mine.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)
