"""The yardstick UmaDB: an event store in Rust, asked over gRPC by its own Python client."""

import contextlib
import importlib.util
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
from bodies import drafted
from processes import await_listeners, free_port, running

QUOTED = {1: 980.0, 8: 3_840.0, 16: 4_240.0}
"""Appends/s by threads as they were measured once on two cores, where the package is missing."""


def installed() -> bool:
    return importlib.util.find_spec("umadb") is not None


@contextlib.contextmanager
def umadb() -> Iterator[str]:
    """Start the server that the client's wheel brings along, on an empty store; yield its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        log = Path(folder, "log")
        program = Path(sys.executable).parent / "umadb"
        argv = [program, "--listen", f"127.0.0.1:{port}", "--db-path", Path(folder, "store")]
        with running(argv, log=log) as process:
            await_listeners(port, log, [process])
            yield f"http://127.0.0.1:{port}"


def appends(url: str, seconds: float, threads: int = 16) -> float:
    """Append first events of new streams, each on condition that it is the first; appends/s."""
    # Imported late and in a process of its own: the package takes over SIGINT.
    from umadb import AppendCondition, Client, Event, Query, QueryItem

    done = [0] * threads
    begin = threading.Barrier(threads + 1)
    ending = threading.Event()

    def append(share: int) -> None:
        client = Client(url)
        data = msgspec.json.encode(drafted(share))
        begin.wait()
        while not ending.is_set():
            stream = str(uuid4())
            client.append(
                [Event("Drafted", data, tags=[stream])],
                AppendCondition(Query([QueryItem(tags=[stream])])),
            )
            done[share] += 1

    workers = [threading.Thread(target=append, args=(share,)) for share in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    begun = time.perf_counter()
    time.sleep(seconds)
    count, elapsed = sum(done), time.perf_counter() - begun
    ending.set()
    for worker in workers:
        worker.join()
    return count / elapsed
