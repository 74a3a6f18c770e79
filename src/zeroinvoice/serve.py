"""`zeroinvoice serve`: one process starts all others, keeps them up, and ends them in order."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres, PostgresError
from zeroinvoice.settings import Settings, local_url

PROGRAM = (sys.executable, "-P", "-m", "zeroinvoice")  # -P: the current folder is not searched

SHORTEST_DELAY, LONGEST_DELAY = 0.2, 5.0  # seconds before a child that died is started again
SETTLED = 10.0  # seconds; a child that lived so long starts again after the shortest delay
TICK = 0.5  # seconds between two looks at everything, unless a signal comes first
API_GRACE, WORKER_GRACE, POSTGRES_GRACE = 5.0, 4.0, 5.0  # seconds to end by itself; 14 in all
SLOW_START = 20.0  # seconds without an answer from the API before we say so

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class CannotServe(RuntimeError):
    """It cannot be served here; the message is one line and says why."""


def die_with_parent(supervisor: int | None) -> None:
    """Called first by every child: it must not live on when `serve` is killed.

    `supervisor` is `Settings.supervisor`; None, when nobody supervises us, does nothing.
    """
    if supervisor is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor:  # it died before we could ask
            os._exit(1)
        return

    def watch() -> None:
        while os.getppid() == supervisor:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve(
    settings: Settings,
    *,
    program: Sequence[str] = PROGRAM,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> int:
    """Serve until SIGINT or SIGTERM, and say the exit code: 0 for an ordered end, 1 otherwise.

    `program` is called with `migrate`, `api`, `work` or `policies` as its one more argument.
    Signal handlers are set, so call it from the main thread.
    """
    try:
        with _only_one(settings.data) as told:
            settings = _with_a_port(settings)
            told(settings)
            return Supervisor(settings, program, say).run()
    except (CannotServe, PostgresError) as trouble:
        say(str(trouble))
        return 1


class Child:
    """One process that ought to run, and when to start it again should it not."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.delay = SHORTEST_DELAY
        self.started_at = 0.0  # of the monotonic clock, as is the next
        self.due_at = 0.0

    def start(self, settings: Settings) -> None:
        self.started_at = time.monotonic()
        # A session of its own: Ctrl-C is for the supervisor, who ends its children in order.
        self.process = subprocess.Popen(
            self.command,
            env=settings.to_env(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tend(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Start it if it is due; if it died, say so and set the time to start it again."""
        now = time.monotonic()
        if self.process is None:
            if now < self.due_at:
                return
            try:
                self.start(settings)
            except OSError as trouble:  # no memory or no process to spare, just now
                how = trouble.strerror
            else:
                return
        else:
            code = self.process.poll()
            if code is None:
                return
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        if now - self.started_at > SETTLED:
            self.delay = SHORTEST_DELAY
        say(f"{self.name} ended ({how}); it starts again in {self.delay:.1f} s.")
        self.process = None
        self.due_at = now + self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """The processes of one installation, their database, and the loop that tends them."""

    def __init__(
        self, settings: Settings, program: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self.settings = msgspec.structs.replace(settings, supervisor=os.getpid())
        self.program = tuple(program)
        self.say = say
        self.postgres = None if settings.database_url else EmbeddedPostgres(settings.postgres_dir)
        self.api = [self._child(f"api-{n}", "api") for n in range(1, settings.api_processes + 1)]
        self.workers = [self._child("work", "work"), self._child("policies", "policies")]
        self.stops = 0  # signals to stop, so far
        self._postgres_delay = SHORTEST_DELAY
        self._postgres_due_at = 0.0
        self._wake = -1  # becomes readable at every signal

    def run(self) -> int:
        with self._signals():
            try:
                if not self._prepare():
                    return 0 if self.stops else 1
                began_at, announced, warned = time.monotonic(), False, False
                while not self.stops:
                    self._tend()
                    if not announced and _healthy(self.settings):
                        announced = True
                        self._announce()
                    elif not announced and not warned:
                        warned = time.monotonic() - began_at > SLOW_START
                        if warned:
                            self.say("Still waiting for the API to say that it is well …")
                    self._sleep(TICK if announced else 0.05)
                self.say("Stopping …")
                return 0
            finally:
                self._stop()

    def _child(self, name: str, word: str) -> Child:
        return Child(name, (*self.program, word))

    def _prepare(self) -> bool:
        """The database and its schema; False when that was refused or interrupted."""
        if self.postgres is not None:
            try:
                url = self.postgres.start(cancelled=lambda: self.stops > 0)
            except PostgresError:
                if self.stops:
                    return False
                raise
            self.settings = msgspec.structs.replace(self.settings, database_url=url)
        migrate = self._child("migrate", "migrate")
        migrate.start(self.settings)
        while migrate.running:
            self._sleep(TICK)
            if self.stops:
                self._end([migrate], API_GRACE)
        code = migrate.process.returncode if migrate.process else 0
        if code != 0 and not self.stops:
            self.say(f"Setting up the database's schema failed (exit code {code}).")
        return code == 0 and not self.stops

    def _tend(self) -> None:
        if self.postgres is not None and not self.postgres.alive():
            self._revive(self.postgres)
        for child in (*self.api, *self.workers):
            child.tend(self.settings, self.say)

    def _revive(self, postgres: EmbeddedPostgres) -> None:
        """Start a dead postmaster again. The children wait for it, as for any database."""
        now = time.monotonic()
        if now < self._postgres_due_at:
            return
        try:
            url = postgres.start(cancelled=lambda: self.stops > 0)
        except PostgresError as trouble:
            self._postgres_due_at = time.monotonic() + self._postgres_delay
            self._postgres_delay = min(self._postgres_delay * 2, LONGEST_DELAY)
            if not self.stops:
                self.say(str(trouble))
            return
        self._postgres_delay = SHORTEST_DELAY
        self.say(f"PostgreSQL had ended; it runs again ({time.monotonic() - now:.1f} s).")
        if url != self.settings.database_url:  # its port was taken by another program
            self.settings = msgspec.structs.replace(self.settings, database_url=url)
            self._end([*self.api, *self.workers], API_GRACE)

    def _announce(self) -> None:
        settings = self.settings
        mails = "sent by SMTP" if settings.smtp_url else f"left in {settings.mail_dir}"
        database = "" if self.postgres is not None else " (and in the database of DATABASE_URL)"
        self.say(
            f"\nZeroInvoice is ready.\n"
            f"  API    {local_url(settings.host, settings.port)}/api\n"
            f"  Docs   {local_url(settings.host, settings.port)}/docs\n"
            f"  Data   {settings.data}{database}\n"
            f"  Mails  {mails}\n"
            f"  Stop   Ctrl-C, or: kill {os.getpid()}\n"
        )

    def _stop(self) -> None:
        """The API first, so that nothing new comes in; then the workers; then the database."""
        self._end(self.api, API_GRACE)
        self._end(self.workers, WORKER_GRACE)
        if self.postgres is not None:
            try:
                self.postgres.stop(within_seconds=POSTGRES_GRACE)
            except (OSError, PostgresError) as trouble:
                self.say(f"PostgreSQL was left running: {trouble}")

    def _end(self, children: Sequence[Child], grace: float) -> None:
        """Ask them to end, and after `grace` seconds, or a second Ctrl-C, insist."""
        until, patience = time.monotonic() + grace, max(self.stops, 1)
        for child in children:
            child.signal(signal.SIGTERM)
        while any(child.running for child in children):
            if time.monotonic() > until or self.stops > patience:
                for child in children:
                    child.signal(signal.SIGKILL)
            self._sleep(0.05)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """While this lasts, signals only count and wake; the loop does the rest."""

        def stop(number: int, frame: object) -> None:
            self.stops += 1

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._wake, writing = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(writing, False)
        woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake)
            os.close(writing)

    def _sleep(self, seconds: float) -> None:
        """Until then, or until a signal comes."""
        if select.select([self._wake], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[Callable[[Settings], None]]:
    """The right to serve this data, which only one process has; others are told where it is."""
    with open(os.open(data / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = {}
            with contextlib.suppress(ValueError):
                where = json.load(file)
            raise CannotServe(
                f"ZeroInvoice already serves {data} at {where.get('url', 'another address')} "
                f"(process {where.get('pid', 'unknown')})."
            ) from None

        def tell(settings: Settings) -> None:
            url = local_url(settings.host, settings.port)
            file.seek(0)
            file.truncate()
            json.dump({"pid": os.getpid(), "url": url}, file)
            file.flush()

        yield tell


def _with_a_port(settings: Settings) -> Settings:
    """Make sure that the port is free; port 0 becomes a free one."""
    host = settings.host
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as trial:
            # As the API does it: connections that a former run has closed are no obstacle.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            trial.bind((host, settings.port))
            port = int(trial.getsockname()[1])
            if settings.port and _listened_on(settings):  # by one that shares its port, as we do
                raise OSError(errno.EADDRINUSE, "")
    except socket.gaierror as trouble:
        raise CannotServe(f"HOST: there is no address {host!r} here.") from trouble
    except OSError as trouble:
        if trouble.errno == errno.EADDRINUSE:
            raise CannotServe(
                f"Port {settings.port} on {host} is taken by another program; "
                f"choose another, as in PORT={settings.port + 1}."
            ) from trouble
        why = os.strerror(trouble.errno or 0)
        raise CannotServe(f"Cannot listen on {host}, port {settings.port}: {why}.") from trouble
    if settings.port == port:
        return settings
    public_url = settings.public_url
    if public_url == local_url(host, settings.port):
        public_url = local_url(host, port)
    return msgspec.structs.replace(settings, port=port, public_url=public_url)


def _connected(settings: Settings) -> socket.socket:
    host = local_url(settings.host, settings.port).removeprefix("http://").rpartition(":")[0]
    return socket.create_connection((host.strip("[]"), settings.port), timeout=1.0)


def _listened_on(settings: Settings) -> bool:
    try:
        _connected(settings).close()
    except OSError:
        return False
    return True


def _healthy(settings: Settings) -> bool:
    """Whether GET /api/health answers 200. Asked over a bare socket: an HTTP client is heavy."""
    host = local_url(settings.host, settings.port).removeprefix("http://")
    question = f"GET /api/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        with _connected(settings) as connection:
            connection.sendall(question.encode())
            return b" 200 " in connection.recv(64).partition(b"\r\n")[0]
    except OSError:
        return False
