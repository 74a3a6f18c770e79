"""An installation to break: a cluster of its own, and processes of which we know every one."""

import contextlib
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
from barriers import wait_for

from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.serve import PROGRAM as OURS
from zeroinvoice.settings import Settings

SEED = int(os.environ.get("FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
# What is broken may be another program than ours: one that was sabotaged, say.
PROGRAM = tuple(shlex.split(os.environ.get("FAULT_PROGRAM", ""))) or OURS
SUPERVISE = Path(__file__).with_name("supervise.py")
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s ORDER BY pid"


def free_port() -> int:
    """A port below those that the system gives to whoever connects somewhere meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for an installation's data; as root, Postgres is another user and must get in."""
    with tempfile.TemporaryDirectory(prefix="zi-faults-", ignore_cleanup_errors=True) as made:
        os.chmod(made, 0o711)
        yield Path(made)


class Installation:
    """Data, a cluster and a port of its own; served by `zeroinvoice serve`, or by hand.

    `program` is called with `serve`, `migrate`, `api`, `work` or `policies` as its one more
    argument.
    """

    def __init__(
        self, data: Path, *, program: Sequence[str] = PROGRAM, api_processes: int = 2, **env: str
    ) -> None:
        self.port = free_port()
        self.data = data
        self.program = tuple(program)
        self.env = {
            **os.environ,
            "ZEROINVOICE_DATA": str(data),
            "PORT": str(self.port),
            "DATABASE_URL": "",
            "LOG_LEVEL": "warning",
            # One address drives everything here.
            **dict.fromkeys(("LIMIT_GUESSES", "LIMIT_ADDRESS", "LIMIT_WORKSPACE"), "1000000"),
            "API_PROCESSES": str(api_processes),
            **env,
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = Settings.from_env(self.env)
        self.masters = MasterKeys(self.settings.master_keys)
        self.log = data / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None  # of `serve`
        self.by_hand: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._postgres = EmbeddedPostgres(self.settings.postgres_dir)

    # The database

    def database(self) -> str:
        """The cluster's URL; it runs afterwards, and is known to be ours and no other."""
        url = self._postgres.start()
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        ours = self.settings.postgres_dir / "cluster"
        assert row is not None
        assert os.path.samefile(row[0], ours), f"{row[0]} is not ours"
        return url

    def over_tcp(self, port: int | None = None) -> str:
        """The cluster's URL by its TCP port, or by that of a proxy before it."""
        parts = urlsplit(self.database())
        who = parts.netloc.rpartition("@")[0]
        return f"postgresql://{who}@127.0.0.1:{port or self.postgres_port()}{parts.path}"

    def postgres_port(self) -> int:
        return int(self._postmaster_pid()[3])

    def postmaster(self) -> int:
        return int(self._postmaster_pid()[0])

    def stop_database(self) -> None:
        """Shut the cluster down, however many use it: a fast stop, as an operator would."""
        os.kill(self.postmaster(), signal.SIGINT)
        wait_for(lambda: not self._postgres.alive(), "the cluster to stop", 20)

    def release(self) -> None:
        self._postgres.stop()

    def terminate(self, like: str, rng: random.Random | None = None) -> int:
        """End sessions by name, all or one by chance; answers how many."""
        with psycopg.connect(self.database(), autocommit=True) as connection:
            pids = [row[0] for row in connection.execute(SESSIONS, [like]).fetchall()]
            chosen = [rng.choice(pids)] if rng and pids else pids
            for pid in chosen:
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        return len(chosen)

    # Its processes

    def start(self) -> None:
        """Serve it, all under one supervisor."""
        self.database()  # which is asserted to be ours before anything is made in it
        ours = self.program == OURS
        supervisor = (*OURS, "serve") if ours else (sys.executable, SUPERVISE, *self.program)
        self.process = self._started(supervisor, self.env)
        wait_for(lambda: self._is_up([self.process]), "it to become healthy", 60)

    def start_by_hand(
        self,
        *words: str,
        database: str | None = None,
        program: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> list[subprocess.Popen[bytes]]:
        """Start processes that nobody starts again; they end with the tests' own process."""
        own = {
            **self.env,
            "DATABASE_URL": database or self.database(),
            "ZEROINVOICE_SUPERVISOR": str(os.getpid()),
            **(env or {}),
        }
        started = [self._started((*(program or self.program), word), own) for word in words]
        self.by_hand += zip(words, started, strict=True)
        if "api" in words:
            wait_for(lambda: self._is_up(started), "it to become healthy", 30)
        return started

    def migrate(self) -> None:
        (process,) = self.start_by_hand("migrate")
        assert process.wait(30) == 0, self._said()

    def stop(self) -> None:
        """End what we started, in order; `serve` must end well."""
        for _, process in self.by_hand:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for _, process in self.by_hand:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.by_hand.clear()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0
        self.process = None

    def healthy(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/api/health", timeout=1).status_code == 200
        return False

    def healthy_again(self, within: float = 10.0) -> float:
        """Wait until it is; answers how long that took."""
        return wait_for(self.healthy, f"it to be healthy again; {self._said()}", within)

    def pids(self, word: str) -> list[int]:
        """Process ids of our own processes that run this command, oldest first."""
        found = [it.pid for name, it in self.by_hand if name == word and it.poll() is None]
        return sorted([*found, *self._children(word)])

    def kill(self, word: str, rng: random.Random) -> bool:
        """kill -9 of one of our processes: `postmaster`, or one by the command it runs."""
        pids = [self.postmaster()] if word == "postmaster" else self.pids(word)
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(pids), signal.SIGKILL)
        return True

    def _children(self, word: str) -> list[int]:
        if self.process is None:
            return []
        found = []
        for path in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                if f"\nPPid:\t{self.process.pid}\n" in path.read_text():
                    command = (path.parent / "cmdline").read_bytes().split(b"\0")
                    if word.encode() in command:
                        found.append(int(path.parent.name))
        return found

    def _started(
        self, command: Sequence[str | Path], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
            )

    def _is_up(self, processes: Sequence[subprocess.Popen[bytes] | None]) -> bool:
        assert all(it and it.poll() is None for it in processes), self._said()
        return self.healthy()

    def _said(self) -> str:
        return self.log.read_text()[-3000:]

    def _postmaster_pid(self) -> list[str]:
        path = self.settings.postgres_dir / "cluster" / "postmaster.pid"
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(FileNotFoundError):
                lines = path.read_text().splitlines()
                if len(lines) > 3:
                    return lines
            assert time.monotonic() < until, "no postmaster"
            time.sleep(0.01)
