"""HTTP servers under load: n processes of one server behind one port (SO_REUSEPORT).

As a program it is one of those processes: `serving.py SERVER APP PORT`.
"""

import asyncio
import contextlib
import importlib
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from processes import await_listeners, free_port, start, stop

SERVERS = ("uvicorn", "granian")
DEFAULT_SERVER = "uvicorn"
BACKLOG = 2_048


@contextlib.contextmanager
def serving(
    app: str,
    *,
    server: str = DEFAULT_SERVER,
    processes: int = 2,
    env: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Serve `module:app` of this folder and yield the port once every process listens."""
    port = free_port()
    argv = [sys.executable, __file__, server, app, str(port)]
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        log = Path(folder, "log")
        started = [start(argv, log=log, env=env) for _ in range(processes)]
        try:
            await_listeners(port, log, started, count=processes)
            yield port
        finally:
            for process in started:
                stop(process)


def serve(server: str, app: str, port: int) -> None:
    module, _, name = app.partition(":")
    target = getattr(importlib.import_module(module), name)
    if server == "uvicorn":
        _uvicorn(target, port)
    else:
        _granian(target, port)


def _uvicorn(target: Any, port: int) -> None:
    import uvicorn

    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        target,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
    )
    uvicorn.Server(config).run(sockets=[bound])


def _granian(target: Any, port: int) -> None:
    import uvloop
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels
    from granian.server.embed import Server

    server = Server(
        target,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        runtime_threads=1,
        websockets=False,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
    )

    async def run() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        await server.serve()

    uvloop.run(run())


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
