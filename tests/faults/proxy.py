"""A proxy before Postgres that passes everything on, but for the fault it is told."""

import asyncio
import threading
from typing import Literal

Fault = Literal["", "latency", "refuse", "black hole", "drop commit"]

LATENCY = 0.05  # seconds each piece takes longer
COMMITTED = b"COMMIT\0"  # the server's CommandComplete, and nothing else that it ever says
STARTING = b"application_name\0"


class Proxy:
    """Listens on `port` of the loopback; `fault` is what happens to whatever passes.

    `drop commit` swallows the server's answer to a COMMIT and cuts both ends: the transaction
    is committed, and the program cannot know. Only sessions whose name contains `whose` are
    meant, and `fired` counts.
    """

    def __init__(self, target: int) -> None:
        self.fault: Fault = ""
        self.whose = ""
        self.fired = 0
        self.port = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def cut(self) -> None:
        """Break every connection there is; new ones are passed on."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    def _run(self) -> None:
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = self._loop.run_until_complete(serving)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        self.fault = ""
        until = self._loop.time() + 2
        while asyncio.all_tasks(self._loop) and self._loop.time() < until:
            self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault == "refuse":
            writer.transport.abort()
            return
        try:
            answers, asks = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        name = bytearray()
        ends = {writer, asks}
        self._open |= ends
        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(self._pass(reader, asks, name, asked=True)),
                    asyncio.ensure_future(self._pass(answers, writer, name, asked=False)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        goal: asyncio.StreamWriter,
        name: bytearray,
        *,
        asked: bool,
    ) -> None:
        try:
            while piece := await source.read(65_536):
                if asked and STARTING in piece:  # the startup message says who it is
                    name[:] = piece.partition(STARTING)[2].partition(b"\0")[0]
                while self.fault == "black hole":  # noqa: ASYNC110  # another thread sets it
                    await asyncio.sleep(0.01)
                if self.fault == "latency":
                    await asyncio.sleep(LATENCY)
                elif self.fault == "drop commit" and not asked and self._meant(name, piece):
                    self.fired += 1
                    return
                goal.write(piece)
                await goal.drain()
        except OSError:
            return

    def _meant(self, name: bytearray, piece: bytes) -> bool:
        return COMMITTED in piece and self.whose.encode() in name
